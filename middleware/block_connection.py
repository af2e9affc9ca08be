"""One connection of one analyzer that speaks in blocks: read, journal, acknowledge, hand on, answer.

Turns bytes of a wire into stored messages for every dialect that is neither LIS01 nor MLLP. Law: as in `connection`:
the acknowledgement leaves after the journal's commit, never before; a block that is damaged or cannot be stored is
refused; every byte of both directions is journaled. A message's body is the raw bytes of its blocks, joined. What we
send beyond acknowledgements (receipts, answers) is sent again when it is refused.
Source: drivers/wire/blocks; the framings of the analyzers' manuals.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from drivers.driver import Message
from drivers.wire import blocks
from middleware.answers import answers_to
from middleware.block_sender import BlockSender
from middleware.connection import Hooks
from middleware.journal import Journal, JournalError
from middleware.journal_file import BLOCKS
from middleware.recorder import Recorder
from middleware.transports import Wire


class BlockConnection:
    """A serial line or a TCP connection in one of the block dialects."""

    def __init__(self, wire: Wire, journal: Journal, analyzer: str, hooks: Hooks, framing: blocks.Framing) -> None:
        """`framing`: how this analyzer marks its blocks and what it is answered."""
        self._wire, self._hooks, self._framing = wire, hooks, framing
        self._record = Recorder(journal, wire, analyzer, BLOCKS)
        self._receiver = blocks.Receiver(framing)
        self._sender = BlockSender(framing)
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
                if data:
                    await self._handle(self._receiver.receive(data))
                elif self._receiver.open:
                    await self._handle(self._receiver.expire())
                else:
                    self._turn(b"", self._sender.expire())
        finally:
            await self._handle(self._receiver.expire())
            await self._cut("closed")

    def _seconds(self) -> float | None:
        timer = self._receiver.timer
        return timer.seconds if timer else self._sender.seconds

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
        self._sender.give_up()  # the analyzer goes on: it does not wait for what we had to say
        self._say(self._framing.ack)
        self._hooks.handshake()
        receipt = self._framing.receipt(event.text)
        if receipt:
            self._say(self._sender.add([receipt]))
        await self._stored(messages)

    async def _damaged(self, event: blocks.Damaged) -> None:
        self._begin()
        self._record.refused(event.raw, event.reason)
        self._refuse(event.reason)

    async def _control(self, event: blocks.Control) -> None:
        if event.raw == self._framing.message_end and self._held:
            await self._finish(event.raw)
            return
        said = self._sender.heard(event.raw)
        if said is not None:
            self._turn(event.raw, said)
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
        held, self._held = self._held, []
        message = self._message(held)
        try:
            await self._record.append(raw, "end of message", (message,), owed=True)
        except JournalError:  # its blocks are stored and acknowledged: it comes with the next commit
            self._record.later(b"", "to be stored", ends="answered")
            self._begun = False
        else:
            await self._stored([message])

    async def _stored(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self._hooks.message(message)
            if self._hooks.answer:
                self._say(self._sender.add(await answers_to(self._hooks.answer, message)))
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
            await self._record.append(b"", how, (message,), how, owed=True)
        except JournalError:  # it comes with the next commit
            return
        self._hooks.message(message)

    def _turn(self, heard: bytes, data: bytes) -> None:
        """Our turn: what the analyzer replied, what we send next; the conversation ends when there is nothing more."""
        self._begin()
        if heard:
            self._record.later(heard, "reply")
        self._say(data)
        ends = "" if self._sender.seconds else "answered"
        self._record.later(b"", "our turn", ends=ends)
        self._begun = not ends

    def _say(self, data: bytes) -> None:
        if data:
            self._record.say(data)

    def _refuse(self, why: str) -> None:
        self._say(self._framing.nak)
        self._hooks.refused(why)
