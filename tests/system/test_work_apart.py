"""The pipeline's worker beside the middleware: it does the work, and whichever of the two is killed nothing is lost."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from drivers.wire import lis1a
from middleware.schema import AnalyzerMessage, AnalyzerState
from server.demo.stage import Stage
from server.processes import Processes
from tests.conftest import ON_SQLITE
from tests.labs import Clock, Desk, lately
from tests.system.support import ByHand, kill, log_of, on_stage, start_middleware, unprocessed, until
from tests.system.test_demo import alive, children


@pytest.fixture
def clock() -> Clock:
    return lately()


def worker_of(processes: Processes) -> int:
    (worker,) = children(processes.running["middleware"].pid)
    return worker


def send(desk: Desk, stage: Stage, value: str) -> None:
    """A tube is registered and its analyzer speaks of it."""
    body = desk.message(desk.sample_id(desk.register("HB")), f"HB={value} g/dL").body
    with ByHand(("127.0.0.1", stage.ports[9101])) as analyzer:
        for data in (b"\x05", *lis1a.frames(body, 240)):
            assert analyzer.ask(data) == b"\x06"


def known(desk: Desk) -> int:
    """Messages in the lab database."""
    return len(desk.rows(AnalyzerMessage))


@ON_SQLITE
def test_a_process_of_its_own_does_the_work_and_the_lamps_hear_of_it(desk: Desk, lab_url: str, tmp_path: Path) -> None:
    with on_stage(tmp_path / "home", lab_url) as (stage, processes):
        start_middleware(stage, processes)
        middleware, worker = processes.running["middleware"].pid, worker_of(processes)
        assert os.getpriority(os.PRIO_PROCESS, worker) > os.getpriority(os.PRIO_PROCESS, middleware)
        send(desk, stage, "13.1")
        until(lambda: not unprocessed(stage), "the message is marked as done")
        assert known(desk) == 1
        until(lambda: any(row["parsed_at"] for row in desk.rows(AnalyzerState)), "the lamp of a message read")
        processes.running["middleware"].send_signal(signal.SIGTERM)
        assert processes.running["middleware"].wait(20) == 0
        assert not alive(worker)


@ON_SQLITE
def test_the_worker_is_killed_and_the_lines_go_on_with_one_of_their_own(
    desk: Desk, lab_url: str, tmp_path: Path
) -> None:
    with on_stage(tmp_path / "home", lab_url) as (stage, processes):
        start_middleware(stage, processes)
        os.kill(worker_of(processes), signal.SIGSTOP)  # it is in the middle of something
        send(desk, stage, "13.1")
        os.kill(worker_of(processes), signal.SIGKILL)
        until(lambda: "process has ended" in log_of(stage, "middleware"), "it is told")
        send(desk, stage, "13.2")
        until(lambda: not unprocessed(stage), "both messages are done")
        assert known(desk) == 2


@ON_SQLITE
def test_the_middleware_is_killed_and_its_worker_ends_too(desk: Desk, lab_url: str, tmp_path: Path) -> None:
    with on_stage(tmp_path / "home", lab_url) as (stage, processes):
        start_middleware(stage, processes)
        worker = worker_of(processes)
        send(desk, stage, "13.1")
        kill(processes, "middleware")
        until(lambda: not alive(worker), "it ends by itself")
        start_middleware(stage, processes)
        until(lambda: not unprocessed(stage), "what it had not done is done")
        assert known(desk) == 1
