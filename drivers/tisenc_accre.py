"""Tisenc ACCRE8, immunoassay. Nearly HL7 2.3.1 over MLLP.

Manual  none public; the message itself
Proof   capture: one result of an ACCRE8; not yet run beside a lab's own analyzer

Where things sit: sample OBR-3 (OBR-2 is a day's number) · code OBX-3, the channel's number, its name OBX-4 · value
OBX-5 · unit OBX-6 · range OBX-7 · flags OBX-8 · time OBX-14, `20240831 15:14:51`; MSH-7 is written `20240831 16:35.16`
· control MSH-16 2, 0 a sample, 1 a calibration (general knowledge of this dialect).
Quirks: Channel numbers are set by the site: config/analyzers.toml says what they are; TESTS is, by the catalogue's own
codes, what their units convert from.
Cannot: answer anything.
"""

from dataclasses import replace

from drivers.driver import HL7, Grade, Observation
from drivers.engine.form import RowText
from drivers.engine.immuno import assays

TESTS = assays({test: test for test in ("TSH", "T3", "T4", "FT3", "FT4", "FERR", "B12", "VITD")})


def named(row: Observation, sent: RowText) -> Observation:
    """The row with its name, which has a field of its own."""
    return row._replace(name=(sent.get("OBX.4") or "").strip() or None)


DRIVER = replace(
    HL7,
    name="tisenc_accre",
    title="Tisenc ACCRE8",
    grade=Grade.CAPTURE,
    sender=r"TISENC",
    observed_at=("OBX.14", "OBR.7"),
    control=(*HL7.control, ("MSH.16", "2")),
    calibration=(("MSH.16", "1"),),
    codes_are_the_sites=True,
    tests=TESTS,
    retells=named,
)
