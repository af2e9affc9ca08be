"""Starts the report service: upgrade its database, serve until stopped.

Turns Settings into a running process. Law: the access log never names a link.
"""

from __future__ import annotations

import uvicorn

from middleware import sound
from middleware.settings import Settings
from server import serving
from server.reports.app import create_app
from server.reports.migrate import upgrade
from server.strings import Strings


def server(settings: Settings) -> uvicorn.Config:
    """The report service, ready to be served, its database upgraded."""
    reports = settings.reports
    sound.url_must_be_whole(reports.database_url, sound.REPORTS)
    upgrade(reports.database_url)
    app = create_app(reports, Strings.load(settings.config), settings.config)
    # Behind a reverse proxy on this machine its X-Forwarded-For is believed, nobody else's.
    return uvicorn.Config(
        app, host=reports.host, port=reports.port, server_header=False, proxy_headers=True,
        forwarded_allow_ips="127.0.0.1", log_level="info", timeout_graceful_shutdown=5,
    )  # fmt: skip


def serve(settings: Settings) -> int:
    """Serve until SIGINT or SIGTERM; the exit code."""
    return serving.serve(server(settings))
