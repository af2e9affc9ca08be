"""Sysmex U-WAM with UC-3500, UF-4000/5000 and UD-10 (UN series), urine strips and particles. LIS2-A2 over TCP.

Manual  Sysmex, U-WAM host interface (LIS2-A2; not public); what working interfaces recorded of it
Proof   capture: strip and particle rows of UC-3500 and UF-4000; not yet run beside a lab's own analyzer

Where things sit: sample O-3 (P-4 is the patient's number) · code R-3 component 4 (C-… the strip, M-… seen by eye,
others the particles), 5 A or M, 6 the run, 7 S or IF (a picture), 8 and 9 rack and position · value R-4 component 1,
component 2 RAW or MAINFORMAT · unit R-5 (with µ) · flag R-7 · range R-6 · time R-13 · R-14 which module · control O-12
or H-12 Q, or an id that begins QC-.
Quirks: Every parameter comes twice. The one to report: for a strip the half that is a grade, whichever it is (C-LEU has
it in RAW, C-BIL in MAINFORMAT); else MAINFORMAT, and RAW where that is empty. Empty in both: nothing to report. C-Error
Code other than 0000 doubts the whole strip. RBC-Info., UTI-Info. and BACT-Info. are its own remarks: shown. Pictures
(scattergrams, histograms) are the names of files. Ids ERR… and STAT… are its own numbers: no tube's. Particles are
reported per field, in /HPF or /LPF; per µl is held, as the factor is the site's. Texts such as `6-10/HPF` are held for
the technician.
Cannot: answer queries (no query was seen: set it to analyse without orders), draw the pictures.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from drivers.driver import ASTM, Decoded, Grade, Kind, Message, Observation, detail, known, measurement, suspect
from drivers.engine.form import RowText
from drivers.engine.urine import CLARITY, COLOURS, GRADE, pad, pads

ERROR = "C-Error Code"
STRIP = pads(
    UURO="C-URO", UBLD="C-BLD", UBIL="C-BIL", UKET="C-KET", UGLU="C-GLU", UPRO="C-PRO", UPH="C-PH", UNIT="C-NIT",
    ULE="C-LEU", USG="C-S.G.(Ref)",
)  # fmt: skip
FIELD = measurement("URBC", "/[HPF]", {"/HPF": "1", "/hpf": "1"})
FEW = {"nil": "Absent", "-": "Absent"}
TESTS = {
    **STRIP,
    "C-S.G.": STRIP["C-S.G.(Ref)"],
    "C-COLOR": pad("UCOL", COLOURS),
    "C-CLOUD": pad("UAPP", CLARITY | {"-": "Clear"}),
    ERROR: suspect(*STRIP, raised_from="1"),
    "C-ColorRANK": detail(),
    "RBC": FIELD,
    "WBC": measurement("UWBC", "/[HPF]", {"/HPF": "1", "/hpf": "1"}),
    "EC": measurement("UEPI", "/[HPF]", {"/HPF": "1", "/hpf": "1"}),
    "CAST": measurement("UCAST", "/[LPF]", {"/LPF": "1", "/lpf": "1"}),
    "BACT": pad("UBAC", FEW),
    "X'TAL": pad("UCRY", FEW),
    **dict.fromkeys(
        (
            "C-CRE", "C-ALB", "C-P/C", "C-A/C", "NL RBC", "Squa.EC", "Non SEC", "Tran.EC", "RTEC", "Hy.CAST",
            "Path.CAST", "YLC", "SPERM", "MUCUS", "WBC Clumps", "RBC-Info.", "UTI-Info.", "BACT-Info.",
        ),
        known(),
    ),
}  # fmt: skip


def told(row: Observation, text: RowText) -> Observation:
    """A picture by its mark, the colour's word without its number."""
    if text.get("R.3.7") == "IF" or (row.value or "").lower().endswith(".png"):
        return row._replace(kind=Kind.IMAGE)
    colour = re.fullmatch(r"(.*\S)\s+\d\d", row.value or "") if row.code == "C-COLOR" else None
    return row._replace(coded=colour[1]) if colour else row


def doubted_once(decoded: Decoded, _message: Message) -> Decoded:
    """Of the two that are sent of a strip's error, the last is the doubt: a reason is given once."""
    last = {row.sample_id: row.ordinal for row in decoded.observations if row.code == ERROR}
    rows = tuple(
        row._replace(kind=Kind.DETAIL) if row.code == ERROR and last[row.sample_id] != row.ordinal else row
        for row in decoded.observations
    )
    return replace(decoded, observations=rows)


def _rank(row: Observation) -> tuple[bool, bool, bool]:
    said = bool(row.value) and not row.masked
    grade = (row.code or "").startswith("C-") and re.fullmatch(GRADE, row.value or "") is not None
    return said, grade, row.aspect == "MAINFORMAT"


def one_of_the_two(observations: Sequence[Observation]) -> tuple[bool, ...]:
    """Of RAW and MAINFORMAT the grade, else MAINFORMAT, else the one that says something; none when neither does."""
    best: dict[tuple[str | None, str | None], Observation] = {}
    for row in observations:
        key = (row.sample_id, row.code)
        if row.kind is Kind.MEASUREMENT and _rank(row)[0]:
            best[key] = max(best.get(key, row), row, key=_rank)
    chosen = {id(row) for row in best.values()}
    return tuple(id(row) in chosen for row in observations)


DRIVER = replace(
    ASTM,
    name="sysmex_uwam",
    title="Sysmex U-WAM",
    grade=Grade.CAPTURE,
    sender=r"U-WAM",
    value="R.4.1",
    aspect="R.4.2",
    control_id=r"QC-",
    pseudo=r"ERR\d*|STAT\d*|0+",
    one_record_a_frame=True,
    tests=TESTS,
    retells=told,
    settles=doubted_once,
    reports=one_of_the_two,
)
