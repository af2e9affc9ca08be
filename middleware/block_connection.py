"""One connection of one analyzer that speaks in blocks: read, journal, acknowledge, hand on, answer.

Turns bytes of a wire into stored messages for every dialect that is neither LIS01 nor MLLP. Law: as in `connection`:
the acknowledgement leaves after the journal's commit, never before; a block that is damaged or cannot be stored is
refused; every byte of both directions is journaled. A message's body is the raw bytes of its blocks, joined.
Source: drivers/wire/blocks; the framings of the analyzers' manuals.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from drivers.driver import Message
from drivers.wire import blocks
from middleware.connection import Hooks
from middleware.journal import Journal, JournalError
from middleware.recorder import Recorder
from middleware.transports import Wire


class BlockConnection:
    """A serial line or a TCP connection in one of the block dialects."""

    def __init__(self, wire: Wire, journal: Journal, analyzer: str, hooks: Hooks, framing: blocks.Framing) -> None:
        """`framing`: how this analyzer marks its blocks and what it is answered."""
        self._wire, self._hooks, self._framing = wire, hooks, framing
        self._record = Recorder(journal, wire, analyzer, "blocks")
        self._receiver = blocks.Receiver(framing)
        self._held: list[blocks.Block] = []  # stored and acknowledged blocks of a message that goes on
        self._begun = False
        self._handlers: dict[type[Any], Callable[[Any], Awaitable[None]]] = {
            blocks.Block: self._block,
            blocks.Damaged: self._damaged,
            blocks.Control: self._control,
            blocks.Junk: self._junk,
        }

    async def run(self) -> None:
        """Until the other end closes."""
        try:
            while (data := await self._wire.read(self._seconds())) != b"":
                await self._handle(self._receiver.receive(data) if data else self._receiver.expire())
        finally:
            await self._handle(self._receiver.expire())
            await self._cut("closed")

    def _seconds(self) -> float | None:
        timer = self._receiver.timer
        return timer.seconds if timer else None

    async def _handle(self, events: Sequence[blocks.Event]) -> None:
        for event in events:
            await self._handlers[type(event)](event)

    # ---- blocks

    async def _block(self, event: blocks.Block) -> None:
        self._begin()
        blocks_now = [*self._held, event]
        whole = not self._framing.message_end and self._framing.whole([block.text for block in blocks_now])
        messages = [self._message(blocks_now)] if whole else []
        try:
            await self._record.append(event.raw, "block", messages, frame=True)
        except JournalError:
            self._refuse("not stored")
            return
        self._held = [] if whole else blocks_now
        self._say(self._framing.ack)
        self._hooks.handshake()
        await self._stored(messages)

    async def _damaged(self, event: blocks.Damaged) -> None:
        self._begin()
        self._record.refused(event.raw, event.reason)
        self._refuse(event.reason)

    async def _control(self, event: blocks.Control) -> None:
        if event.raw == self._framing.message_end and self._held:
            await self._finish(event.raw)
            return
        if not event.reply:
            self._record.noise(event.raw)
            return
        self._begin()
        try:
            await self._record.append(event.raw, "control")  # is the disk well? only then say so
        except JournalError:
            self._refuse("not stored")
            return
        self._say(event.reply)
        self._hooks.handshake()

    async def _junk(self, event: blocks.Junk) -> None:
        self._record.noise(event.raw)
        self._hooks.noise(event.raw)

    # ---- messages

    def _begin(self) -> None:
        if not self._begun:
            self._record.begin()
            self._begun = True

    def _message(self, of: Sequence[blocks.Block], incomplete: bool = False) -> Message:
        return self._record.message(b"".join(block.raw for block in of), incomplete)

    async def _finish(self, raw: bytes) -> None:
        """The sender says that its blocks are a message now; they are stored already."""
        message = self._message(self._held)
        try:
            await self._record.append(raw, "end of message", messages=(message,))
        except JournalError:  # the blocks are stored: the next start finds the session without an end
            return
        self._held = []
        await self._stored([message])

    async def _stored(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self._hooks.message(message)
            if self._hooks.answer:
                answers: list[bytes] | None = await asyncio.to_thread(self._hooks.answer, message)
                for text in answers or []:
                    self._say(self._framing.wrap(text))
        if messages:
            self._record.later(b"", "answered", ends="answered")
            self._begun = False

    async def _cut(self, how: str) -> None:
        held, self._held = self._held, []
        if not held:
            self._record.close(how)
            return
        message = self._message(held, incomplete=True)
        try:
            await self._record.append(b"", how, messages=(message,), ends=how)
        except JournalError:
            return
        self._hooks.message(message)

    def _say(self, data: bytes) -> None:
        if data:
            self._record.say(data)

    def _refuse(self, why: str) -> None:
        self._say(self._framing.nak)
        self._hooks.refused(why)
