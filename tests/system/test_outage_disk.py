"""The journal's disk is full, read-only, locked, or its file is gone, or the lab database's is; then it is back.

Whatever it is, on ASTM and on HL7 alike: refused (NAK, AE) within the 15 s that an analyzer waits, one line in the log
when it begins and one when it ends, recovery by itself, and nothing that was acknowledged is missing afterwards.
Source: LIS01-A2 6.5.2.3 and 6.5.2.5.
"""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from functools import cache
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from drivers.wire import lis1a, mllp
from middleware import journal_file, journal_loop, lab, work
from middleware.journal import JournalReader
from middleware.lab import Lab, make_engine
from middleware.schema import ResultRow
from tests.crash.said import body
from tests.labs import BENCH, Clock, Desk, settings_for
from tests.system.line_kit import ACK, ENQ, EOT, NAK, Analyzer, analyzer, running
from tests.system.support import Lines, until

ANALYZER_WAITS = 15.0  # 6.5.2.3; no answer within it and the analyzer ends the session
NOBODY = 65534
LISTEN = "tcp-listen://127.0.0.1:0"


# ---- what may happen to a file -----------------------------------------------------------------------------------


@contextmanager
def full(path: Path) -> Iterator[None]:
    """Not a byte is left on its disk."""
    filler = path.with_name("filler")
    with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        while file.write(b"x" * 4096):
            pass
    try:
        yield
    finally:
        filler.unlink()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another program writes and does not end."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


@contextmanager
def moved(path: Path) -> Iterator[None]:
    """Somebody renames the file."""
    away = path.with_name("away")
    path.rename(away)
    try:
        yield
        assert not path.exists(), "nobody makes a new one meanwhile"
    finally:
        away.rename(path)


@contextmanager
def unmounted(path: Path) -> Iterator[None]:
    """The whole folder is gone, the files beside it too."""
    away = path.parent.with_name(f"{path.parent.name}.away")
    path.parent.rename(away)
    try:
        yield
        assert not path.parent.exists()
    finally:
        away.rename(path.parent)


@contextmanager
def read_only(path: Path) -> Iterator[None]:
    """Put back by somebody else, as a restore by root does, and not ours to write. Root writes everything: as nobody,
    then."""
    copy = path.with_name("copy")
    shutil.copy(path, copy)
    copy.replace(path)
    root = os.geteuid() == 0
    _allow(path, 0o444, 0o555)
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        _allow(path, 0o644, 0o755)


def _allow(path: Path, files: int, folder: int) -> None:
    for found in path.parent.iterdir():
        found.chmod(files)
    path.parent.chmod(folder)


Outage = Callable[[Path], AbstractContextManager[None]]


def outages(*found: Outage) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("outage", found, ids=lambda outage: outage.__name__)


# ---- where it happens --------------------------------------------------------------------------------------------


@cache
def may_mount() -> bool:
    """Is this user allowed a small disk of his own?"""
    with tempfile.TemporaryDirectory() as folder:
        tried = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True)
        if tried.returncode == 0:
            subprocess.run(["umount", folder], check=True)
    return tried.returncode == 0


@pytest.fixture
def folder(outage: Outage) -> Iterator[Path]:
    """A folder that others may enter too; a small disk of its own when that is to be filled."""
    folder = Path(tempfile.mkdtemp(prefix="labmitra-disk-"))
    if outage is full and not may_mount():
        pytest.skip("only root may mount a small disk; test_outage.py fills one for a process by RLIMIT_FSIZE")
    if outage is full:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], check=True)
    folder.chmod(0o755)
    yield folder
    if outage is full:
        subprocess.run(["umount", folder], check=True)
    shutil.rmtree(folder)


@pytest.fixture
def var() -> Iterator[Path]:
    """Where nothing happens to the journal: not pytest's own folder, which only its owner may enter."""
    with tempfile.TemporaryDirectory(prefix="labmitra-var-") as var:
        Path(var).chmod(0o755)
        yield Path(var)


@pytest.fixture
def path(folder: Path) -> Path:
    return folder / "journal.sqlite3"


# ---- two analyzers -----------------------------------------------------------------------------------------------


def astm(number: int) -> bytes:
    return body(("a_listen", number, 1), "1")


def hl7(number: int) -> bytes:
    return body(("h_listen", number, 1), "1")


async def say_hl7(far: Analyzer, number: int) -> bytes:
    """The acknowledgement's code."""
    async with asyncio.timeout(ANALYZER_WAITS):
        answer = await far.ask_until(mllp.block(hl7(number)), b"\x1c\r")
    return answer.partition(b"MSA|")[2][:2]


async def refused_astm(far: Analyzer, number: int) -> None:
    """ENQ may still be taken, for nobody knows yet; no frame is."""
    async with asyncio.timeout(ANALYZER_WAITS):
        if await far.ask(ENQ) == ACK:
            assert await far.ask(lis1a.frames(astm(number))[0]) == NAK
            far.writer.write(EOT)


@outages(full, locked, moved, unmounted, read_only)
async def test_a_journal_that_cannot_be_written_is_said_twice_and_loses_nothing(
    outage: Outage,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert journal_file.BUSY < ANALYZER_WAITS / 2
    monkeypatch.setattr(journal_file, "BUSY", 0.02)
    caplog.set_level("INFO")
    units = analyzer("a", LISTEN), analyzer("h", LISTEN, "generic_hl7")
    async with running(path, *units) as lines:
        a, h = await lines.connect("a"), await lines.connect("h")
        assert set(await a.send(astm(1))) == set(ACK) and await say_hl7(h, 1) == b"AA"
        with outage(path):
            for number in range(2, 5):
                await refused_astm(a, number)
                assert await say_hl7(h, number) == b"AE"
            assert await a.ask(ENQ) == NAK, "it does not even begin"
        for number in range(2, 5):
            assert set(await a.send(astm(number))) == set(ACK) and await say_hl7(h, number) == b"AA"
        await a.close()
        await h.close()
    told = [(r.levelname, r.message.partition(str(path))[2]) for r in caplog.records if r.name.startswith("labmitra")]
    assert [level for level, _ in told] == ["ERROR", "INFO"]
    assert "cannot be written" in told[0][1] and "is written again" in told[1][1]
    reader = JournalReader(path)
    kept = [reader.message(stored.id) for stored in reversed(reader.messages())]
    assert {m.body for m in kept if m} == {make(n) for n in range(1, 5) for make in (astm, hl7)}
    assert len(kept) == 8, "each once"


async def test_a_disk_that_does_not_answer_is_said_twice_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It neither does nor refuses what the writer asks: the analyzers are refused all the same, and in time."""
    assert journal_loop.PATIENCE + journal_loop.LOOK < ANALYZER_WAITS
    monkeypatch.setattr(journal_file, "BUSY", 60.0)  # as if the system call did not return
    caplog.set_level("INFO")
    path, units = tmp_path / "journal", (analyzer("a", LISTEN), analyzer("h", LISTEN, "generic_hl7"))
    async with running(path, *units) as lines:
        a, h = await lines.connect("a"), await lines.connect("h")
        with locked(path), monkeypatch.context() as impatient:  # a disk that is slow afterwards is no part of this
            impatient.setattr(journal_loop, "PATIENCE", 0.1)
            impatient.setattr(journal_loop, "LOOK", 0.02)
            for number in range(1, 3):
                await refused_astm(a, number)
                assert await say_hl7(h, number) == b"AE"
        for number in range(1, 3):
            assert set(await a.send(astm(number))) == set(ACK) and await say_hl7(h, number) == b"AA"
        await a.close()
        await h.close()
    assert [r.levelname for r in caplog.records if r.name == "labmitra.journal"] == ["ERROR", "INFO"]
    reader = JournalReader(path)
    kept = [m.body for stored in reader.messages() if (m := reader.message(stored.id)) and not m.incomplete]
    assert set(kept) == {make(n) for n in range(1, 3) for make in (astm, hl7)}, "what waited may stand twice"


# ---- the lab's database ------------------------------------------------------------------------------------------


@outages(read_only)
def test_a_connection_made_while_the_database_was_read_only_is_not_kept(folder: Path, lab_sqlite: Path) -> None:
    """Else this process would refuse every write until a restart, long after the file was mended."""
    path = Path(shutil.copy(lab_sqlite, folder / "lab.sqlite3"))
    engine = make_engine(f"sqlite:///{path}", make=False)
    place = Lab(engine, settings_for(folder / "var", f"sqlite:///{path}"), Clock())

    def write() -> None:
        with place.write() as conn:
            conn.exec_driver_sql("UPDATE user_account SET name = name")

    write()
    with read_only(path):
        with place.read() as one, place.read() as other:  # pages that are looked at meanwhile
            for conn in (one, other):
                conn.exec_driver_sql("SELECT count(*) FROM user_account")
        with pytest.raises(OperationalError):
            write()
    gc.collect()  # the refusal's traceback holds its cursor, and that the connection; the worker tries until it is gone
    write()
    engine.dispose()


@outages(full, read_only)
def test_a_lab_database_that_cannot_be_written_stops_no_acknowledgement(
    outage: Outage,
    folder: Path,
    lab_sqlite: Path,
    var: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(lab, "_PATIENCE", 1)
    monkeypatch.setattr(work, "PAUSE", 0.05)
    caplog.set_level("INFO")
    path = Path(shutil.copy(lab_sqlite, folder / "lab.sqlite3"))
    engine = make_engine(f"sqlite:///{path}", make=False)
    desk = Desk(Lab(engine, settings_for(var, f"sqlite:///{path}"), Clock()), Clock())
    numbers = [desk.sample_id(desk.register("HB")) for _ in range(4)]
    engine.dispose()
    with Lines(desk.lab, BENCH) as lines, lines.connect("bench") as bench:
        with outage(path):
            for number in numbers:
                assert bench.send(desk.message(number, "HB=13.1 g/dL").body) == ACK + ACK
            until(lambda: "cannot be used" in caplog.text, "the worker has noticed")
            assert len(lines.journal.unprocessed()) == 4
        lines.settle()
    told = [(r.name, r.levelname) for r in caplog.records if r.name == "labmitra.pipeline"]
    assert told == [("labmitra.pipeline", "ERROR"), ("labmitra.pipeline", "INFO")]
    assert [row["verbatim"] for row in desk.rows(ResultRow)] == ["13.1"] * 4
    engine.dispose()
