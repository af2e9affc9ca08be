"""Roche cobas c 111, clinical chemistry. LIS2-A2 over RS-232.

Manual  Roche, cobas c 111 host interface manual (ASTM; RSUPL^REAL and RSUPL^BATCH)
Proof   capture: a result sent as it was measured; not yet run beside a lab's own analyzer

Where things sit: sample O-4 component 1 of `id^^position` (O-3 stays empty; ids may hold blanks) · code R-3 component
4, Roche's application code, treatment component 5 · value R-4 · unit R-5 · range R-6 (`20.0\\30.0`) · flags R-7 (N L H
< >) · status R-9 (F final, R sent again) · time R-13 · a C record after each result carries its flag in C-4 (`111^?
QC`), empty when there is none · control O-12 Q.
Quirks: M records hold raw absorbances (RR) and calibrations (CR); a message of CR alone is a calibration. Every frame
but the last ends in ETB although each holds a whole record. TESTS holds the codes of which method and unit agree
(general knowledge: check on site); config/analyzers.toml overrides.
Cannot: answer queries (TSREQ; how the answer TSDWN^REAL names the tube is not known here), so it only sends results.
"""

from dataclasses import replace

from drivers.driver import ASTM, Decoded, Grade, Message, MessageType
from drivers.engine.chemistry import latest_with_a_value
from drivers.engine.roche import PSEUDO, TESTS


def settles(said: Decoded, message: Message) -> Decoded:
    """A message of calibration records alone is a calibration."""
    calibrated = said.type is MessageType.OTHER and b"|CR^" in message.body
    return replace(said, type=MessageType.CALIBRATION) if calibrated else said


DRIVER = replace(
    ASTM,
    name="roche_cobas_c111",
    title="Roche cobas c 111",
    grade=Grade.CAPTURE,
    sender=r".*c ?111|[^^]*\^Roche\^",
    sample_id=("O.4.1", "O.3.1"),
    observed_at=("R.13", "R.12"),
    pseudo=PSEUDO,
    query_cancel=None,  # as with its sisters Q-13 A asks too
    tests=TESTS,
    settles=settles,
    reports=latest_with_a_value,
)
