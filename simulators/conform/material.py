"""What the kit says to a peer, and what it has heard from it that several cases look at.

Turns a driver's name into messages that analyzer would send. Law: every message is marked as debugging (H-12 D,
MSH-11 D) and names samples that nobody registered; a query asks for the sample CONFORM.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from drivers.driver import load_driver
from simulators.conform.talk import Missing, Stuck, Talk, take
from simulators.day import ANALYZERS, INDIA, made_up_day, plan
from simulators.framing import ACK, ENQ, EOT, NAK, STX

GENERIC = {"LIS2-A2": "generic_astm", "HL7": "generic_hl7"}
PEER_TURN = 20.0  # seconds for a host to answer a query by its ENQ


@dataclass
class Material:
    """One run's words. `host`: the peer is a host, which a query makes a sender; else it is an analyzer."""

    driver: str
    host: bool = True
    wait: float = 120.0  # seconds for an analyzer to begin a session by itself
    tell: Callable[[str], None] = lambda _: None
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _recorded: list[bytes] | None = None
    mute: str = ""  # why the peer will not begin, once that is known

    @cached_property
    def speaks(self) -> str:
        """LIS2-A2 or HL7. KeyError when there is no such driver."""
        return load_driver(self.driver).speaks

    @cached_property
    def body(self) -> bytes:
        """A message with results, as this analyzer sends it."""
        name = self.driver if self.driver in ANALYZERS else GENERIC[self.speaks]
        made = plan(made_up_day(1, datetime(2026, 1, 5, 9, tzinfo=INDIA), count=4), name)[-1].said.body
        return _field(made, b"MSH" if self.speaks == "HL7" else b"H", 11 if self.speaks == "HL7" else 12, b"D")

    # ---- ASTM

    @cached_property
    def records(self) -> list[bytes]:
        """The records of the message, each with its CR; to an analyzer nothing but H and L is said."""
        records = self.body.splitlines(keepends=True)
        return records if self.host else [records[0], records[-1]]

    @cached_property
    def query(self) -> list[bytes]:
        """H, Q, L: "what shall I run on the sample CONFORM?", its id where this driver reads it."""
        mark, part = self.records[0][1:2], self.records[0][3:4]
        path = load_driver(self.driver).query_id or "Q.3.2"
        place = int(path.split(".")[2]) if path.count(".") > 1 else 1
        fields = [b"Q", b"1", part * (place - 1) + b"CONFORM", b"", b"ALL", *[b""] * 7, b"O"]
        return [self.records[0], mark.join(fields) + b"\r", self.records[-1]]

    def provoke(self, talk: Talk) -> None:
        """Have the peer send ENQ. Missing when it never does."""
        if self.mute:
            raise Missing(self.mute)
        if self.host:
            self._ask(talk)
            answer = talk.until(ENQ, PEER_TURN)
            why = f"this host sends no ENQ after a query ({PEER_TURN:.0f} s)"
        else:
            self.tell(f"waiting for the analyzer to begin: let it send a result (at most {self.wait:.0f} s)")
            answer = talk.until(ENQ, self.wait)
            why = f"the analyzer began no session within {self.wait:.0f} s"
        if answer.data.endswith(ENQ):
            return
        said = answer.data.strip(EOT + ACK + NAK)  # the end of what was before
        if said and (STX in said or not self.host):
            raise Stuck(f"instead of ENQ: {answer}")
        self.mute = why  # a host's byte too many is for the clauses of a receiver to judge
        raise Missing(why)

    def _ask(self, talk: Talk) -> None:
        try:
            talk.session(self.query)
        except Stuck as wrong:
            raise Missing(f"it did not take the query that makes it send: {wrong}") from wrong

    def recorded(self, talk: Talk) -> list[bytes]:
        """The frames of one whole session of the peer, taken once for all the cases that only look at them."""
        with self._lock:
            if self._recorded is None:
                self.provoke(talk)
                self._recorded = take(talk)
            return self._recorded

    # ---- HL7

    def hl7(self, **fields: bytes) -> bytes:
        """The message with a control id of its own; `msh15=b"AL"` sets MSH-15."""
        with self._lock:
            number = next(self._numbers)
        body = _field(self.body, b"MSH", 10, b"CF%d" % number)
        for name, value in fields.items():
            body = _field(body, b"MSH", int(name[3:]), value)
        return body


def _field(body: bytes, name: bytes, number: int, value: bytes) -> bytes:
    """The body with field `number` of its first line set; MSH-1 is the delimiter itself."""
    first, end, rest = body.partition(b"\r")
    mark = first[len(name) : len(name) + 1]
    fields = first.split(mark)
    fields += [b""] * (number - len(fields))
    fields[number - 1] = value
    return mark.join(fields) + end + rest
