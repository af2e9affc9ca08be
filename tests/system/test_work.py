"""The pipeline's worker against a journal and a lab database in trouble: it waits, goes on, and no message blocks."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from sqlalchemy import event
from sqlalchemy.exc import DataError, IntegrityError

from drivers.driver import Message
from middleware import catch_up, pipeline, work
from middleware.journal import Journal, JournalError, JournalReader
from middleware.lab import Lab, make_engine
from middleware.schema import AnalyzerMessage, ResultRow
from tests.labs import Desk

PATIENCE = 20.0  # seconds; only a broken test waits so long


@pytest.fixture
def journal(desk: Desk) -> Iterator[Journal]:
    journal = Journal.open(desk.lab.settings.journal)
    yield journal
    journal.close()


@pytest.fixture
def impatient(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """The same laboratory, whose worker gives a busy database up at once."""
    monkeypatch.setattr(work, "PAUSE", 0.02)
    engine = make_engine(lab.settings.database_url)
    sqlite = engine.dialect.name == "sqlite"

    def hurry(dbapi: Any, _record: object) -> None:
        cursor = dbapi.cursor()
        cursor.execute("PRAGMA busy_timeout=20" if sqlite else "SET lock_timeout = '20ms'")
        cursor.close()
        if not sqlite:
            dbapi.commit()

    event.listen(engine, "connect", hurry)
    yield replace(lab, engine=engine)
    engine.dispose()


@contextmanager
def running(lab: Lab, journal: Journal) -> Iterator[work.Worker]:
    worker = work.Worker(lab, journal)
    worker.start()
    try:
        yield worker
    finally:
        worker.stop()
    assert not worker._thread.is_alive()


@contextmanager
def held_by_another(lab: Lab) -> Iterator[None]:
    """Somebody else writes and does not end."""
    url = lab.settings.database_url
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
            other.execute("ROLLBACK")
        return
    with psycopg.connect(url) as other_pg:
        other_pg.execute("SELECT pg_advisory_xact_lock(%s)", (0x4C4D5752,))
        yield


def journaled(journal: Journal, desk: Desk, *values: str) -> Message:
    made = desk.register(*(v.partition("=")[0] for v in values))
    return journal.finish("bench", None, desk.message(desk.sample_id(made), *values).body, False)


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.005)


def done(journal: Journal) -> bool:
    return not journal.unprocessed()


def test_it_begins_with_what_a_crash_left_and_takes_what_comes(desk: Desk, journal: Journal) -> None:
    journaled(journal, desk, "HB=13.0 g/dL")
    with running(desk.lab, journal) as worker:
        until(lambda: done(journal))
        message = journaled(journal, desk, "HB=13.1 g/dL")
        worker.wake(message)
        until(lambda: done(journal))
        ear = worker.ears.of("bench")
        assert (ear.parsed_at, ear.result_at) == (desk.clock(), desk.clock())
    assert [r["display"] for r in desk.rows(ResultRow)] == ["13.0", "13.1"]


def test_a_busy_database_is_waited_for(
    desk: Desk, journal: Journal, impatient: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "labmitra.pipeline")
    made = [journaled(journal, desk, "HB=13.0 g/dL") for _ in range(3)]
    with held_by_another(desk.lab), running(impatient, journal) as worker:
        until(lambda: worker._down)
        until(lambda: len(caplog.records) > 0)
        time.sleep(0.1)  # several tries, one line of log
        assert len(journal.unprocessed()) == 3
        assert [r.levelname for r in caplog.records] == ["ERROR"]
    assert desk.rows(AnalyzerMessage) == []
    with running(impatient, journal) as worker:
        until(lambda: done(journal))
    assert [m["id"] for m in desk.rows(AnalyzerMessage)] == sorted(m.id for m in made)
    assert [m["state"] for m in desk.rows(AnalyzerMessage)] == ["processed"] * 3


def test_when_the_database_is_back_the_worker_goes_on_by_itself(
    desk: Desk, journal: Journal, impatient: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "labmitra.pipeline")
    journaled(journal, desk, "HB=13.0 g/dL")
    held = held_by_another(desk.lab)
    held.__enter__()
    with running(impatient, journal) as worker:
        until(lambda: worker._down)
        held.__exit__(None, None, None)
        until(lambda: done(journal))
    assert len(desk.rows(ResultRow)) == 1
    assert [r.levelname for r in caplog.records] == ["ERROR", "INFO"]


def broken(message: Message) -> Exception:
    return ZeroDivisionError("Sunita Devi")


def refused_by_the_database(message: Message) -> Exception:
    return IntegrityError("INSERT", {}, sqlite3.IntegrityError("NOT NULL"))


def not_storable(message: Message) -> Exception:
    return DataError("INSERT", {}, ValueError("too long"))


@pytest.mark.parametrize("trouble", [broken, refused_by_the_database, not_storable])
def test_a_message_that_breaks_the_code_is_kept_as_failed_and_the_next_goes_on(
    trouble: Callable[[Message], Exception],
    desk: Desk,
    journal: Journal,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    bad, good = journaled(journal, desk, "HB=13.0 g/dL"), journaled(journal, desk, "HB=13.1 g/dL")
    real = pipeline.record

    def record(conn: Any, filings: Any, *rest: Any) -> Any:
        for filing in filings:
            if filing.message.id == bad.id:
                raise trouble(bad)
        return real(conn, filings, *rest)

    monkeypatch.setattr(pipeline, "record", record)
    with running(desk.lab, journal):
        until(lambda: done(journal))
    rows = {m["id"]: (m["state"], m["error"]) for m in desk.rows(AnalyzerMessage)}
    assert rows[good.id] == ("processed", "")
    assert rows[bad.id][0] == "failed" and type(trouble(bad)).__name__ in rows[bad.id][1]
    (line,) = [r for r in caplog.records if r.levelname == "ERROR"]
    assert bad.id in line.getMessage() and "test_work.py" in line.getMessage()
    assert "Sunita" not in caplog.text  # what a mistake says may be a patient's
    monkeypatch.undo()
    pipeline.process(desk.lab, bad, again=True)
    assert {m["state"] for m in desk.rows(AnalyzerMessage)} == {"processed"}


def test_a_long_queue_is_worked_off_in_one_go(desk: Desk, journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(5):
        journaled(journal, desk, "HB=13.0 g/dL")
    monkeypatch.setattr(journal, "unprocessed", lambda: JournalReader(journal.path).unprocessed(2))
    assert work.Worker(desk.lab, journal)._drain() is True
    assert len(desk.rows(ResultRow)) == 5


def test_a_journal_that_cannot_be_written_stops_nothing_for_good(
    desk: Desk, journal: Journal, impatient: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    journaled(journal, desk, "HB=13.0 g/dL")
    real, troubles = journal.mark_done, [JournalError("the disk does not answer")]

    def mark_done(*ids: str) -> None:
        if troubles:
            raise troubles.pop()
        real(*ids)

    monkeypatch.setattr(journal, "mark_done", mark_done)
    with running(impatient, journal):
        until(lambda: done(journal))
    assert len(desk.rows(ResultRow)) == 1 and troubles == []


def test_a_lab_database_put_back_from_a_backup_gets_what_it_lacks_and_nothing_twice(
    desk: Desk, journal: Journal, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(catch_up, "STRETCH", 2)
    made = desk.register("HB", "PLT", "WBC")
    sample_id = desk.sample_id(made)
    bodies = [desk.message(sample_id, value).body for value in ("HB=13.0 g/dL", "PLT=250 10*3/uL", "WBC=6.1 10*3/uL")]
    early = journal.finish("bench", None, bodies[0], incomplete=False)
    pipeline.process(desk.lab, early)
    journal.mark_done(early.id)
    lost = [journal.finish("bench", None, body, incomplete=False).id for body in bodies[1:]]
    journal.mark_done(*lost)  # processed after the backup was taken, so the database put back has never seen them
    with caplog.at_level(logging.WARNING, "labmitra.pipeline"), running(desk.lab, journal):
        until(lambda: len(desk.rows(ResultRow)) == 3)
    assert [record.getMessage() for record in caplog.records] == [
        "the lab database lacks 2 messages of the journal; they are processed again"
    ]
    assert {row["message_id"] for row in desk.rows(ResultRow)} == {early.id, *lost}
    with running(desk.lab, journal) as again:
        until(lambda: again._caught_up and not journal.unprocessed())
    assert len(desk.rows(ResultRow)) == 3
