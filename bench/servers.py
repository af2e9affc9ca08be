"""Starts what is measured and what it is measured against, each as a process of its own on loopback.

Turns a name into a listening server: our middleware, the limit that stores in one commit, the limit that stores
nothing, python-astm, hl7.mllp. Law: ends only what it started; every journal and store lies in the given folder.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
CONFIG = ROOT / "bench/config"
PORTS = {"astm": 15200, "hl7": 15201}  # of bench/config
LIMIT_PORT, PEER_PORT = 15210, 15220
START = 30.0  # seconds a server may take to listen


@dataclass(frozen=True)
class Server:
    """One that listens: where, and as which process."""

    name: str
    port: int
    pid: int


@contextmanager
def running(name: str, port: int, command: Sequence[str], folder: Path, **environ: str) -> Iterator[Server]:
    """The process of this command, once it listens on `port`, until the block ends."""
    with (folder / f"{name.replace(' ', '-')}.log").open("ab") as log:
        child = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **environ}
        )
        try:
            _listens(child, port, name)
            yield Server(name, port, child.pid)
        finally:
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(30)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def _listens(child: subprocess.Popen[bytes], port: int, name: str) -> None:
    deadline = time.monotonic() + START
    while time.monotonic() < deadline:
        if child.poll() is not None:
            raise RuntimeError(f"{name} ended at its start; see its log")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"{name} does not listen on {port}")


def memory_of(pid: int) -> float:
    """MiB that a process and its children hold: each page divided by how many have it (Pss; proc_pid_smaps(5))."""
    of_both = [pid, *(int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split())]
    rollups = [Path(f"/proc/{one}/smaps_rollup").read_text("ascii") for one in of_both]
    return sum(int(line.split()[1]) for text in rollups for line in text.splitlines() if line[:4] == "Pss:") / 1024


@contextmanager
def ours(protocol: str, folder: Path, *, pipeline: bool, preload: str = "") -> Iterator[Server]:
    """`labmitra middleware --config bench/config`, its data in `folder`.

    With `pipeline` there is a lab database and every message is also decoded, matched and recorded; without it the
    messages wait in the journal, as they do while a lab database is away.
    """
    var = folder / f"ours-{protocol}-{'whole' if pipeline else 'line'}"
    var.mkdir(exist_ok=True)
    environ = {"LABMITRA_STORE__VAR": str(var)}
    if pipeline:
        subprocess.run(
            [sys.executable, "-m", "labmitra", "db", "upgrade", "--config", str(CONFIG)],
            cwd=ROOT, env={**os.environ, **environ}, check=True, capture_output=True,
        )  # fmt: skip
    command = [sys.executable, "-m", "labmitra", "middleware", "--config", str(CONFIG)]
    with running(var.name, PORTS[protocol], command, folder, **environ, **_preloaded(preload)) as server:
        yield server


def _preloaded(library: str) -> dict[str, str]:
    return {"LD_PRELOAD": library} if library else {}


@contextmanager
def limit(
    protocol: str, folder: Path, store: str, port: int = LIMIT_PORT, delay: float = 0.0, uvloop: bool = True
) -> Iterator[Server]:
    """The limit server of bench/load: acknowledges and stores (none, commit, group), parses nothing."""
    command = [
        sys.executable, str(ROOT / "bench/load/limit_server.py"), "--port", str(port), "--protocol", protocol,
        "--store", store, "--path", str(folder / f"limit-{protocol}-{store}-{port}.db"), "--sync-delay", str(delay),
    ]  # fmt: skip
    command += ["--uvloop"] if uvloop else []
    command += ["--rows", "25"] if store in ("commit", "group") else []
    with running(f"limit-{store}-{port}", port, command, folder) as server:
        yield server


@contextmanager
def peer(protocol: str, folder: Path) -> Iterator[Server]:
    """The receiver others have written: python-astm's server, hl7.mllp with a parsing handler. Neither stores."""
    command = [sys.executable, "-m", "bench.peers", protocol, str(PEER_PORT)]
    with running(f"peer-{protocol}", PEER_PORT, command, folder) as server:
        yield server


@contextmanager
def slow_disk(folder: Path, milliseconds: float) -> Iterator[str]:
    """A library to preload that makes every fsync and fdatasync of a process so much longer: a laboratory PC's disk.

    "" when there is no C compiler: the figure is then left out, and says so.
    """
    source, library = folder / "slow.c", folder / "slow.so"
    source.write_text(_SLOW % {"us": int(milliseconds * 1000)})
    try:
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"], check=True)
    except (OSError, subprocess.CalledProcessError):
        yield ""
        return
    yield str(library)


_SLOW = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <unistd.h>
int fsync(int fd) { int (*f)(int) = dlsym(RTLD_NEXT, "fsync"); usleep(%(us)d); return f(fd); }
int fdatasync(int fd) { int (*f)(int) = dlsym(RTLD_NEXT, "fdatasync"); usleep(%(us)d); return f(fd); }
"""
