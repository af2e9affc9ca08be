"""The laboratory that the crash harness kills: a real configuration, a migrated database, and a reception at work.

Turns a folder into settings, openers of the analyzers' ends of their lines, and registered tubes. Law: everything lives
under that folder; a tube's number is given to an analyzer only after its registration is committed.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from middleware import migrate
from middleware.lab import Lab, open_lab
from middleware.settings import Settings, load
from server.processes import held_port
from simulators.line import Dial, Listen, Opener, PtyEnd
from tests.crash.said import TESTS, UNITS, Unit, stranger, tube
from tests.labs import Clock, Desk, fill

CONFIG = Path(__file__).parents[2] / "config"
AHEAD = 12  # tubes registered before they are needed


def prepare(home: Path, holding: ExitStack) -> tuple[Settings, dict[str, Opener]]:
    """Settings, and for each unit the analyzer's end of its line. Ports are new each time and held in `holding`; the
    databases are made when they are missing."""
    config, var = home / "config", home / "var"
    shutil.rmtree(config, ignore_errors=True)
    shutil.copytree(CONFIG, config, ignore=shutil.ignore_patterns("__pycache__", "*.py"))
    openers: dict[str, Opener] = {}
    tables = []
    for unit in UNITS:
        url, openers[unit.name] = _line(unit, home, holding)
        tables.append(f'[[analyzer]]\nname = "{unit.name}"\ndriver = "{unit.driver}"\ntitle = "{unit.name}"\n'
                      f'line = "{url}"\nenabled = true\nauto_release = false\ntests = []\n')  # fmt: skip
    (config / "analyzers.toml").write_text("\n".join(tables))
    settings = load(config, environ(home))
    if not Path(settings.database_url.removeprefix("sqlite:///")).exists():
        var.mkdir(parents=True, exist_ok=True)
        migrate.upgrade(settings.database_url)
        fill(settings.database_url)
    return settings, openers


def environ(home: Path) -> dict[str, str]:
    """What the middleware gets beside its files."""
    return {"LABMITRA_STORE__VAR": str(home / "var")}


def _line(unit: Unit, home: Path, holding: ExitStack) -> tuple[str, Opener]:
    if unit.line == "serial":
        path = home / unit.name
        return f"serial:{path}?baud=9600", PtyEnd(path)
    if unit.line == "dial":
        end = Listen("127.0.0.1", 0)
        return f"tcp://127.0.0.1:{end.port}", end
    port = holding.enter_context(held_port()).getsockname()[1]
    return f"tcp-listen://127.0.0.1:{port}", Dial("127.0.0.1", port)


class Reception(threading.Thread):
    """Registers tubes as the analyzers need them, in the database that the middleware is writing to; also, while the
    middleware lies dead."""

    def __init__(self, settings: Settings, path: Path, needed: Callable[[str], int]) -> None:
        """`path` keeps the numbers given out; `needed` says at which message a unit is."""
        super().__init__(name="reception", daemon=True)
        self.lab: Lab = open_lab(settings)
        self._desk = Desk(self.lab, Clock())
        self._path, self._needed = path, needed
        self._tubes: dict[str, list[str]] = {unit.name: [] for unit in UNITS}
        for line in path.read_text().splitlines() if path.exists() else ():
            name, _, number = line.partition(" ")
            self._tubes[name].append(number)
        self._over = threading.Event()

    def run(self) -> None:
        """Until stopped."""
        while not self._over.is_set():
            short = [name for name, tubes in self._tubes.items() if len(tubes) < self._wanted(name)]
            for name in short:
                self._register(name)
            if not short:
                self._over.wait(0.02)

    def stop(self) -> None:
        """Go home."""
        self._over.set()
        self.join()
        self.lab.engine.dispose()

    def sample(self, name: str, number: int) -> str:
        """Whose this message is; waits until that tube is registered."""
        at = tube(number)
        if at is None:
            return stranger(name, number)
        while at >= len(self._tubes[name]):
            time.sleep(0.005)
        return self._tubes[name][at]

    def _wanted(self, name: str) -> int:
        at = self._needed(name)
        return max((tube(n) or 0) for n in range(at, at + AHEAD)) + 1

    def _register(self, name: str) -> None:
        try:
            number = self._desk.sample_id(self._desk.register(*TESTS))
        except SQLAlchemyError:  # the database was busy; she tries again
            return
        with self._path.open("a") as file:
            file.write(f"{name} {number}\n")
        self._tubes[name].append(number)
