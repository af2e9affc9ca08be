"""Our side of an HL7 dialogue: what we send by ourselves, each message when the one before it was answered.

Turns bodies to send into those that may leave now, and replies into outcomes. Law: no I/O, no clock; one message of
ours is unanswered at a time (MLLP is synchronous, ML-03); what needs no answer (RSP, QCK, ORR) leaves at once.
Source: HL7 v2.5.1 2.9 (MSA-1: AA accepts, AE AR CE CR refuse; after CA, which accepts the message itself, the word on
its content is still to come); IHE LAW LAB-28 (ORL^O34: ORC-1 UA, unable).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from drivers.driver import WireError
from drivers.wire import hl7
from middleware.downloads import Basket, Download, Outcome

PATIENCE = 30.0  # seconds for the reply to a message of ours
ASKING = frozenset({"OML", "ORM", "DSR"})  # kinds that the analyzer answers
ACCEPTED, COMMITTED, REFUSED = "AA", "CA", frozenset({"AE", "AR", "CE", "CR"})


class _Item(NamedTuple):
    body: bytes
    control: str  # MSH-10
    download: Download | None


class Reply(NamedTuple):
    """What the analyzer said of a message of ours; `why` is "" when it took it, `last` False when more is to come."""

    control: str
    why: str
    last: bool


class Talk:
    """What is still to be said on one connection, and the message that waits for its reply."""

    def __init__(self, basket: Basket | None = None) -> None:
        """`basket`: where the outcome of each download is told."""
        self._basket = basket
        self._due: deque[_Item] = deque()
        self._awaited: _Item | None = None
        self._committed = False  # it was accepted (CA), and nothing was said of its content yet

    @property
    def open(self) -> bool:
        """Does a message of ours wait for its reply?"""
        return self._awaited is not None

    @property
    def unheard(self) -> bool:
        """Is it an answer to a query, of which nothing was said?"""
        return self._awaited is not None and self._awaited.download is None and not self._committed

    def say(self, bodies: Sequence[bytes], download: Download | None = None) -> list[bytes]:
        """These are to be sent, in this order; those that leave now."""
        now: list[bytes] = []
        later: list[_Item] = []
        for body in bodies:
            kind, control = _named(body)
            if kind in ASKING or later or download is not None:
                later.append(_Item(body, control, download))
            else:
                now.append(body)
        self._due += later
        return now + self._next()

    def heard(self, body: bytes) -> list[bytes]:
        """A reply of the analyzer: what leaves now. [] when it is no reply to what waits."""
        item, reply = self._awaited, _reply(body)
        if item is None or reply is None or reply.control not in ("", item.control):
            return []
        if not reply.last:
            self._committed = True
            return []
        self._awaited, self._committed = None, False
        if reply.why:
            self._forget(item.download)
            self._tell(item.download, Outcome.REFUSED, reply.why)
        else:
            self._taken(item)
        return self._next()

    def expire(self) -> list[bytes]:
        """No reply came: nothing of what waits is sent any more. After CA it counts as taken: what leaves now."""
        item, self._awaited = self._awaited, None
        committed, self._committed = self._committed, False
        if item is not None and committed:
            self._taken(item)
            return self._next()
        if item is not None:
            self._tell(item.download, Outcome.FAILED, f"no reply in {PATIENCE:.0f} s")
        self._drop()
        return []

    def close(self) -> None:
        """The connection ends: downloads stay pending."""
        item, self._awaited, self._committed = self._awaited, None, False
        if item is not None:
            self._due.appendleft(item)
        self._drop()

    def _taken(self, item: _Item) -> None:
        if not any(other.download is item.download for other in self._due):
            self._tell(item.download, Outcome.SENT)

    def _drop(self) -> None:
        for item in self._due:
            if item.download is not None and self._basket is not None:
                self._basket.back(item.download)
        self._due.clear()

    def _next(self) -> list[bytes]:
        if self._awaited is not None or not self._due:
            return []
        self._awaited = item = self._due.popleft()
        return [item.body]

    def _forget(self, download: Download | None) -> None:
        if download is not None:
            self._due = deque(item for item in self._due if item.download is not download)

    def _tell(self, download: Download | None, outcome: Outcome, why: str = "") -> None:
        if download is not None and self._basket is not None:
            self._basket.tell(download, outcome, why)


def _named(body: bytes) -> tuple[str, str]:
    head = hl7.parse(body.partition(b"\r")[0] + b"\r")[0]
    return head["9.1"] or "", head["10"] or ""


def _reply(body: bytes) -> Reply | None:
    """What a reply says; None when it says neither yes nor no."""
    try:
        segments = hl7.parse(body)
    except WireError:
        return None
    told = next((segment for segment in segments if segment.type == "MSA"), None)
    code = (told["1"] or "") if told is not None else ""
    if told is None or code not in (ACCEPTED, COMMITTED, *REFUSED):
        return None
    unable = sum(segment.type == "ORC" and segment["1"] == "UA" for segment in segments)
    why = f"{code} {told['3'] or ''}".strip() if code in REFUSED else ""
    if unable:
        why = f"{why} {unable} tests the analyzer cannot take (UA)".strip()
    return Reply(told["2"] or "", why, last=code != COMMITTED)
