"""Makes users, changes roles and passwords, checks a log-in. Passwords are argon2; wrong tries are counted.

Law: nobody shares a login; the last active admin cannot be taken away; a wrong try costs the same as a right one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from sqlalchemy import Connection, delete, select

from middleware import store
from middleware.lab import Lab
from middleware.model import Actor, Refused, Right, Role
from middleware.schema import LockedOut, User

HASHER = PasswordHasher()
TRIES, WINDOW = 5, timedelta(minutes=15)
SHORTEST = 8


@dataclass(frozen=True, slots=True)
class Person:
    """A user who logged in."""

    id: int
    username: str
    name: str
    qualification: str
    role: Role
    language: str
    must_change: bool
    session_epoch: int

    @property
    def actor(self) -> Actor:
        """The person as actions know them."""
        return Actor(self.id, self.name, self.role, self.username)


def person(lab: Lab, user_id: int) -> Person | None:
    """An active user by id, None when deactivated or unknown."""
    with lab.read() as conn:
        row = store.one(conn, User, user_id)
    if row is None or not row["active"]:
        return None
    keys = ("id", "username", "name", "qualification", "language", "must_change", "session_epoch")
    return Person(role=Role(row["role"]), **{k: row[k] for k in keys})


def check_login(lab: Lab, username: str, password: str, client: str) -> Person | None:
    """The person when name and password fit, None when not. Refused after too many wrong tries (name or client)."""
    login = username.strip().casefold()
    keys = (f"user:{login}"[:80], f"client:{client}"[:80])
    u, f = store.table(User), store.table(LockedOut)
    with lab.read() as conn:
        since = lab.now() - WINDOW
        wrong = [store.count(conn, LockedOut, f.c.key == key, f.c.at >= since) for key in keys]
        row = conn.execute(select(u).where(u.c.username == login)).mappings().first()
    if wrong[0] >= TRIES or wrong[1] >= TRIES * 4:
        raise Refused("Too many wrong tries. Wait 15 minutes, or ask the admin for a new password.")
    good = _verify(row["password_hash"] if row else _nobody(), password)
    if row is None or not good or not row["active"]:
        with lab.write() as conn:
            conn.execute(f.insert(), [{"key": key, "at": lab.now()} for key in keys])
        return None
    with lab.write() as conn:
        conn.execute(delete(f).where(f.c.key.in_(keys)))
        found = person_of(row["id"], dict(row))
        store.audit(conn, lab.now(), found.actor, "log in", "user", found.id, {})
    return found


@cache
def _nobody() -> str:
    """Verified when the name is unknown, so that time tells nothing."""
    return HASHER.hash("nobody's password")


def person_of(user_id: int, row: Mapping[str, Any]) -> Person:
    """A Person from a row of the user table."""
    return Person(
        id=user_id,
        username=str(row["username"]),
        name=str(row["name"]),
        qualification=str(row["qualification"]),
        role=Role(str(row["role"])),
        language=str(row["language"]),
        must_change=bool(row["must_change"]),
        session_epoch=int(str(row["session_epoch"])),
    )


def _verify(hashed: str, password: str) -> bool:
    try:
        return HASHER.verify(hashed, password)
    except (VerifyMismatchError, InvalidHashError):
        return False


def _strong(password: str) -> str:
    if len(password) < SHORTEST:
        raise Refused(f"A password has at least {SHORTEST} characters.")
    return HASHER.hash(password)


def create_user(
    lab: Lab,
    actor: Actor,
    username: str,
    name: str,
    qualification: str,
    role: Role,
    password: str,
    must_change: bool = True,
) -> int:
    """A new named person; they change the password at first login unless told otherwise."""
    actor.must(Right.USERS)
    key = username.strip().casefold()
    if not key or not name.strip():
        raise Refused("A user needs a name and a login name.")
    hashed = _strong(password)
    with lab.write() as conn:
        if store.count(conn, User, store.table(User).c.username == key):
            raise Refused(f"The login name {key} is taken.")
        user_id = store.put(
            conn, User, username=key, name=name.strip(), qualification=qualification.strip(), role=Role(role).value,
            password_hash=hashed, language="hi" if lab.settings.lab.language == "hi" else "en", active=True,
            must_change=must_change, session_epoch=0, created_at=lab.now(),
        )  # fmt: skip
        store.audit(conn, lab.now(), actor, "create user", "user", user_id, {"username": key, "role": Role(role).value})
    return user_id


def set_password(lab: Lab, actor: Actor, user_id: int, password: str) -> None:
    """Give somebody a new password: their sessions end, they change it at the next login."""
    actor.must(Right.USERS)
    hashed = _strong(password)
    with lab.write() as conn:
        row = _user(conn, user_id)
        store.change(conn, User, user_id, password_hash=hashed, must_change=True,
                     session_epoch=row["session_epoch"] + 1)  # fmt: skip
        store.audit(conn, lab.now(), actor, "set password", "user", user_id, {})


def change_own_password(lab: Lab, actor: Actor, old: str, new: str) -> None:
    """Change one's own password, knowing the old one; other sessions of this person end."""
    if actor.id is None:
        raise Refused("Only a person has a password.")
    with lab.read() as conn:
        row = _user(conn, actor.id)
    if not _verify(row["password_hash"], old):
        raise Refused("The present password is not right.")
    if old == new:
        raise Refused("Choose a password that differs from the present one.")
    hashed = _strong(new)
    with lab.write() as conn:
        store.change(conn, User, actor.id, password_hash=hashed, must_change=False,
                     session_epoch=row["session_epoch"] + 1)  # fmt: skip
        store.audit(conn, lab.now(), actor, "change own password", "user", actor.id, {})


def set_role(lab: Lab, actor: Actor, user_id: int, role: Role) -> None:
    """Change somebody's role; their sessions end."""
    actor.must(Right.USERS)
    with lab.write() as conn:
        row = _user(conn, user_id)
        if role is not Role.ADMIN:
            _not_the_last_admin(conn, row)
        store.change(conn, User, user_id, role=role.value, session_epoch=row["session_epoch"] + 1)
        store.audit(conn, lab.now(), actor, "set role", "user", user_id, {"old": row["role"], "new": role.value})


def set_active(lab: Lab, actor: Actor, user_id: int, active: bool) -> None:
    """Let somebody in again, or shut them out at once."""
    actor.must(Right.USERS)
    with lab.write() as conn:
        row = _user(conn, user_id)
        if not active:
            _not_the_last_admin(conn, row)
        store.change(conn, User, user_id, active=active, session_epoch=row["session_epoch"] + 1)
        store.audit(conn, lab.now(), actor, "activate" if active else "deactivate", "user", user_id, {})


def set_language(lab: Lab, actor: Actor, language: str) -> None:
    """The language of one's own pages: en or hi."""
    if actor.id is not None and language in ("en", "hi"):
        with lab.write() as conn:
            store.change(conn, User, actor.id, language=language)


def _user(conn: Connection, user_id: int) -> Mapping[str, Any]:
    row = store.one(conn, User, user_id)
    if row is None:
        raise Refused("There is no such user.")
    return row


def _not_the_last_admin(conn: Connection, row: Mapping[str, Any]) -> None:
    u = store.table(User)
    others = store.count(conn, User, u.c.role == Role.ADMIN.value, u.c.active, u.c.id != row["id"])
    if row["role"] == Role.ADMIN.value and not others:
        raise Refused("This is the last admin: make another one first.")
