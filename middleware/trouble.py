"""Says in one sentence what is wrong with a database, a disk or a port, and what to do about it.

Turns an exception into words for the person at the terminal. Law: no address with a password, no patient's data.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from middleware.journal import JournalError

NO_TABLES = ("no such table", "does not exist", "no such column", "unable to open database file")


class Trouble(Exception):
    """Something outside the program is wrong; its text says what, and what to do."""


def sentence(broken: Exception) -> str:
    """What is wrong, and what to do."""
    if isinstance(broken, DBAPIError):
        what = str(broken.orig).strip().splitlines()[0] if broken.orig else type(broken).__name__
        if any(sign in what for sign in NO_TABLES):
            return f"The database is not up to date ({what}). Write: labmitra db upgrade"
        return f"The database cannot be used: {what}. See [store] and [reports] in lab.toml."
    if isinstance(broken, OSError) and broken.strerror:
        return f"{broken.filename or 'The disk'}: {broken.strerror}"
    return str(broken) or type(broken).__name__


@contextmanager
def in_words() -> Iterator[None]:
    """What a person can mend comes out as Trouble; a fault of the program as it is."""
    try:
        yield
    except (SQLAlchemyError, OSError, JournalError) as broken:
        raise Trouble(sentence(broken)) from broken
