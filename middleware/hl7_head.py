"""What an HL7 message is, by its MSH alone: enough to answer it before anybody reads the rest.

Turns the bytes of a message into its head. Law: a head that breaks the rules is read as far as its sender can be told
by it, for an analyzer that hears nothing repeats for ever; what may be a reply is never taken for a message to answer,
for two sides that acknowledge acknowledgements never stop.
Source: HL7 v2.5.1 2.6 (delimiters), 2.9 (acknowledgement), 2.15.9 (MSH).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from drivers.driver import WireError
from drivers.wire import hl7

QUERIES = frozenset({"QRY", "QBP", "ORM", "OSQ"})  # answered by a message of their own
RESULTS = frozenset({"ORU", "OUL", "ESU", "SSU", "NMD", "OPU"})
REPLIES = frozenset({"ACK", "ORR", "ORL", "RSP", "DSR", "MCF", "QCK"})  # never acknowledged, or both sides never stop
_KIND = re.compile(r"[A-Z]{3}(?![A-Z0-9])|[A-Z0-9_]*")  # ORU^R01, and ORU_R01 of one that has its own idea of MSH-9
_MSA = re.compile(rb"[\r\n]MSA", re.IGNORECASE)


class Head(NamedTuple):
    """`segments`: the MSH alone, none when this is no HL7; `kind`: MSH-9.1; `broken`: MSH breaks the rules."""

    segments: list[hl7.Segment]
    kind: str = ""
    broken: bool = False


def head_of(body: bytes) -> Head:
    """The head of a message."""
    broken = False
    try:
        segments = hl7.parse(body.lstrip().partition(b"\n")[0].partition(b"\r")[0] + b"\r")
    except WireError:
        segments, broken = hl7.rough_head(body), True
    if not segments:
        return Head([])
    found = _KIND.match((segments[0]["9.1"] or "").strip().upper())  # as the driver reads it: whatever its capitals
    kind = found[0] if found else ""
    return Head(segments, "ACK" if (broken or not kind) and _MSA.search(body) else kind, broken)
