"""`labmitra conform`: from a command line to rows, a table, JSON and an exit code.

Law: 0 all passed, 1 something failed, 2 nobody could be reached or the command line is wrong, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

from simulators.conform.kit import Kit, Peer
from simulators.conform.material import GENERIC, Material
from simulators.conform.report import as_json, exit_code, table
from simulators.line import Line, Listen, opener

STOPPED = 130  # as a shell says it: ended by SIGINT
PATIENCE = 30.0  # seconds for a host to be there


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line says. `to`: we connect; `listen`: an analyzer connects to us. `analyzer`: what is at `to`
    is an analyzer too (on a serial line, or one that listens); else it is a host."""

    driver: str
    to: str | None = None
    listen: str | None = None
    clauses: tuple[str, ...] = ()
    json: Path | None = None
    quick: bool = False
    jobs: int = 8
    wait: float = 120.0
    analyzer: bool = False

    @property
    def host(self) -> bool:
        """True when the peer is a host."""
        return self.to is not None and not self.analyzer


def run(wanted: Wanted, say: Callable[[str], None], tell: Callable[[str], None]) -> int:
    """Try the peer; the exit code. `say` prints the table, `tell` the progress. KeyError, ValueError: what is wrong."""
    material = Material(wanted.driver, wanted.host, wanted.wait, tell)
    _proved(wanted, material)
    source = opener(wanted.to, wanted.listen)
    single = not (wanted.host and str(wanted.to).startswith("tcp:"))
    kind = "tcp" if (wanted.to or wanted.listen or "").startswith("tcp:") else "serial"
    patience = PATIENCE if wanted.to else wanted.wait
    if isinstance(source, Listen):
        tell(f"listening on port {source.port}: let the analyzer connect")
    stop = Event()
    peer = Peer(lambda: _opened(source.open, patience, stop), kind, single)
    try:
        rows = Kit(peer, material, wanted.jobs, wanted.quick, wanted.clauses, tell, stop).run()
    except ConnectionError as error:
        tell(f"nobody could be reached at {wanted.to or wanted.listen} within {patience:.0f} s: {error}")
        return 2
    finally:
        source.close()
    if not rows:
        raise ValueError(f"no case is of {', '.join(wanted.clauses)}: write LL-24, ML, H7-02 or the like")
    say(table(rows))
    if wanted.json:
        about = {"driver": wanted.driver, "peer": wanted.to or wanted.listen or "", "at": _now()}
        _keep(wanted.json, as_json(rows, **about) + "\n")
    return STOPPED if stop.is_set() else exit_code(rows)


def _proved(wanted: Wanted, material: Material) -> None:
    """What cannot be tried is named before anything is opened. KeyError, ValueError."""
    if material.speaks not in GENERIC:
        raise ValueError(f"{wanted.driver} speaks a language of its own: conform tries LIS2-A2 (ASTM) and HL7 lines")
    for address in filter(None, (wanted.to, wanted.listen)):
        if address.startswith(("folder:", "http:")):
            raise ValueError(f"{address} gives no answers to judge: write tcp://HOST:PORT, serial:PATH or pty:PATH")
    if wanted.json and not wanted.json.parent.is_dir():
        raise ValueError(f"{wanted.json} cannot be written: there is no folder {wanted.json.parent}")
    if wanted.json and wanted.json.is_dir():
        raise ValueError(f"{wanted.json} is a folder: name a file in it")


def _keep(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ValueError(f"{file} could not be written: {error.strerror}; the table is all there is") from error


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _opened(open_line: Callable[[], Line], patience: float, stop: Event) -> Line:
    """A line, tried for and again until the patience is over. ConnectionError."""
    deadline = time.monotonic() + patience
    while True:
        try:
            return open_line()
        except ConnectionError:
            if time.monotonic() > deadline or stop.wait(0.2):
                raise


def progress(text: str) -> None:
    """A line on stderr: the table alone is on stdout."""
    print(text, file=sys.stderr, flush=True)


def clauses(given: Sequence[str] | None) -> tuple[str, ...]:
    """`--clause LL-24,ML --clause H7-02` as a tuple of beginnings."""
    return tuple(part.strip() for text in given or () for part in text.split(",") if part.strip())
