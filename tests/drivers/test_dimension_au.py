"""What Dimension and AU, whose blocks are of columns and fields of their own, do that no capture shows.

Orders in their fields, answers column for column, layouts that are found or set. What is sent is read back by the
receiver of its own framing.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from drivers.driver import Decoded, Driver, MessageType, Observation, WorkOrder, load_driver
from drivers.wire import beckman_au as au
from drivers.wire import blocks
from tests.drivers.said import TUBE, decode, dimension, work

# ---- Dimension --------------------------------------------------------------------------------------------------


def test_dimension_is_told_its_order_in_the_manuals_fields_or_that_there_is_none() -> None:
    form = load_driver("siemens_dimension")
    asked = decode(form, dimension("I", TUBE))
    assert (asked.type, asked.query_sample_ids) == (MessageType.QUERY, (TUBE,))
    assert form.answer(asked) == form.answer(decode(form, dimension("P", "DIM1", "0", "1", "0"))) == [b"N\x1c6A"]
    (text,) = form.answer(asked, [work("GLUC", "CREA", stat=True, specimen="Fluoride plasma")]) or [b""]
    assert form.framing is not None and blocks.ends_with_sum(text, b"")
    assert text[:-2].decode().split("\x1c") == [
        "D", "0", "0", "A", "Asha Devi                ", TUBE, "2", "", "1", "1", "**", "1", "2", "GLUC", "CREA", ""
    ]  # fmt: skip


def test_a_name_that_the_dimension_cannot_print_is_replaced_by_the_patients_number() -> None:
    form = load_driver("siemens_dimension")
    (text,) = form.answer(decode(form, dimension("I", TUBE)), [replace(work("GLUC"), name="आशा\x1c")]) or [b""]
    assert text.split(b"\x1c")[4] == b"P77".ljust(25)


def test_dimension_results_and_calibrations_are_answered_by_m_and_nothing_else_is() -> None:
    framing = load_driver("siemens_dimension").framing
    assert framing is not None
    accepted = b"M\x1cA\x1c\x1cE2"
    sent = {letter: framing.receipt(f"{letter}\x1c0\x1c".encode()) for letter in "RCPIM"}
    assert sent == {"R": accepted, "C": accepted, "P": b"", "I": b"", "M": b""}


def test_a_dimension_value_with_an_error_is_flagged_and_a_wrong_count_is_said() -> None:
    said = decode("siemens_dimension", dimension(
        "R", "0", "A", TUBE, "1", "", "0", "002810221126", "1", "1", "3",
        "GLUC", "104", "mg/dL", "", "TGL", "1043", "mg/dL", "7",
    ))  # fmt: skip
    assert [(row.value, row.flags) for row in said.observations] == [("104", ()), ("1043", ("7",))]
    assert said.problems == ("the number of tests is not the one said",)


# ---- AU ---------------------------------------------------------------------------------------------------------

BLOCK = "D 000305 0081        " + TUBE + "    E0" + " " * 26 + "20261122101505" + "014  78.8  097 141.3r "


def au_driver(**layout: int) -> Driver:
    return load_driver("beckman_au").at_site(layout=layout)


def test_the_answer_mirrors_the_columns_of_the_request() -> None:
    """N, a usual sample, becomes a blank; every other column, and its width, comes back as it came."""
    for request in (f"R 000301N0095        {TUBE}", f"R 000301N0095              {TUBE}", f"Rh000301U0095{TUBE}"):
        form = load_driver("beckman_au")
        asked = decode(form, f"\x02{request}\x03")
        assert asked.query_sample_ids == (TUBE,)
        kind = " " if request[8] == "N" else request[8]
        expected = f"S {request[2:8]}{kind}{request[9:]}    E014097"
        assert form.answer(asked, [work("014", "097")]) == [expected.encode()]
        assert form.answer(asked) is None


def test_an_order_leaves_the_blanks_that_the_analyzer_reads_patient_information_from() -> None:
    asked = decode(au_driver(before_tests=20), f"\x02R 000301N0095        {TUBE}\x03")
    (sent,) = load_driver("beckman_au").answer(asked, [work("014")]) or [b""]
    assert sent.endswith(b"    E" + b" " * 20 + b"014")


def test_a_width_that_is_set_and_does_not_fit_refuses_the_block() -> None:
    fits = au_driver(sample_id=20, before_results=27, time=14, test=3, value=6, marks=2)
    said = decode(fits, f"\x02{BLOCK}\x03")
    assert [(row.sample_id, row.code, row.value, row.flags) for row in said.observations] == [
        (TUBE, "014", "78.8", ()), (TUBE, "097", "141.3", ("r",))
    ]  # fmt: skip
    for name, width in {"sample_id": 26, "before_results": 6, "time": 0, "test": 2, "value": 9, "marks": 8}.items():
        wrong = decode(fits.at_site(layout={**fits.layout, name: width}), f"\x02{BLOCK}\x03")
        assert (wrong.type, wrong.observations) == (MessageType.OTHER, ()), name
        assert "fit no layout" in wrong.problems[0]
    narrow = decode(au_driver(sample_id=26), f"\x02R 000301N0095        {TUBE}\x03")
    assert (narrow.type, narrow.query_sample_ids) == (MessageType.OTHER, ())


def test_a_block_that_can_be_read_in_two_ways_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """No block that was seen can; whether one could is not for us to bet on."""
    read = au.readings
    monkeypatch.setattr(au, "readings", lambda text, layout: [*read(text, layout), au.Reading("1", "", ())])
    said = decode("beckman_au", f"\x02{BLOCK}\x03")
    assert (said.type, said.observations) == (MessageType.OTHER, ())
    assert "can be read in 2 ways" in said.problems[0]


def test_a_block_of_endless_blanks_is_judged_at_once() -> None:
    assert au.readings(f"D 000305 0081{TUBE:>20}    E" + " " * 2_000_000, {}) == []


@pytest.mark.parametrize("sample_id", [TUBE, "9152943", "E7", "A-1 2", ""])
@pytest.mark.parametrize("after", ["0" + " " * 26 + "20261122101505", "20261122101505", "M 4503", "0     ", ""])
@pytest.mark.parametrize(
    ("test", "value", "marks"), [(3, 6, 2), (3, 9, 8), (2, 9, 2), (2, 6, 2), (3, 9, 2)], ids=lambda width: str(width)
)
def test_widths_that_nobody_set_are_found_in_the_block(
    sample_id: str, after: str, test: int, value: int, marks: int
) -> None:
    """Layouts of this analyzer that were seen, with ids of several shapes: one reading, the right one."""
    rows = [("14", "78.8", ""), ("97", "141.3", "r"), ("5", "", "%?"), ("17", "-0.2", "L")]
    groups = "".join(f"{code:0>{test}}{said:>{value}}{marked:<{marks}}" for code, said, marked in rows)
    (found,) = au.readings(f"D 000305 0081{sample_id:>20}    E{after}{groups}", {})
    assert found.sample_id == sample_id
    assert found.time == ("20261122101505" if "2026" in after else "")
    assert [(g.test.lstrip("0"), g.value.strip(), g.marks.strip()) for g in found.groups] == rows


def test_a_unit_that_is_never_sent_is_the_sites_and_one_that_is_sent_is_the_analyzers() -> None:
    form = load_driver("beckman_au").at_site(unit_unsent={"014": "mg/dL"})
    row = Observation(TUBE, "014", None, "78.8", "78.8", None)
    assert form.in_its_unit(row).unit == "mg/dL"
    assert form.in_its_unit(row._replace(unit="mmol/L")).unit == "mmol/L"
    assert form.in_its_unit(row._replace(code="015")).unit is None
    assert load_driver("beckman_au").in_its_unit(row) == row


@pytest.mark.parametrize(
    ("driver", "asked"),
    [
        ("beckman_au", "R \x11000301N0095             9501268"),
        ("sysmex_ca", "R1210101 051126095\x1100010107632600538B"),
    ],
)
def test_columns_that_the_cable_damaged_are_not_mirrored(driver: str, asked: str) -> None:
    """Found by the fuzz run: an order would have carried a control character back to the analyzer."""
    form = load_driver(driver)
    query = Decoded(MessageType.QUERY, None, query_sample_ids=("9501268",), query_raw=(asked,))
    assert form.answer(query, [WorkOrder("9501268", ("014",), query_raw=asked)]) is None
    sound = asked.replace("\x11", "0")
    assert form.answer(replace(query, query_raw=(sound,)), [WorkOrder("9501268", ("014",), query_raw=sound)])
