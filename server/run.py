"""`labmitra run`: databases upgraded, then all three services on one machine until Ctrl-C.

Law: one service that dies is started again; the others go on.
"""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

from middleware.migrate import upgrade
from middleware.settings import Settings
from server.processes import Processes
from server.reports.migrate import upgrade as upgrade_reports

SERVICES = ("middleware", "lab", "reports")


def upgrade_all(settings: Settings) -> None:
    """Bring both databases to today's shape."""
    settings.var.mkdir(parents=True, exist_ok=True)
    upgrade(settings.database_url)
    upgrade_reports(settings.reports.database_url)


def run_all(config: Path, settings: Settings) -> int:
    """Run until SIGINT or SIGTERM; the exit code."""
    upgrade_all(settings)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with Processes(settings.var / "log", {}) as processes:
        for name in SERVICES:
            processes.start(name, name, "--config", str(config))
        print(f"technician pages  http://{settings.web.host}:{settings.web.port}/")  # noqa: T201
        print(f"report service    http://{settings.reports.host}:{settings.reports.port}/")  # noqa: T201
        print(f"logs in {settings.var / 'log'}; Ctrl-C stops everything")  # noqa: T201
        while not stop.wait(1.0):
            for name in SERVICES:
                if processes.running[name].poll() is not None:
                    time.sleep(1)
                    processes.start(name, name, "--config", str(config))
    return 0
