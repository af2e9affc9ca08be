"""Siemens Clinitek Status, Status+ and Status Connect, urine strips. HL7 2.4 over MLLP (by the vendor's connector).

Manual  Siemens, Clinitek Status Connect LIS interface (HL7 2.4 ORU^R01)
Proof   capture: a patient's strip; not yet run beside a lab's own analyzer

Where things sit: sample PID-3, the id typed or scanned (OBR-3 is the running number, OBR-4 the strip) · code OBX-3, a
bare code (GLU, BIL, KET, SG, BLO, pH, PRO, URO, NIT, LEU, COL, CLA) · value OBX-5, words or steps (`Negative`, `1+`,
`<=1.005`) · unit OBX-6 · flag OBX-8 · range OBX-7 · status OBX-11 · time OBX-19, without seconds · control OBR-15
component 7 Q (P a patient). A message of quality control has no PID; notes say its lots as `key:value`.
Quirks: Small, moderate and large are the 1+, 2+ and 3+ of the strip's insert. A step given as a concentration (`250
mg/dL`) is held for the technician: set the analyzer to its plus system.
Cannot: name the control of a QC message (which note has its lot was not seen). Take orders.
"""

from dataclasses import replace

from drivers.driver import HL7, Decoded, Grade, Message, MessageType, known
from drivers.engine.urine import pads
from drivers.wire import hl7

NOBODY = "rows without a sample id"


def control_without_patient(decoded: Decoded, message: Message) -> Decoded:
    """A strip that is nobody's is quality control, unless it says that it is a patient's."""
    segments = hl7.parse(message.body)
    patients = any(s.type == "PID" or (s.type == "OBR" and s.raw("15.7") == "P") for s in segments)
    if decoded.type is MessageType.RESULT and decoded.observations and not patients:
        decoded = replace(decoded, type=MessageType.QC)
    if decoded.type is MessageType.QC:
        return replace(decoded, problems=tuple(odd for odd in decoded.problems if odd != NOBODY))
    return decoded


DRIVER = replace(
    HL7,
    name="siemens_clinitek",
    title="Siemens Clinitek Status",
    grade=Grade.CAPTURE,
    sender=r"(?i)clinitek",
    sample_id="PID.3.1",
    observed_at=("OBX.19", "OBX.14", "OBR.7"),
    control=(("OBR.15.7", "Q"), ("MSH.11", "Q")),
    tests={
        **pads(
            UGLU="GLU", UBIL="BIL", UKET="KET", USG="SG", UBLD="BLO", UPH="pH", UPRO="PRO", UURO="URO", UNIT="NIT",
            ULE="LEU", UCOL="COL", UAPP="CLA",
        ),
        **dict.fromkeys(("ALB", "CRE", "A:C", "P:C"), known()),  # steps of a strip: no quantitative albumin
    },
    settles=control_without_patient,
)  # fmt: skip
