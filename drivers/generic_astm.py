"""Any well-behaved analyzer: sample id in O-3, test code in R-3 component 4. LIS2-A2 over TCP or RS-232.

Manual  LIS02-A2 (sections 6 to 12); the analyzer's own manual must agree with it: check before connecting
Proof   manual: the standard itself

Where things sit: sample O-3 component 1 · code R-3 component 4 (local code), where that is empty component 1 (universal
code), name component 2 · value R-4 whole · unit R-5 · range R-6 · flags R-7 · status R-9 · time R-13, else R-12, else
O-23 · control H-12 Q or O-12 Q · query Q-3 component 2, cancelled by Q-13 A.
Quirks: A code is taken as a catalogue code or a LOINC when it equals one; anything else is mapped in
config/analyzers.toml. An order that was not asked for is a message of its own: H, P, O with action A or C (8.4.12), L.
Cannot: know suspects, images or reruns of an analyzer it does not know; read values that carry flags.
"""

from dataclasses import replace

from drivers.driver import ASTM, Decoded, Grade, Message
from drivers.engine.replies import astm_answer, astm_push
from drivers.engine.rows import UNNAMED, with_codes
from drivers.wire import lis2a


def settled(said: Decoded, message: Message) -> Decoded:
    """Rows without a local code have the universal one (5.6.1)."""
    if UNNAMED not in said.problems:  # every row is a measurement
        return said
    sent = [record for record in lis2a.parse(message.body) if record.type == "R"]
    rows = tuple(
        [
            row if row.code else row._replace(code=(record["3.1"] or "").strip() or None)
            for row, record in zip(said.observations, sent, strict=False)  # a record that was cut is no row
        ]
    )
    return with_codes(said, rows)


DRIVER = replace(
    ASTM,
    name="generic_astm",
    title="any analyzer speaking LIS2-A2",
    grade=Grade.MANUAL,
    code_name="R.3.2",
    observed_at=("R.13", "R.12", "O.23"),
    codes_are_catalogue=True,
    settles=settled,
    answers=astm_answer,
    pushes=astm_push,
)
