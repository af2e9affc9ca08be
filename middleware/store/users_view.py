"""What the pages read of users. Turns rows into frozen values; SQL stands only here and in its neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from middleware.model import Actor, Role
from middleware.schema import User
from middleware.store.core import table

_user = table(User)


@dataclass(frozen=True, slots=True)
class SessionUser:
    """The person of a session."""

    id: int
    username: str
    name: str
    qualification: str
    role: Role
    language: str
    active: bool
    must_change: bool
    session_epoch: int

    @property
    def actor(self) -> Actor:
        """The person as actions want her."""
        return Actor(self.id, self.name, self.role, self.username)


@dataclass(frozen=True, slots=True)
class UserRow:
    """One line of the users page."""

    id: int
    username: str
    name: str
    qualification: str
    role: Role
    active: bool
    must_change: bool
    created_at: datetime


def session_user(conn: Connection, user_id: int) -> SessionUser | None:
    """The person with this id, None when there is none."""
    row = conn.execute(
        select(
            _user.c.id, _user.c.username, _user.c.name, _user.c.qualification, _user.c.role, _user.c.language,
            _user.c.active, _user.c.must_change, _user.c.session_epoch,
        ).where(_user.c.id == user_id)
    ).first()  # fmt: skip
    if row is None:
        return None
    return SessionUser(
        row.id, row.username, row.name, row.qualification, Role(row.role), row.language, row.active,
        row.must_change, row.session_epoch,
    )  # fmt: skip


def users(conn: Connection) -> tuple[UserRow, ...]:
    """All people, the active ones first, by name."""
    rows = conn.execute(select(_user).order_by(_user.c.active.desc(), _user.c.name, _user.c.id))
    return tuple(
        UserRow(
            r.id, r.username, r.name, r.qualification, Role(r.role), r.active, r.must_change, r.created_at
        )
        for r in rows
    )  # fmt: skip
