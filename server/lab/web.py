"""What every page of the lab is written with: dependencies, forms, redirects, and `page()`.

Turns a request into who asks and what was typed; turns one frozen dataclass and a template into a page.
Law: a template sees `c` (its dataclass), t, lang, user, csrf, csrf_field, nav, flashes, path, lab, seen and nothing
else; strict undefined: a missing name is an error, never a blank. Every POST passes `guard`. No SQL here.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, is_dataclass, replace
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

from fastapi import Depends, Request
from markupsafe import Markup
from starlette.responses import HTMLResponse, RedirectResponse

from middleware.lab import Lab
from middleware.model import Actor, NotAllowed, Right
from middleware.settings import AnalyzerSettings
from middleware.store import changes, users_view
from middleware.store.users_view import SessionUser
from server.lab.session import Flash, Session

LANGUAGES = ("en", "hi")
LANGUAGE_COOKIE = "labmitra_language"
LARGEST_FORM = 512 * 1024  # bytes


class NeedLogin(Exception):
    """Nobody is logged in (any more): the login page comes first, then the page that was asked for."""


class MustChange(Exception):
    """The password was given by somebody else: a new one comes first."""


class BadCsrf(Exception):
    """A form without the token of this session."""


class BadForm(Exception):
    """A field is missing or is not what it should be; `field` names it."""

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field


# ---- who asks ---------------------------------------------------------------------------------------------------


def lab_of(request: Request) -> Lab:
    """The lab this app serves."""
    lab: Lab = request.app.state.lab
    return lab


def session_of(request: Request) -> Session:
    """The session of this browser (front.py has read it from the cookie)."""
    session: Session = request.state.session
    return session


LabDep = Annotated[Lab, Depends(lab_of)]
SessionDep = Annotated[Session, Depends(session_of)]


def signed_in(request: Request, lab: LabDep, session: SessionDep) -> SessionUser:
    """The person logged in here; NeedLogin when none, when switched off, or when her sessions were ended."""
    user = None
    if session.user_id is not None:
        with lab.read() as conn:
            user = users_view.session_user(conn, session.user_id)
            request.state.counters = changes(conn)  # read before the page's own data: no change falls between
    if user is None or not user.active or user.session_epoch != session.epoch:
        raise NeedLogin
    request.state.user = user
    return user


def current_actor(user: Annotated[SessionUser, Depends(signed_in)]) -> Actor:
    """The person as actions want her; MustChange while she has a password given by somebody else."""
    if user.must_change:
        raise MustChange
    return user.actor


SignedIn = Annotated[SessionUser, Depends(signed_in)]
ActorDep = Annotated[Actor, Depends(current_actor)]


def require(*rights: Right) -> Callable[[Actor], Actor]:
    """A dependency that gives the Actor when the role has any of these rights, else NotAllowed (page 403).

    `actor: Annotated[Actor, Depends(require(Right.LINK))]`
    """

    def allowed(actor: ActorDep) -> Actor:
        if not any(actor.may(right) for right in rights):
            raise NotAllowed(f"{actor.role.value} may not {rights[0].value}")
        return actor

    return allowed


# ---- what was typed ---------------------------------------------------------------------------------------------


class Form:
    """The fields of a POST. Reading a field that is missing or wrong raises BadForm (page 422)."""

    def __init__(self, fields: Mapping[str, list[str]], files: Mapping[str, bytes] | None = None) -> None:
        self._fields, self._files = fields, files or {}

    def file(self, name: str) -> bytes:
        """The bytes of the file that was chosen under this name, b"" when there is none."""
        return self._files.get(name, b"")

    def text(self, name: str, *, limit: int = 200) -> str:
        """The text with outer blanks off, "" when it was left empty or not sent."""
        value = self._fields.get(name, [""])[0].strip()
        if len(value) > limit or "\x00" in value:
            raise BadForm(name)
        return value

    def must(self, name: str, *, limit: int = 200) -> str:
        """The text; BadForm when it was left empty."""
        value = self.text(name, limit=limit)
        if not value:
            raise BadForm(name)
        return value

    def secret(self, name: str) -> str:
        """A password, exactly as typed."""
        value = self._fields.get(name, [""])[0]
        if len(value) > 500:
            raise BadForm(name)
        return value

    def whole(self, name: str) -> int:
        """A whole number of ours (a row id): ASCII digits only."""
        return _whole(name, self.must(name, limit=12))

    def whole_numbers(self, name: str) -> tuple[int, ...]:
        """All numbers sent under this name; one field may hold several with commas between."""
        parts = [p for value in self._fields.get(name, []) for p in value.split(",") if p]
        return tuple(_whole(name, part) for part in parts)

    def many(self, name: str) -> tuple[str, ...]:
        """All texts sent under this name, empty ones left out."""
        return tuple(v.strip() for v in self._fields.get(name, []) if v.strip())

    def flag(self, name: str) -> bool:
        """True when the box is ticked."""
        return self._fields.get(name, [""])[0] not in ("", "0")

    def has(self, name: str) -> bool:
        """True when the field (or button) was sent at all."""
        return name in self._fields


def _whole(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise BadForm(name)
    return int(text)


async def form(request: Request) -> Form:
    """The fields of this POST. The token was checked by `guard`, which stands before every page and reads it first."""
    held: Form | None = getattr(request.state, "form", None)
    if held is None:
        held = request.state.form = await _form(request)
    return held


async def _form(request: Request) -> Form:
    data = await request.form(max_files=1, max_fields=5000)  # its size is bounded by LARGEST_FORM
    fields: dict[str, list[str]] = {}
    files: dict[str, bytes] = {}
    for name, value in data.multi_items():
        if isinstance(value, str):
            fields.setdefault(name, []).append(value)
        else:
            files[name] = await value.read()
            await value.close()
    return Form(fields, files)


FormDep = Annotated[Form, Depends(form)]


async def guard(request: Request) -> None:
    """Stands before every page: a POST must carry the token of this session (signed double submit)."""
    if request.method in ("GET", "HEAD"):
        return
    length = request.headers.get("content-length", "")
    if not length.isdigit() or int(length) > LARGEST_FORM:
        raise BadForm("body")
    session = session_of(request)
    sent = (await form(request)).text("csrf")
    if hmac.compare_digest(sent.encode(), session.csrf.encode()):
        return
    if session.user_id is None and sent and request.url.path != "/login":
        raise NeedLogin  # the session ended while the form was open; nothing was done
    raise BadCsrf


# ---- the page ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NavItem:
    """One entry of the menu: shown to those who have the right."""

    href: str
    key: str
    rights: tuple[Right, ...]


NAV = (
    NavItem("/worklist", "nav.worklist", (Right.SEE_RESULTS,)),
    NavItem("/critical", "nav.critical", (Right.CALL,)),
    NavItem("/unmatched", "nav.unmatched", (Right.LINK,)),
    NavItem("/enter", "nav.enter", (Right.ENTER,)),
    NavItem("/receive", "nav.receive", (Right.COLLECT,)),
    NavItem("/register", "nav.register", (Right.REGISTER,)),
    NavItem("/patients", "nav.patients", (Right.SEARCH,)),
    NavItem("/reports", "nav.reports", (Right.REPORTS,)),
    NavItem("/qc", "nav.qc", (Right.QC_SEE,)),
    NavItem("/analyzers", "nav.analyzers", (Right.ANALYZERS_SEE,)),
    NavItem("/messages", "nav.messages", (Right.MESSAGES,)),
    NavItem("/users", "nav.users", (Right.USERS,)),
    NavItem("/audit", "nav.audit", (Right.AUDIT,)),
)


def know_analyzers(request: Request, analyzers: tuple[AnalyzerSettings, ...]) -> Lab:
    """The pages know these analyzers from now on (the file was written); the middleware when it restarts."""
    lab = lab_of(request)
    request.app.state.lab = replace(lab, settings=replace(lab.settings, analyzers=analyzers))
    return lab_of(request)


def language_of(request: Request) -> str:
    """The person's language; before log in the browser's choice, else the lab's."""
    user = user_of(request)
    chosen = user.language if user else request.cookies.get(LANGUAGE_COOKIE, "")
    return chosen if chosen in LANGUAGES else lab_of(request).settings.lab.language


def user_of(request: Request) -> SessionUser | None:
    """The person that `signed_in` found for this request, None on pages without log in."""
    user: SessionUser | None = getattr(request.state, "user", None)
    return user


def translator(request: Request) -> Callable[..., str]:
    """`t` for this request: t("key", n=3) in the person's language."""
    strings, lang = request.app.state.strings, language_of(request)

    def t(key: str, **values: object) -> str:
        text: str = strings.t(key, lang, **values)
        return text

    return t


def nav_for(actor: Actor | None) -> tuple[NavItem, ...]:
    """The menu of this person."""
    return () if actor is None else tuple(n for n in NAV if any(actor.may(r) for r in n.rights))


def page(request: Request, template: str, context: object, status: int = 200) -> HTMLResponse:
    """Render `template` with one frozen dataclass, which the template calls `c`."""
    if not is_dataclass(context) or isinstance(context, type):
        raise TypeError(f"{template} needs one dataclass, got {context!r}")
    session = session_of(request)
    if session.user_id is None:
        session.change()  # an anonymous browser keeps its token, so that the login form can prove itself
    user = user_of(request)
    values: dict[str, Any] = {
        "c": context, "t": translator(request), "lang": language_of(request), "user": user,
        "csrf": session.csrf, "csrf_field": csrf_field(session), "nav": nav_for(user.actor if user else None),
        "flashes": session.take_flashes(), "path": request.url.path, "lab": _lab_words(request),
        "seen": json.dumps(getattr(request.state, "counters", {})),
    }  # fmt: skip
    text = request.app.state.templates.get_template(template).render(values)
    return HTMLResponse(text, status)


@dataclass(frozen=True, slots=True)
class LabWords:
    """What base.html says of the lab itself."""

    name_en: str
    name_hi: str
    idle_seconds: int


def _lab_words(request: Request) -> LabWords:
    settings = lab_of(request).settings
    facility = settings.lab.facility
    return LabWords(facility.name_en, facility.name_hi, settings.web.session_minutes * 60)


def csrf_field(session: Session) -> Markup:
    """The hidden field every form with method post carries."""
    return Markup('<input type="hidden" name="csrf" value="{}">').format(session.csrf)


def redirect(
    request: Request, url: str, flash: str | None = None, kind: str = "good", **values: object
) -> RedirectResponse:
    """303 to `url`; `flash` is a strings key said once on the next page (kind: good, warn, bad)."""
    if flash is not None:
        session_of(request).flash(Flash(flash, kind, {k: str(v) for k, v in values.items()}))
    return RedirectResponse(url, 303)


def local_path(url: str, otherwise: str = "/") -> str:
    """`url` when it is a path of this site, else `otherwise`: a form never sends a person elsewhere."""
    parts = urlsplit(url)
    inside = url.startswith("/") and not url.startswith(("//", "/\\")) and not parts.scheme and not parts.netloc
    return url if inside and url.isprintable() and "\\" not in url else otherwise


def login_path(request: Request) -> str:
    """The login page that leads back to where the person was (a page, not a form)."""
    if request.method != "GET" or request.url.path in ("/", "/live"):
        return "/login"
    query = f"?{request.url.query}" if request.url.query else ""
    return "/login?next=" + quote(request.url.path + query, safe="/")
