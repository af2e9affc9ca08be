"""`labmitra run`: databases upgraded, then all three services on one machine until Ctrl-C.

Law: one service that dies is started again, after growing pauses when it dies at once; the others go on.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from middleware import sound
from middleware.migrate import upgrade
from middleware.settings import Settings
from server.processes import Processes, only_one, stop_event
from server.reports.migrate import upgrade as upgrade_reports

SERVICES = ("middleware", "lab", "reports")
LOOK = 0.5  # seconds between two looks
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0  # seconds until a service that died is started again
WELL = 60.0  # seconds after which a start counts as good


def upgrade_all(settings: Settings) -> None:
    """Bring both databases to today's shape."""
    settings.var.mkdir(parents=True, exist_ok=True)
    sound.must_be_whole(settings.journal, sound.JOURNAL)
    sound.url_must_be_whole(settings.database_url, sound.LAB)
    sound.url_must_be_whole(settings.reports.database_url, sound.REPORTS)
    upgrade(settings.database_url)
    upgrade_reports(settings.reports.database_url)


def run_all(config: Path, settings: Settings) -> int:
    """Run until SIGINT, SIGTERM or SIGHUP; the exit code. Trouble when it runs there already."""
    running = f"Lab Mitra is running in {settings.var} already. Stop it first (Ctrl-C in its terminal, or SIGTERM)."
    with only_one(settings.var / "run.lock", running):
        return _run(config, settings)


def _run(config: Path, settings: Settings) -> int:
    upgrade_all(settings)
    stop = stop_event()
    with Processes(settings.var / "log", {}) as processes:
        services = [Service(name, config, processes) for name in SERVICES]
        _say(f"technician pages  http://{settings.web.host}:{settings.web.port}/")
        _say(f"report service    http://{settings.reports.host}:{settings.reports.port}/")
        _say(f"logs in {processes.logs}; Ctrl-C stops everything")
        while not stop.wait(LOOK):
            for service in services:
                service.look()
    return 0


@dataclass
class Service:
    """One service under watch."""

    name: str
    config: Path
    processes: Processes
    started: float = 0.0
    again: float | None = None  # when it is to be started again
    pause: float = field(default=FIRST_PAUSE)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Start it."""
        self.processes.start(self.name, self.name, "--config", str(self.config))
        self.started, self.again = time.monotonic(), None

    def look(self) -> None:
        """Start it again when it is time to."""
        code, now = self.processes.running[self.name].poll(), time.monotonic()
        if code is None:
            return
        if self.again is None:
            self.pause = FIRST_PAUSE if now - self.started > WELL else self.pause
            self.again = now + self.pause
            last = self.processes.tail(self.name, 1)
            _say(f"{self.name} ended (exit {code}), it is started again in {self.pause:.0f} s: {last}")
            self.pause = min(self.pause * 2, LONGEST_PAUSE)
        elif now >= self.again:
            self.start()


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the terminal of whoever runs it
