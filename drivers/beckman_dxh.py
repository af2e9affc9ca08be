"""Beckman Coulter DxH 500, 600, 800 and 900, haematology. LIS2-A over TCP or RS-232.

Manual  Beckman Coulter, DxH host transmission specification (LIS2-A), as working interfaces read it
Proof   capture: a patient's message; not yet run beside a lab's own analyzer

Where things sit: the delimiters are `|\\!~`, so the component mark is ! and the unit `10^9/L` is one text · sample O-3
component 1, leading zeros kept; O-4 is the run's number · code R-3 component 4 (component 5 LOINC) · value R-4
component 1, its flags component 2 with blanks around (`146!  H `): H L above and below, others are the analyzer's
doubts; R-8 where there is none · unit R-5. From there all fields of R stand one to the right: range R-7, R-8 is A for
anything abnormal, status R-10, time R-14 · control O-12 or H-12 Q.
Quirks: P-8 is `birth!age!unit`. UWBC is the count before correction for nucleated red cells. Codes that begin with @
are for research: never reported. A query is Q-3 component 2.
Cannot: answer queries (the answer must carry H-3 of the query); tell a control but by O-12 Q or H-12 Q; draw
histograms.
"""

from dataclasses import replace

from drivers.driver import ASTM, Grade, Kind, Observation, Said
from drivers.engine.form import RowText
from drivers.engine.haematology import counts, unreported

TESTS = counts(
    {
        "WBC": "WBC", "RBC": "RBC", "HGB": "HB", "HCT": "HCT", "MCV": "MCV", "MCH": "MCH", "MCHC": "MCHC", "PLT": "PLT",
        "RDW": "RDWCV", "RDW-CV": "RDWCV", "RDW-SD": "RDWSD", "MPV": "MPV",
        "NE": "NEUTP", "LY": "LYMPHP", "MO": "MONOP", "EO": "EOSP", "BA": "BASOP",
        "NE#": "NEUTA", "LY#": "LYMPHA", "MO#": "MONOA", "EO#": "EOSA", "BA#": "BASOA", "RET": "RETIC", "RET%": "RETIC",
    }
) | unreported(("UWBC", "NRBC", "NRBC#", "RET#", "IRF", "MRV", "MDW", "@PCT", "@PDW", "@EGC", "@EGC#"))  # fmt: skip


def unlisted(row: Said) -> Kind:
    """What is for research only is nothing a patient is told."""
    return Kind.DETAIL if row.code.startswith("@") else Kind.MEASUREMENT


def flagged(row: Observation, sent: RowText) -> Observation:
    """The flags that stand beside the value, each without its blanks; R-8 where there is none."""
    flags = (sent.get("R.4.2") or "").split() or (sent.get("R.8") or "").split()
    return row._replace(flags=tuple(flags))


DRIVER = replace(
    ASTM,
    name="beckman_dxh",
    title="Beckman Coulter DxH",
    grade=Grade.CAPTURE,
    sender=r"DxH",
    value="R.4.1",
    flag="",  # it stands in, see flagged
    range="R.7",
    status="R.10",
    observed_at="R.14",
    masked=r"[-.*+]{2,}|NA",
    unlisted=unlisted,
    tests=TESTS,
    retells=flagged,
)
