"""One HL7 connection of one analyzer: read a block, journal it, acknowledge its messages; answer queries, send orders.

Turns MLLP blocks into stored messages. Law: as in connection: AA leaves after the commit, AE when there is none.
Source: HL7 v2.5.1 2.9 (original and enhanced acknowledgement), MLLP.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from datetime import UTC, tzinfo

from drivers.driver import Message, WireError
from drivers.wire import hl7, mllp
from middleware.answers import NotNow
from middleware.connection import ANSWER_DELAY, LOOK, Connection, Hooks
from middleware.hl7_head import QUERIES, REPLIES, RESULTS, Head, head_of
from middleware.hl7_talk import PATIENCE, Talk
from middleware.journal import Entry, Journal
from middleware.transports import Wire

HEADS = (b"MSH", b"FHS", b"BHS")
log = logging.getLogger("labmitra.line")
SILENCE = 30.0  # seconds in the middle of an MLLP block
UNREADABLE = "the MSH segment cannot be read"


class Hl7Connection(Connection):
    """HL7 v2 over MLLP."""

    def __init__(self, wire: Wire, journal: Journal, analyzer: str, hooks: Hooks, zone: tzinfo = UTC) -> None:
        """`zone`: the laboratory's, for the time in our acknowledgements (some analyzers read 14 digits only)."""
        super().__init__(wire, journal, analyzer, "HL7", hooks)
        self._zone = zone
        self._receiver = mllp.Receiver()
        self._events: deque[mllp.Event] = deque()
        self._talk = Talk(hooks.downloads)
        self._until = 0.0  # the loop's time at which we have waited long enough for a reply

    def _hear(self, data: bytes | None) -> None:
        if data == b"":
            self._leave(slow=False)
            return
        if not data and not self._receiver.open:
            self._quiet()
            return
        self._events += self._receiver.receive(data) if data else self._receiver.close()
        self._handle()

    def _quiet(self) -> None:
        """Nothing is being said: is it our turn, or have we waited for a reply long enough?"""
        basket = self._hooks.downloads
        if self._talk.open:
            self._expire()
        elif basket is not None and (download := basket.take()) is not None:
            self._order(self._talk.say(download.messages, download))
        self._wire.expect(self._seconds())

    def _expire(self) -> None:
        if asyncio.get_running_loop().time() < self._until:
            return
        if self._talk.unheard:
            log.warning("%s did not reply to the answer to its query", self._analyzer)
        if bodies := self._talk.expire():
            self._order(bodies)

    def _order(self, bodies: Sequence[bytes]) -> None:
        """A conversation that we begin."""
        self._record.begin()
        self._speak(bodies)
        self._record.later(b"", "order", ends="order")

    def _go_on(self) -> None:
        if self._asked:
            self._leave(slow=True)
            return
        self._handle()
        if self._waiting is None:
            self._wire.flow(self._heard, self._seconds())

    def _seconds(self) -> float | None:
        if self._receiver.open:
            return SILENCE
        if self._talk.open:
            return max(0.0, self._until - asyncio.get_running_loop().time())
        basket = self._hooks.downloads
        return None if basket is None else (ANSWER_DELAY if basket.waiting else LOOK)

    def _handle(self) -> None:
        while self._events and self._waiting is None:
            event = self._events.popleft()
            if isinstance(event, mllp.Problem):
                self._problem(event)
            elif event.commit is not None:
                self._record.later(event.raw, "stored" if event.commit else "not stored")
            else:
                self._block(event)
        if self._waiting is None:
            self._wire.expect(self._seconds())

    def _problem(self, event: mllp.Problem) -> None:
        message = self._cut(event)
        if message is not None:
            self._record.put(event.raw, event.what, self._kept, messages=(message,), ends="cut")

    def _cut(self, event: mllp.Problem) -> Message | None:
        """A block without its end: an incomplete message, never acknowledged. A VT among garbage begins no block: only
        what begins as HL7 does is worth a message, else a wrong baud rate would make them without an end."""
        if not (event.raw.startswith(mllp.VT) and event.raw[1:].lstrip()[:3] in HEADS):
            self._record.noise(event.raw)
            self._hooks.noise(event.raw)
            return None
        self._hooks.refused(event.what)
        self._record.begin()
        return self._record.message(event.raw[1:], incomplete=True)

    def _block(self, block: mllp.Block) -> None:
        body = block.body
        if body.startswith(b"MSH") and body.find(b"MSH", 3) < 0:  # nearly always
            bodies = [body]
        else:
            bodies = hl7.split(body)
            if len(bodies) == 1 and not body.lstrip().startswith((b"FHS", b"BHS")):
                bodies = [body]  # verbatim
        self._record.begin()
        messages = [self._record.message(body) for body in bodies]
        self._hooks.handshake()
        self._wait_for(self._record.put(block.raw, "block", self._committed, messages=messages))

    def _stored(self, entry: Entry) -> None:
        heads = [head_of(message.body) for message in entry.messages]
        if self._hooks.answer and any(head.kind in QUERIES for head in heads):
            self._asked = entry.messages
            return
        for message, head in zip(entry.messages, heads, strict=True):
            self._acknowledge(message, head)
        self._record.later(b"", "answered", ends="answered")

    def _not_stored(self, entry: Entry) -> None:
        self._hooks.refused("not stored")
        for message in entry.messages:
            head = head_of(message.body)
            if head.kind not in REPLIES:
                self._say(self._acknowledgement(message, head, "error", "not stored, send again"))
        self._record.later(b"", "answered: not stored", ends="refused")

    async def _slow(self) -> None:
        """A block with a query in it."""
        asked, self._asked = self._asked, ()
        for message in asked:
            await self._answer(message, head_of(message.body))
        self._record.later(b"", "answered", ends="answered")

    async def _answer(self, message: Message, head: Head) -> None:
        answers: list[bytes] | None = None
        try:
            if self._hooks.answer and head.kind in QUERIES:
                answers = await asyncio.to_thread(self._hooks.answer, message)
        except NotNow as later:  # AE: the analyzer may ask again, after AR it would not
            self._taken_but(message, head, str(later))
            self._hooks.message(message)
            return
        if answers is None:
            self._acknowledge(message, head)
        else:
            self._say(self._acknowledgement(message, head, "accept", "", "C"))  # MSH-16's is the answer itself
            self._speak(self._talk.say(answers))
            self._hooks.message(message)

    def _taken_but(self, message: Message, head: Head, why: str) -> None:
        """As a message it is stored (what MSH-15 asks), its content is an error (what MSH-16 asks): H7-02, H7-04."""
        self._say(self._acknowledgement(message, head, "accept", "", "C"))
        self._say(self._acknowledgement(message, head, "error", why, "A"))

    def _acknowledge(self, message: Message, head: Head) -> None:
        kind = head.kind
        if kind in REPLIES:
            self._speak(self._talk.heard(message.body))
        elif head.broken:
            self._taken_but(message, head, UNREADABLE)
            self._hooks.refused(UNREADABLE)
        elif kind in RESULTS:
            self._say(self._acknowledgement(message, head, "accept", ""))
        elif kind in QUERIES and not self._hooks.queries:
            self._say(self._acknowledgement(message, head, "reject", "orders are not served here"))
        elif head.segments:
            what = kind or "a message without a type"
            self._say(self._acknowledgement(message, head, "reject", f"{what} is not served here"))
            self._hooks.refused(f"{what} is not served")
        self._hooks.message(message)

    async def _closed(self) -> None:
        self._talk.close()
        for event in self._receiver.close():
            if isinstance(event, mllp.Problem) and (message := self._cut(event)):
                await self._keep(event.raw, event.what, message, "cut", owed=False)
        self._record.close("closed")

    def _speak(self, bodies: Sequence[bytes]) -> None:
        """What the talk lets leave now; the last of it may wait for its reply."""
        self._say(bodies)
        if bodies:
            self._until = asyncio.get_running_loop().time() + PATIENCE

    def _say(self, bodies: Sequence[bytes]) -> None:
        for body in bodies:
            self._record.say(mllp.block(body))

    def _acknowledgement(self, message: Message, head: Head, outcome: str, text: str, kind: str = "") -> list[bytes]:
        """As MSH-15 and MSH-16 ask (H7-01, H7-02); none for what cannot be read. `kind`: what MSH-15 (C) or MSH-16 (A)
        asks alone."""
        if not head.segments:
            return []
        at = f"{message.received_at.astimezone(self._zone):%Y%m%d%H%M%S}"
        own = message.id[:18]  # with a digit for each: MSH-10 holds 20 characters
        try:
            return [
                hl7.acknowledge(head.segments, code, at=at, control_id=f"{own}{'CA'.index(code[0])}", text=text)
                for code in hl7.codes(head.segments, outcome)
                if code.startswith(kind)
            ]
        except WireError:
            return []
