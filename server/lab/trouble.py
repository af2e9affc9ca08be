"""Turns what went wrong into a page that says what to do next (for /api/ paths: the same as JSON).

Law: no stack traces, no typed text given back, no patient data; the request id leads the engineer to the log.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response

from middleware.model import Refused
from server.lab.front import HEADERS
from server.lab.web import BadForm, language_of, local_path, login_path, page, translator


@dataclass(frozen=True, slots=True)
class ErrorPage:
    """A sentence on what happened, one on what to do, and a way back."""

    status: int
    title: str
    text: str
    back: str
    request_id: str


def _answer(request: Request, status: int, key: str, text: str | None = None) -> Response:
    t = translator(request)
    said = t(f"error.{key}.text") if text is None else text
    if request.url.path.startswith("/api/"):
        return JSONResponse({"error": key, "text": said}, status)
    request_id = str(request.state.request_id)
    return page(request, "error.html", ErrorPage(status, t(f"error.{key}"), said, _back(request), request_id), status)


def _back(request: Request) -> str:
    came = urlsplit(request.headers.get("referer", ""))
    if came.netloc != request.url.netloc or came.path == request.url.path == "/login":
        return "/"
    return local_path(came.path + (f"?{came.query}" if came.query else ""))


async def need_login(request: Request, _error: Exception) -> Response:
    """To the login page, and from there back."""
    if request.url.path.startswith("/api/"):
        return _answer(request, 401, "login")
    return RedirectResponse(login_path(request), 303)


async def must_change(_request: Request, _error: Exception) -> Response:
    """To the page where a new password is chosen."""
    return RedirectResponse("/password", 303)


async def not_allowed(request: Request, _error: Exception) -> Response:
    """403: the role does not have the right."""
    return _answer(request, 403, "forbidden")


async def bad_csrf(request: Request, _error: Exception) -> Response:
    """403: the form does not belong to this session."""
    return _answer(request, 403, "csrf")


async def refused(request: Request, error: Exception) -> Response:
    """409: the action does not fit the state of things; its own words say what to do."""
    return _answer(request, 409, "refused", refused_text(request, error))


async def bad_form(request: Request, error: Exception) -> Response:
    """422: a field is missing or wrong."""
    field = error.field if isinstance(error, BadForm) else ""
    strings, t = request.app.state.strings, translator(request)
    name = t(f"field.{field}") if strings.has(f"field.{field}") else field
    return _answer(request, 422, "form", t("error.form.text", field=name))


async def bad_address(request: Request, error: Exception) -> Response:
    """404 for a page address that cannot be one; the API says which value is wrong."""
    if request.url.path.startswith("/api/") and isinstance(error, RequestValidationError):
        wrong = [{"where": ".".join(str(p) for p in e["loc"]), "what": e["msg"]} for e in error.errors()]
        return JSONResponse({"error": "form", "text": "these values cannot be used", "wrong": wrong}, 422)
    return _answer(request, 422, "address")


async def http_error(request: Request, error: Exception) -> Response:
    """404, 405 and what else the framework says."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    known = {403: "forbidden", 404: "missing", 405: "method"}
    return _answer(request, status, known.get(status, "address" if status < 500 else "broken"))


async def broken(request: Request, _error: Exception) -> Response:
    """500: our own fault. Sent outside of `front`, so it carries the headers itself."""
    response = _answer(request, 500, "broken")
    for name, value in HEADERS.items():
        response.headers[name] = value
    return response


def refused_text(request: Request, error: Exception | Refused) -> str:
    """The words of a refusal in the person's language."""
    return refused_words(request, str(error))


def refused_words(request: Request, text: str) -> str:
    """A refusal said in the person's language: `text` is a strings key or the English sentence of one."""
    said: str = request.app.state.refusals.say(text, language_of(request))
    return said
