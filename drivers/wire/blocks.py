"""Turns bytes into the blocks of the dialects that are neither LIS01 nor MLLP, and texts into blocks.

A dialect says by its Framing how a block begins and ends, what is checked, what is answered. Law: no socket, no clock;
any bytes give events, never an exception; every byte received comes back in the `raw` of exactly one event; a block is
acknowledged by the caller, after it is stored. Knows nothing of what stands in a block.
Source: the framings of the analyzers' own manuals, as the drivers name them (AU, CA, XS, Dimension, RAPID, VIDAS,
Tosoh, printer text); the quirk catalogue of analyzers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from drivers.wire.lis1a_states import Timer

STX, ETX, EOT, ENQ, ACK, NAK, ETB = b"\x02", b"\x03", b"\x04", b"\x05", b"\x06", b"\x15", b"\x17"
MAX_BLOCK = 4_000_000  # bytes; histograms travel in blocks, endless lines do not
CONTROLS = bytes([4, 5, 6, 10, 13, 21])  # between blocks: EOT, ENQ, ACK, LF, CR, NAK

Check = Callable[[bytes, bytes], bool]
"""(text between start and end, trailer) → is it undamaged?"""


def unchecked(_text: bytes, _trailer: bytes) -> bool:
    """This dialect has no check."""
    return True


def no_receipt(_text: bytes) -> bytes:
    """This dialect says no more than its acknowledgement."""
    return b""


@dataclass(frozen=True, slots=True, eq=False)
class Framing:
    """How a dialect marks its blocks.

    `start` and `end`: the marks; `goes_on`: the end of a block whose sample continues in the next one (ETB); an empty
    `start` is plain text: `ends` (a pattern) or `silence` seconds end it, or `until`, a control byte: then other
    control bytes may stand before the text, and without its end it is cut.
    `trailer`: how many bytes after `end` belong to the block and are checked. `closing`: what a sender puts after the
    trailer (RAPID's EOT). `ack`, `nak`: what the analyzer expects after a block, b"" for nothing.
    `answers`: control bytes between blocks that are answered at once, once the journal is well: ENQ → ACK.
    `receipts`: texts that only acknowledge what we sent, framed like blocks: they are neither stored as messages nor
    acknowledged, or two ends would go on for ever.
    `whole`: do these blocks (their texts) make a message? By default each does. `message_end`: a control byte that
    makes a message of the blocks before it (Tosoh's EOT); then `whole` is not asked.
    `receipt`: text of a block that an analyzer wants, beside `ack`, for this text once it is stored (Dimension's M).
    `asks_first`: a block of ours follows an ENQ that was acknowledged, and its `closing` the block's acknowledgement.
    """

    start: bytes = STX
    end: bytes = ETX
    goes_on: bytes = b""
    ends: str = ""
    until: bytes = b""
    trailer: int = 0
    closing: bytes = b""
    check: Check = unchecked
    ack: bytes = ACK
    nak: bytes = NAK
    answers: Mapping[bytes, bytes] = field(default_factory=dict)
    receipts: frozenset[bytes] = frozenset()
    whole: Callable[[Sequence[bytes]], bool] = bool
    message_end: bytes = b""
    silence: float = 2.0
    sign: Callable[[bytes], bytes] | None = None  # text → trailer of a block that we send
    receipt: Callable[[bytes], bytes] = no_receipt
    asks_first: bool = False

    def wrap(self, text: bytes) -> bytes:
        """A block that we send. ValueError when the text holds one of the marks: it could not be told from it."""
        return self._marked(text) + self.closing

    def pieces(self, text: bytes) -> list[bytes]:
        """What we send for one text: each piece when the one before it was acknowledged. ValueError as in `wrap`."""
        if not self.asks_first:
            return [self.wrap(text)]
        return [ENQ, self._marked(text), *([self.closing] if self.closing else [])]

    def _marked(self, text: bytes) -> bytes:
        end = self.until or self.end
        if (self.start or self.until) and any(mark and mark in text for mark in (self.start, end)):
            raise ValueError("the text holds a byte that marks the block")
        return self.start + text + end + (self.sign(text) if self.sign else b"")


@dataclass(frozen=True, slots=True)
class Block:
    """One block, undamaged: `text` is what stood between its marks."""

    text: bytes
    raw: bytes


@dataclass(frozen=True, slots=True)
class Damaged:
    """A block that failed its check, or was cut: to be refused."""

    raw: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class Control:
    """A control byte between blocks; `reply` is what it is answered with, b"" for nothing."""

    raw: bytes
    reply: bytes = b""


@dataclass(frozen=True, slots=True)
class Junk:
    """Bytes outside any block."""

    raw: bytes


Event = Block | Damaged | Control | Junk


class Receiver:
    """One end of a line, receiving blocks of one framing."""

    def __init__(self, framing: Framing, max_block: int = MAX_BLOCK) -> None:
        self._framing, self._limit = framing, max_block
        ends = framing.ends.encode("latin-1") or re.escape(framing.until)
        self._ends = re.compile(ends, re.DOTALL) if ends else None
        self._buffer = bytearray()
        self._silence = Timer("silence", framing.silence, "project: the end of a text without a mark")

    @property
    def open(self) -> bool:
        """Something has begun and not ended."""
        return bool(self._buffer)

    @property
    def timer(self) -> Timer | None:
        """What the caller waits for before `expire()`, counted from the last byte. None: for ever."""
        return self._silence if self._buffer else None

    def receive(self, data: bytes) -> list[Event]:
        """The events these bytes complete, in order."""
        self._buffer += data
        events: list[Event] = []
        while self._buffer and (event := self._next()) is not None:
            events.append(event)
        return events

    def expire(self) -> list[Event]:
        """Silence: a text without marks is whole; a block without its end is damaged, unless its check holds."""
        if not self._buffer:
            return []
        raw = self._take(len(self._buffer))
        framing = self._framing
        if not framing.start and not framing.until:
            return [Block(raw, raw)] if raw.strip() else [Junk(raw)]
        return [self._endless(raw, "the block has no end")]

    # ---- inside

    def _endless(self, raw: bytes, reason: str) -> Event:
        """A block whose end mark is not there: whole all the same when the check inside it holds."""
        framing = self._framing
        text = raw[len(framing.start) :]
        if framing.check is not unchecked and not framing.trailer and framing.check(text, b""):
            return Block(text, raw)
        return Damaged(raw, reason)

    def _take(self, count: int) -> bytes:
        raw = bytes(self._buffer[:count])
        del self._buffer[:count]
        return raw

    def _next(self) -> Event | None:
        if not self._framing.start:
            return self._text()
        start = self._buffer.find(self._framing.start)
        if start:
            return self._outside(start if start > 0 else len(self._buffer))
        return self._block()

    def _outside(self, count: int) -> Event:
        first = self._buffer[:1]
        if first[0] in CONTROLS:
            raw = self._take(1)
            return Control(raw, self._framing.answers.get(raw, b""))
        run = next((n for n in range(1, count) if self._buffer[n] in CONTROLS), count)
        return Junk(self._take(run))

    def _block(self) -> Event | None:
        framing, buffer = self._framing, self._buffer
        begin = len(framing.start)
        end = self._end(begin)
        again = buffer.find(framing.start, begin, end if end >= 0 else len(buffer))
        if again > 0 and framing.start != framing.end:
            return self._endless(self._take(again), "the block was cut by the start of the next")
        if end < 0:
            return self._over()
        size = end + len(framing.end) + framing.trailer
        if len(buffer) < size:
            return None
        text, trailer = bytes(buffer[begin:end]), bytes(buffer[size - framing.trailer : size])
        if framing.closing and buffer[size : size + len(framing.closing)] == framing.closing:
            size += len(framing.closing)
        raw = self._take(size)
        if not framing.check(text, trailer):
            return Damaged(raw, "wrong checksum")
        return Control(raw) if text in framing.receipts else Block(text, raw)

    def _end(self, begin: int) -> int:
        """Where the block's end mark stands; -1 when it has not come."""
        marks = (self._framing.end, self._framing.goes_on)
        found = [at for mark in marks if mark and (at := self._buffer.find(mark, begin)) >= 0]
        return min(found, default=-1)

    def _text(self) -> Event | None:
        if self._framing.until and self._buffer[0] in CONTROLS:
            return self._outside(1)
        if self._ends is None:
            return self._over()
        found = self._ends.search(self._buffer)
        if found is None or found.end() == 0:
            return self._over()
        raw = self._take(found.end())
        return Block(raw.removesuffix(self._framing.until), raw) if raw.strip() else Junk(raw)

    def _over(self) -> Event | None:
        if len(self._buffer) <= self._limit:
            return None
        return Damaged(self._take(len(self._buffer)), f"over {self._limit} bytes without an end")


def texts(framing: Framing, body: bytes) -> list[bytes]:
    """The texts of the blocks that a stored message is made of (its body is their raw bytes, joined)."""
    receiver = Receiver(framing)
    events = [*receiver.receive(body), *receiver.expire()]
    return [event.text for event in events if isinstance(event, Block)]


# ---- checks that several vendors use ----------------------------------------------------------------------------


def xor_byte(data: bytes) -> bytes:
    """One byte: the exclusive or of all bytes."""
    value = 0
    for byte in data:
        value ^= byte
    return bytes([value])


def sum_hex(data: bytes) -> bytes:
    """Two upper-case hex digits: the sum of all bytes, low 8 bits."""
    return b"%02X" % (sum(data) & 0xFF)


def ends_with_sum(text: bytes, _trailer: bytes) -> bool:
    """The last two characters of the text are the sum of those before, in hex of either case (Dimension, VIDAS)."""
    return len(text) > 2 and text[-2:].upper() == sum_hex(text[:-2])
