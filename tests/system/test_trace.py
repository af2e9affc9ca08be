"""`labmitra trace`: the flight recorder from the past and live, readable, both directions, refused frames too."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from typer.testing import CliRunner

import labmitra
from middleware import journal_trace
from middleware.journal import Journal
from middleware.journal_file import micros
from middleware.journal_trace import TraceReader
from middleware.spelled import hexadecimal, spelled
from middleware.trace import Asked, Screen, moment_of, show
from tests.labs import Clock

ZONE = ZoneInfo("Asia/Kolkata")
START = datetime(2026, 1, 30, 4, 45, tzinfo=UTC)  # 10:15 in Varanasi
FRAME = b"\x021H|\\^&\rL|1\r\x035A\r\n"


@pytest.fixture
def journal(tmp_path: Path):
    clock = Clock(START)
    made = Journal.open(tmp_path / "journal.sqlite3", clock)
    made.clock = clock
    yield made
    made.close()


def say(journal: Journal, analyzer: str = "xn", body: bytes = b"H|\\^&\rL|1\r") -> str:
    """One conversation with a refused frame; the message's id."""
    clock, session = journal.clock, journal.session(analyzer, "LIS2-A2", "10.0.0.7:3321")
    message = journal.message(session, body)
    journal.append(session, b"\x05", "ENQ")
    clock.forward(milliseconds=20)
    journal.later(session, b"\x021H|\x0300\r\n", "refused: wrong checksum", said=b"\x06", said_at=micros(clock()))
    clock.forward(milliseconds=100)
    journal.later(session, b"", "", said=b"\x15", said_at=micros(clock()))
    journal.append(session, FRAME, "frame 1", frame=True, messages=(message,))
    clock.forward(milliseconds=3)
    journal.later(session, b"\x04", "EOT", said=b"\x06", said_at=micros(clock()), ends="eot")
    clock.forward(minutes=1)
    journal.append(journal.session("other", "HL7", ""), b"", "flush")
    return message.id


def told(journal: Journal, asked: Asked | None = None, analyzer: str = "xn", as_hex: bool = False) -> list[str]:
    lines: list[str] = []
    show(TraceReader(journal.path), analyzer, asked or Asked(), Screen(ZONE, as_hex), lines.append, lambda: None)
    return lines


def test_a_conversation_as_people_read_it(journal: Journal) -> None:
    say(journal)
    assert told(journal) == [
        "── 2026-01-30 · conversation 1 · LIS2-A2 · 10.0.0.7:3321 ──",
        "10:15:00.000 → in  <ENQ>   (ENQ)",
        "10:15:00.020 ← out <ACK>",
        "10:15:00.020 → in  <STX>1H|<ETX>00<CR><LF>   (refused: wrong checksum)",
        "10:15:00.120 ← out <NAK>",
        "10:15:00.120 → in  <STX>1H|\\^&<CR>",
        "                   L|1<CR>",
        "                   <ETX>5A<CR><LF>   (frame 1)",
        "10:15:00.123 ← out <ACK>",
        "10:15:00.123 → in  <EOT>   (EOT)",
    ]


def test_in_hexadecimal(journal: Journal) -> None:
    say(journal)
    lines = told(journal, as_hex=True)
    assert lines[1].startswith("10:15:00.000 → in  000000  05 ") and lines[1].endswith(" .   (ENQ)")
    assert hexadecimal(bytes(range(0x41, 0x55)))[1] == "000010  51 52 53 54" + " " * 37 + " QRST"


def test_two_conversations_at_once_are_told_apart(journal: Journal) -> None:
    one, two = (journal.session("xn", "LIS2-A2", f"10.0.0.7:{port}") for port in (1, 2))
    for session in (one, two, one):
        journal.append(session, b"\x05", "ENQ")
    heads = [line for line in told(journal) if line.startswith("──")]
    assert [line.split(" · ")[1:] for line in heads] == [
        [f"conversation {n}", "LIS2-A2", f"10.0.0.7:{n} ──"] for n in (1, 2, 1)
    ]  # fmt: skip


def test_by_time(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_trace, "SLACK", 3)
    monkeypatch.setattr(journal_trace, "STEP", 2)
    for _ in range(30):
        say(journal)

    def minutes(**asked: datetime) -> list[str]:
        return [line[:5] for line in told(journal, Asked(**asked)) if "<ENQ>" in line]

    since = START + timedelta(minutes=10)
    assert minutes(since=since, until=since + timedelta(minutes=3)) == ["10:25", "10:26", "10:27"]
    assert minutes(until=START + timedelta(minutes=1)) == ["10:15"]
    assert len(minutes(since=START)) == 30
    assert minutes(since=START + timedelta(days=1)) == []
    assert len([line for line in told(journal) if "<ENQ>" in line]) == 5, "the newest, when no time is named"


def test_an_analyzer_that_said_nothing(journal: Journal) -> None:
    say(journal)
    assert told(journal, analyzer="none") == []
    assert told(journal, Asked(since=START), analyzer="none") == []


def test_live(journal: Journal) -> None:
    """What comes while we look appears with the next look."""
    say(journal)
    lines: list[str] = []
    looks = iter(range(3))

    def pause() -> None:
        if next(looks, None) is None:
            raise KeyboardInterrupt
        say(journal)

    with pytest.raises(KeyboardInterrupt):
        show(TraceReader(journal.path), "xn", Asked(follow=True), Screen(ZONE), lines.append, pause)
    assert len([line for line in lines if "<ENQ>" in line]) == 4
    assert lines == told(journal, Asked(since=START)), "nothing is told twice or left out"


def test_a_journal_that_is_not_there_yet_is_followed(tmp_path: Path) -> None:
    lines: list[str] = []
    made: list[Journal] = []

    def pause() -> None:
        if made:
            raise KeyboardInterrupt
        made.append(Journal.open(tmp_path / "late.sqlite3"))
        made[0].append(made[0].session("xn", "HL7", ""), b"\x0b", "block")

    with pytest.raises(KeyboardInterrupt):
        show(TraceReader(tmp_path / "late.sqlite3"), "xn", Asked(follow=True), Screen(ZONE), lines.append, pause)
    made[0].close()
    assert len(lines) == 2 and lines[1].endswith("→ in  <VT>   (block)")


NOW = datetime(2026, 1, 30, 4, 45, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("15m", NOW - timedelta(minutes=15)),
        ("3d", NOW - timedelta(days=3)),
        ("10:00", NOW - timedelta(minutes=15)),
        ("10:00:30", NOW - timedelta(minutes=14, seconds=30)),
        ("2026-01-30", datetime(2026, 1, 30, tzinfo=ZONE)),
        ("2026-01-30 09:00", datetime(2026, 1, 30, 9, tzinfo=ZONE)),
        ("2026-01-30T09:00+00:00", datetime(2026, 1, 30, 9, tzinfo=UTC)),
    ],
)
def test_times_as_people_write_them(text: str, moment: datetime) -> None:
    assert moment_of(text, ZONE, NOW) == moment


@pytest.mark.parametrize("text", ["yesterday", "25:00", "15", "2026-13-01", ""])
def test_what_is_no_time_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="is no time: write 15m"):
        moment_of(text, ZONE, NOW)


def test_what_a_terminal_would_act_upon_is_spelled() -> None:
    assert spelled(b"\x1b[2J\x9bA\x07") == ["<ESC>[2J<9B>A<BEL>"]
    assert spelled("सुनीता\r\nA".encode()) == ["सुनीता<CR><LF>", "A"]
    assert spelled(b"") == [""]


# ---- the command ------------------------------------------------------------------------------------------------


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    monkeypatch.setenv("LABMITRA_STORE__VAR", str(tmp_path / "var"))

    def run(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(labmitra.app, ["trace", *words])
        return done.exit_code, done.output

    return run


def test_the_command(tmp_path: Path, command: Callable[..., tuple[int, str]]) -> None:
    assert command("xn550") == (0, "xn550: nothing was said yet\n")
    code, text = command("xn55")
    assert code == 2 and 'There is no analyzer "xn55"' in text and "xn550" in text
    clock = Clock(START)
    journal = Journal.open(tmp_path / "var" / "journal.sqlite3", clock)
    journal.clock = clock
    first, second = say(journal, "xn550"), say(journal, "xn550", b"H|\\^&|2\rL|1\r")
    assert command("xn550")[1].count("<ENQ>") == 2
    assert command("xn550", "--message", second)[1].count("<ENQ>") == 1
    assert command("xn550", "--message", first, "--hex")[1].count("  05 ") == 1
    code, text = command("xl640", "--message", first)
    assert code == 2 and "It is a message of xn550." in text
    assert command("xn550", "--since", "5m") == (0, "xn550: nothing was said in this time\n")
    code, text = command("xn550", "--since", "soon")
    assert code == 2 and '"soon" is no time' in text
    journal.close()


def test_who_reads_the_output_may_leave(tmp_path: Path, command: Callable[..., tuple[int, str]]) -> None:
    """`| head` is no trouble with a disk."""
    assert command("xn550")[0] == 0  # the configuration stands
    (tmp_path / "var").mkdir(exist_ok=True)
    journal = Journal.open(tmp_path / "var" / "journal.sqlite3")
    for _ in range(5):
        journal.append(journal.session("xn550", "LIS2-A2"), b"C|1|x\r" * 10_000, "frame 1")
    journal.close()
    words = [sys.executable, "-m", "labmitra", "trace", "xn550"]
    here = Path(labmitra.__file__).parent
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=here) as shown:
        assert shown.stdout is not None and shown.stderr is not None
        assert shown.stdout.readline().startswith("── ".encode())
        shown.stdout.close()
        assert (shown.wait(60), shown.stderr.read()) == (0, b"")
