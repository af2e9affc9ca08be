"""Turns the session cookie into a Session and back. Signed, not encrypted: it holds ids and counters, no results.

Law: no database, no clock of its own (times are passed in). Source: OWASP session cheat sheet; domain 5.3 (people share
a computer, nobody shares a login).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from itsdangerous import BadSignature, URLSafeSerializer

COOKIE = "labmitra_session"
LONGEST = timedelta(hours=12)  # one shift and a bit: after that everybody logs in again
TOUCH = timedelta(seconds=60)  # the cookie is written again at most this often


@dataclass(frozen=True, slots=True)
class Flash:
    """One sentence shown once on the next page: a strings key with its values. kind is good, warn or bad."""

    key: str
    kind: str = "good"
    values: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Session:
    """Who is logged in on this browser. `find` holds what was typed into search fields: names never go into URLs."""

    csrf: str
    started: int
    seen: int
    user_id: int | None = None
    epoch: int = 0
    flashes: list[Flash] = field(default_factory=list)
    find: dict[str, str] = field(default_factory=dict)
    dirty: bool = False

    def change(self) -> None:
        """The cookie must be written with this response."""
        self.dirty = True

    def log_in(self, user_id: int, epoch: int, now: datetime) -> None:
        """Begin anew for this person: a fresh CSRF token, nothing kept of whoever sat here before."""
        self.user_id, self.epoch = user_id, epoch
        self.csrf = secrets.token_urlsafe(24)
        self.started = self.seen = int(now.timestamp())
        self.flashes, self.find, self.dirty = [], {}, True

    def log_out(self) -> None:
        """Forget the person."""
        self.user_id, self.epoch = None, 0
        self.csrf = secrets.token_urlsafe(24)
        self.flashes, self.find, self.dirty = [], {}, True

    def flash(self, flash: Flash) -> None:
        """Say this on the next page."""
        self.flashes.append(flash)
        self.dirty = True

    def take_flashes(self) -> tuple[Flash, ...]:
        """What is to be said on this page; said once."""
        taken = tuple(self.flashes)
        if taken:
            self.flashes, self.dirty = [], True
        return taken

    def remember(self, field_name: str, text: str) -> None:
        """Keep the text of a search field ("" forgets it)."""
        if text:
            self.find[field_name] = text[:80]
        else:
            self.find.pop(field_name, None)
        self.dirty = True


class Sessions:
    """Signs and reads the cookie."""

    def __init__(self, secret: str, idle: timedelta) -> None:
        self._signer = URLSafeSerializer(secret, salt="lab session")
        self._idle = idle

    def load(self, cookie: str | None, now: datetime) -> Session:
        """The session in this cookie; a new anonymous one when there is none, or it is forged, idle or too old."""
        stamp = int(now.timestamp())
        if cookie:
            try:
                return self._alive(self._signer.loads(cookie), stamp)
            except (BadSignature, KeyError, TypeError, ValueError):
                pass
        return Session(csrf=secrets.token_urlsafe(24), started=stamp, seen=stamp)

    def _alive(self, held: dict[str, object], stamp: int) -> Session:
        session = Session(
            csrf=str(held["c"]), started=int(str(held["s"])), seen=int(str(held["t"])),
            user_id=None if held["u"] is None else int(str(held["u"])), epoch=int(str(held["e"])),
            flashes=[Flash(key, kind, dict(values)) for key, kind, values in _list(held.get("f"))],
            find=dict(_list(held.get("q"))),
        )  # fmt: skip
        ended = stamp - session.seen > self._idle.total_seconds() or stamp - session.started > LONGEST.total_seconds()
        if ended and session.user_id is not None:
            raise ValueError("session ended")
        return session

    def touch(self, session: Session, now: datetime) -> None:
        """A person did something: the idle time begins again."""
        stamp = int(now.timestamp())
        if session.user_id is not None and stamp - session.seen >= TOUCH.total_seconds():
            session.seen, session.dirty = stamp, True

    def dump(self, session: Session) -> str:
        """The signed text of the cookie."""
        held = {
            "c": session.csrf, "s": session.started, "t": session.seen, "u": session.user_id, "e": session.epoch,
            "f": [[f.key, f.kind, f.values] for f in session.flashes], "q": list(session.find.items()),
        }  # fmt: skip
        text = self._signer.dumps(held)
        return text if isinstance(text, str) else text.decode("ascii")


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
