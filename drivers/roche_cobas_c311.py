"""Roche cobas c 311 (and analyzers of the Hitachi host interface), clinical chemistry. LIS2-A2 over RS-232.

Manual  Roche, cobas c 311 host interface manual (ASTM; RSUPL, TSREQ, TSDWN)
Proof   capture: results of both dialects; not yet run beside a lab's own analyzer

Where things sit, two dialects by setting: sample O-3, the id alone, right-justified in 22, and O-4
`sequence^rack^position^^S1^SC`; or O-3 `sequence^id padded^position^^rack`: with components the id is the second, never
the first, a running number · code the part before "/" in R-3 component 4 (`989/`, `781/dec`) · value R-4 · unit R-5 ·
flags R-7 (N L H LL HH A) · range R-6, not sent · status R-9, C after a rerun · time R-12 in one dialect, none in the
other and for calculated tests (zeros): O-23, the time of reporting, stands in for it on controls only, for it changes
when a result is sent again · a C record carries the number of a data alarm in C-4, 0 for none · control O-12 Q, or QC
in O-4 component 5.
Quirks: Frames hold 240 characters and are cut anywhere, even inside a date. A query is TSREQ^REAL, answered by
TSDWN^REPLY (engine/roche). Codes are Roche's application codes; TESTS holds those of which method and unit agree
(general knowledge: check on site), config/analyzers.toml overrides it. Urea (418) is left to it: it reports urea or
urea nitrogen, by setting.
Cannot: tell the time of a calculated test.
"""

from dataclasses import replace

from drivers.driver import Grade, Observation
from drivers.engine.chemistry import latest_with_a_value
from drivers.engine.form import RowText
from drivers.engine.roche import FORM, TESTS, pushes


def retells(row: Observation, sent: RowText) -> Observation:
    """No id where the running number stands alone; the time of reporting for controls that have no other."""
    identity = sent.get("O.3.2")
    if identity is not None and not identity.strip():
        row = row._replace(sample_id=None)
    if row.observed_at is None and any(sent.get(address) == mark for address, mark in FORM.control):
        return row._replace(observed_at=sent.get("O.23") or None)
    return row


DRIVER = replace(
    FORM,
    name="roche_cobas_c311",
    title="Roche cobas c 311",
    grade=Grade.CAPTURE,
    sender=r"H7600|(cobas[- ]?)?[cu] ?311",
    sample_id=("O.3.2", "O.3.1"),
    observed_at=("R.12", "R.13"),
    tests=TESTS,
    retells=retells,
    reports=latest_with_a_value,
    pushes=pushes,
)
