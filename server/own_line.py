"""A middleware of our own to try out: one analyzer's line on a free port, everything under a temporary folder.

Turns a driver's name into an address where `labmitra middleware` listens, for as long as the block lasts.
Law: it touches no configuration, journal or database but its own, and ends what it started.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from middleware.migrate import upgrade
from middleware.settings import load
from server.processes import Processes, free_port

START = 60.0  # seconds until the middleware is up
ANALYZER = """[[analyzer]]
name = "conform"
driver = "{driver}"
title = "conformance kit"
line = "tcp-listen://127.0.0.1:{port}"
enabled = true
auto_release = false
tests = []
"""


@contextmanager
def own_line(config: Path, driver: str) -> Iterator[str]:
    """`tcp://127.0.0.1:PORT` of a fresh middleware. RuntimeError with the end of its log when it does not come up."""
    with tempfile.TemporaryDirectory(prefix="labmitra-conform-") as name:
        home, port = Path(name), free_port()
        shutil.copytree(config, home / "config", ignore=shutil.ignore_patterns("__pycache__", "*.py"))
        text = ANALYZER.format(driver=re.sub(r"\W", "", driver), port=port)
        (home / "config" / "analyzers.toml").write_text(text, encoding="utf-8")
        environ = {"LABMITRA_STORE__VAR": str(home / "var"), "LABMITRA_STORE__DATABASE_URL": ""}
        settings = load(home / "config", environ)
        settings.var.mkdir(parents=True, exist_ok=True)
        upgrade(settings.database_url)
        with Processes(home / "log", environ) as processes:
            processes.start("middleware", "middleware", "--config", str(home / "config"))
            _up(processes)
            yield f"tcp://127.0.0.1:{port}"


def _up(processes: Processes) -> None:
    deadline = time.monotonic() + START
    while "middleware is up" not in processes.tail("middleware", 50):
        if processes.died() or processes.finished("middleware") or time.monotonic() > deadline:
            raise RuntimeError(f"the middleware did not come up:\n{processes.tail('middleware')}")
        time.sleep(0.05)
