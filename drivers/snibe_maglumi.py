"""Snibe Maglumi 600 to 4000, X3, X6 and X8, immunoassay, in its ASTM mode. LIS2-A2 over RS-232 or TCP (port 9100).

Manual  Snibe, MAGLUMI operating instructions, chapter on host results (ASTM E1394-97)
Proof   capture: frames without CR, results and a query of an X6; not yet run beside a lab's own analyzer

Where things sit: sample O-3 · code R-3 component 4, the assay's name with the generation of its reagent (`TT3 II`) ·
value R-4 · unit R-5 · range R-6 (`0.750 - 2.100`, `0.3 to 4.5`) · flags R-7, N H L, and > or < when the value is a
limit of the measuring range and the result lies beyond it · time R-13; H-14 is a date alone · control: none is marked;
O-12 or H-12 Q, or an id that begins QC, CTRL or $.
Quirks: H-4 is a password, PSWD. Two framings, as set on the analyzer (`framing` in config/analyzers.toml): "e1381" are
frames, each with one record and without a CR before its ETX; "simple" is one STX … ETX with all records, without number
or checksum, between ENQ and EOT. HL7 is driver snibe_maglumi_hl7. A sample that was diluted by hand asks and reports as
`id dil`: that names no tube of ours and is left to a person. A query is `Q|1|^id||ALL`. The answer carries the
analyzer's own name in H-5, one O for each test, one record a frame. Names of assays follow the reagents that are
loaded: config/analyzers.toml says the name of today, orders use it.
Cannot: tell controls but by their ids; say "nothing ordered" but by no O record.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from drivers.driver import ASTM, Decoded, Grade, Message, WorkOrder
from drivers.engine.replies import told
from drivers.engine.snibe import CONTROL_ID, TESTS
from drivers.wire import lis2a
from drivers.wire.blocks import ACK, ENQ, EOT, Framing
from drivers.wire.lis2a import Value

PASSWORD, HOST, VERSION = "PSWD", "Lis", "E1394-97"


def whole(texts: Sequence[bytes]) -> bool:
    """Blocks make a message when an L record came; what does not begin with H will not have one."""
    joined = b"".join(texts)
    return not joined.startswith((b"H", b"h")) or re.search(rb"[\r\n][Ll]\W", joined) is not None


MARKS = "\x02\x03\x04\x05 "
SIMPLE = Framing(answers={ENQ: ACK}, whole=whole, asks_first=True, closing=EOT)


def nobodys(decoded: Decoded, message: Message) -> Decoded:
    """Nothing checks a simple block: a record whose letter is damaged may have been the O of the rows below it."""
    records = lis2a.lines(lis2a.text(message.body.partition(SIMPLE.start)[2]))
    if all(record.strip(MARKS)[:1].upper() in lis2a.RECORD_TYPES for record in records if record.strip(MARKS)):
        return decoded
    rows = tuple(row._replace(sample_id=None) for row in decoded.observations)
    odd = "a record is damaged: whose rows these are is not known"
    return replace(decoded, observations=rows, problems=(*decoded.problems, odd))


def answer(query: Decoded, orders: Sequence[WorkOrder]) -> list[bytes] | None:
    """H with the analyzer's own name, P, an O for each test of each order, L; without an order no P and no O."""
    name: Value = tuple((query.sender or "").split("^"))
    head: list[Value] = ["H", None, None, PASSWORD, name, *[None] * 4, HOST, None, "P", VERSION]
    return told(head, orders, ordered, nothing="N")


def ordered(number: int, work: WorkOrder) -> list[list[Value]]:
    """P, and an O for each test."""
    tests: list[Value] = [("", "", "", code) for code in work.codes]
    urgent = "S" if work.stat else "R"
    orders: list[list[Value]] = [
        ["O", str(place), work.sample_id, None, test, urgent] for place, test in enumerate(tests, 1)
    ]
    return [["P", str(number)], *orders]


DRIVER = replace(
    ASTM,
    name="snibe_maglumi",
    title="Snibe Maglumi (ASTM)",
    grade=Grade.CAPTURE,
    control_id=CONTROL_ID,
    pseudo=r"0+|.* dil",
    one_record_a_frame=True,
    bare_frames=True,
    framings={"e1381": None, "simple": SIMPLE},
    tests=TESTS,
    settles=nobodys,
    answers=answer,
)
