"""What the journal forgets, and what it never does; the writer does it while nobody waits."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from typer.testing import CliRunner

import labmitra
from middleware import journal as journal_module
from middleware import journal_file, retention
from middleware.journal import Journal
from middleware.journal_overview import overview
from middleware.retention import Retention
from tests.labs import Clock
from tests.system.support import until

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def clock() -> Clock:
    return Clock(START)


@pytest.fixture
def journal(tmp_path: Path, clock: Clock):
    made = Journal.open(tmp_path / "journal.sqlite3", clock)
    yield made
    made.close()


def say(journal: Journal, done: bool = True, ends: str = "eot", body: bytes = b"H|\\^&\rL|1\r") -> str:
    """One conversation of three rows."""
    session = journal.session("xn", "LIS2-A2", "")
    message = journal.message(session, body)
    journal.append(session, b"\x05", "ENQ")
    journal.append(session, body, "frame 1", frame=True, messages=(message,))
    journal.append(session, b"\x04", "EOT", ends=ends)
    if done:
        journal.mark_done(message.id)
    return message.id


def counts(journal: Journal) -> list[int]:
    with closing(sqlite3.connect(journal.path)) as conn:
        tables = ("session", "chunk", "message")
        return [conn.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables]


def forget(journal: Journal, clock: Clock, days: int) -> int:
    """A whole pass; how many steps it took."""
    keeper, steps = Retention(days, clock), 1
    with closing(journal_file.connect(journal.path, make=False)) as conn:
        while keeper.step(conn):
            steps += 1
    return steps


def test_old_processed_conversations_go_whole(journal: Journal, clock: Clock) -> None:
    old = [say(journal) for _ in range(3)]
    clock.forward(days=11)
    young = [say(journal) for _ in range(2)]
    forget(journal, clock, 10)
    assert counts(journal) == [2, 6, 2]
    with closing(journal_file.connect(journal.path, make=False)) as conn:
        assert [row[0] for row in conn.execute("SELECT id FROM message ORDER BY number")] == young
    forget(journal, clock, 10)
    assert counts(journal) == [2, 6, 2]
    clock.forward(days=365)
    forget(journal, clock, 10)
    assert counts(journal) == [1, 1, 1], "the newest row of each stays: no number is given twice"
    assert old and say(journal) not in young


def test_what_is_not_processed_or_not_ended_stays_for_ever(journal: Journal, clock: Clock) -> None:
    waiting, _done, _open = say(journal, done=False), say(journal), say(journal, ends="")
    clock.forward(days=100)
    last = say(journal)
    forget(journal, clock, 10)
    with closing(journal_file.connect(journal.path, make=False)) as conn:
        kept = conn.execute("SELECT id, session FROM message ORDER BY number").fetchall()
        chunks = conn.execute("SELECT DISTINCT session FROM chunk ORDER BY session").fetchall()
    assert kept == [(waiting, 1), (last, 4)], "the message of the open session was processed; its bytes stay"
    assert chunks == [(1,), (3,), (4,)]
    assert [m.id for m in journal.unprocessed()] == [waiting]
    journal.mark_done(waiting)
    forget(journal, clock, 10)
    assert counts(journal) == [2, 6, 1]


def test_steps_are_small(journal: Journal, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(20):
        say(journal, body=b"H|\\^&\rC|" + b"x" * 1000 + b"\rL|1\r")
    clock.forward(days=11)
    say(journal)
    monkeypatch.setattr(retention, "ROWS", 7)
    assert forget(journal, clock, 10) >= 20 // 7 + 60 // 7 + 20 // 7
    assert counts(journal) == [1, 3, 1]


def test_bytes_of_a_step_are_bounded(journal: Journal, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(6):
        say(journal, body=b"H|\\^&\rC|" + b"x" * 1000 + b"\rL|1\r")
    clock.forward(days=11)
    say(journal)
    monkeypatch.setattr(retention, "BYTES", 1500)
    assert forget(journal, clock, 10) >= 3 + 3, "two bodies at a time"
    assert counts(journal) == [1, 3, 1]


def test_a_clock_that_leaps_forgets_nothing(journal: Journal, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """A dead battery that says 2036 must not empty the recorder."""
    say(journal)
    say(journal)
    clock.forward(days=3650)
    keeper = Retention(10, clock, lambda: 1e9)
    with closing(journal_file.connect(journal.path, make=False)) as conn:
        for _ in range(5):
            keeper(conn)
    assert counts(journal) == [2, 6, 2]
    assert [r.levelname for r in caplog.records] == ["WARNING"]


def a_pass(journal: Journal, keeper: Retention) -> None:
    """As the writer does it, until it rests."""
    with closing(journal_file.connect(journal.path, make=False)) as conn:
        for _ in range(20):
            keeper(conn)


def an_hour_a_call() -> Callable[[], float]:
    """A clock for the rests: no call falls into one."""
    return itertools.count(retention.REST + 1, retention.REST + 1).__next__


def test_a_clock_that_leaps_while_we_run_forgets_nothing(journal: Journal, clock: Clock) -> None:
    keeper = Retention(10, clock, an_hour_a_call())
    say(journal)
    a_pass(journal, keeper)
    clock.forward(days=3650)
    a_pass(journal, keeper)
    assert counts(journal) == [1, 3, 1]
    say(journal)
    a_pass(journal, keeper)
    a_pass(journal, Retention(10, clock, an_hour_a_call()))  # started again, and the clock still wrong
    assert counts(journal) == [2, 6, 2]


def test_what_came_while_the_clock_was_behind_is_not_old(journal: Journal, clock: Clock) -> None:
    """A computer whose battery is dead says 2020 until the network tells it the time."""
    keeper = Retention(10, clock, an_hour_a_call())
    say(journal)
    clock.forward(days=-2000)
    say(journal)
    clock.forward(days=2000)
    say(journal)
    a_pass(journal, keeper)
    assert counts(journal) == [3, 9, 3]
    clock.forward(days=11)
    say(journal)
    a_pass(journal, keeper)
    assert counts(journal) == [1, 3, 1], "once what came before and after is old, it is old too"


def test_a_journal_that_began_with_a_clock_behind_keeps_that(journal: Journal, clock: Clock) -> None:
    clock.forward(days=-2000)
    say(journal)
    clock.forward(days=2000)
    say(journal)
    a_pass(journal, Retention(10, clock, an_hour_a_call()))
    assert counts(journal) == [2, 6, 2]
    clock.forward(days=11)
    last = say(journal)
    a_pass(journal, Retention(10, clock, an_hour_a_call()))
    assert [m.id for m in journal_module.JournalReader(journal.path).messages()] == [last]


def test_rows_of_a_future_that_was_wrong_stop_nothing(journal: Journal, clock: Clock) -> None:
    say(journal)
    clock.forward(days=3650)
    say(journal)
    clock.forward(days=-3650)
    say(journal)
    clock.forward(days=11)
    last = say(journal)
    a_pass(journal, Retention(10, clock, an_hour_a_call()))
    ids = [m.id for m in journal_module.JournalReader(journal.path).messages()]
    assert ids == [last]


def test_the_writer_does_it_in_quiet_moments_and_rests(
    journal: Journal, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "LINGER", 0.01)
    for _ in range(5):
        say(journal)
    clock.forward(days=11)
    say(journal)
    time = [0.0]
    journal.quiet = Retention(10, clock, lambda: time[0])
    until(lambda: counts(journal) == [1, 3, 1], "the old ones gone", 20)
    clock.forward(days=11)
    last = say(journal)

    def an_hour_on() -> bool:
        time[0] += retention.REST + 1
        return counts(journal) == [1, 3, 1]

    until(an_hour_on, "the next pass")
    assert [m.id for m in journal_module.JournalReader(journal.path).messages()] == [last]


def test_a_busy_file_is_left_for_later(journal: Journal, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "LINGER", 0.01)
    monkeypatch.setattr(journal_file, "BUSY", 0.01)
    tried: list[int] = []

    def quiet(_conn: sqlite3.Connection) -> None:
        tried.append(1)
        raise sqlite3.OperationalError("database is locked")

    journal.quiet = quiet
    until(lambda: len(tried) > 1, "tried again")
    say(journal)
    assert not journal.failing


def test_the_overview(journal: Journal, clock: Clock) -> None:
    zone = ZoneInfo("Asia/Kolkata")
    assert overview(journal.path, 400, clock(), zone) == [f"{journal.path}: nothing has been heard yet"]
    for _ in range(4):
        say(journal)
    clock.forward(days=11)
    say(journal, done=False)
    holds, waiting, size, kept = overview(journal.path, 10, clock(), zone)[1:]
    assert holds.split(maxsplit=1)[1] == "2026-01-01 05:30 to 2026-01-12 05:30, about 5 messages"
    assert waiting.split(maxsplit=1)[1] == "1 messages not yet in the lab database"
    assert "MB on the disk" in size
    assert kept.split(maxsplit=1)[1] == (
        "10 days ([store] journal_days in lab.toml); about 4 messages in 12 rows are older and go in quiet moments, "
        "once they are processed"
    )
    assert overview(journal.path, 20, clock(), zone)[-1].endswith("nothing is older")
    assert "for ever" in overview(journal.path, 0, clock(), zone)[-1]
    forget(journal, clock, 10)
    assert "about 1 messages" in overview(journal.path, 10, clock(), zone)[1]


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABMITRA_STORE__VAR", str(tmp_path / "var"))
    done = CliRunner().invoke(labmitra.app, ["journal"])
    assert done.exit_code == 0 and "nothing has been heard yet" in done.output
    with_one = Journal.open(tmp_path / "var" / "journal.sqlite3", Clock(datetime.now(UTC) - timedelta(days=500)))
    say(with_one)
    with_one.close()
    monkeypatch.setenv("LABMITRA_STORE__JOURNAL_DAYS", "30")
    assert "30 days" in CliRunner().invoke(labmitra.app, ["journal"]).output
    monkeypatch.setenv("LABMITRA_STORE__JOURNAL_DAYS", "-1")
    done = CliRunner().invoke(labmitra.app, ["journal"])
    assert done.exit_code == 2 and "store.journal_days" in done.output
