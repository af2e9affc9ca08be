"""Our turn on a line of blocks: what we send, piece by piece, each when the one before it was acknowledged.

Turns answers into bytes to send, and what comes back into the next of them. Law: no I/O, no clock; a refused piece is
sent again, a few times; when the analyzer begins something of its own it has priority and what we wanted is given up:
it asks again. Source: drivers/wire/blocks (the dialects' own manuals); LIS01-A2 6.2.7.1 and 6.3.4 for the manners.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from drivers.wire.blocks import ACK, ENQ, EOT, NAK, Framing

REPEATS = 5  # of a piece that was refused: six times in all, as LIS01-A2 6.5.1.2
QUIET = 1.0  # seconds after which the line is ours, when the analyzer did not end its turn by EOT
PATIENCE = 15.0  # seconds for an acknowledgement (LIS01-A2 6.5.2.3)


class BlockSender:
    """What is still to be sent on one connection."""

    def __init__(self, framing: Framing) -> None:
        self._framing = framing
        self._due: deque[bytes] = deque()
        self._sent = b""  # waits for its acknowledgement
        self._repeats = 0

    @property
    def seconds(self) -> float | None:
        """How long to wait for the other side before `expire()`; None: we have nothing to say."""
        if self._sent:
            return PATIENCE
        return QUIET if self._due else None

    def add(self, texts: Sequence[bytes]) -> bytes:
        """Blocks of these texts are to be sent; what of them leaves now. ValueError when one cannot be marked."""
        for text in texts:
            self._due += self._framing.pieces(text)
        return b"" if self._framing.asks_first or self._sent else self._next()

    def heard(self, control: bytes) -> bytes | None:
        """A control byte between blocks: what it makes us send. None when it is no business of ours."""
        if control == EOT and self._due and not self._sent:
            return self._next()  # the analyzer's turn ended
        if control == ENQ and self._sent:
            self.give_up()  # contention is the analyzer's
            return None
        if not self._sent or control not in (ACK, NAK):
            return None
        if control == ACK:
            return self._next()
        self._repeats += 1
        if self._repeats > REPEATS:
            self.give_up()
            return EOT if self._framing.asks_first else b""
        return self._sent

    def expire(self) -> bytes:
        """Silence: our turn, or nobody listens."""
        if self._sent:
            self.give_up()
            return EOT if self._framing.asks_first else b""
        return self._next()

    def give_up(self) -> None:
        """Nothing of what waits is sent any more."""
        self._due.clear()
        self._sent, self._repeats = b"", 0

    def _next(self) -> bytes:
        piece = self._due.popleft() if self._due else b""
        self._sent, self._repeats = (b"" if piece == self._framing.closing else piece), 0
        return piece
