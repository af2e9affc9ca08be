"""Cepheid GeneXpert Dx (CBNAAT), molecular. LIS2-A2 over TCP; the Dx software dials us or listens, by setting.

Manual  Cepheid, GeneXpert LIS interface protocol specification
Proof   capture: an MTB/RIF Ultra that found nothing, 84 rows; not yet run beside a lab's own analyzer

Where things sit: H names the delimiters `@^\\`: @ repeats, \\ escapes · H-5 `system^GeneXpert^version`, the system's
name is free · sample O-3 · code R-3 component 4, the result's (Xpert, Trace, RIF), of eight: 2 the test's code for the
host (MTB-RIF), 5 the assay's name, 6 its version, 7 the analyte (MTB, RIF Resistance), 8 Ct, EndPt … · value R-4
`qualitative^quantitative`: the first that holds something · unit R-5 · flags R-7 · range R-6 · status R-9 · time R-13 ·
C records below a result are notes and error texts · control H-12 or O-12 Q.
Quirks: Only rows with an assay's name are results; the others are probes, curves and internal controls: details, with
their analyte as name. A test of one result leaves R-3 component 4 empty: its code is then component 2. Where no MTB is
found Trace and RIF come empty: shown, not reported. INVALID, ERROR and NO RESULT are no answers: masked, the run is to
be repeated. The codes are set by the lab on the analyzer and the catalogue has no molecular tests: without lines in
config/analyzers.toml each result waits in the unmatched tray, where a person sees it.
Cannot: be told orders (its query is read; Q-3 `patient^sample`); read HL7, which the software can be set to.
"""

from collections.abc import Sequence
from dataclasses import replace

from drivers.driver import ASTM, Grade, Kind, Observation
from drivers.engine.form import RowText


def retells(row: Observation, sent: RowText) -> Observation:
    """The quantity where there is no word; a row without an assay's name is a detail, told apart by its last word."""
    value = row.value or (sent.get("R.4.2") or "").strip()
    if (sent.get("R.3.5") or "").strip():
        return row._replace(value=value, code=row.code or (sent.get("R.3.2") or "").strip() or None)
    return row._replace(value=value, kind=Kind.DETAIL, aspect=(sent.get("R.3.8") or "").strip() or None)


def with_a_value(observations: Sequence[Observation]) -> tuple[bool, ...]:
    """What says something is reported: an empty Trace or RIF says that it was not looked for."""
    return tuple(row.kind is Kind.MEASUREMENT and bool(row.value) for row in observations)


DRIVER = replace(
    ASTM,
    name="cepheid_genexpert",
    title="Cepheid GeneXpert",
    grade=Grade.CAPTURE,
    sender=r"[^^]*\^GeneXpert",
    code_name="R.3.7",
    value=("R.4.1", "R.4"),
    observed_at=("R.13", "R.12"),
    masked=r"(?i:INVALID|ERROR|NO RESULT|NORESULT|ABORTED|INSTRUMENT ERROR)(?: *-.*)?|[-.*]{2,}",
    frame_size=63_993,
    tests={},
    retells=retells,
    reports=with_a_value,
)
