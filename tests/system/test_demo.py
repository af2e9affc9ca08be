"""`labmitra demo` as a person runs it: the whole day at once, and the lab that streams until Ctrl-C and goes on."""

from __future__ import annotations

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from server.demo.guests import GUESTS
from server.demo.live import begin_anew
from server.demo.seed import PASSWORD
from tests.system.support import PATIENCE, Person, until

STAGES = (
    "analyzer", "xn550", "xl640", "bc5150", "e411", *GUESTS, "tests still awaited", "results by state",
    "held, by reason", "unmatched", "handed over", "reports by delivery", "reports opened", "technician did",
    "patient saw",
)  # fmt: skip


def labmitra(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """`labmitra …` in a folder of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "labmitra", *arguments],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip


def test_the_whole_day_at_once_ends_with_books_that_balance(tmp_path: Path) -> None:
    with labmitra(tmp_path, "demo", "--once") as day:
        told, _ = day.communicate(timeout=180)
    assert day.returncode == 0, told
    assert [stage for stage in STAGES if not re.search(rf"^{stage}\b", told, re.M)] == []
    assert told.rstrip().endswith("the books balance")
    figures = {line.split("  ")[0]: line for line in told.splitlines()}
    assert "tests still awaited  0" in told
    assert "queued" not in figures["handed over"] and "delivered" in figures["reports by delivery"]
    assert "wrong PIN: 403, still closed" in figures["patient saw"] and "amended, PDF" in figures["patient saw"]
    assert list(tmp_path.iterdir()) == [], "a throw-away lab leaves nothing behind"


# ---- live -------------------------------------------------------------------------------------------------------


class Demo:
    """A running `labmitra demo`."""

    def __init__(self, folder: Path, *options: str, up: str = "Ctrl-C stops everything") -> None:
        """Returns when it has said `up`."""
        self.folder = folder
        self.process = labmitra(folder, "demo", *options)
        self.told = ""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.told += line
            if up in line or "did not start" in line:
                break
        self.children = children(self.process.pid)

    def address(self, name: str) -> str:
        """A URL the banner tells."""
        found = re.search(rf"{name}\s+(http://127\.0\.0\.1:\d+)", self.told)
        assert found, self.told
        return found[1]

    def stop(self, how: signal.Signals = signal.SIGINT) -> tuple[int, str]:
        """Stop it; exit code and last words."""
        self.process.send_signal(how)
        rest, _ = self.process.communicate(timeout=60)
        return self.process.returncode, rest

    def end(self) -> None:
        """Whatever the test found, nothing stays."""
        if self.process.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                self.stop()
        if self.process.poll() is None:
            self.process.kill()
        for pid in self.children:
            if alive(pid):
                os.kill(pid, signal.SIGKILL)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process.wait()

    def count(self, table: str, where: str = "1") -> int:
        with closing(sqlite3.connect(self.folder / "var" / "demo" / "lab.sqlite3")) as conn:
            return int(conn.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchone()[0])

    def sent(self) -> dict[str, list[str]]:
        """The simulators' logs."""
        return {p.name: p.read_text().splitlines() for p in (self.folder / "var" / "demo" / "sent").glob("*.jsonl")}


def children(parent: int) -> list[int]:
    """The processes that this process started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(stat.parent.name))
    return found


def alive(pid: int) -> bool:
    """Still running, and no zombie."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@pytest.fixture
def busy_port() -> Iterator[None]:
    """Somebody has port 8080 already."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):  # then it is taken anyway
            other.bind(("127.0.0.1", 8080))
            other.listen()
        yield


def test_a_live_demo_starts_stops_goes_on_and_begins_anew(tmp_path: Path, busy_port: None) -> None:
    demo = Demo(tmp_path)
    try:
        first_run(demo)
    finally:
        demo.end()
    patients, sent = demo.count("patient"), demo.sent()
    demo = Demo(tmp_path)
    try:
        second_run(demo, patients, sent)
    finally:
        demo.end()
    demo = Demo(tmp_path, "--reset", up="Starting")
    try:
        assert demo.stop(signal.SIGHUP) == (0, "Stopped before it had begun.\n"), "the terminal was closed"
        assert (demo.count("patient"), demo.count("result", "analyzer <> ''")) == (40, 0)
    finally:
        demo.end()


@pytest.mark.parametrize("reset", [False, True])
def test_a_demo_that_was_cut_off_while_it_began_begins_anew(reset: bool, tmp_path: Path) -> None:
    """With some of its patients; one that had begun goes on unless it is reset."""
    home = tmp_path / "demo"
    for begun in (False, True):
        (home / "day").mkdir(parents=True, exist_ok=True)
        (home / "lab.sqlite3").touch()
        if begun:
            (home / "day" / "day-001.json").touch()
        begin_anew(home, reset)
        assert (home / "lab.sqlite3").exists() is (begun and not reset)


def first_run(demo: Demo) -> None:
    assert all(user in demo.told for user in ("reception", "technician", "pathologist", "engineer", "admin", PASSWORD))
    assert all(demo.address(name) for name in ("Technician pages", "Patients' phones", "Report service"))
    assert ":8080" not in demo.address("Technician pages"), "somebody else has that port"
    assert len(demo.children) == 8
    with Person(demo.address("Technician pages"), password=PASSWORD) as technician:
        until(lambda: demo.count("result", "analyzer <> ''"), "results arrive")
        assert "Hold" in (told := technician.reads("/worklist")) or "Ready" in told
        lamps = technician.reads("/analyzers")
        assert all(name in lamps for name in ("XN-550", "XL-640", "BC-5150", "e 411"))
    second = labmitra(demo.folder, "demo", "--reset")
    told, _ = second.communicate(timeout=PATIENCE)
    assert second.returncode == 1 and "already" in told, "two at once would spoil each other's data"
    code, rest = demo.stop()
    assert code == 0 and "Everything is stopped" in rest
    assert [pid for pid in demo.children if alive(pid)] == []
    assert demo.count("analyzer_state", "connected") == 0


def second_run(demo: Demo, patients: int, sent: dict[str, list[str]]) -> None:
    assert demo.count("patient") == patients == 40
    until(lambda: sum(map(len, demo.sent().values())) > sum(map(len, sent.values())), "the analyzers go on")
    for name, lines in demo.sent().items():
        assert lines[: len(sent[name])] == sent[name]
        assert len({line.split('"seq": ')[1].split(",")[0] for line in lines}) == len(lines), "nothing is sent twice"
    assert demo.stop(signal.SIGTERM)[0] == 0
    assert [pid for pid in demo.children if alive(pid)] == []
