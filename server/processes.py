"""Starts, watches and stops the processes of one machine, each in its own session with its own log file.

Turns (name, arguments) into child processes. Law: stops only what it started, in reverse order, politely first;
when we are killed they end by themselves.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from middleware.ending import STARTER, signals
from middleware.trouble import Trouble


@dataclass
class Processes:
    """A group of child processes. Use as a context manager: leaving it stops them all."""

    logs: Path
    environ: Mapping[str, str]
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __enter__(self) -> Processes:
        self.logs.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def start(self, name: str, *arguments: str) -> None:
        """Start `labmitra <arguments>`; its output goes to <logs>/<name>.log."""
        with (self.logs / f"{name}.log").open("ab") as out:
            self.running[name] = subprocess.Popen(
                [sys.executable, "-m", "labmitra", *arguments],
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                env={**os.environ, **self.environ, "PYTHONUNBUFFERED": "1", STARTER: str(os.getpid())},
                start_new_session=True,
            )  # fmt: skip

    def died(self) -> list[str]:
        """Names of children that ended with an error."""
        return [name for name, child in self.running.items() if child.poll() not in (None, 0)]

    def finished(self, *names: str) -> bool:
        """True when all of these ended."""
        return all(self.running[name].poll() is not None for name in names)

    def stop(self, names: Sequence[str] | None = None, patience: float = 15.0) -> None:
        """SIGTERM in reverse order of start, wait, SIGKILL what is left."""
        chosen = [n for n in reversed(self.running) if names is None or n in names]
        for name in chosen:
            if self.running[name].poll() is None:
                self.running[name].send_signal(signal.SIGTERM)
        deadline = time.monotonic() + patience
        for name in chosen:
            child = self.running.pop(name)
            try:
                child.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def tail(self, name: str, lines: int = 15) -> str:
        """The last lines a child wrote."""
        path = self.logs / f"{name}.log"
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""


@contextmanager
def only_one(lock: Path, otherwise: str) -> Iterator[None]:
    """Nobody else is in such a block with this lock file; Trouble with these words when somebody is.

    The lock is the process's own and ends with it; the file that stays is no hindrance.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Trouble(otherwise) from None
        yield


def stop_event() -> threading.Event:
    """Set when a person ends us: Ctrl-C, SIGTERM, or the terminal that closes."""
    stop = threading.Event()
    for number in signals():
        signal.signal(number, lambda *_: stop.set())
    return stop


class Interrupted(Exception):
    """A person wants it to stop before it has begun."""


def never() -> bool:
    """Nobody interrupts."""
    return False


def wait_for(url: str, processes: Processes, seconds: float = 60.0, interrupted: Callable[[], bool] = never) -> None:
    """Wait until `url` answers 200. RuntimeError with the log's end when a process died or time is up; Interrupted."""
    deadline = time.monotonic() + seconds
    with httpx2.Client(timeout=2, trust_env=False) as client:
        while time.monotonic() < deadline:
            if interrupted():
                raise Interrupted
            if dead := processes.died():
                raise RuntimeError(f"{dead[0]} ended at start:\n{processes.tail(dead[0])}")
            try:
                if client.get(url).status_code == 200:
                    return
            except httpx2.HTTPError:
                pass
            time.sleep(0.05)
    raise RuntimeError(f"{url} did not answer within {seconds:.0f} s")


def free_port(wanted: int = 0) -> int:
    """`wanted` when it is free on loopback, else any free port."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise RuntimeError("no free port on this machine")


def held_port(wanted: int = 0) -> socket.socket:
    """A socket that keeps `wanted` (any port when somebody listens there) for a child, until it is closed.

    Bound with SO_REUSEADDR and not listening: no other program is given the port, and a child, which binds with
    SO_REUSEADDR too as every server does, may listen on it. What an ended connection leaves behind is no hindrance.
    """
    for port in (wanted, 0):
        held = socket.socket()
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            held.bind(("127.0.0.1", port))
        except OSError:
            held.close()
            continue
        return held
    raise RuntimeError("no free port on this machine")
