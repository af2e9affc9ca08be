"""Turns a Hub into the web application of the report service: the laboratories' API, the patients' pages, headers.

Law: the only part of Lab Mitra on the internet: no script, no third party, nothing kept by browsers or proxies,
nothing in search engines. Source: domain 5.2.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.exception_handlers import http_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from middleware.settings import ReportServiceSettings
from server.reports import api, delivery, pages, store
from server.reports.hub import Hub, open_hub
from server.reports.logs import mask_logs
from server.reports.sms import Gateway
from server.strings import Strings

_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow, noarchive",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_HSTS = "max-age=31536000; includeSubDomains"


def _now() -> datetime:
    return datetime.now(UTC)


class Headers:
    """Adds the headers to every answer, also to errors; what a page has set itself stays."""

    def __init__(self, app: ASGIApp, https: bool) -> None:
        self._app = app
        self._headers = _HEADERS | ({"Strict-Transport-Security": _HSTS} if https else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, with headers."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)


def create_app(
    settings: ReportServiceSettings,
    strings: Strings,
    config_dir: Path,
    *,
    now: Callable[[], datetime] = _now,
    gateway: Gateway | None = None,
    ticker: bool = True,
) -> FastAPI:
    """The report service. Its database must have been upgraded. `ticker=False`: nobody works off the SMS outbox here
    (tests call `delivery.run_due(app.state.hub)`). ConfigError or ValueError when the SMS settings are wrong."""
    hub = open_hub(settings, strings, config_dir, now=now, gateway=gateway)
    app = FastAPI(
        title="Lab Mitra report service",
        description="Laboratories hand their released reports over here; each call is idempotent.",
        version="1",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan(hub, ticker),
    )
    app.state.hub, app.state.shelf = hub, pages.Shelf()
    app.add_middleware(Headers, https=hub.https)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _bad_request)
    app.add_exception_handler(Exception, _sorry)
    app.include_router(api.router)
    app.include_router(pages.router)
    return app


def _lifespan(hub: Hub, ticker: bool) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def life(_app: FastAPI) -> AsyncIterator[None]:
        mask_logs()
        with hub.db.write() as conn:
            store.keep_facilities(conn, hub.settings.facility_keys)
        running = delivery.start_ticker(hub) if ticker else None
        try:
            yield
        finally:
            hub.ending.set()  # the SMS in hand is sent to its end, no other is begun
            if running is not None:
                running.shutdown(wait=True)
            hub.gateway.close()
            hub.db.close()

    return life


def _is_api(request: Request) -> bool:
    return request.url.path.startswith(("/api/", "/healthz", "/sms/"))


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if _is_api(request):
        return await http_exception_handler(request, error)
    response = pages.not_found(request)
    if error.status_code != 404:
        response.status_code = error.status_code
    return response


async def _bad_request(request: Request, error: Exception) -> Response:
    """What came in the address or form does not fit; its values are not repeated."""
    assert isinstance(error, RequestValidationError)
    if not _is_api(request):
        return pages.not_found(request)
    faults = [{"where": ".".join(map(str, e["loc"])), "what": e["msg"]} for e in error.errors()]
    detail = "; ".join(f"{f['where']}: {f['what']}" for f in faults)
    return JSONResponse({"detail": detail, "faults": faults}, 422)


async def _sorry(request: Request, _error: Exception) -> Response:
    response: Response = (
        JSONResponse({"detail": "the report service failed; try again later"}, 500)
        if _is_api(request)
        else pages.sorry(request)
    )
    response.headers.update(_HEADERS)  # answered outside every middleware
    return response
