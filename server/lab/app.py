"""Turns a Lab into the web app of its technician pages.

Law: every page module is named here, and every page stands behind `web.guard` (CSRF) and its own `require`. No work at
import, no globals: two labs in one process are two apps.
"""

from __future__ import annotations

import hashlib
import threading
from datetime import timedelta
from pathlib import Path

from fastapi import APIRouter, Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from middleware.lab import Lab
from middleware.model import NotAllowed, Refused
from server.lab import api, auth, live, trouble, watch
from server.lab.front import Counts, Front
from server.lab.pages import (
    add_analyzer,
    analyzers,
    audit,
    codes,
    critical,
    enter,
    home,
    messages,
    order,
    patients,
    qc,
    receive,
    register,
    reports,
    sample,
    unmatched,
    users,
    worklist,
)
from server.lab.refusals import Refusals
from server.lab.session import Sessions
from server.lab.show import environment
from server.lab.web import BadCsrf, BadForm, MustChange, NeedLogin, guard
from server.strings import Strings

STATIC = Path(__file__).parent / "static"


def routers() -> tuple[APIRouter, ...]:
    """Every page of the lab, one router each: a new page is added here."""
    return (
        auth.router,
        home.router,
        worklist.router,
        sample.router,
        critical.router,
        unmatched.router,
        users.router,
        audit.router,
        register.router,
        order.router,
        receive.router,
        patients.router,
        enter.router,
        reports.router,
        qc.router,
        analyzers.router,
        add_analyzer.router,
        codes.router,
        messages.router,
        api.docs,
        live.router,
    )


def create_app(lab: Lab) -> FastAPI:
    """The app of one lab. ConfigError when config/strings has mistakes."""
    app = FastAPI(title="Lab Mitra", docs_url=None, redoc_url=None, openapi_url=None)
    counts = Counts()
    app.state.lab = lab
    app.state.ending = threading.Event()  # set when the process is told to stop
    app.state.strings = Strings.load(lab.settings.config)
    app.state.refusals = Refusals.of(app.state.strings)
    app.state.sessions = Sessions(lab.settings.secret, timedelta(minutes=lab.settings.web.session_minutes))
    app.state.templates = environment(lab.settings.lab.timezone, _versions(), app.state.strings.has)
    for router in routers():
        app.include_router(router, dependencies=[Depends(guard)], include_in_schema=False)
    app.include_router(watch.router(lab, counts), include_in_schema=False)
    app.state.api = api.create_api(lab, app.state.strings, app.state.refusals)
    app.mount("/api/v1", app.state.api)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    _add_error_pages(app)
    app.add_middleware(Front, lab=lab, sessions=app.state.sessions, counts=counts)
    return app


def _versions() -> dict[str, str]:
    """A short hash per static file: a browser keeps a file until it changes."""
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest()[:10] for p in sorted(STATIC.iterdir()) if p.is_file()}


def _add_error_pages(app: FastAPI) -> None:
    app.add_exception_handler(NeedLogin, trouble.need_login)
    app.add_exception_handler(MustChange, trouble.must_change)
    app.add_exception_handler(NotAllowed, trouble.not_allowed)
    app.add_exception_handler(Refused, trouble.refused)
    app.add_exception_handler(BadCsrf, trouble.bad_csrf)
    app.add_exception_handler(BadForm, trouble.bad_form)
    app.add_exception_handler(RequestValidationError, trouble.bad_address)
    app.add_exception_handler(HTTPException, trouble.http_error)
    app.add_exception_handler(Exception, trouble.broken)
