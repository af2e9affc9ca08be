"""The lab process: technician pages and API, and the ticker of the outbox to the report service.

Turns Settings into a running web server. Law: APScheduler is the ticker only, the work lies in the handover table;
the pages work while the report service is down, and end while it hangs.
"""

from __future__ import annotations

import logging
import os
import threading

import httpx2
import uvicorn
from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy.exc import SQLAlchemyError

from middleware import handover, notices, sound
from middleware.lab import Lab, open_lab
from middleware.settings import Settings
from server import serving as server
from server.lab.app import create_app

log = logging.getLogger("labmitra.lab")
TICK = 2  # seconds between two looks at the outbox
GRACE = 3.0  # seconds that a hand-over may take to its end when the process is told to stop


def serve(settings: Settings) -> int:
    """Run until it is told to end; the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for noisy in ("apscheduler", "httpx2", "httpcore2"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    sound.url_must_be_whole(settings.database_url, sound.LAB)
    lab = open_lab(settings)
    app = create_app(lab)
    config = uvicorn.Config(
        app, host=settings.web.host, port=settings.web.port, access_log=False, log_level="warning",
        timeout_graceful_shutdown=3,
    )  # fmt: skip
    outbox = Outbox(lab)
    outbox.start()
    try:
        code = server.serve(config, app.state.ending.set)
    finally:
        over = outbox.stop(GRACE)
    if not over:  # nobody waits for a report service that hangs: as after a kill, the row is sent again
        logging.shutdown()
        os._exit(code)
    lab.engine.dispose()
    return code


class Outbox:
    """A ticker that sends what is due and asks how deliveries stand; one at a time, missed ticks fold into one."""

    def __init__(self, lab: Lab) -> None:
        self._lab, self._busy, self._ending = lab, threading.Lock(), threading.Event()
        self._ticker = BackgroundScheduler(
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": 60}
        )  # fmt: skip

    def start(self) -> None:
        """Begin, where there is a report service."""
        if self._lab.settings.hub.url:
            client = handover.client_for(self._lab)
            self._ticker.add_job(self._tick, "interval", seconds=TICK, args=(client,))
        self._ticker.start()

    def stop(self, grace: float) -> bool:
        """No more ticks; False when one is still under way after `grace` seconds."""
        self._ending.set()
        self._ticker.shutdown(wait=False)
        return self._busy.acquire(timeout=grace)

    def _tick(self, client: httpx2.Client) -> None:
        with self._busy:
            try:
                for work in (handover.run_due, notices.run_due, handover.ask_deliveries):
                    if not self._ending.is_set():
                        work(self._lab, client)
            except SQLAlchemyError as away:
                log.warning("the lab database cannot be used (%s); the outbox waits", type(away).__name__)
