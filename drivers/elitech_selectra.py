"""ELITech Selectra Pro M/S/XL, clinical chemistry. LIS2-A over RS-232.

Manual  ELITech, Selectra Pro series, LIS interface (LIS2-A)
Proof   capture: results of a Pro M, one sent twice; not yet run beside a lab's own analyzer

Where things sit: sample O-3 · code R-3 component 4, its name component 5 · value R-4 · unit R-5 (`U/I` stands for
U/L) · flags R-7 · status R-9 · time R-13 · H-5 names only the version (`^4.3.13`). Messages are repeated (same
sample, value and time): stored once. C records hold M01, the reaction's end point, and M02, its whole curve: 2 kB
for each result, which stays in the message and is no comment for a technician.
TESTS holds the reagent codes seen; others are mapped in config/analyzers.toml. One glucose method serves all tubes.
Cannot: answer queries (no manual at hand); mark controls otherwise than by O-12 Q.
"""

from dataclasses import replace

from drivers.driver import Decoded, Driver, Grade, Message, Observation
from drivers.engine.chemistry import ANY_GLUCOSE, chemistry, latest_with_a_value


def settles(said: Decoded, _message: Message) -> Decoded:
    """The rows without the points of their curves among the comments."""
    return replace(said, observations=tuple(map(_without_curve, said.observations)))


def _without_curve(row: Observation) -> Observation:
    return row._replace(comments=tuple([text for text in row.comments if not text.startswith("M02^")]))


DRIVER = Driver(
    name="elitech_selectra",
    title="ELITech Selectra",
    grade=Grade.CAPTURE,
    speaks="LIS2-A2",
    sender=r"\^\d+\.\d+|Selectra",
    sample_id="O.3.1",
    code="R.3.4",
    code_name="R.3.5",
    value="R.4",
    unit="R.5",
    flag="R.7",
    range="R.6",
    status="R.9",
    observed_at="R.13",
    control=(("O.12", "Q"), ("H.12", "Q")),
    pseudo=r"0+",
    query_id="Q.3.2",
    query_cancel=("Q.13", "A"),
    tests=chemistry({"CREAT": "CRSL", ANY_GLUCOSE: "GPRB"}) | chemistry({"ALT": "ALSL"}, {"U/I": "1"}),
    settles=settles,
    reports=latest_with_a_value,
)
