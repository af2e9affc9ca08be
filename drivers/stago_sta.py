"""Stago STA Satellite Max, STA Compact Max and STA-R, coagulation. LIS2-A2 over TCP or RS-232, one record a frame.

Manual  Diagnostica Stago, STA LIS interface (LIS2/E1381); the vendor's text is not public
Proof   capture: an STA Satellite Max with two runs of one sample; not yet run beside a lab's own analyzer

Where things sit: sample O-3 · O-4 is the number of the method (226, 227, 651), never a sample; O-5 is empty: one O for
each test · code R-3 component 4 (`^^^SPT^F^64`; component 5 F is a final result, 6 the number of the unit) · value R-4
· unit R-5 (S, "INR ISI") · flags R-7 · range R-6, not sent · status R-9 · time R-13 · control O-12 or H-12 Q.
Quirks: C records below a result are warnings, C-4 `number^text`: "controls are invalid" and "Stirring defect" go with
the result to the technician. M records name the lots of the reagents. A message may hold several runs of a sample: the
latest final one that has a value is reported, by R-13; all are stored. Results are sent again months later: R-13 is
then long before H-14, and tells that they are the same. The codes are the ones of the captured analyzer and its usual
names; config/analyzers.toml overrides them.
Cannot: answer queries; tell controls but by H-12 or O-12 (as the standard has it; not seen yet); name a fibrinogen or a
D-dimer, whose units no capture shows.
"""

from collections.abc import Sequence
from dataclasses import replace

from drivers.driver import ASTM, Grade, Observation, measurement
from drivers.engine.choose import best_of_each_test

SECONDS = {"s": "1", "S": "1", "sec": "1", "Sec": "1"}
INR = measurement("INR", "{INR}", {"INR ISI": "1", "INR": "1"})

TESTS = {
    **dict.fromkeys(("SPT", "PT"), measurement("PT", "s", SECONDS)),
    **dict.fromkeys(("SINR", "INR"), INR),
    **dict.fromkeys(("SAPTT", "APTT"), measurement("APTT", "s", SECONDS)),
}

RANKS = {"final": 1, "interpretation": -1}


def latest_final(observations: Sequence[Observation]) -> tuple[bool, ...]:
    """Of the runs of a test the latest final one; text that explains a number is none."""
    return best_of_each_test(observations, lambda row: RANKS.get(row.aspect or "final", 0))


DRIVER = replace(
    ASTM,
    name="stago_sta",
    title="Stago STA",
    grade=Grade.CAPTURE,
    sender=r"STA",
    aspect="R.3.5",
    aspects={"F": "final", "P": "preliminary", "I": "interpretation"},
    one_record_a_frame=True,
    tests=TESTS,
    reports=latest_final,
)
