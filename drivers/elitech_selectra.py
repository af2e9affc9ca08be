"""ELITech Selectra Pro M/S/XL, clinical chemistry. LIS2-A over RS-232.

Manual  ELITech, Selectra Pro series, LIS interface (LIS2-A)
Proof   capture: results of a Pro M, one sent twice; not yet run beside a lab's own analyzer

Where things sit: sample O-3 · code R-3 component 4, its name component 5 · value R-4 · unit R-5 (`U/I` stands for U/L)
· flags R-7 · range R-6 · status R-9 · time R-13 · control O-12 Q · H-5 names only the version (`^4.3.13`).
Quirks: Messages are repeated (same sample, value and time): stored once. C records hold M01, the reaction's end point,
and M02, its whole curve: 2 kB for each result, which stays in the message and is no comment for a technician. TESTS
holds the reagent codes seen; others are mapped in config/analyzers.toml. One glucose method serves all tubes.
Cannot: answer queries (no manual at hand); mark controls otherwise than by O-12 Q.
"""

from dataclasses import replace

from drivers.driver import ASTM, Decoded, Grade, Message, Observation
from drivers.engine.chemistry import ANY_GLUCOSE, chemistry, latest_with_a_value


def settles(said: Decoded, _message: Message) -> Decoded:
    """The rows without the points of their curves among the comments."""
    return replace(said, observations=tuple(map(_without_curve, said.observations)))


def _without_curve(row: Observation) -> Observation:
    return row._replace(comments=tuple([text for text in row.comments if not text.startswith("M02^")]))


DRIVER = replace(
    ASTM,
    name="elitech_selectra",
    title="ELITech Selectra",
    grade=Grade.CAPTURE,
    sender=r"\^\d+\.\d+|Selectra",
    code_name="R.3.5",
    tests=chemistry({"CREAT": "CRSL", ANY_GLUCOSE: "GPRB"}) | chemistry({"ALT": "ALSL"}, {"U/I": "1"}),
    settles=settles,
    reports=latest_with_a_value,
)
