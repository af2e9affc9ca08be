"""Log in and out, hand over the chair to a colleague, own password, language.

Law: a person is known by the signed session cookie alone; a wrong name and a wrong password give the same answer;
a password given by somebody else is changed first. Source: domain 5.3.
"""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter, Request
from itsdangerous import BadSignature, URLSafeSerializer
from starlette.responses import Response

from middleware.actions import users as actions
from middleware.model import Refused
from middleware.store import users_view
from middleware.store.users_view import SessionUser
from server.lab.trouble import refused_text
from server.lab.web import (
    LANGUAGE_COOKIE,
    LANGUAGES,
    FormDep,
    LabDep,
    SessionDep,
    SignedIn,
    local_path,
    page,
    redirect,
    signed_in,
    translator,
)

router = APIRouter()
PEOPLE_COOKIE = "labmitra_people"
YEAR = 365 * 24 * 3600


@dataclass(frozen=True, slots=True)
class LoginPage:
    """`people` logged in on this browser before: one touch fills the name."""

    username: str
    people: tuple[str, ...]
    next: str
    trouble: str


@dataclass(frozen=True, slots=True)
class PasswordPage:
    """`forced`: somebody else gave the password, so it is changed before anything else."""

    forced: bool
    trouble: str


def _people(request: Request) -> tuple[str, ...]:
    try:
        held = _people_signer(request).loads(request.cookies.get(PEOPLE_COOKIE, ""))
    except BadSignature:
        return ()
    return tuple(str(p) for p in held)[:6] if isinstance(held, list) else ()


def _people_signer(request: Request) -> URLSafeSerializer:
    return URLSafeSerializer(request.app.state.lab.settings.secret, salt="people of this browser")


def _remember_person(request: Request, response: Response, username: str) -> None:
    names = [username, *(p for p in _people(request) if p != username)][:6]
    text = _people_signer(request).dumps(names)
    _cookie(request, response, PEOPLE_COOKIE, text if isinstance(text, str) else text.decode("ascii"))


def _cookie(request: Request, response: Response, name: str, value: str) -> None:
    secure = request.app.state.lab.settings.web.secure_cookies
    response.set_cookie(name, value, max_age=YEAR, httponly=True, samesite="lax", secure=secure)


def _login_page(request: Request, username: str, goes_to: str, trouble: str = "", status: int = 200) -> Response:
    people = _people(request)
    first = username or (people[0] if people else "")
    return page(request, "login.html", LoginPage(first, people, local_path(goes_to), trouble), status)


@router.get("/login")
def login(request: Request, session: SessionDep, u: str = "", next: str = "/") -> Response:
    """The login page; who is logged in already goes on."""
    if session.user_id is not None:
        session.log_out()  # an ended session (switched off, epoch raised) comes here with a signed cookie
    return _login_page(request, u[:60], next)


@router.post("/login")
def log_in(request: Request, lab: LabDep, session: SessionDep, form: FormDep) -> Response:
    """Check name and password; 401 with one sentence for every kind of wrong, 429 when there were too many."""
    username, goes_to = form.text("username", limit=60), form.text("next", limit=500)
    client = request.client.host if request.client else ""
    try:
        user = actions.check_login(lab, username, form.secret("password"), client)
    except Refused as refusal:
        return _login_page(request, username, goes_to, refused_text(request, refusal), 429)
    if user is None or user.id is None:
        return _login_page(request, username, goes_to, translator(request)("login.wrong"), 401)
    session.log_in(user.id, user.session_epoch, lab.now())
    response = redirect(request, "/password" if user.must_change else local_path(goes_to))
    _remember_person(request, response, user.username)
    return response


@router.post("/logout")
def log_out(request: Request, session: SessionDep) -> Response:
    """End the session on this browser."""
    session.log_out()
    return redirect(request, "/login")


@router.post("/lock")
def lock(request: Request, session: SessionDep, form: FormDep) -> Response:
    """Hand over the chair: ends the session and comes back to this very page after the next log in."""
    session.log_out()
    return redirect(request, f"/login?next={local_path(form.text('from', limit=500))}")


@router.get("/password")
def password(request: Request, user: SignedIn) -> Response:
    """The page where a person changes her own password."""
    return page(request, "password.html", PasswordPage(user.must_change, ""))


@router.post("/password")
def change_password(request: Request, lab: LabDep, session: SessionDep, user: SignedIn, form: FormDep) -> Response:
    """Change it; every other session of this person ends, this one goes on."""
    t = translator(request)
    new = form.secret("new")
    if new != form.secret("again"):
        return page(request, "password.html", PasswordPage(user.must_change, t("password.differ")), 422)
    try:
        actions.change_own_password(lab, user.actor, form.secret("old"), new)
    except Refused as refusal:
        trouble = refused_text(request, refusal)
        return page(request, "password.html", PasswordPage(user.must_change, trouble), 422)
    after = _person_now(lab, user.id)
    session.log_in(user.id, after.session_epoch, lab.now())
    return redirect(request, "/", "password.changed")


def _person_now(lab: LabDep, user_id: int) -> SessionUser:
    """The person as she is after her change."""
    with lab.read() as conn:
        user = users_view.session_user(conn, user_id)
    if user is None:
        raise Refused("login.wrong")
    return user


@router.post("/language")
def language(request: Request, lab: LabDep, session: SessionDep, form: FormDep) -> Response:
    """English or Hindi: kept in the browser, and with the person when somebody is logged in."""
    chosen = form.text("language")
    if chosen not in LANGUAGES:
        chosen = LANGUAGES[0]
    if session.user_id is not None:
        actions.set_language(lab, signed_in(request, lab, session).actor, chosen)
    response = redirect(request, local_path(form.text("from", limit=500)))
    _cookie(request, response, LANGUAGE_COOKIE, chosen)
    return response
