"""The command `labmitra conform`: what it says before anything is tried."""

from __future__ import annotations

import socket

import pytest

from simulators.conform.cli import Wanted
from simulators.conform.cli import run as run_cli


def test_nobody_there_is_exit_2_and_a_sentence(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulators.conform.cli.PATIENCE", 0.0)
    told: list[str] = []
    assert run_cli(Wanted("generic_astm", to=f"tcp://127.0.0.1:{port}"), told.append, told.append) == 2
    assert told[-1].startswith(f"nobody could be reached at tcp://127.0.0.1:{port}")


def test_no_analyzer_that_connects_is_exit_2_too() -> None:
    told: list[str] = []
    assert run_cli(Wanted("generic_astm", listen="tcp://127.0.0.1:0", wait=0.0), told.append, told.append) == 2
    assert told[0].startswith("listening on port ")


def test_a_clause_that_nothing_tries_is_no_pass_and_no_fail() -> None:
    with socket.create_server(("127.0.0.1", 0)) as far:
        wanted = Wanted("generic_astm", to=f"tcp://127.0.0.1:{far.getsockname()[1]}", clauses=("ZZ-99",))
        with pytest.raises(ValueError, match="no case is of ZZ-99"):
            run_cli(wanted, list, list)
        far.setblocking(False)
        with pytest.raises(BlockingIOError):
            far.accept()  # a mistyped clause is said at once, before anybody is called
