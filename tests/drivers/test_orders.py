"""Everything we tell analyzers of their work, by every driver that tells anything: answers and orders unasked.

Codecs that nobody here wrote read it: `astm-2025` 0.8.1 gives the same fields as we sent, `hl7apy` finds only what the
vendor wants. Blocks of other dialects are read back by their own framing in the tests of their drivers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from astm import codec

from drivers.driver import Driver, Message, MessageType, Stamp, WorkOrder, driver_names, load_driver
from drivers.engine.form import no_answer
from drivers.wire import lis1a, lis2a
from simulators import hl7_text
from tests.drivers import test_chemistry as chemistry
from tests.drivers import test_haematology as haematology
from tests.drivers import test_immuno as immuno

TUBE = "107632600424"
Q = f"Q|1|^{TUBE}||ALL||||||||O\rL|1|N\r"
ASKS = {  # driver → what its analyzer asks
    **chemistry.ASKS,
    "sysmex_xn": f"H|\\^&|||XN-550^1\rQ|1|3^7^{TUBE:>22}^B||||20261103101530|||||||N\rL|1|N\r",
    "horiba_yumizen": f"H|\\^&|||H550^305^4.0|||||||P|LIS2-A2|1\r{Q}",
    "mindray_bc": haematology.ORM.replace(haematology.TUBE, TUBE),
    "abbott_architect": f"{immuno.ARC}{Q}",
    "ortho_vitros": f"H|\\^&|||34000123\r{Q}",
    "beckman_access": f"H|\\^&|||ACCESS^508991\r{Q}",
    "snibe_maglumi": immuno.MAGLUMI.replace(immuno.TUBE, TUBE),
}
BLOCKS = {"beckman_au", "siemens_dimension", "siemens_rapidpoint", "sysmex_ca"}
STAMP = Stamp("20261122103015", "1795329015123001")
WORK = WorkOrder(
    TUBE, ("GLU", "685"), False, "Serum", "", "UH-77", "Asha Devi", "F", "19900102", "S", cancelled=("UREA",)
)  # fmt: skip
PUSHES = sorted(name for name in driver_names() if load_driver(name).pushes is not None)
ASTM = sorted(name for name in ASKS if load_driver(name).speaks == "LIS2-A2")
HL7 = sorted(name for name in ASKS if load_driver(name).speaks == "HL7")


def told(name: str) -> Iterator[bytes]:
    """All that a driver may send: what is known, what is not, and what was not asked for."""
    form = load_driver(name)
    asked = form.decode(Message("1", "a", datetime(2026, 11, 22, tzinfo=UTC), ASKS[name].encode()))
    assert (asked.type, asked.query_sample_ids[0]) == (MessageType.QUERY, TUBE)
    work = replace(WORK, query_raw=asked.query_raw[0], cancelled=())
    yield from form.answer(asked, [work]) or []
    yield from form.answer(asked, ()) or []
    yield from form.push([WORK], STAMP)


def test_every_driver_that_tells_anything_is_here() -> None:
    answering = {name for name in driver_names() if load_driver(name).answers is not no_answer}
    assert set(ASKS) == answering - BLOCKS
    assert {name for name in BLOCKS if load_driver(name).speaks != "blocks"} == set()
    assert set(PUSHES) <= set(ASKS)


def usual(form: Driver, body: bytes) -> bytes:
    """The message with the usual delimiters: the other codec reads no H. Erba's backtick becomes the backslash."""
    marks = lis2a.parse(body)[0].delimiters
    assert marks in (lis2a.STANDARD, lis2a.Delimiters("|", "`", "^", "&")), form.name
    return body.replace(marks.repeat.encode(), b"\\")


@pytest.mark.parametrize("name", ASTM)
def test_rc_12_sender_the_other_codec_reads_the_same_fields(name: str) -> None:
    bodies = [usual(load_driver(name), body) for body in told(name)]
    assert bodies
    for body in bodies:
        theirs = codec.decode(lis1a.frames(body, size=lis1a.MAX_FRAME - 7)[0], "latin-1")
        ours = [record.fields for record in lis2a.parse(body)]
        assert [record[0] for record in ours] == [row[0] for row in theirs]
        for read, sent in zip(theirs, ours, strict=True):
            own = 2 if sent[0] == "H" else 1  # H-2 are the delimiters themselves
            assert list(chemistry.flat(read))[own:] == sent[own:]


# What hl7apy objects to, and why it stays.
KINDS = ("ODS", "ODT", "RQ1", "RQD", "RXO")
BC = "Mindray BC-5800 LIS protocol, D.4.2: PV1 and OBX stand in its ORR^O02"
CHOICE = "an OBR is the order's detail: hl7apy wants each segment of the choice"
DEVIATIONS = chemistry.DEVIATIONS | {
    "mindray_bc": {
        "Error: Child limit exceeded ORR_O02.ORR_O02_RESPONSE": BC,
        "Error: Missing required child ORR_O02_RESPONSE.ORR_O02_ORDER": BC,
        **{f"Error: Missing required child ORR_O02_CHOICE.{kind}": CHOICE for kind in KINDS},
        "Warning: Value Female not in table HL70001 in element PID.PID_8": "the same: PID-8 is a word",
    },
}


@pytest.mark.parametrize("name", HL7)
def test_hl7apy_finds_only_what_the_vendor_wants(name: str) -> None:
    assert {line for body in told(name) for line in hl7_text.deviations(body.decode())} == set(DEVIATIONS[name])
