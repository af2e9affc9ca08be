"""Agappe Mispa CX4 and Dirui CS-400/CS-600, clinical chemistry. ASTM E 1394 over RS-232.

Manual  Agappe, Mispa CX4 user manual, appendix E: LIS communication 1.1 (it is Dirui's, sender and all)
Proof   manual: its printed messages [V], checksums right for Dirui's sender only; no capture of a lab's own analyzer

Where things sit: sample O-3 component 1 of `id^number^disk^position^dilution`; where the analyzer runs by number
component 1 is empty: the number is a running one and no tube's · code R-3 component 4 · value R-4, also below zero ·
unit R-5 · range R-6, `low^high\\critical low^critical high`, `^\\^` when none is set · flag R-7 (N L H; controls
`>+3SD`) · status R-9 · time R-13 · control: a control has no id in O-3 and its name and lot in O-4 (`name^lot`); R-6 is
then its rule.
Quirks: A query is Q-3 of the same five components; a batch is several Q in one message. Test names are set by the lab:
TESTS is the usual naming, config/analyzers.toml overrides it. One glucose method serves all glucose tubes.
Cannot: be told orders by this driver (it takes one O for each test).
"""

from dataclasses import replace

from drivers.driver import ASTM, Decoded, Grade, Message, MessageType, Observation
from drivers.engine.chemistry import ANY_GLUCOSE, USUAL_NAMES, chemistry, latest_with_a_value
from drivers.engine.form import RowText

CONTROL = "control"


def retells(row: Observation, sent: RowText) -> Observation:
    """A row without an id below an O that names a control in O-4 is that control's."""
    control = (sent.get("O.4.1") or "").strip()
    return row._replace(sample_id=control, aspect=CONTROL) if control and not row.sample_id else row


def settles(said: Decoded, _message: Message) -> Decoded:
    """Rows of controls alone make a message of quality control."""
    controls = said.type is MessageType.RESULT and {row.aspect for row in said.observations} == {CONTROL}
    return replace(said, type=MessageType.QC) if controls else said


DRIVER = replace(
    ASTM,
    name="agappe_cx4",
    title="Agappe Mispa CX4",
    grade=Grade.MANUAL,
    sender=r"CX-?4|CS-?\d+|Analyzer",
    no_range=r"[\^\\]*",
    query_id="Q.3.1",
    tests=chemistry(USUAL_NAMES) | chemistry({ANY_GLUCOSE: "GLU(HK) GLU(OX)"}),
    retells=retells,
    settles=settles,
    reports=latest_with_a_value,
)
