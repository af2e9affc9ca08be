"""Processes that are told to end: while they start, while they work, twice, by a closed terminal, by their starter."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from labmitra import app
from middleware import ending
from server.processes import only_one, stop_event
from tests.labs import Desk
from tests.system.support import CONFIG, ByHand, log_of, on_stage, start_middleware, until
from tests.system.test_demo import alive, children

ROOT = Path(__file__).parents[2]
STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def started(*arguments: str | Path, **environ: str) -> subprocess.Popen[str]:
    """A Python process that is to end before the test does."""
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)], cwd=ROOT, text=True, env={**os.environ, **environ},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


# ---- while it starts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "how", "code"),
    [
        (("middleware",), signal.SIGTERM, 0), (("lab",), signal.SIGINT, 0), (("reports",), signal.SIGHUP, 0),
        (("run",), signal.SIGHUP, 0), (("demo",), signal.SIGINT, 0), (("demo", "--once"), signal.SIGTERM, 1),
    ],
)  # fmt: skip
def test_told_to_end_while_it_reads_its_configuration(
    command: tuple[str, ...], how: signal.Signals, code: int, tmp_path: Path
) -> None:
    """It reads from a pipe that nobody writes into: it waits exactly there."""
    config = tmp_path / "config"
    shutil.copytree(CONFIG, config, ignore=shutil.ignore_patterns("__pycache__"))
    (config / "lab.toml").unlink()
    os.mkfifo(config / "lab.toml")
    process = started("-m", "labmitra", *command, "--config", config)
    try:
        with (config / "lab.toml").open("wb"):  # both ends are open
            process.send_signal(how)
            out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert (process.returncode, out, err) == (code, "", "")


TWICE = """
import sys
from middleware.ending import in_order
with in_order(7):
    try:
        print("begun", flush=True)
        sys.stdin.readline()
    finally:
        print("ending", flush=True)
        sys.stdin.readline()
        print("ended", flush=True)
"""


@pytest.mark.parametrize("again", STOPS)
def test_told_again_it_goes_on_with_its_end(again: signal.Signals) -> None:
    process = started("-c", TWICE)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "ending\n"
        process.send_signal(again)
        out, err = process.communicate("\n", timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert (process.returncode, out, err) == (7, "ended\n", "")


def test_what_the_tests_start_hears_that_the_terminal_is_closed() -> None:
    """However the tests themselves were started; else those of SIGHUP would wait for ever under nohup."""
    assert signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN


@pytest.fixture
def nohup() -> Iterator[None]:
    """Started by nohup; what a test sets is set back."""
    before = {number: signal.getsignal(number) for number in STOPS}
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_closed_terminal_means_nothing_to_who_was_started_by_nohup(nohup: None) -> None:
    stop = stop_event()
    with ending.in_order():
        os.kill(os.getpid(), signal.SIGHUP)
    assert not stop.is_set()
    os.kill(os.getpid(), signal.SIGTERM)
    assert stop.is_set()


# ---- while it works ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lab_url", ["sqlite"], indirect=True)
def test_a_closed_terminal_ends_the_middleware_and_its_worker_in_order(
    desk: Desk, lab_url: str, tmp_path: Path
) -> None:
    with on_stage(tmp_path / "home", lab_url) as (stage, processes):
        start_middleware(stage, processes)
        middleware = processes.running["middleware"]
        (worker,) = children(middleware.pid)
        with ByHand(("127.0.0.1", stage.ports[9101])) as analyzer:
            assert analyzer.ask(b"\x05") == b"\x06"
            os.killpg(middleware.pid, signal.SIGHUP)  # a terminal tells all of its processes
            assert middleware.wait(60) == 0
        assert not alive(worker)
        said = log_of(stage, "middleware")
        assert "Traceback" not in said and "has ended" not in said
        start_middleware(stage, processes)  # the port is free at once


# ---- with its starter -------------------------------------------------------------------------------------------

STARTER = """
import sys, time
from pathlib import Path
from server.processes import Processes
with Processes(Path(sys.argv[1]), {}) as processes:
    processes.start("child", "simulate", "generic_astm", "--to", f"folder:{sys.argv[1]}/files")
    print(processes.running["child"].pid, flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
@pytest.mark.parametrize("up", [False, True])
def test_whoever_started_it_is_killed(up: bool, tmp_path: Path) -> None:
    """While it starts, and when it is up."""
    starter, said = started("-c", STARTER, tmp_path), tmp_path / "child.log"
    assert starter.stdout is not None
    try:
        child = int(starter.stdout.readline())
        if up:
            until(lambda: "connected" in said.read_text(), "the child is up")
    finally:
        starter.kill()
        starter.communicate()
    until(lambda: not alive(child), "the child has ended, too")
    assert "Traceback" not in said.read_text()
    if up:
        assert "stopped" in said.read_text(), "in order"


def test_a_child_that_nobody_named_as_such_belongs_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ending.STARTER, raising=False)
    ending.with_starter(os.environ)
    environ = {ending.STARTER: "1"}
    with pytest.raises(SystemExit) as ended:
        ending.with_starter(environ)
    assert ended.value.code == 0 and environ == {}


# ---- twice ------------------------------------------------------------------------------------------------------


def test_a_second_run_is_told_so_and_starts_nothing(tmp_path: Path) -> None:
    environ = {"LABMITRA_STORE__VAR": str(tmp_path / "var")}
    with only_one(tmp_path / "var" / "run.lock", "the first"):
        told = CliRunner().invoke(app, ["run"], env=environ)
    assert told.exit_code == 1
    assert told.stderr.startswith(f"Lab Mitra is running in {tmp_path / 'var'} already. Stop it first")
    assert len(told.stderr.splitlines()) == 1
    assert not (tmp_path / "var" / "lab.sqlite3").exists()


def test_what_a_crash_left_of_a_lock_is_no_hindrance(tmp_path: Path) -> None:
    for _ in range(2):
        with only_one(tmp_path / "lock", "never"):
            assert (tmp_path / "lock").exists()
