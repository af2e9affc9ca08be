"""Turns bytes into the blocks that carry HL7 messages, and messages into blocks. Knows nothing of segments.

Law: no socket, no clock; any bytes give events, never an exception. Every byte received comes back in the `raw` of
exactly one event. Tolerant in (FS without CR, noise and keep-alives between blocks), strict out.
Source: HL7 Minimal Lower Layer Protocol, releases 1 and 2.
"""

from __future__ import annotations

from dataclasses import dataclass

VT, FS = b"\x0b", b"\x1c"
MAX_BLOCK = 32_000_000  # bytes; a block may hold pictures
_END = b"\x1c\r"
COMMIT = b"\x0b\x06\x1c\x0d"  # release 2: stored
REJECT = b"\x0b\x15\x1c\x0d"  # release 2: not stored


@dataclass(frozen=True, slots=True)
class Block:
    """One block: `body` is what stood between VT and FS."""

    body: bytes
    raw: bytes

    @property
    def commit(self) -> bool | None:
        """Release 2's reply: True stored, False not stored, None when it is a message."""
        return {b"\x06": True, b"\x15": False}.get(self.body)


@dataclass(frozen=True, slots=True)
class Problem:
    """Bytes that are no block, and why."""

    raw: bytes
    what: str


Event = Block | Problem


class Receiver:
    """One end of a connection, receiving."""

    def __init__(self, max_block: int = MAX_BLOCK) -> None:
        self._limit = max_block
        self._buffer = bytearray()
        self._scanned = 0  # no FS and no second VT before here

    @property
    def open(self) -> bool:
        """A block has begun and not ended."""
        return self._buffer[:1] == VT

    def receive(self, data: bytes) -> list[Event]:
        """The blocks and problems these bytes complete, in order. `data` is bytes: a block keeps them."""
        if not self._buffer and data[:1] == VT and data[-2:] == _END:  # a block alone in its read, as nearly all are
            body = data[1:-2]
            if 0x1C not in body and 0x0B not in body:  # FS, VT
                return [Block(body, data)]
        self._buffer += data
        events: list[Event] = []
        while self._buffer and (event := self._next()):
            events.append(event)
        return events

    def close(self) -> list[Event]:
        """The connection ended: what is left over, as a problem."""
        left = self._take(len(self._buffer))
        return [Problem(left, "block without its end")] if left else []

    def _next(self) -> Event | None:
        buffer = self._buffer
        if not self.open:
            start = buffer.find(VT)
            return Problem(self._take(start if start > 0 else len(buffer)), "outside a block")
        end = buffer.find(FS, self._scanned)
        again = buffer.find(VT, max(self._scanned, 1), end if end >= 0 else len(buffer))
        if again > 0:
            return Problem(self._take(again), "block cut by the start of the next")
        if end < 0:
            return self._unfinished()
        return self._whole(end)

    def _unfinished(self) -> Event | None:
        self._scanned = len(self._buffer)
        if len(self._buffer) <= self._limit:
            return None
        return Problem(self._take(len(self._buffer)), f"block over {self._limit} bytes")

    def _whole(self, end: int) -> Event:
        body = bytes(self._buffer[1:end])
        size = end + 2 if self._buffer[end + 1 : end + 2] == b"\r" else end + 1
        return Block(body, self._take(size))

    def _take(self, count: int) -> bytes:
        raw = bytes(self._buffer[:count])
        del self._buffer[:count]
        self._scanned = 0
        return raw


def block(body: bytes) -> bytes:
    """VT body FS CR. ValueError when the body holds VT or FS: it could not be told from the frame's own."""
    if VT in body or FS in body:
        raise ValueError("the message holds a byte that marks the block")
    return VT + body + FS + b"\r"
