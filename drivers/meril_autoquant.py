"""Meril AutoQuant 100/100i/200i/400i, clinical chemistry. ASTM E 1394-97 over RS-232 or TCP.

Manual  Meril, AutoQuant ASTM LIS communication protocol 1.2 (2017)
Proof   manual: its printed upload [V], read by the driver; no capture of a lab's own analyzer

Where things sit: sample: an upload has no O record; the id is the one typed at the analyzer, P-3 (often left empty:
then the rows belong to nobody and are shown as unmatched) · code R-3 component 4 · value R-4 · unit R-5 · range R-6,
`0^0` when none is set. From there R is shifted by one field: flag R-8, status R-10, time R-14; the manual's table has
them in R-7, R-9 and R-13, so both are read (R-14 is then the analyzer). A control is not marked.
Quirks: It asks by `^id`, a backtick before a further id, as Erba and Transasia (same family) do; uploads have the
repeat delimiter \\, the host's messages the backtick: H says which. Test names are set by the lab: TESTS is the usual
naming, config/analyzers.toml overrides it. One glucose method serves all glucose tubes.
Cannot: be told orders by this driver; say which sample a result is of when no id was typed; mark controls.
"""

from dataclasses import replace

from drivers.driver import ASTM, Grade, Observation
from drivers.engine.chemistry import USUAL_NAMES, chemistry, latest_with_a_value
from drivers.engine.form import RowText


def retells(row: Observation, sent: RowText) -> Observation:
    """Where the record is not shifted the status stands in R-9, which holds N, the nature of the range, where it is."""
    if not row.status:
        return row._replace(status=sent.get("R.9") or None, observed_at=sent.get("R.13") or row.observed_at)
    flag = (sent.get("R.8") or "").strip()
    return row._replace(flags=(flag,)) if flag and not any(row.flags) else row


DRIVER = replace(
    ASTM,
    name="meril_autoquant",
    title="Meril AutoQuant",
    grade=Grade.MANUAL,
    sender=r"Meril",
    sample_id=("O.3.1", "P.3"),
    status="R.10",
    observed_at=("R.14", "R.13"),
    frame_size=1024,
    tests=chemistry(USUAL_NAMES),
    retells=retells,
    reports=latest_with_a_value,
)
