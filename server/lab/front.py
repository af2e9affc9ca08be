"""The outermost ring of the lab's pages: session cookie in and out, security headers, request id, counters.

Turns an HTTP exchange into the same exchange with those added. Law: never logs a query string, a form or a path with
values in it: search texts and names stay out of every log. Source: OWASP secure headers; domain 5.3.
"""

from __future__ import annotations

import logging
import secrets
import time
from datetime import datetime
from http.cookies import CookieError, SimpleCookie

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from middleware.lab import Lab
from server.lab.session import COOKIE, Session, Sessions

log = logging.getLogger("labmitra.lab")

POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class Counts:
    """Prometheus counters of one app, in a registry of its own: two apps in one process never collide."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.pages = Counter(
            "labmitra_pages_total", "Pages served", ["route", "method", "status"], registry=self.registry
        )
        self.seconds = Histogram("labmitra_page_seconds", "Time to serve a page", ["route"], registry=self.registry)


class Front:
    """ASGI middleware; see the module."""

    def __init__(self, app: ASGIApp, lab: Lab, sessions: Sessions, counts: Counts) -> None:
        self.app, self.lab, self.sessions, self.counts = app, lab, sessions, counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one exchange."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = _Exchange(self, scope, send)
        started = time.perf_counter()
        try:
            await self.app(scope, receive, exchange.send)
        finally:
            exchange.count(time.perf_counter() - started)


class _Exchange:
    """One request on its way through."""

    def __init__(self, front: Front, scope: Scope, send: Send) -> None:
        self.front, self.scope, self._send = front, scope, send
        self.now: datetime = front.lab.now()
        self.status = 500
        state = scope.setdefault("state", {})
        state["request_id"] = secrets.token_hex(8)
        state["session"] = self.session = self._load()

    def _load(self) -> Session:
        headers = dict(self.scope["headers"])
        session = self.front.sessions.load(_cookie(headers.get(b"cookie", b"")), self.now)
        # Live updates come by themselves: they must not keep a forgotten session alive.
        if b"x-live" not in headers and self.scope["path"] != "/live":
            self.front.sessions.touch(session, self.now)
        return session

    async def send(self, message: Message) -> None:
        """Pass a message on; the first one gets the headers."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._add_headers(MutableHeaders(scope=message))
        await self._send(message)

    def _add_headers(self, headers: MutableHeaders) -> None:
        for name, value in HEADERS.items():
            headers.setdefault(name, value)
        headers["X-Request-ID"] = self.scope["state"]["request_id"]
        if self.front.lab.settings.web.secure_cookies:
            headers["Strict-Transport-Security"] = "max-age=31536000"
        if not self.scope["path"].startswith("/static/"):
            headers.setdefault("Cache-Control", "no-store")
        if self.session.dirty:
            headers.append("Set-Cookie", self._set_cookie())

    def _set_cookie(self) -> str:
        secure = "; Secure" if self.front.lab.settings.web.secure_cookies else ""
        return f"{COOKIE}={self.front.sessions.dump(self.session)}; Path=/; HttpOnly; SameSite=Lax{secure}"

    def count(self, seconds: float) -> None:
        """Count the page by its route's template, never by its path."""
        route = getattr(self.scope.get("route"), "path", "other")
        if route == "/live":
            return  # open for minutes by design
        self.front.counts.pages.labels(route, self.scope["method"], str(self.status)).inc()
        self.front.counts.seconds.labels(route).observe(seconds)
        if self.status >= 500:
            log.error("%s %s gave %s, request %s", self.scope["method"], route, self.status,
                      self.scope["state"]["request_id"])  # fmt: skip


def _cookie(header: bytes) -> str | None:
    jar: SimpleCookie = SimpleCookie()
    try:
        jar.load(header.decode("latin-1"))
    except CookieError:
        return None
    morsel = jar.get(COOKIE)
    return morsel.value if morsel else None
