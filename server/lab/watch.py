"""Turns the state of this process into /healthz (is it well?) and /metrics (counts for Prometheus).

Law: numbers only, no patient data.
"""

from __future__ import annotations

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import JSONResponse, Response

from middleware.lab import Lab
from middleware.store import books_view, home_view
from server.lab.front import Counts


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


def router(lab: Lab, counts: Counts) -> APIRouter:
    """The two addresses, for one lab."""
    counts.registry.register(Waiting(lab))
    counts.registry.register(Astray(lab))
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
    def metrics() -> Response:
        return Response(generate_latest(counts.registry), media_type=CONTENT_TYPE_LATEST)

    return routes
