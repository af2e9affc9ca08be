"""A real Chromium on a real server: the lab's app under uvicorn in a thread, on a port of its own.

The lab is the one of tests/pages (same fixtures). Where no browser can be had the tests are skipped with the reason;
with CI=true a missing browser is a failure.
"""

from __future__ import annotations

import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.pages.conftest import (  # noqa: F401 - fixtures
    PASSWORD,
    actor,
    app,
    catalogue,
    empty_database,
    lab,
    password_hash,
    world,
)

expect.set_options(timeout=30_000)  # milliseconds, as all else waits here; five seconds are few on a busy machine
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


def chromium() -> str | None:
    """The browser of this machine."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Every test here is a browser test; skipped where there is none, unless CI says there must be."""
    here = Path(__file__).parent
    mine = [item for item in items if here in item.path.parents]
    for item in mine:
        item.add_marker(pytest.mark.browser)
        if chromium() is None and os.environ.get("CI") != "true":
            item.add_marker(pytest.mark.skip(reason="no chromium: apt-get install chromium"))


@pytest.fixture(scope="session")
def base_url() -> None:
    """No address for all tests: each serves its own lab (this also hides a fixture that pytest 9 warns about)."""


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    path = chromium()
    if path is None:
        pytest.fail("no chromium on this machine, and CI=true: apt-get install chromium")
    return {**browser_type_launch_args, "executable_path": path, "args": ARGUMENTS}


@pytest.fixture
def clock() -> Callable[[], datetime]:
    """The real time: a browser's cookies do not follow a clock that stands still."""
    return lambda: datetime.now(UTC)


class Server(uvicorn.Server):
    """uvicorn without signal handlers, for a thread."""

    def install_signal_handlers(self) -> None:
        """The test process keeps its own."""


@pytest.fixture
def serve() -> Iterator[Callable[[Any], str]]:
    """`serve(app)` starts it on an ephemeral port and gives its address; all are stopped at the end."""
    running: list[tuple[Server, threading.Thread, Any]] = []

    def start(served: Any) -> str:
        bound = socket.socket()
        bound.bind(("127.0.0.1", 0))
        server = Server(uvicorn.Config(served, log_level="warning", access_log=False, timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        while not server.started and thread.is_alive():
            threading.Event().wait(0.01)
        running.append((server, thread, served))
        return f"http://127.0.0.1:{bound.getsockname()[1]}"

    yield start
    for server, thread, served in running:
        if ending := getattr(served.state, "ending", None):
            ending.set()  # the streams of open pages
        server.should_exit = True
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture
def site(app: Any, serve: Callable[[Any], str]) -> str:  # noqa: F811 - the fixture
    """The lab's pages, served."""
    return serve(app)


@pytest.fixture
def log_in(page: Any, site: str) -> Iterator[Callable[..., Any]]:
    """`log_in("technician", "hi")` goes through the real log-in page. Every request must stay on the lab's server."""
    strangers: list[str] = []
    faults: list[str] = []
    page.on("request", lambda r: None if r.url.startswith((site, "data:")) else strangers.append(r.url))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda m: faults.append(m.text) if m.type == "error" and "status of 4" not in m.text else None)

    def go(username: str, language: str = "en", path: str = "/") -> Any:
        page.goto(f"{site}/login?next={path}")
        if page.locator("html").get_attribute("lang") != language:
            with page.expect_navigation():
                page.locator(".language button").click()
        page.locator("[name=username]").fill(username)
        page.locator("[name=password]").fill(PASSWORD)
        with page.expect_navigation():  # ends when the page's script is there: keys before it are only typed
            page.locator("button.primary").click()
        if page.locator("html").get_attribute("lang") != language:
            page.goto(site)
            with page.expect_navigation():
                page.locator(".language button").click()
            page.goto(site + path)
        return page

    yield go
    assert strangers == [], "a page asked another host"
    assert faults == [], "the browser complained"


AXE = Axe().axe_script  # the library itself; put into each document once, for it is half a megabyte
FOUND = """axe.run(document, {resultTypes: ["violations"]}).then(found => found.violations
    .filter(one => one.impact == "serious" || one.impact == "critical")
    .map(one => one.id + ": " + one.nodes[0].html.slice(0, 160)))"""


def grave(page: Any) -> list[str]:
    """What axe finds serious or critical on the page as it stands: "rule: first element"."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    found: list[str] = page.evaluate(FOUND)
    return found


@pytest.fixture
def accessible() -> Callable[[Any], None]:
    """`accessible(page)` fails when axe finds anything serious or critical."""

    def check(page: Any) -> None:
        assert grave(page) == []

    return check
