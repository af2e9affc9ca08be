"""Faults of the exchange: replies not seen, things said twice or too early, questions asked, messages left without end.

Turns a line into a line on which it goes wrong. Law: the simulated session behind it is an honest one, and what the
lab refused is never passed on as accepted. Source: LIS01-A2 6.2.7.1, 6.3.4, 6.5; MLLP; the habits of real lines.
"""

from __future__ import annotations

import re

from simulators.fault_rig import Layer, Rig, Spoilt
from simulators.framing import ACK, CR, ENQ, EOT, FS, NAK, VT, control_id, frame, is_block, is_frame, opened
from simulators.line import Line

REPLY = 15.0  # seconds, 6.5.2.3
NAMELESS = b"H|\\^&"
_LAST_RECORD = re.compile(rb"(?:\A|(?<=\r))L[^A-Za-z0-9]")


class LostAck(Layer):
    """The reply is lost on its way; the analyzer says the same frame or block again."""

    def __init__(self, line: Line, rig: Rig) -> None:
        super().__init__(line, rig)
        self._said = b""

    def write(self, data: bytes) -> None:
        """Remember what may have to be said again."""
        self._said = data if is_frame(data) or is_block(data) else b""
        self.line.write(data)

    def read(self, seconds: float) -> bytes:
        """Now and then an ACK, or a block of the lab, is not seen."""
        came = self.line.read(seconds)
        if self._said and came[:1] in (ACK, VT) and came and self.rig.strikes():
            self.line.write(self._said)
            return b""
        return came


class Repeated(Layer):
    """A frame or block goes out twice in one write; one of the two replies counts."""

    def __init__(self, line: Line, rig: Rig) -> None:
        super().__init__(line, rig)
        self._twice, self._replies = False, b""

    def write(self, data: bytes) -> None:
        """Once or twice."""
        self._replies = b""
        self._twice = (is_frame(data) or is_block(data)) and self.rig.strikes()
        self.line.write(data + data if self._twice else data)
        self._twice = self._twice and is_frame(data)  # of two HL7 answers the session itself takes the one it wants

    def read(self, seconds: float) -> bytes:
        """The first of two replies, when both have come."""
        came = self.line.read(seconds)
        if not self._twice:
            return came
        self._replies += came
        if len(self._replies) < 2:
            return b""
        first, self._replies, self._twice = self._replies[:1], b"", False
        return first


class Merged(Layer):
    """The analyzer does not wait for the reply to a frame: two frames, or EOT and the next ENQ, in one write."""

    def __init__(self, line: Line, rig: Rig) -> None:
        super().__init__(line, rig)
        self._held, self._owed = b"", 0

    def write(self, data: bytes) -> None:
        """Held back, or written with what was held."""
        if is_frame(self._held) and data == EOT:
            self._flush()
        glued, self._held = self._held + data, b""
        self._owed = int(is_frame(glued) and glued != data)
        if glued == data and data != ENQ and self.rig.strikes():
            self._held = data
        else:
            self.line.write(glued)

    def read(self, seconds: float) -> bytes:
        """The session hears that a held frame was taken; the true reply is asked for with the next."""
        if is_frame(self._held):
            return ACK
        if seconds and self._held:
            self.line.write(self._held)
            self._held = b""
        came = self.line.read(seconds)
        if self._owed and came:
            self._owed = 0
            _must_be(ACK, came[:1])
            came = came[1:]
        return came

    def _flush(self) -> None:
        self.line.write(self._held)
        self._held = b""
        _must_be(ACK, self.hear(REPLY))

    def close(self) -> None:
        """What is held is said before the end."""
        if self._held == EOT:
            self.line.write(EOT)
        self.line.close()


def _must_be(wanted: bytes, came: bytes) -> None:
    """A frame we did not wait for was not accepted: only the whole message again can mend that."""
    if came != wanted:
        raise ConnectionError("a frame sent ahead was not accepted")


class Asking(Layer):
    """Before a session, a query: so that the lab has something to say."""

    def write(self, data: bytes) -> None:
        """A query session, then what the fault is about."""
        if data == ENQ and self.rig.strikes():
            if self._query():
                self.met()
            else:
                self.rig.missed(for_good=True)  # asking before every message would be another fault
        self.line.write(data)

    def met(self) -> None:
        """The lab's ENQ is here."""

    def _question(self) -> bytes:
        """Under the header of what it is about to say, as a message of its own: its name, its delimiters."""
        head = self.rig.body.partition(CR)[0] or NAMELESS
        field, part = head[1:2], head[3:4]
        asked = [b"Q", b"1", part + self.rig.options["sample"].encode(), b"", b"ALL", *[b""] * 7, b"O"]
        return CR.join((head, field.join(asked), field.join((b"L", b"1", b"N")), b""))

    def _query(self) -> bool:
        """True when the query was taken and the lab's ENQ came."""
        self.line.write(ENQ)
        if self.hear(REPLY) != ACK:
            return False
        self.line.write(frame(1, self._question()))
        taken = self.hear(REPLY) == ACK
        self.line.write(EOT)
        return taken and self.hear(self.rig.number("wait")) == ENQ


class Contention(Asking):
    """The lab's ENQ and ours meet: ours stands (6.2.7.1)."""

    def __init__(self, line: Line, rig: Rig) -> None:
        super().__init__(line, rig)
        self._met = False

    def met(self) -> None:
        """Our session shall see the lab's ENQ as the answer to its own."""
        self._met = True

    def read(self, seconds: float) -> bytes:
        """The lab's ENQ first."""
        if self._met and seconds:
            self._met = False
            return ENQ
        return self.line.read(seconds)


class EndlessNak(Asking):
    """The lab may begin, and not one of its frames is accepted."""

    def met(self) -> None:
        """ACK to ENQ, NAK to everything until EOT."""
        self.line.write(ACK)
        heard = b""
        while not heard.endswith(EOT):
            came = self.hear(REPLY)
            heard += came
            if not came:
                return
            if heard.endswith(b"\n"):
                self.line.write(NAK)


class EotWithoutL(Layer):
    """The session ends before the message does."""

    def write(self, data: bytes) -> None:
        """EOT where the L record should be."""
        made = opened(data)
        last = _LAST_RECORD.search(made.text) if made else None
        if made is None or last is None or not self.rig.strikes():
            self.line.write(data)
            return
        if last.start():
            self.line.write(frame(made.number, made.text[: last.start()]))
            self.hear(REPLY)
        self.line.write(EOT)
        raise Spoilt("EOT without L")


class NoFs(Layer):
    """The block has no end."""

    def write(self, data: bytes) -> None:
        """Everything but FS CR; the message comes again."""
        if not is_block(data) or not self.rig.strikes():
            self.line.write(data)
            return
        self.line.write(data[: data.rfind(FS)])
        raise Spoilt("a block without FS")


class NeverReads(Layer):
    """The analyzer takes every message for accepted and never reads what the lab says."""

    def __init__(self, line: Line, rig: Rig) -> None:
        super().__init__(line, rig)
        self._believed, self._deaf = b"", False

    def write(self, data: bytes) -> None:
        """What it believes to have been told."""
        self._deaf = self.rig.strikes() if is_block(data) else self._deaf
        if self._deaf and is_block(data):
            head = b"MSH|^~\\&|||||||ACK|1|P|2.3.1\rMSA|AA|"
            self._believed = VT + head + control_id(data) + CR + FS + CR
        self.line.write(data)

    def read(self, seconds: float) -> bytes:
        """Not from the line."""
        if not self._deaf:
            return self.line.read(seconds)
        told, self._believed = self._believed, b""
        return told
