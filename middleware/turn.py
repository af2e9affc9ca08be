"""Whose turn it is to write: on SQLite a queue of messages gives way to people.

Turns an engine into a moment's lock on a file beside the database. Law: it orders writers and guards nothing: without
it everything is as right, only slower for people. PostgreSQL queues its writers itself, first come, first served.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine

LONGEST = 1.0  # seconds that a queue gives way; after that it takes its chance like everybody
PAUSE = 0.002


@contextmanager
def turn(engine: Engine, gives_way: bool) -> Iterator[None]:
    """While this is held, a writer that gives way does not begin; such a writer waits here until nobody holds it."""
    descriptor = _open(engine)
    try:
        if descriptor is not None and gives_way:
            _let_others(descriptor)
        elif descriptor is not None:
            fcntl.flock(descriptor, fcntl.LOCK_SH)  # the other side holds it for no longer than it takes to look
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _open(engine: Engine) -> int | None:
    database = engine.url.database
    if engine.dialect.name != "sqlite" or not database or database == ":memory:":
        return None
    try:
        return os.open(f"{database}.turn", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:  # a full or read-only disk: the database itself will say so
        return None


def _let_others(descriptor: int) -> None:
    until = time.monotonic() + LONGEST
    while time.monotonic() < until:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(PAUSE)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            return
