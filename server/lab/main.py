"""The lab process: technician pages and API, and the ticker of the outbox to the report service.

Turns Settings into a running web server. Law: APScheduler is the ticker only, the work lies in the handover table;
the pages work while the report service is down.
"""

from __future__ import annotations

import logging

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


def serve(settings: Settings) -> int:
    """Run until SIGTERM or SIGINT; the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for noisy in ("apscheduler", "httpx2", "httpcore2"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    sound.url_must_be_whole(settings.database_url, sound.LAB)
    lab = open_lab(settings)
    scheduler = start_outbox(lab)
    app = create_app(lab)
    config = uvicorn.Config(
        app, host=settings.web.host, port=settings.web.port, access_log=False, log_level="warning",
        timeout_graceful_shutdown=3,
    )  # fmt: skip
    try:
        return server.serve(config, app.state.ending.set)
    finally:
        scheduler.shutdown(wait=True)
        lab.engine.dispose()


def start_outbox(lab: Lab) -> BackgroundScheduler:
    """A ticker that sends what is due and asks how deliveries stand; one at a time, missed ticks fold into one."""
    scheduler = BackgroundScheduler(job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": 60})
    if lab.settings.hub.url:
        client = handover.client_for(lab)
        scheduler.add_job(_tick, "interval", seconds=TICK, args=(lab, client))
    scheduler.start()
    return scheduler


def _tick(lab: Lab, client: httpx2.Client) -> None:
    try:
        handover.run_due(lab, client)
        notices.run_due(lab, client)
        handover.ask_deliveries(lab, client)
    except SQLAlchemyError:
        log.warning("lab database busy; the outbox waits for the next tick")
