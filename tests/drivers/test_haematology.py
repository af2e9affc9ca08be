"""What the blood counters' captures do not show: answers to their queries, ids of nobody, units that hold a result."""

from __future__ import annotations

import pytest
from astm import codec

from drivers.driver import Decoded, Kind, MessageType, WorkOrder, load_driver
from drivers.wire import blocks, hl7, lis1a, lis2a
from simulators.hl7_text import deviations
from tests.drivers.said import decode

TUBE = "107630700420"


def work(*codes: str, asked: Decoded, **more: str) -> WorkOrder:
    (raw,) = asked.query_raw
    person = {"patient_id": "P-9", "name": "Asha & Devi", "sex": "F", "birth_date": "19910214"}
    return WorkOrder(TUBE, codes, query_raw=raw, **(person | more))


def as_others_read(answer: bytes) -> list[list[object]]:
    """astm-2025's own reading, which must be ours: same records, same fields, same components."""
    theirs: list[list[object]] = codec.decode(lis1a.frame(1, answer, last=True))
    assert [record[0] for record in theirs] == [record.type for record in lis2a.parse(answer)]
    return theirs


# ---- Sysmex XN --------------------------------------------------------------------------------------------------

XN = f"H|\\^&|||XN-550^1\rQ|1|3^7^{TUBE.rjust(22)}^B||||20261103101530|||||||N\rL|1|N\r"


def test_an_xn_is_told_the_parameters_of_its_tube_where_it_stands() -> None:
    asked = decode("sysmex_xn", XN)
    (answer,) = load_driver("sysmex_xn").answer(asked, [work("WBC", "HGB", asked=asked)]) or []
    head, patient, order, end = as_others_read(answer)
    assert head[11:] == ["P", "E1394-97"]
    assert (patient[4], patient[5], patient[7], patient[8]) == ("P-9", [None, "Asha &E& Devi"], "19910214", "F")
    assert order[2] == ["3", "7", TUBE.rjust(22), "B"]
    assert order[4] == [[None, None, None, None, "WBC"], [None, None, None, None, "HGB"]]
    assert (order[11], order[25], end) == ("N", "Q", ["L", "1", "N"])


def test_an_xn_is_told_of_a_tube_without_an_order() -> None:
    (answer,) = load_driver("sysmex_xn").answer(decode("sysmex_xn", XN)) or []
    order = as_others_read(answer)[2]
    assert (order[2], order[4], order[25]) == (["3", "7", TUBE.rjust(22), "B"], None, "Y")


# ---- Horiba -----------------------------------------------------------------------------------------------------

YUMIZEN = f"H|\\^&|||H550^305^4.0|||||||P|LIS2-A2|1\rQ|1|^{TUBE}||ALL||||||||O\rL|1|N\r"


@pytest.mark.parametrize(("codes", "mode"), [(("WBC", "NEU%"), "DIF"), (("WBC", "PLT"), "CBC"), (("BAS#",), "DIF")])
def test_a_yumizen_is_told_a_mode(codes: tuple[str, ...], mode: str) -> None:
    asked = decode("horiba_yumizen", YUMIZEN)
    (answer,) = load_driver("horiba_yumizen").answer(asked, [work(*codes, asked=asked)]) or []
    head, patient, order, end = as_others_read(answer)
    assert head[11:] == ["P", "LIS2-A2"]
    assert (patient[3], patient[5]) == ("P-9", "Asha &E& Devi")
    assert (order[2], order[4], order[11], order[15]) == (TUBE, [None, None, None, mode], "N", "BLOOD")
    assert end == ["L", "1", "N"]


def test_a_yumizen_is_told_that_nothing_is_known() -> None:
    (answer,) = load_driver("horiba_yumizen").answer(decode("horiba_yumizen", YUMIZEN)) or []
    assert [record[0] for record in as_others_read(answer)] == ["H", "L"]
    assert as_others_read(answer)[-1] == ["L", "1", "I"]


@pytest.mark.parametrize("asked", [f"^{TUBE}", TUBE, f"{TUBE}^12^03", f" {TUBE} ^^4"])
def test_an_abx_asks_in_either_component(asked: str) -> None:
    assert decode("horiba_pentra", f"H|\\^&|||ABX\rQ|1|{asked}||ALL\rL|1\r").query_sample_ids == (TUBE,)


@pytest.mark.parametrize("driver", ["horiba_pentra", "horiba_micros"])
@pytest.mark.parametrize(
    ("sent", "unit", "known"), [("1", None, True), ("", None, True), ("2", "2", False), ("4", "4", False)]
)
def test_another_unit_system_is_never_taken_as_the_usual_one(driver: str, sent: str, unit: str, known: bool) -> None:
    (row,) = decode(driver, f"H|\\^&|||ABX\rP|1\rO|1|7\rR|1|^^^HGB|7,4|{sent}\rL|1\r").observations
    assert row.unit == unit
    assert ((row.unit or "") in load_driver(driver).tests["HGB"].units) is known


def test_a_damaged_unit_is_read_for_what_it_can_only_be() -> None:
    tests = load_driver("horiba_pentra").tests
    assert tests["WBC"].units["10)/mm)"] == tests["PLT"].units["10)/mm)"] == ("10*3/uL", "1")
    assert tests["RBC"].units["102/mm)"] == ("10*6/uL", "1")
    assert "10)/mm)" not in tests["RBC"].units and "102/mm)" not in tests["WBC"].units
    assert "5m)" not in tests["HGB"].units


def test_the_curves_of_a_micros_are_images_and_no_comments() -> None:
    rows = "R|1|^^^PLT^777-3|201|1\rC|1|I|curve^PLT^0^63^0003|G\rC|2|I|threshold^PLT^69|G\rC|3|I|seen|I\r"
    said = decode("horiba_micros", f"H|\\^&|||SAT\rP|1\rO|1|7\r{rows}L|1|N\r").observations
    assert [(row.code, row.value, row.kind, row.comments, row.ordinal) for row in said] == [
        ("PLT", "201", Kind.MEASUREMENT, ("seen",), 1),
        ("curve PLT", "0003", Kind.IMAGE, (), 2),
        ("threshold PLT", "69", Kind.DETAIL, (), 3),
    ]


def test_alarms_are_said_of_the_rows_of_their_own_tube_only() -> None:
    body = "H|\\^&|||ABX\rP|1\rO|1|7\rC|1|I|PLATELET CLUMPS|I\rR|1|^^^PLT|90\rO|2|8\rR|1|^^^PLT|200\rL|1\r"
    assert [row.comments for row in decode("horiba_pentra", body).observations] == [("PLATELET CLUMPS",), ()]


# ---- Mindray BC -------------------------------------------------------------------------------------------------

ORM = f"MSH|^~\\&|BC-5000|Mindray|||20261103101530||ORM^O01|41|P|2.3.1||||||UNICODE\rORC|RF||{TUBE}||IP\r"
# The vendor's protocol (Mindray BC-5800 LIS protocol, D.4.2): PV1 and OBX stand in its ORR^O02, PID-8 is a word.
NOT_IN_ORR_O02 = {"PV1", "OBX"}
DEMANDED = {"Warning: Value Female not in table HL70001 in element PID.PID_8"}


@pytest.mark.parametrize(("codes", "mode"), [(("6690-2", "770-8"), "CBC+DIFF"), (("6690-2", "718-7"), "CBC")])
def test_a_mindray_bc_is_told_what_to_run(codes: tuple[str, ...], mode: str) -> None:
    asked = decode("mindray_bc", ORM)
    assert (asked.type, asked.query_sample_ids) == (MessageType.QUERY, (TUBE,))
    (answer,) = load_driver("mindray_bc").answer(asked, [work(*codes, asked=asked)]) or []
    msh, msa, pid, _, orc, obr, blood, test = hl7.parse(answer)
    assert (msh["9"], msh["10"], msh["12"], msh["18"]) == ("ORR^O02", "41", "2.3.1", "UNICODE")
    assert (msa["1"], msa["2"], orc["1"], orc["2"], obr["2"], obr["4.1"]) == ("AA", "41", "AF", TUBE, TUBE, "00001")
    assert (pid["3.1"], pid["5"], pid["7"], pid["8"]) == ("P-9", "Asha & Devi", "19910214", "Female")
    assert (blood["3.1"], blood["5"], test["3.1"], test["5"]) == ("08002", "W", "08003", mode)


def test_a_mindray_bc_is_told_that_there_is_no_order() -> None:
    (answer,) = load_driver("mindray_bc").answer(decode("mindray_bc", ORM)) or []
    assert [(segment.type, segment["1"], segment["2"]) for segment in hl7.parse(answer)][1:] == [("MSA", "AR", "41")]


def test_hl7apy_finds_nothing_wrong_but_what_the_vendor_demands() -> None:
    asked = decode("mindray_bc", ORM)
    driver = load_driver("mindray_bc")
    (order,), (none,) = driver.answer(asked, [work("6690-2", asked=asked)]) or [], driver.answer(asked) or []
    kept = [line for line in order.decode().split("\r") if line[:3] not in NOT_IN_ORR_O02]
    found = {line for line in deviations("\r".join(kept)) if "ORR_O02_CHOICE." not in line}  # it wants every choice
    assert found == DEMANDED
    assert deviations(none.decode()) == []


# ---- ids, blocks, doubts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("driver", "sample_id", "unread"),
    [
        ("sysmex_xp", "0", True),
        ("sysmex_xs", "ERR00003", True),
        ("sysmex_xs", "00112044", False),
        ("horiba_micros", "AUTOSID127", True),
        ("horiba_yumizen", "AUTO_SID0007", True),
        ("horiba_pentra", "34077260", False),
        ("beckman_dxh", "000009564666", False),
        ("dymind_dh", "Invalid", True),
        ("nihonkohden_celltac", "53", False),
    ],
)
def test_ids_that_name_no_tube(driver: str, sample_id: str, unread: bool) -> None:
    assert load_driver(driver).unread(sample_id) is unread


def test_a_d1u_waits_for_its_d2u_and_a_line_acknowledges_each_block() -> None:
    framing = load_driver("sysmex_xs").framing
    assert framing is not None and framing.ack == blocks.ACK
    assert [framing.whole(texts) for texts in ([b"D1U"], [b"D1U", b"D1U"], [b"D1U", b"D2U"], [b"D3U"])] == [
        False, False, True, True,
    ]  # fmt: skip


def test_an_analysis_error_of_an_xs_is_said_of_every_row() -> None:
    head = f"{'XS-500i^19045':>16}0000000006000{TUBE:>15}"
    said = f"D1U{head}20261103101530{' ' * 6}0041{' ' * 16}02000000000000{'0' * 40}"
    body = b"\x02" + said.encode() + b"\x03\x02" + f"D2U{head}00632004510".encode() + b"\x03"
    rows = decode("sysmex_xs", body).observations
    assert [(row.code, row.value, row.comments) for row in rows] == [
        ("WBC", "6.32", ("analysis error",)), ("RBC", "4.51", ("analysis error",)),
    ]  # fmt: skip


@pytest.mark.parametrize(("lines", "tube"), [("v 0042", "0042"), ("u 0042", None), ("v 0042\rv 0043", None)])
def test_a_micros_in_abx_format_has_the_tube_that_one_line_names(lines: str, tube: str | None) -> None:
    said = decode("horiba_micros_abx", f"\x02{lines}\r! 007,1 H\r\x03")
    assert [(row.sample_id, row.code, row.value, row.flags) for row in said.observations] == [
        (tube, "WBC", "007.1", ("H",))
    ]
    assert decode("horiba_micros_abx", "\x02printer text\r\x03").type is MessageType.OTHER


def test_a_wrong_data_manager_is_a_problem_sentence() -> None:
    body = "H|\\^&|||||||OTHER HOST\rP|1\rO|1|7\rR|1|^^^WBC^^^^^N|6.2|||||||m|20261103101530\rL|1\r"
    assert decode("siemens_hematology580", body).problems == (
        "H-9 says 'OTHER HOST', but this line is configured for Siemens Hematology 580",
    )


@pytest.mark.parametrize("driver", ["sysmex_xp", "sysmex_xs", "horiba_micros", "beckman_dxh", "dymind_dh"])
def test_who_was_never_told_anything_is_not_told(driver: str) -> None:
    assert load_driver(driver).answer(Decoded(MessageType.QUERY, None, query_sample_ids=(TUBE,))) is None
