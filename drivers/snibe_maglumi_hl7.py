"""Snibe Maglumi 600 to 4000, X3, X6 and X8, immunoassay, in its HL7 mode. HL7 2.5 OUL^R22 over MLLP.

Manual  Snibe, MAGLUMI operating instructions, appendix on HL7
Proof   capture: one result; not yet run beside a lab's own analyzer

Where things sit: sample SPM-2 component 1 · code OBX-3, the assay's name with the generation of its reagent (`TT3 II`)
· value OBX-5 component 1 (`4.53^`; OBX-2 is empty) · unit OBX-6 · range OBX-7 (`0.3 to 4.5`) · flags OBX-8 · status
OBX-11 · time OBX-19, the analysis; OBX-14 is the order's · control SPM-11 Q (P a patient).
Quirks: OBX-1 does not count on. MSH-15 and MSH-16 are NE: the analyzer wants no acknowledgement and gets none. A sample
that was diluted by hand reports as `id dil`: that names no tube of ours and is left to a person. A message TSREQ is a
query, the sample in QPD-3 component 1.
Cannot: answer its query (it is kept and shown).
"""

from dataclasses import replace

from drivers.driver import HL7, Decoded, Grade, Message, MessageType
from drivers.engine.snibe import CONTROL_ID, TESTS
from drivers.wire import hl7


def asked(decoded: Decoded, message: Message) -> Decoded:
    """TSREQ asks for the work of a tube."""
    if decoded.type is not MessageType.OTHER:
        return decoded
    header, *segments = hl7.parse(message.body)
    if (header.raw("9.1") or "").strip() != "TSREQ":
        return decoded
    tubes = [segment for segment in segments if segment.type == "QPD" and (segment["3.1"] or "").strip()]
    ids = tuple((tube["3.1"] or "").strip() for tube in tubes)
    raws = tuple(tube.raw("3") or "" for tube in tubes)
    return replace(decoded, type=MessageType.QUERY, query_sample_ids=ids, query_raw=raws)


DRIVER = replace(
    HL7,
    name="snibe_maglumi_hl7",
    title="Snibe Maglumi (HL7)",
    grade=Grade.CAPTURE,
    sample_id="SPM.2.1.1",
    value="OBX.5.1",
    observed_at=("OBX.19.1", "OBX.14.1", "MSH.7"),
    control=(("SPM.11.1", "Q"), ("MSH.11", "Q")),
    control_id=CONTROL_ID,
    pseudo=r"0+|.* dil",
    tests=TESTS,
    settles=asked,
)
