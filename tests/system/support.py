"""A laboratory of real processes for a test: its stage, taps on the analyzers' lines, what the lab holds afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import socket
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup
from sqlalchemy import select
from starlette.testclient import TestClient

from drivers.driver import Message
from drivers.wire import lis1a
from middleware import store
from middleware.host_orders import answerer
from middleware.journal import Journal, JournalReader
from middleware.lab import Lab, make_engine
from middleware.pipeline import process
from middleware.schema import ControlRow, ResultRow, Sample, UnmatchedRow
from middleware.service import Lamps
from middleware.settings import AnalyzerSettings
from middleware.supervisor import LineState, run_lines
from middleware.work import Worker
from server.demo.people import visitors
from server.demo.seed import admit, day_items, write_day
from server.demo.stage import SIMULATORS, Stage, build
from server.demo.visitor import Visitor
from server.processes import Processes
from simulators.day import ANALYZERS
from simulators.line import Line, Opener, Paced, Stopped, opener
from simulators.play import Books, Manner, Player
from simulators.run import make_plan
from simulators.step import Step
from tests.labs import PASSWORD, settings_for

CONFIG = Path(__file__).parents[2] / "config"
PATIENCE = 120.0  # seconds; only a broken test waits so long
ACK, STX, VT = b"\x06", b"\x02", b"\x0b"


@contextmanager
def on_stage(home: Path, database_url: str, **more: str) -> Iterator[tuple[Stage, Processes]]:
    """A stage with fresh ports whose lab database is `database_url`; what was started is stopped at the end."""
    environ = {"LABMITRA_STORE__DATABASE_URL": database_url, **more}
    stage = build(CONFIG, home, usual_ports=False, more=environ)
    try:
        with Processes(home / "log", stage.environ) as processes:
            yield stage, processes
    finally:
        stage.close()


def until(condition: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"never happened: {what}")
        time.sleep(0.02)


def log_of(stage: Stage, name: str) -> str:
    """Everything a process wrote."""
    path = stage.home / "log" / f"{name}.log"
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def start_middleware(stage: Stage, processes: Processes, wait: bool = True) -> None:
    """Start it (again); with `wait`, return when its lines are up."""
    before = log_of(stage, "middleware").count("middleware is up")
    processes.start("middleware", "middleware", "--config", str(stage.config))
    if wait:
        until(
            lambda: log_of(stage, "middleware").count("middleware is up") > before or processes.died(),
            "the middleware is up",
        )
        assert not processes.died(), log_of(stage, "middleware")


def kill(processes: Processes, name: str) -> None:
    """kill -9."""
    processes.running[name].kill()
    processes.running[name].wait()


# ---- analyzers --------------------------------------------------------------------------------------------------


class Tap:
    """Another opener's lines, with a note of each frame and each block that was acknowledged to the sender."""

    def __init__(self, opener: Opener) -> None:
        self._opener = opener
        self.acknowledged: list[bytes] = []

    def open(self) -> Line:
        return _Tapped(self._opener.open(), self.acknowledged)

    def close(self) -> None:
        self._opener.close()


class _Tapped:
    def __init__(self, line: Line, acknowledged: list[bytes]) -> None:
        self._line, self._acknowledged = line, acknowledged
        self._waiting, self._heard = b"", b""
        self.close = line.close

    def write(self, data: bytes) -> None:
        self._line.write(data)
        self._waiting, self._heard = data, b""

    def read(self, seconds: float) -> bytes:
        data = self._line.read(seconds)
        self._heard += data
        block = self._waiting[self._waiting.find(VT) :] if VT in self._waiting else b""
        frame = self._waiting if self._waiting.startswith(STX) and not block else b""
        if (block and b"MSA|AA" in self._heard) or (frame and self._heard.startswith(ACK)):
            self._acknowledged.append(block or frame)
            self._waiting = b""
        return data


@dataclass
class Analyzers:
    """The four simulated analyzers in threads, each on the line it really has."""

    stage: Stage
    plans: Mapping[str, Sequence[Step]]
    pace: float = 0.0
    stop: threading.Event = field(default_factory=threading.Event)
    taps: dict[str, Tap] = field(default_factory=dict)
    threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Analyzers:
        where = {
            "xn550": (f"tcp://127.0.0.1:{self.stage.ports[9101]}", None),
            "xl640": (f"pty:{self.stage.home / 'erba_xl'}", None),
            "bc5150": (None, f"tcp://127.0.0.1:{self.stage.ports[9103]}"),
            "e411": (f"tcp://127.0.0.1:{self.stage.ports[9102]}", None),
        }
        for name, steps in self.plans.items():
            line = opener(*where[name])
            self.taps[name] = Tap(Paced(line, 16, 0.0005) if name == "xl640" else line)
            self.stage.books(name).parent.mkdir(parents=True, exist_ok=True)
            manner, books = Manner(self.pace, 0.1, 2.0, True), Books(self.stage.books(name), name)
            player = Player(ANALYZERS[SIMULATORS[name]], steps, self.taps[name], self.stop, manner, books)
            self.threads.append(threading.Thread(target=self._play, args=(player,), name=name))
            self.threads[-1].start()
        return self

    def _play(self, player: Player) -> None:
        with contextlib.suppress(Stopped):
            player.run()

    def __exit__(self, *_exc: object) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join()
        for tap in self.taps.values():
            tap.close()

    @property
    def done(self) -> bool:
        """Every analyzer has had its whole plan acknowledged."""
        return not any(thread.is_alive() for thread in self.threads)


def plans_of(day: Path) -> dict[str, tuple[Step, ...]]:
    """What each of the four analyzers sends on this day."""
    return {name: make_plan(driver, day, 1, 0.0, datetime.now(UTC)) for name, driver in SIMULATORS.items()}


def day_of(stage: Stage, lab: Lab, patients: int) -> None:
    """So many registered patients, and the day file of their tubes."""
    admit(lab, visitors(patients))
    write_day(stage.day, day_items(lab), lab.now())


def twin_of(original: Path, folder: Path, patients: int) -> Lab:
    """A second laboratory with the same patients, on SQLite: nothing there ever breaks."""
    url = f"sqlite:///{shutil.copy(original, folder / 'twin.sqlite3')}"
    twin = Lab(make_engine(url), settings_for(folder / "twin", url))
    admit(twin, visitors(patients))
    return twin


def journaled(stage: Stage) -> dict[str, Counter[bytes]]:
    """Everything that came in over the lines, by analyzer, as the journal keeps it."""
    found: dict[str, Counter[bytes]] = {}
    query = "SELECT analyzer, data FROM chunk JOIN session ON session.id = chunk.session"
    with closing(sqlite3.connect(f"{stage.settings().journal.as_uri()}?mode=ro", uri=True)) as conn:
        for analyzer, data in conn.execute(query):
            found.setdefault(analyzer, Counter())[data[data.find(VT) :] if VT in data else data] += 1
    return found


def unprocessed(stage: Stage) -> int:
    """Messages of the journal that the pipeline has not done."""
    return len(JournalReader(stage.settings().journal).unprocessed())


# ---- what the lab holds -----------------------------------------------------------------------------------------


def holdings(lab: Lab) -> dict[str, Counter[tuple[Any, ...]]]:
    """Every result, control and tray row: what it is and where it stands, not when or by which message it came."""
    r, s, c, u = (store.table(row) for row in (ResultRow, Sample, ControlRow, UnmatchedRow))
    said = (r.c.test, r.c.analyzer, r.c.code, r.c.verbatim, r.c.display, r.c.unit, r.c.aspect, r.c.observed_at)
    results = select(s.c.sample_id, *said).join_from(r, s, s.c.id == r.c.sample_pk).where(r.c.analyzer != "")
    controls = select(c.c.analyzer, c.c.lot, c.c.code, c.c.test, c.c.verbatim, c.c.unit, c.c.observed_at)
    tray = select(u.c.analyzer, u.c.sample_id, u.c.code, u.c.raw, u.c.unit, u.c.rule, u.c.state, u.c.observed_at)
    with lab.read() as conn:
        found = {"results": results, "controls": controls, "tray": tray}
        return {name: Counter(tuple(row) for row in conn.execute(query)) for name, query in found.items()}


def undisturbed(lab: Lab, plans: Mapping[str, Sequence[Step]]) -> dict[str, Counter[tuple[Any, ...]]]:
    """What the lab would hold had every message of the plans come once, over a line that never broke."""
    for analyzer, steps in plans.items():
        for step in steps:
            message = Message(f"{analyzer}-{step.seq}", analyzer, lab.now(), step.said.body)
            assert process(lab, message).state == "processed"
    return holdings(lab)


# ---- people -----------------------------------------------------------------------------------------------------


class Person(Visitor):
    """A person at a browser, logged in, who reads pages as text."""

    def __init__(self, base: str, username: str = "technician", password: str = PASSWORD) -> None:
        super().__init__(base)
        self.log_in(username, password)

    def reads(self, path: str) -> str:
        """The words of a page, as its reader sees them."""
        page = self.get(path)
        assert page.status == 200, f"{path} answered {page.status}"
        return words(page.text)


def words(html: str) -> str:
    """The text of a page's main part, blanks folded."""
    soup = BeautifulSoup(html, "html.parser")
    return re.sub(r"\s+", " ", (soup.find("main") or soup).get_text(" "))


class InHouse(Person):
    """A person at the pages of this process's own lab: no server between, the same forms and words."""

    def __init__(self, lab: Lab, username: str = "technician") -> None:
        from tests.apps import app_of

        self._client = TestClient(app_of(lab), base_url="http://lab.test", follow_redirects=True)
        self.log_in(username, PASSWORD)


# ---- a middleware in a thread, and an analyzer by hand ----------------------------------------------------------


class Lines:
    """The middleware's lines, journal, worker and lamps in a thread of this process; ports are given by the system."""

    def __init__(self, lab: Lab, *analyzers: AnalyzerSettings) -> None:
        self.lab = replace(lab, settings=replace(lab.settings, analyzers=analyzers))
        self.journal = Journal.open(lab.settings.journal, now=lab.now)
        self.worker = Worker(self.lab, self.journal)
        self.lamps = Lamps(self.lab, self.worker.ears)
        self.addresses: dict[str, tuple[str, int]] = {}
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="lines")

    def __enter__(self) -> Lines:
        self.journal.recover()
        self.worker.start()
        self.lamps.start()
        self._thread.start()
        until(lambda: len(self.addresses) == len(self.lab.settings.analyzers), "every line listens")
        return self

    def __exit__(self, *_exc: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self.worker.stop()
        self.lamps.stop()
        self.journal.close()

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        await run_lines(
            self.lab.settings, self.journal, self.worker.wake, self._state, self._stop, self.lab.now,
            partial(answerer, self.lab),
        )  # fmt: skip

    def _state(self, state: LineState) -> None:
        self.lamps.set(state)
        if state.address:
            host, _, port = state.address.rpartition(":")
            self.addresses[state.analyzer] = host, int(port)

    def connect(self, analyzer: str) -> ByHand:
        """An analyzer that a test plays by hand."""
        return ByHand(self.addresses[analyzer])

    def settle(self) -> None:
        """Wait until everything that came is processed."""
        until(lambda: not self.journal.unprocessed(), "every message is processed")


class ByHand:
    """The far end of a TCP line."""

    def __init__(self, line: tuple[str, int] | socket.socket) -> None:
        """`line` is where to connect, or a connection that the lab has made."""
        self._socket = _dialled(line) if isinstance(line, tuple) else line
        self._socket.settimeout(PATIENCE)

    def __enter__(self) -> ByHand:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._socket.close()

    def write(self, data: bytes) -> None:
        """Send, expect nothing."""
        self._socket.sendall(data)

    def ask(self, data: bytes, count: int = 1) -> bytes:
        """Send, and read so many bytes back."""
        self._socket.sendall(data)
        heard = b""
        while len(heard) < count:
            came = self._socket.recv(count - len(heard))
            if not came:
                raise ConnectionError("the other end closed")
            heard += came
        return heard

    def send(self, body: bytes, size: int = 240) -> bytes:
        """One session with one message; the answers: an ACK for ENQ and for each frame."""
        answers = self.ask(b"\x05")
        for frame in lis1a.frames(body, size):
            answers += self.ask(frame)
        self.write(b"\x04")
        return answers

    def send_hl7(self, body: bytes) -> bytes:
        """One block; the answer's body."""
        self._socket.sendall(b"\x0b" + body + b"\x1c\r")
        heard = b""
        while not heard.endswith(b"\x1c\r"):
            came = self._socket.recv(4096)
            if not came:
                raise ConnectionError("the other end closed")
            heard += came
        return heard[1:-2]


def _dialled(address: tuple[str, int]) -> socket.socket:
    """A connection, as soon as somebody listens."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return socket.create_connection(address)
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.02)
