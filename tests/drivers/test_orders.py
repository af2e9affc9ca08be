"""Everything we tell analyzers of their work, by every driver that tells anything: answers and orders unasked.

Codecs that nobody here wrote read it: `astm-2025` 0.8.1 gives the same fields as we sent, `hl7apy` finds only what the
vendor wants. Blocks of other dialects are read back by their own framing in the tests of their drivers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from astm import codec

from drivers.driver import Driver, MessageType, Stamp, WorkOrder, driver_names, load_driver
from drivers.engine.form import no_answer
from drivers.wire import lis1a, lis2a
from simulators import hl7_text
from tests.drivers import test_chemistry as chemistry
from tests.drivers import test_haematology as haematology
from tests.drivers import test_immuno as immuno
from tests.drivers.said import as_sent, decode

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
    asked = decode(form, ASKS[name])
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
def test_rc_12_5_4_1_sender_the_other_codec_reads_the_same_fields(name: str) -> None:
    bodies = [usual(load_driver(name), body) for body in told(name)]
    assert bodies
    for body in bodies:
        theirs = codec.decode(lis1a.frames(body, size=lis1a.MAX_FRAME - 7)[0], "latin-1")
        ours = [record.fields for record in lis2a.parse(body)]
        assert [record[0] for record in ours] == [row[0] for row in theirs]
        for read, sent in zip(theirs, ours, strict=True):
            own = 2 if sent[0] == "H" else 1  # H-2 are the delimiters themselves
            assert [as_sent(field) for field in read][own:] == sent[own:]


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


# ---- orders unasked, whole -----------------------------------------------------------------------------------------

COBAS = (
    b"H|\\^&|||Lab Mitra||||||TSDWN^BATCH|P|1\rP|1\r"
    b"O|1|107632600424|0^^^^S1^SC|^^^GLU^\\^^^685^|R||||||A||||1||||||||||O\rL|1|N\r"
)
WHOLE = {
    "generic_astm": b"H|\\^&|||Lab Mitra|||||||P|1\rP|1\rO|1|107632600424||^^^GLU\\^^^685|R||||||A||||Serum\r"
    b"O|2|107632600424||^^^UREA|R||||||C||||Serum\rL|1|N\r",
    "erba_xl": b"H|`^&|||Lab Mitra|||||||P|1\rP|1\rO|1|107632600424^03||^^^GLU`^^^685|R||||||A||||SERUM\rL|1|N\r",
    "roche_cobas_c311": COBAS,
    "roche_cobas_e411": COBAS,
}


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_rc_33_8_4_3_sender_an_order_unasked_in_records(name: str) -> None:
    assert load_driver(name).push([WORK], STAMP) == [WHOLE[name]]


@pytest.mark.parametrize(("name", "system"), [("biosystems_ba400", "A400"), ("generic_hl7", "L")])
def test_law_03_an_order_unasked_in_oml(name: str, system: str) -> None:
    (sent,) = load_driver(name).push([replace(WORK, runs=(("685", 17),))], STAMP)
    segments = [line.split("|") for line in sent.decode().split("\r") if line]
    assert [segment[0] for segment in segments] == ["MSH", "PID", "SPM", "SAC", *["ORC", "TQ1", "OBR"] * 3]
    head = segments[0]
    assert (head[2], head[6], head[8], head[9]) == ("Lab Mitra", STAMP.at, "OML^O33^OML_O33", f"{STAMP.number}1")
    assert (head[11:16], head[20]) == (["2.5.1", "", "", "ER", "AL"], "LAB-28^IHE")
    assert [segment[1:3] for segment in segments if segment[0] == "ORC"] == [
        ["NW", f"{TUBE}-GLU"], ["NW", f"{TUBE}-685-17"], ["CA", f"{TUBE}-UREA"],
    ]  # fmt: skip
    assert [segment[4] for segment in segments if segment[0] == "OBR"] == [
        f"{code}^{code}^{system}" for code in ("GLU", "685", "UREA")
    ]


@pytest.mark.parametrize("name", PUSHES)
def test_orders_unasked_number_their_messages_and_nothing_to_say_is_no_message(name: str) -> None:
    form = load_driver(name)
    two = form.push([WORK, replace(WORK, sample_id="107632600435")], STAMP)
    assert len(two) == 2 and all(len(body.split(b"|")[9]) <= 20 for body in two if body.startswith(b"MSH"))
    assert form.speaks != "HL7" or two[0].split(b"|")[9] != two[1].split(b"|")[9]
    assert form.push([replace(WORK, codes=(), cancelled=())], STAMP) == []


@pytest.mark.parametrize("name", PUSHES)
def test_text_in_an_order_unasked_cannot_bring_a_field_of_its_own(name: str) -> None:
    evil = "x|y^z&\\`~\rO|9|8\rOBR|9"
    work = WorkOrder(TUBE, (evil,), False, evil, "", evil, evil, evil, evil, evil, cancelled=(evil + "1",))
    for body in load_driver(name).push([work], STAMP):
        assert b"\rO|9" not in body and b"\rOBR|9" not in body
