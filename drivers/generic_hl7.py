"""Any well-behaved analyzer: sample id in SPM-2 or OBR-3, test code in OBX-3 component 1. HL7 v2 over MLLP.

Manual  HL7 v2.3.1 to 2.5.1 chapter 7 (ORU^R01, OUL^R22); the analyzer's own manual must agree: check before connecting
Proof   manual: the standard itself

Where things sit: sample SPM-2 (OUL^R22 before the rows, ORU^R01 of 2.5 behind them), its placer's part or its filler's,
else SAC-3, the container, else OBR-3 component 1 · code OBX-3 component 1, name component 2, else the alternate ones (4
and 5) · value OBX-5 whole, of SN `<^5` as `<5`, of CE, CWE and CNE the text (component 2, else the code) · unit OBX-6
component 1 · range OBX-7 · flags OBX-8 · status OBX-11 · time OBX-14, else OBX-19, else OBR-7 · control MSH-11 Q or
SPM-11 Q.
Quirks: A query is QBP^Q11 of 2.5.1 with the tube in QPD-3; the answer is RSP^K11, then OML^O33 (engine/law), which may
come without a question too (LAB-28). A code is taken as a catalogue code or a LOINC when it equals one; anything else
is mapped in config/analyzers.toml.
Cannot: answer other queries; know suspects or reruns of an analyzer it does not know.
"""

import re
from dataclasses import replace

from drivers.driver import HL7, Decoded, Grade, Kind, Message, Observation
from drivers.engine.form import ByType
from drivers.engine.law import answerer, pusher, settles
from drivers.engine.rows import with_codes
from drivers.wire import hl7
from drivers.wire.hl7 import Segment

STRUCTURED = re.compile(rb"OBX\W[^\r\n]{0,6}?\W(?:SN|CE|CWE|CNE)\W")  # OBX-1, OBX-2


def settled(said: Decoded, message: Message) -> Decoded:
    """Structured numbers and coded values as people write them, a code's digits are no number; the alternate code."""
    said = settles(said, message)
    head = message.body.lstrip()[:5]  # up to the mark of components: a value without it has no structure
    if head.isascii() and head[:3] == b"MSH":
        mark = head[4:].decode("ascii")
        if not [row for row in said.observations if row.code is None or mark in (row.raw or "")]:
            return said
    unnamed = [row for row in said.observations if row.code is None]
    if not said.observations or not (unnamed or STRUCTURED.search(message.body)):
        return said
    sent = [segment for segment in hl7.parse(message.body) if segment.type == "OBX"]
    rows = [_plain(row, segment) for row, segment in zip(said.observations, sent, strict=True)]
    return with_codes(said, tuple(rows))


def _plain(row: Observation, sent: Segment) -> Observation:
    if row.code is None:
        row = row._replace(code=(sent["3.4"] or "").strip() or None, name=(sent["3.5"] or "").strip() or row.name)
    type_ = (sent["2"] or "").strip() if row.raw else ""
    parts = [part.strip() for part in (row.raw or "").split(sent.delimiters.component)]
    if type_ == "SN":
        return row._replace(value="".join(parts[:4]))
    return row._replace(value=[*parts[1:2], ""][0] or parts[0]) if type_ in ("CE", "CWE", "CNE") else row


DRIVER = replace(
    HL7,
    name="generic_hl7",
    title="any analyzer speaking HL7 v2",
    grade=Grade.MANUAL,
    sample_id=("SPM.2.1.1", "SPM.2.2.1", "SAC.3.1", "OBR.3.1"),
    code_name="OBX.3.2",
    observed_at=("OBX.14", "OBX.19", "OBR.7"),
    control=(("MSH.11", "Q"), ("SPM.11.1", "Q")),
    query_id="QPD.3.1.1",
    codes_are_catalogue=True,
    unlisted=ByType(ED=Kind.IMAGE, RP=Kind.IMAGE),  # encapsulated data is a picture
    settles=settled,
    answers=answerer("L"),
    pushes=pusher("L"),
)
