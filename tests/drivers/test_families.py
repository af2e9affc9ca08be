"""What drivers share: the standard's forms, the law of what was cut, controls and calibrations said in one place."""

from __future__ import annotations

from pathlib import Path

import pytest

from drivers.decode import found_in
from drivers.driver import ASTM, HL7, Driver, MessageType, Observation, driver_names, load_driver
from tests.drivers.said import decode

CAPTURES = Path(__file__).parents[1] / "captures"
BLOCKS = [name for name in driver_names() if load_driver(name).speaks == "blocks"]


@pytest.mark.parametrize("name", BLOCKS)
def test_blocks_of_which_some_were_lost_are_never_taken_for_the_message(name: str) -> None:
    driver = load_driver(name)
    bodies = [one.body for raw in (CAPTURES / name).glob("*.raw") for one in found_in(driver, raw.read_bytes())]
    said = [decode(driver, body, incomplete=True) for body in bodies if body]
    assert {one.type for one in said} == {MessageType.INCOMPLETE}
    assert all(one.problems for one in said)


@pytest.mark.parametrize("base", [ASTM, HL7])
def test_what_the_standard_says_is_read_by_its_own_form(base: Driver) -> None:
    astm = "H|\\^&\rP|1\rO|1|0042\rR|1|^^^K|4.1|mmol/L|3.5-5.1|N||F||||20261122101500\rL|1|N\r"
    hl7 = "MSH|^~\\&|X\rOBR|1||0042\rOBX|1|NM|K||4.1|mmol/L|3.5-5.1|N|||F|||20261122101500\r"
    (row,) = decode(base, astm if base is ASTM else hl7).observations
    assert (row.sample_id, row.code, row.value, row.unit) == ("0042", "K", "4.1", "mmol/L")
    assert (row.range, row.flags, row.status, row.observed_at) == ("3.5-5.1", ("N",), "F", "20261122101500")


@pytest.mark.parametrize(
    ("driver", "body"),
    [
        ("mindray_bs", "H|\\^&|||Mindray|||||||CR\rP|1\rO|1||7\rR|1|GLU^GLU^^F|1.0\rL|1|N\r"),
        ("tisenc_accre", "MSH|^~\\&|TISENC||||||ORU^R01|1|P|2.3.1||||1\rOBR|1||7\rOBX|1|NM|12|TSH|1.2\r"),
        ("mindray_chem_hl7", "MSH|^~\\&|M||||||ORU^R01|1|P|2.3.1||||1\rOBR|1|7\rOBX|1|NM|2|GLU|1.2\r"),
    ],
)
def test_a_calibration_is_nobodys_result_and_one_that_was_cut_is_incomplete(driver: str, body: str) -> None:
    assert decode(driver, body).type is MessageType.CALIBRATION
    assert decode(driver, body.replace("CR", "PR").replace("||||1\r", "||||0\r")).type is MessageType.RESULT
    assert decode(driver, body, incomplete=True).type is MessageType.INCOMPLETE


@pytest.mark.parametrize(
    ("sample_id", "kind", "type"),
    [("7", "Serum", "result"), ("QC7", "Serum", "qc"), ("7", "Control", "qc"), ("7", "QC", "qc")],
)
def test_a_control_is_told_by_its_kind_or_by_an_id_that_only_controls_have(
    sample_id: str, kind: str, type: str
) -> None:
    form = f"pId={sample_id}&sampleStr[en]={kind}&ionData[K][name]=K&ionData[K][conc]=4.1"
    assert decode("diamond_smartlyte", form).type == type


@pytest.mark.parametrize(
    ("driver", "sent", "plain"),
    [
        ("ortho_vitros", "^0^", "N"),
        ("ortho_vitros", "^0^NQ", "^0^NQ"),
        ("sysmex_xs", "+", "H"),
        ("sysmex_xs", "-", "L"),
        ("sysmex_xs", "*", "*"),
        ("biosystems_ba400", "NONE", "N"),
        ("diamond_smartlyte", "LOW", "L"),
        ("generic_astm", "+", "+"),
    ],
)
def test_a_flag_of_its_own_that_says_no_more_is_the_standards_flag(driver: str, sent: str, plain: str) -> None:
    row = Observation("7", "K", None, "4.1", "4.1", "mmol/L", (sent,))
    assert load_driver(driver).in_plain_flags(row).flags == (plain,)
    assert row.flags == (sent,), "what was said stays as it was said"


def test_a_c111_sends_a_result_again_with_its_own_status() -> None:
    assert load_driver("roche_cobas_c111").resent == "R"


@pytest.mark.parametrize(
    ("o3", "o4", "sample_id"),
    [
        ("107632600424^3^2", "", "107632600424"),
        ("107632600424-3-2", "", "107632600424"),
        ("", "107632600424-03-50520701-LIS003", "107632600424"),
        ("", "91246803-03-50520701-LIS003", "91246803-03-50520701-LIS003"),
        ("QC-LOW-1", "", "QC-LOW-1"),
        ("1076326004240-3", "", "1076326004240-3"),
    ],
)
def test_a_d10_puts_rack_and_run_behind_the_tubes_number(o3: str, o4: str, sample_id: str) -> None:
    body = f"H|\\^&|||D10^07^3.00\rP|1\rO|1|{o3}|{o4}\rR|1|^^^A1c^AREA|5.9|%||N||F\rL|1|F\r"
    assert [row.sample_id for row in decode("biorad_d10", body).observations] == [sample_id]
