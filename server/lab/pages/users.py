"""The people of the lab: who may log in, with which role, and what each role may do.

Turns buttons into actions of users. Law: nobody shares a login; a password given here is changed at the first log in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from middleware.actions import users as actions
from middleware.model import RIGHTS, Actor, Refused, Right, Role
from middleware.store import users_view
from middleware.store.users_view import UserRow
from server.lab.trouble import refused_text
from server.lab.web import BadForm, Form, FormDep, LabDep, page, redirect, require

router = APIRouter()
MayManage = Annotated[Actor, Depends(require(Right.USERS))]


@dataclass(frozen=True, slots=True)
class NewUser:
    """What was typed for a new person, given back when it could not be saved; never the password."""

    username: str = ""
    name: str = ""
    qualification: str = ""
    role: str = ""
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class UsersPage:
    """Everybody, and the table of rights as the code has it."""

    users: tuple[UserRow, ...]
    roles: tuple[Role, ...]
    rights: tuple[Right, ...]
    table: Mapping[Role, frozenset[Right]]
    me: int | None
    typed: NewUser


def _show(request: Request, lab: LabDep, actor: Actor, typed: NewUser | None = None, status: int = 200) -> Response:
    with lab.read() as conn:
        people = users_view.users(conn)
    context = UsersPage(people, tuple(Role), tuple(Right), RIGHTS, actor.id, typed or NewUser())
    return page(request, "users.html", context, status)


def _role(form: Form) -> Role:
    try:
        return Role(form.must("role"))
    except ValueError:
        raise BadForm("role") from None


@router.get("/users")
def show(request: Request, lab: LabDep, actor: MayManage) -> Response:
    """The page."""
    return _show(request, lab, actor)


@router.post("/users")
def create(request: Request, lab: LabDep, actor: MayManage, form: FormDep) -> Response:
    """A new person with a first password."""
    username, name = form.must("username", limit=60), form.must("name", limit=120)
    qualification, role = form.text("qualification", limit=120), _role(form)
    try:
        actions.create_user(lab, actor, username, name, qualification, role, form.secret("password"))
    except Refused as refusal:
        typed = NewUser(username, name, qualification, role.value, refused_text(request, refusal))
        return _show(request, lab, actor, typed, 409)
    return redirect(request, "/users", "users.created", name=name)


@router.post("/users/{user_id}/role")
def set_role(request: Request, lab: LabDep, actor: MayManage, form: FormDep, user_id: int) -> Response:
    """Another role; the person logs in anew."""
    actions.set_role(lab, actor, user_id, _role(form))
    return redirect(request, "/users", "users.role.set")


@router.post("/users/{user_id}/active")
def set_active(request: Request, lab: LabDep, actor: MayManage, form: FormDep, user_id: int) -> Response:
    """Shut somebody out at once, or let them in again."""
    active = form.must("active") == "yes"
    actions.set_active(lab, actor, user_id, active)
    return redirect(request, "/users", "users.activated" if active else "users.deactivated")


@router.post("/users/{user_id}/password")
def set_password(request: Request, lab: LabDep, actor: MayManage, form: FormDep, user_id: int) -> Response:
    """A new first password; the person's sessions end and she changes it at the next log in."""
    actions.set_password(lab, actor, user_id, form.secret("password"))
    return redirect(request, "/users", "users.password.set")
