"""Listens to a line for some seconds, so that it can be said who speaks there: `labmitra identify --listen`.

Turns a line's URL into the bytes it gave. Law: what is not on disk is never acknowledged. By itself this listener says
nothing, and the analyzer keeps its data. `Busy` answers ENQ with NAK: the analyzer waits 10 s, asks again, and keeps
its data too (LIS01-A2 6.2.6). `Keeping` alone acknowledges: each frame or block is written to a new file and synced
before its ACK leaves; what was acknowledged the analyzer will not send again, so that file is then the only copy.
Source: LIS01-A2 6.2.6, 6.5; HL7 v2 2.9.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from drivers.driver import WireError
from drivers.wire import hl7, lis1a, mllp
from middleware.hl7_head import RESULTS
from middleware.kit import Misuse
from middleware.kit.identify import MOST
from middleware.kit.stream import ENQ, NAK
from middleware.transports import Line, Wire, line

SILENCE = 0.5  # seconds of a read; a timer of the frame receiver is looked at as often
_NUL = b"\x00"


class Cannot(Misuse):
    """The line cannot be listened to; the text says why and what to do."""


class Answers(Protocol):
    """What is said to the analyzer."""

    def begins(self) -> None:
        """Somebody connected: what was half said before is over."""

    def heard(self, data: bytes | None, _waited: float) -> bytes:
        """The reply to these bytes; None: nothing came for so many seconds."""


class Silent:
    """Says nothing: the analyzer times out and keeps its data."""

    def begins(self) -> None:
        """Nothing."""

    def heard(self, _data: bytes | None, _waited: float) -> bytes:
        """Nothing."""
        return b""


class Busy:
    """Answers an ENQ outside frames with NAK: busy, keep it."""

    def begins(self) -> None:
        """Nothing."""

    def heard(self, data: bytes | None, _waited: float) -> bytes:
        """NAK after an ENQ that the analyzer now waits on."""
        return NAK if data is not None and data.rstrip(_NUL).endswith(ENQ) else b""


class Keeping:
    """Acknowledges what a new file holds, synced. `kept` counts frames and blocks."""

    def __init__(self, path: Path, now: Callable[[], datetime]) -> None:
        """FileExistsError when the file is there: nothing is written over or mixed with what was kept before."""
        self.path, self.kept, self._now = path, 0, now
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
        self.begins()

    def begins(self) -> None:
        """A new connection: the frames and blocks of the last one are over."""
        self._frames, self._blocks = lis1a.Receiver(free_numbering=True), mllp.Receiver()
        self._hl7 = False
        self._waited = 0.0

    def close(self) -> None:
        """No more."""
        os.close(self._file)

    def heard(self, data: bytes | None, _waited: float) -> bytes:
        """Acknowledgements of what is on disk now."""
        if data is None:
            self._waited += _waited
            timer = self._frames.timer
            if timer is None or self._waited < timer.seconds:
                return b""
            return self._said(self._frames.expire())
        self._waited = 0.0
        self._hl7 = self._hl7 or mllp.VT in data
        if self._hl7:
            return b"".join(self._block(event) for event in self._blocks.receive(data))
        try:
            return self._said(self._frames.receive(data))
        except WireError:  # it sends on and on without waiting: nothing of that is acknowledged
            self._store(data)
            return b""

    def _said(self, events: Sequence[lis1a.Event]) -> bytes:
        said = b""
        while events:
            said += b"".join(self._answered(event) for event in events)
            events = self._frames.receive(b"")
        return said

    def _answered(self, event: lis1a.Event) -> bytes:
        stored = self._store(event.raw)
        if isinstance(event, lis1a.SessionBegan):
            return self._frames.accept() if stored else self._frames.refuse()
        if isinstance(event, lis1a.FrameArrived):
            self.kept += stored and not event.repeat
            return self._frames.accept() if stored else self._frames.refuse()
        return self._frames.refuse() if isinstance(event, lis1a.FrameRefused) else b""

    def _block(self, event: mllp.Event) -> bytes:
        stored = self._store(event.raw)
        if not isinstance(event, mllp.Block) or not stored:
            return b""
        self.kept += 1
        return b"".join(map(mllp.block, self._acknowledged(event.body)))

    def _acknowledged(self, body: bytes) -> list[bytes]:
        """As MSH-15 and MSH-16 ask; a query is not answered here."""
        try:
            asked = hl7.parse(body)
            if (asked[0]["9.1"] or "") not in RESULTS:
                return []
            at = f"{self._now():%Y%m%d%H%M%S}"
            return [hl7.acknowledge(asked, code, at=at, control_id=f"K{self.kept}") for code in hl7.codes(asked)]
        except WireError:
            return []

    def _store(self, raw: bytes) -> bool:
        """On disk, synced. False when it is not: nothing is acknowledged then."""
        try:
            while raw:
                raw = raw[os.write(self._file, raw) :]
            os.fsync(self._file)
        except OSError:
            return False
        return True


@dataclass(slots=True)
class Heard:
    """What was heard: the analyzer's bytes, how often somebody connected, why nobody could."""

    data: bytearray = field(default_factory=bytearray)
    peers: list[str] = field(default_factory=list)
    downs: list[str] = field(default_factory=list)
    address: str = ""


def line_of(url: str, dials: bool) -> Line:
    """The line to listen on: tcp://HOST:PORT is a port of ours (or with `dials` the analyzer's), serial: a cable.
    Cannot when the URL names none."""
    listens = url.startswith("tcp://") and not dials
    try:
        return line(f"tcp-listen://{url.removeprefix('tcp://')}" if listens else url)
    except ValueError as wrong:
        raise Cannot(str(wrong)) from wrong


def listen(
    line_: Line, seconds: float, answers: Answers, tell: Callable[[str], None] = lambda _text: None
) -> Heard:
    """Listen so long, or until as much came as is looked at. `tell` is told when somebody connects and what comes.

    Cannot when the port cannot be had; Ctrl-C ends it with what was heard until then."""
    heard = Heard()
    with suppress(KeyboardInterrupt):
        asyncio.run(_listen(line_, seconds, answers, heard, tell))
    return heard


async def _listen(line_: Line, seconds: float, answers: Answers, heard: Heard, tell: Callable[[str], None]) -> None:
    full = asyncio.Event()
    speaking: list[Wire] = []

    def state(kind: str, text: str) -> None:
        if kind == "listening":
            heard.address = text
        elif text in heard.downs:
            return
        else:
            heard.downs.append(text)
        tell(f"{kind}: {text}")

    async def handle(wire: Wire) -> None:
        heard.peers.append(wire.peer)
        tell(f"connected: {wire.peer}")
        for older in speaking:  # one at a time: two conversations in one file could not be told apart
            older.close()
        speaking[:] = [wire]
        answers.begins()
        await _record(wire, answers, heard, lambda: full.is_set() or speaking[0] is not wire)
        if len(heard.data) >= MOST:
            full.set()

    running = asyncio.ensure_future(line_.run(handle, state))
    ended = asyncio.ensure_future(full.wait())
    done, _ = await asyncio.wait({running, ended}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for task in (running, ended):
        task.cancel()
    results = await asyncio.gather(running, ended, return_exceptions=True)
    if running in done and isinstance(results[0], OSError):
        raise Cannot(
            f"the line cannot be had: {results[0].strerror or results[0]}. Does the middleware hold it? Set "
            "enabled = false for that analyzer and restart it first"
        )


async def _record(wire: Wire, answers: Answers, heard: Heard, over: Callable[[], bool]) -> None:
    before = time.monotonic()
    while len(heard.data) < MOST:
        data = await wire.read(SILENCE)
        if data == b"" or over():
            return
        heard.data += data or b""
        reply = answers.heard(data, time.monotonic() - before)
        before = time.monotonic()
        if reply:
            wire.write(reply)
