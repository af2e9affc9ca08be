"""Horiba Yumizen H500 and H550, haematology. LIS2-A2 over TCP, or RS-232 (38400 8N1).

Manual  Horiba, Output Format for Host Connection RAA055 (LIS2-A2), as working interfaces read it
Proof   capture: a control run of an H500; not yet run beside a lab's own analyzer

Where things sit: sample O-3 component 1 (H550 `id^^cup^position`), `AUTO_SID…` when nobody gave one · code R-3
component 4 (component 5 LOINC) · value R-4 · unit R-5 (10E3/uL, 1E03/mm3, um3) · range R-6 component 1 (`0.15 -
0.40^REFERENCE_RANGE`) · flags R-7 (N L LL H HH) · status R-9, W is to be checked · time R-12 (R-13 is empty). A control
has H-12 Q and O-16 `CTRL^^name`.
Quirks: C records above the first R (NON_COMPLIANT_DATA^WBC^NOISE, CONTROL_FAILED, suspected pathologies) are said of
all rows. M records hold histograms and matrices (base64 of deflated floats): kept as images after the rows; they make
messages of 30 kB, in frames of 240 characters or in one frame each. Frames are numbered freely at some sites (5, 1, 1,
1, 4). ENQ and EOT alone are a sign of life. A query is Q-3 `^id`. The answer orders a mode, not parameters: DIF when a
cell of the differential is awaited, else CBC; nothing known: L-3 I (the shape of the answer is general knowledge, to be
confirmed on site).
Cannot: speak HL7, which the H550E does when it is set so; draw the pictures.
"""

from collections.abc import Sequence
from dataclasses import replace

from drivers.driver import Decoded, Grade, WorkOrder
from drivers.engine import abx
from drivers.engine.haematology import counts, unreported
from drivers.engine.replies import header, order, told
from drivers.wire import lis2a
from drivers.wire.lis2a import Value

DIFFERENTIAL = frozenset(
    code for code, test in abx.CODES.items() if test[:-1] in ("NEUT", "LYMPH", "MONO", "EOS", "BASO")
)


def mode(work: WorkOrder) -> str:
    """What the analyzer is to run: the whole differential when any part of it is awaited."""
    return "DIF" if DIFFERENTIAL & set(work.codes) else "CBC"


def answer(query: Decoded, orders: Sequence[WorkOrder]) -> list[bytes] | None:
    """One message: for each order its patient and a mode to run; nothing known: L-3 I."""
    return told([*header(lis2a.STANDARD, query.sender)[:12], "LIS2-A2"], orders, ordered)


def ordered(number: int, work: WorkOrder) -> list[list[Value]]:
    """P and O of one order."""
    sent = order(1, work)
    sent[4] = [("", "", "", mode(work))]
    sent[11], sent[15] = "N", "BLOOD"
    return [["P", str(number), None, work.patient_id, None, work.name, None, work.birth_date, work.sex], sent]


DRIVER = replace(
    abx.FORM,
    name="horiba_yumizen",
    title="Horiba Yumizen",
    grade=Grade.CAPTURE,
    sender=r"H5\d\d|YUMIZEN",
    range="R.6.1",
    observed_at=("R.12", "R.13"),
    free_numbering=True,
    tests=counts(abx.CODES) | unreported(abx.RESEARCH),
    answers=answer,
)
