"""What the pipeline must know of the journal, wherever it runs: what is not done yet, and the way to say that it is.

A shape alone. Law: all raise JournalError when the journal cannot be used; what was marked is on disk before it counts.
"""

from __future__ import annotations

from typing import Protocol

from drivers.driver import Message


class Backlog(Protocol):
    """The journal itself, or the way to it from another process."""

    def unprocessed(self) -> list[Message]:
        """The oldest messages that are not done, in the order they came."""
        ...

    def done_before(self, number: int | None, limit: int) -> list[tuple[int, str]]:
        """The newest that are, with numbers below `number` (None: of all): (number, id)."""
        ...

    def mark_done(self, *message_ids: str) -> None:
        """The lab database holds these messages."""
        ...

    def mark_undone(self, *message_ids: str) -> None:
        """The lab database does not hold these messages: they are to be done again."""
        ...
