"""kill -9 cannot show a missing fsync, for the page cache outlives the process: here the sync calls are counted.

Each commit has a sync of the write-ahead log of its own before it comes back, each acknowledgement a commit; and the
same account of a journal opened with synchronous=NORMAL or OFF comes out short. Two ways to look from outside: strace,
and a library of ours loaded before libc, made by the C compiler that is there.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.crash.synced import LINES, MESSAGES

ROOT = Path(__file__).parents[2]
FRAMES = 10  # of an ASTM message: H P O, six R, L


def environ(**more: str) -> Mapping[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", **more}


def child(folder: Path, level: str) -> list[str]:
    return [sys.executable, "-m", "tests.crash.synced", str(folder), level]


# ---- two ways to look --------------------------------------------------------------------------------------------


def by_strace(folder: Path, level: str) -> list[str]:
    """The events as the kernel saw them; a sync counts when it has come back, a mark when it begins."""
    said = folder / "strace"
    look = ["strace", "-f", "-y", "-qq", "-e", "trace=fsync,fdatasync,write", "-e", "signal=none", "-o", str(said)]
    subprocess.run([*look, *child(folder, level)], cwd=ROOT, env=environ(), check=True, timeout=120)
    return list(_events(said.read_text(errors="replace"), str(folder / "events")))


_CALL = re.compile(r"(\d+) +(fsync|fdatasync|write)\(\d+<([^>]*)>(?:, \"(.*?)\\n\")?(.*)")
_RESUMED = re.compile(r"(\d+) +<\.\.\. (?:fsync|fdatasync) resumed>\) += 0")


def _events(text: str, marks: str) -> Iterator[str]:
    waiting: dict[str, str] = {}
    for line in text.splitlines():
        if resumed := _RESUMED.match(line):
            yield f"sync {waiting[resumed[1]]}"
        elif call := _CALL.match(line):
            thread, name, path, written, rest = call.groups()
            if name == "write":
                if path == marks:
                    yield written
            elif "unfinished" in rest:
                waiting[thread] = path
            elif rest.endswith("= 0"):
                yield f"sync {path}"


def by_preload(folder: Path, level: str) -> list[str]:
    """The events as our library saw them: it writes into the same file as the process."""
    more = {"LD_PRELOAD": str(library()), "SYNC_EVENTS": str(folder / "events")}
    subprocess.run(child(folder, level), cwd=ROOT, env=environ(**more), check=True, timeout=120)
    return (folder / "events").read_text().splitlines()


_BUILT = TemporaryDirectory(prefix="labmitra-sync-")


@cache
def library() -> Path:
    """tests/crash/sync_counter.c, compiled."""
    compiler, made = shutil.which("gcc") or shutil.which("cc"), Path(_BUILT.name) / "sync_counter.so"
    source = Path(__file__).with_name("sync_counter.c")
    subprocess.run([str(compiler), "-shared", "-fPIC", "-O1", "-o", made, source, "-ldl"], check=True)
    return made


def strace_works() -> bool:
    """It is there, and may trace."""
    if shutil.which("strace") is None:
        return False
    tried = subprocess.run(["strace", "-qq", "-e", "trace=fsync", "true"], capture_output=True)
    return tried.returncode == 0


WAYS: dict[str, Callable[[Path, str], list[str]]] = {}
if strace_works():
    WAYS["strace"] = by_strace
if shutil.which("gcc") or shutil.which("cc"):
    WAYS["preload"] = by_preload
NO_WAY = pytest.param("none", marks=pytest.mark.skip("neither strace (allowed to trace) nor a C compiler is here"))

# ---- the account -------------------------------------------------------------------------------------------------


def part(events: list[str], begin: str, end: str) -> list[str]:
    return events[events.index(begin) + 1 : events.index(end)]


def unsynced(events: list[str], file: str) -> int:
    """Commits without a sync of this file between them and the commit before."""
    missing, synced = 0, False
    for event in events:
        if event == "commit":
            missing += not synced
            synced = False
        elif event.startswith("sync ") and event.endswith(file):
            synced = True
    return missing


def uncommitted(events: list[str]) -> int:
    """Acknowledgements without a commit between them and the acknowledgement before."""
    missing, committed = 0, False
    for event in events:
        if event == "ack":
            missing += not committed
            committed = False
        elif event == "commit":
            committed = True
    return missing


@pytest.mark.parametrize("way", [*WAYS] or [NO_WAY])
def test_each_commit_is_a_sync_and_each_acknowledgement_a_commit(way: str, tmp_path: Path) -> None:
    events = WAYS[way](tmp_path, "FULL")
    one_by_one, at_once, lab = (
        part(events, "one by one", "at once"),
        part(events, "at once", "lab"),
        part(events, "lab", "over"),
    )
    assert one_by_one.count("ack") == MESSAGES * (FRAMES + 1)
    assert uncommitted(one_by_one) == 0
    assert at_once.count("ack") == LINES * FRAMES
    assert at_once.count("commit") > 0
    assert [unsynced(some, "journal.sqlite3-wal") for some in (one_by_one, at_once)] == [0, 0]
    assert lab.count("commit") == MESSAGES and unsynced(lab, "lab.sqlite3-wal") == 0


@pytest.mark.parametrize("level", ["NORMAL", "OFF"])
@pytest.mark.parametrize("way", [*WAYS][:1] or [NO_WAY])
def test_the_same_account_of_a_weaker_journal_comes_out_short(way: str, level: str, tmp_path: Path) -> None:
    events = WAYS[way](tmp_path, level)
    one_by_one, lab = part(events, "one by one", "at once"), part(events, "lab", "over")
    assert uncommitted(one_by_one) == 0, "it commits as before"
    assert unsynced(one_by_one, "journal.sqlite3-wal") > one_by_one.count("commit") // 2, "and does not sync"
    assert unsynced(lab, "lab.sqlite3-wal") > lab.count("commit") // 2
