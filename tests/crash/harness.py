"""kill -9, again and again, at moments that a seed chooses; after each the books are compared.

Turns a folder and a number of rounds into a verdict. Law: the middleware is the real one; analyzers go on across its
deaths; acknowledged and lost = 0, stored twice = 0, or the run has failed. All state is in the folder, so that a run
that was cut off goes on at the round it was in.
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from middleware.journal import JournalReader
from middleware.settings import Settings
from tests.crash.analyzers import Analyzer, Log
from tests.crash.books import Books, Tally
from tests.crash.lab import Reception, environ, prepare
from tests.crash.said import UNIT

ROOT = Path(__file__).parents[2]
UP = 60.0  # seconds until a middleware that was started acknowledges something
PACE = 0.12  # seconds between two messages of an analyzer: no more than the pipeline can bring into the lab database
PATIENCE = 30.0  # seconds until a fault point must have come


@dataclass(frozen=True, slots=True)
class Point:
    """A fault point: before or after the commit of a transaction that writes this; `most`: the nth is up to this."""

    words: str
    file: str
    when: str
    writes: str
    most: int


POINTS = (
    Point("between the commit of a frame and its ACK", "journal", "after", "INTO chunk", 20),
    Point("between the commit of a message and its ACK", "journal", "after", "INTO message", 4),
    Point("between the journal's commit and the lab's", "lab", "before", "INTO message", 4),
    Point("between the lab's commit and mark_done", "lab", "after", "INTO message", 4),
    Point("before the commit of a frame", "journal", "before", "INTO chunk", 20),
    Point("before the commit of mark_done", "journal", "before", "SET done", 4),
)


@dataclass
class State:
    """What is kept between rounds. `missed` counts fault points that never came."""

    seed: int = 20260130
    rounds: int = 0
    seconds: float = 0.0
    missed: int = 0
    reached: dict[str, int] = field(default_factory=dict)
    finished: int = 0  # the number of rounds after which everything was settled and found good
    verdict: str = ""


@dataclass(frozen=True, slots=True)
class Moment:
    """When a round's kill comes: at a fault point, or so many seconds after the first acknowledgement (`early`: after
    the start)."""

    words: str
    seconds: float = 0.0
    early: bool = False
    point: Point | None = None
    nth: int = 0


def moment(seed: int, number: int, fresh: bool) -> Moment:
    """The kill of round `number`: each second one at a fault point in turn, now and then one while it still starts."""
    chance = random.Random(f"{seed}:{number}")
    if number % 2:
        point = POINTS[number // 2 % len(POINTS)]
        nth = chance.randint(1, point.most)
        return Moment(f"{point.words}, {nth}.", point=point, nth=nth)
    if number % 8 == 6:
        seconds = chance.uniform(0.0, 1.5 if fresh else 0.25)
        return Moment(f"{seconds:.2f} s after its start", seconds, early=True)
    seconds = chance.uniform(0.0, 0.4)
    return Moment(f"{seconds:.2f} s after its first ACK", seconds)


class Middleware:
    """The starter of tests/crash/entry.py, and its child of the moment."""

    def __init__(self, home: Path, mutant: str) -> None:
        """`mutant`: a change for the worse that every child gets, "" for none."""
        self._log, self._mutant, self._pid = home / "middleware.log", mutant, 0
        self._starter = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.entry", str(home / "config"), str(self._log)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, bufsize=0, start_new_session=True,
            env={**os.environ, **environ(home), "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1",
                 "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
        )  # fmt: skip

    def start(self, fault: dict[str, Any] | None = None, fresh: bool = False) -> None:
        """`labmitra middleware`, as a process group of its own."""
        order = {"fault": fault, "fresh": fresh, "mutant": self._mutant}
        assert self._starter.stdin is not None
        self._starter.stdin.write(json.dumps(order).encode() + b"\n")
        self._pid = int(self._told(UP))

    def ended(self, seconds: float) -> int | None:
        """How it ended (-9: killed) if it does within so many seconds, else None."""
        assert self._starter.stdout is not None
        if not select.select([self._starter.stdout], [], [], seconds)[0]:
            return None
        self._pid = 0
        return int(self._told(0.0))

    def end(self, number: int = signal.SIGKILL) -> int:
        """Send this signal; how it ended."""
        if self._pid:
            with suppress(ProcessLookupError):  # it ended by itself; why, the caller is about to say
                os.killpg(self._pid, number)
        code = self.ended(UP)
        if code is None:
            raise RuntimeError(f"the middleware does not end:\n{self.tail()}")
        return code

    def close(self) -> None:
        """Nobody is left."""
        if self._pid:
            self.end()
        assert self._starter.stdin is not None and self._starter.stdout is not None
        self._starter.stdin.close()
        self._starter.wait()
        self._starter.stdout.close()

    def tail(self) -> str:
        """The last lines it wrote."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-15:]) if self._log.exists() else ""

    def _told(self, seconds: float) -> bytes:
        assert self._starter.stdout is not None
        if not select.select([self._starter.stdout], [], [], seconds)[0]:
            raise RuntimeError("the starter says nothing")
        return self._starter.stdout.readline()


class Run:
    """A run in its folder. Use as a context manager."""

    def __init__(self, home: Path, say: Callable[[str], None], fresh: bool = True, mutant: str = "") -> None:
        """`say` gets a line per round; `fresh`: every start is an interpreter of its own, as in a laboratory."""
        self.home, self._say, self._fresh, self._mutant = home.resolve(), say, fresh, mutant
        self._file = self.home / "state.json"
        known = json.loads(self._file.read_text()) if self._file.exists() else {}
        self.state = State(**known)

    def __enter__(self) -> Run:
        (self.home / "sent").mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            self.settings, openers = prepare(self.home, stack)
            self._logs = {name: Log(self.home / "sent" / f"{name}.log", name) for name in UNIT}
            for log in self._logs.values():
                stack.callback(log.close)
            self._reception = Reception(self.settings, self.home / "tubes", lambda name: self._logs[name].last()[0])
            stack.callback(self._reception.stop)
            self._reception.start()
            sample = self._reception.sample
            self.books = Books(self.settings.journal, self._reception.lab.engine, [*self._logs.values()], sample)
            self._middleware = Middleware(self.home, self._mutant)
            stack.callback(self._middleware.close)
            self._analyzers = [Analyzer(u, openers[u.name], self._logs[u.name], sample, PACE) for u in UNIT.values()]
            for analyzer in self._analyzers:
                analyzer.start()
            stack.callback(self._stop_analyzers)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stack.close()

    def rounds(self, wanted: int) -> Tally:
        """Go on until so many rounds are done; how things stand then. Stops at the first round with anything wrong."""
        tally = self.books.look()
        while self.state.rounds < wanted and tally.good:
            began = time.monotonic()
            what = self._round(moment(self.state.seed, self.state.rounds + 1, self._fresh))
            tally = self.books.look()
            self.state.rounds += 1
            self.state.seconds += time.monotonic() - began
            self._keep()
            self._tell(what, tally, wanted)
        return tally

    def settle(self) -> Tally:
        """Start once more: every analyzer brings across what it has, everything is processed; the last account."""
        self._middleware.start(fresh=self._fresh)
        for analyzer in self._analyzers:
            analyzer.finish()
        self._until(lambda: not any(a.is_alive() for a in self._analyzers), "every message is acknowledged")
        self._drain()
        if code := self._middleware.end(signal.SIGTERM):
            raise RuntimeError(f"the middleware ended with {code} when asked to:\n{self._middleware.tail()}")
        tally = self.books.settled()
        self.state.finished = self.state.rounds
        self.state.verdict = (
            f"{self.state.rounds} kills, {tally.acknowledged} frames and blocks acknowledged, {tally.messages} messages"
            f": acknowledged and lost = {len(tally.lost)}, stored twice = {len(tally.twice)},"
            f" sent by nobody = {len(tally.strange)}"
        )
        self._keep()
        return tally

    # ---- inside

    def _drain(self) -> None:
        """Wait until everything is processed, as long as it goes forward: many short lives leave a long queue."""
        reader = JournalReader(self.settings.journal)
        left, deadline = 1, time.monotonic() + UP
        while left:
            if (code := self._middleware.ended(0.1)) is not None:
                raise RuntimeError(f"the middleware ended by itself ({code}):\n{self._middleware.tail()}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"{left} messages are not processed\n{self._middleware.tail()}")
            before, left = left, len(reader.unprocessed(limit=100_000))
            if left < before:
                deadline = time.monotonic() + UP

    def _round(self, when: Moment) -> str:
        """One life and death; what is said of it."""
        fault = when.point and {
            "file": self._name(when.point.file), "when": when.point.when, "writes": when.point.writes, "nth": when.nth,
        }  # fmt: skip
        before = self._heard()
        self._middleware.start(fault, self._fresh)
        if when.point is not None:
            return self._await(when.point, when.words)
        if not when.early:
            self._until(lambda: self._heard() > before, "something is acknowledged")
        if (code := self._middleware.ended(when.seconds)) is not None:
            raise RuntimeError(f"the middleware ended by itself ({code}):\n{self._middleware.tail()}")
        self._middleware.end()
        return when.words

    def _await(self, point: Point, words: str) -> str:
        code = self._middleware.ended(PATIENCE)
        if code is None:
            self.state.missed += 1
            self._middleware.end()
            return f"by hand, for this never came: {words}"
        if code != -signal.SIGKILL:
            raise RuntimeError(f"the middleware ended by itself ({code}):\n{self._middleware.tail()}")
        self.state.reached[point.words] = self.state.reached.get(point.words, 0) + 1
        return words

    def _name(self, file: str) -> str:
        return self.settings.journal.name if file == "journal" else _lab_file(self.settings).name

    def _heard(self) -> int:
        return sum(log.heard for log in self._logs.values())

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + UP
        while not condition():
            if (code := self._middleware.ended(0.005)) is not None:
                raise RuntimeError(f"the middleware ended by itself ({code}):\n{self._middleware.tail()}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"never happened: {what}\n{self._middleware.tail()}")

    def _tell(self, what: str, tally: Tally, wanted: int) -> None:
        done = self.state.rounds
        left = self.state.seconds / done * (wanted - done)
        self._say(
            f"round {done:>4} of {wanted} · killed {what:<52} · acknowledged {tally.acknowledged:>7} in"
            f" {tally.messages:>5} messages · lost {len(tally.lost)} · twice {len(tally.twice)} · {left:.0f} s left"
        )

    def _keep(self) -> None:
        fresh = self._file.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(self.state), indent=1))
        fresh.replace(self._file)

    def _stop_analyzers(self) -> None:
        for analyzer in self._analyzers:
            analyzer.abandon()
        for analyzer in self._analyzers:
            analyzer.join()


def _lab_file(settings: Settings) -> Path:
    return Path(settings.database_url.removeprefix("sqlite:///"))
