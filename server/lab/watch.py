"""Turns the state of this process into /healthz (is it well?) and /metrics (numbers for Prometheus).

Law: numbers only, no patient data. /metrics asks for a key where [web] metrics_key names one; without one it is open
to whoever reaches the pages.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import JSONResponse, Response

from middleware.alarm_settings import AlarmKind
from middleware.lab import Lab
from middleware.store import alarms, analyzers_view, books_view, downloads, home_view
from middleware.store.analyzers_view import Lamps
from server.lab.front import Counts

BEARER = HTTPBearer(auto_error=False, description="The key of which [web] metrics_key holds the SHA-256.")
MOMENTS = ("handshake", "message", "parsed", "result")


class Waiting(Collector):
    """What waits in the lab, read at the moment it is asked for."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def collect(self) -> list[GaugeMetricFamily]:
        """One gauge per kind of waiting work."""
        with self._lab.read() as conn:
            waits = home_view.waiting(conn)
        gauge = GaugeMetricFamily("labmitra_waiting", "Rows that wait for a person or a line", labels=["what"])
        for what, count in waits.items():
            gauge.add_metric([what], count)
        return [gauge]

    def describe(self) -> list[GaugeMetricFamily]:
        """Nothing is read when the collector is registered."""
        return []


class Astray(Collector):
    """Messages whose books differ: a result may be lost."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def collect(self) -> list[GaugeMetricFamily]:
        """One figure for each configured analyzer, 0 when all is well."""
        with self._lab.read() as conn:
            found = books_view.unbalanced(conn)
        gauge = GaugeMetricFamily(
            "labmitra_unbalanced_messages", "Messages of which rows are astray: always 0", labels=["analyzer"]
        )
        for name in {*found, *(a.name for a in self._lab.settings.analyzers)}:
            gauge.add_metric([name], found.get(name, 0))
        return [gauge]

    def describe(self) -> list[GaugeMetricFamily]:
        """Nothing is read when the collector is registered."""
        return []


class Lines(Collector):
    """Every analyzer's line and its alarms, as the middleware last wrote of them."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def collect(self) -> list[GaugeMetricFamily]:
        """Gauges per enabled analyzer; a moment that never was has none."""
        now = self._lab.now()
        here = now.astimezone(self._lab.settings.lab.timezone)
        with self._lab.read() as conn:
            seen = analyzers_view.lamps(conn)
            today = analyzers_view.today(conn, here.replace(hour=0, minute=0, second=0, microsecond=0))
            lasting = {(a.analyzer, a.kind) for a in alarms.lasting(conn)}
            waits = downloads.waiting(conn)
        names = [a.name for a in self._lab.settings.analyzers if a.enabled]
        messages = _gauge("messages_today", "Messages since the lab's midnight")
        for name in names:
            messages.add_metric([name], today[name].messages if name in today else 0)
        orders = _gauge("orders_waiting", "Tubes whose orders this line is sent unasked and has not", "state")
        for name in (a.name for a in self._lab.settings.analyzers if a.enabled and a.orders == "push"):
            here_now = waits.get(name, downloads.Waiting())
            orders.add_metric([name, "pending"], here_now.pending)
            orders.add_metric([name, "refused"], here_now.refused)
        return [*_lines({n: seen[n] for n in names if n in seen}, now), messages, orders, _alarms(names, lasting)]

    def describe(self) -> list[GaugeMetricFamily]:
        """Nothing is read when the collector is registered."""
        return []


def _gauge(name: str, told: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"labmitra_line_{name}", told, labels=["analyzer", *labels])


def _lines(seen: dict[str, Lamps], now: datetime) -> list[GaugeMetricFamily]:
    up = _gauge("connected", "1 while the line is connected")
    since = _gauge("seconds_since", "Seconds since the last handshake, message, message read and result filed", "what")
    refused = _gauge("refused_today", "Frames and messages refused since the lab's midnight")
    drift = _gauge("clock_drift_seconds", "The analyzer's clock ahead of ours; negative: behind")
    for name, lamps in seen.items():
        up.add_metric([name], lamps.connected)
        refused.add_metric([name], lamps.refused_today)
        if lamps.drift_seconds is not None:
            drift.add_metric([name], lamps.drift_seconds)
        for what in MOMENTS:
            at: datetime | None = getattr(lamps, f"{what}_at")
            if at is not None:
                since.add_metric([name, what], (now - at).total_seconds())
    return [up, since, refused, drift]


def _alarms(names: list[str], lasting: set[tuple[str, str]]) -> GaugeMetricFamily:
    """1 while an alarm lasts, 0 else; the journal's, which is every line's, has the analyzer ""."""
    gauge = _gauge("alarm", "1 while this alarm of the line lasts", "kind")
    for name in [*names, ""]:
        for kind in AlarmKind:
            if (kind is AlarmKind.JOURNAL) == (name == ""):
                gauge.add_metric([name, kind.value], (name, kind.value) in lasting)
    return gauge


def router(lab: Lab, counts: Counts) -> APIRouter:
    """The two addresses, for one lab."""
    counts.registry.register(Waiting(lab))
    counts.registry.register(Astray(lab))
    counts.registry.register(Lines(lab))
    routes = APIRouter()

    @routes.get("/healthz")
    def health() -> JSONResponse:
        try:
            with lab.read() as conn:
                home_view.answer(conn)
        except SQLAlchemyError:
            return JSONResponse({"ok": False, "database": "not reached"}, 503)
        return JSONResponse({"ok": True})

    @routes.get("/metrics")
    def metrics(given: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)]) -> Response:
        if not _may(lab.settings.web.metrics_key, given.credentials if given else ""):
            return Response("Authorization: Bearer …\n", 401, {"WWW-Authenticate": "Bearer"}, "text/plain")
        return Response(generate_latest(counts.registry), media_type=CONTENT_TYPE_LATEST)

    return routes


def _may(known: str, key: str) -> bool:
    """True when no key is asked for, or this is the one."""
    return not known or hmac.compare_digest(hashlib.sha256(key.encode()).hexdigest(), known)
