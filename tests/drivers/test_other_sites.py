"""Blood counters and chemistry as other sites, other firmware or other settings send it: what no capture shows."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from drivers.decode import decode_file
from drivers.driver import Decoded, Message, MessageType, Observation, WorkOrder, driver_names, load_driver, units
from drivers.wire import blocks

TUBE, OTHER = "107632600424", "107632600435"


def decode(name: str, *records: str) -> Decoded:
    """What the driver says of a message of these records or segments."""
    body = "".join(f"{record}\r" for record in records)
    return load_driver(name).decode(Message("1", "a", datetime(2026, 11, 22, tzinfo=UTC), body.encode()))


def row(name: str, *records: str) -> Observation:
    """The only row of it."""
    (said,) = decode(name, *records).observations
    return said


# ---- queries ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "header", "asked", "named"),
    [
        ("erba_xl", "H|`^&", f"^{TUBE}^03^1^2`{OTHER}^03^1^3", (TUBE, OTHER)),
        ("erba_xl", "H|`^&", f"^{TUBE}`^{OTHER}`", (TUBE, OTHER)),
        ("erba_xl", "H|`^&", "^ALL", ()),
        ("generic_astm", "H|\\^&", f"P-1^{TUBE}\\P-2^{OTHER}", (TUBE, OTHER)),
        ("generic_astm", "H|\\^&", "ALL", ()),
        ("horiba_pentra", "H|\\^&|||ABX", "^ALL", ()),
    ],
)
def test_a_query_names_tubes_and_nothing_else(name: str, header: str, asked: str, named: tuple[str, ...]) -> None:
    said = decode(name, header, f"Q|1|{asked}||ALL||||||||O", "L|1|N")
    assert (said.type, said.query_sample_ids) == (MessageType.QUERY, named)


@pytest.mark.parametrize(
    ("name", "sender", "unread", "read"),
    [
        ("roche_cobas_c311", "H7600^1", f"^^{'':22}^1^50021^021^^S1^SC", f"^^{TUBE:>22}^2^50021^022^^S1^SC"),
        ("agappe_cx4", "CX4", "^130^5^45^N", f"{TUBE}^131^5^46^N"),
        ("horiba_yumizen", "H550", "^ ^3", f"^{TUBE}^4"),
    ],
)
def test_a_tube_is_told_by_the_question_that_named_it(name: str, sender: str, unread: str, read: str) -> None:
    """An order that echoes another tube's place would be run on another patient's blood."""
    said = decode(name, f"H|\\^&|||{sender}", f"Q|1|{unread}||ALL", f"Q|2|{read}||ALL", "L|1|N")
    assert (said.query_sample_ids, said.query_raw) == ((TUBE,), (read, unread))


def test_an_erba_s_order_echoes_the_tube_type_that_was_asked_about() -> None:
    asked = decode("erba_xl", "H|`^&", f"Q|1|^{TUBE}^01^1^2`{OTHER}|||S", "L|1|N")
    works = [
        WorkOrder(tube, ("GLU",), query_raw=raw) for tube, raw in zip((TUBE, OTHER), asked.query_raw, strict=True)
    ]
    (told,) = load_driver("erba_xl").answer(asked, works) or []
    assert f"O|1|{TUBE}^01|" in told.decode() and f"O|1|{OTHER}^03|" in told.decode()


# ---- controls ---------------------------------------------------------------------------------------------------


def test_a_control_is_known_by_its_header_alone() -> None:
    said = decode("meril_autoquant", "H|\\^&|||Meril|||||||Q", "P|1|LOT7", "R|1|^^^TP|6|g/dL", "L|1|N")
    assert (said.type, said.observations[0].sample_id) == (MessageType.QC, "LOT7")


# ---- blood counters ---------------------------------------------------------------------------------------------

XN = ("H|\\^&|||XN-350^00-24", "P|1", f"O|1||^^{TUBE:>22}^B")


@pytest.mark.parametrize("sent", ["----", "++++", "++.++", "+++.+"])
def test_an_xn_masks_what_it_did_not_count(sent: str) -> None:
    assert row("sysmex_xn", *XN, f"R|1|^^^^WBC^1|{sent}|10*3/uL||A||F", "L|1|N").masked


@pytest.mark.parametrize("code", ["Immature_Gran?", "Abn_Lympho/L-Blasts?", "PLT_Clumps(S)?", "Brand_New?"])
def test_a_doubt_of_other_firmware_is_raised_by_its_number(code: str) -> None:
    xn = load_driver("sysmex_xn")
    said = [row("sysmex_xn", *XN, f"R|1|^^^^{code}|{sent}|||||F", "L|1|N") for sent in ("90", "100")]
    assert [xn.raised(one) for one in said] == [False, True]


def test_an_xp_set_to_commas_is_read_with_points_and_kept_as_sent() -> None:
    header = ("H|\\^&|||XP-100^00-13", "P|1", f"O|1||^^{TUBE:>15}^A")
    said = row("sysmex_xp", *header, "R|1|^^^^PCT^1| 0,341|%||N||||   ||20261103101530", "L|1|N")
    assert (said.value, said.raw, said.masked) == ("0.341", " 0,341", False)
    assert row("sysmex_xp", *header, "R|1|^^^^WBC^1|---,-|10*9/L||A", "L|1|N").masked


@pytest.mark.parametrize(
    ("obx", "kind", "raised"),
    [
        ("IS|15180-3^Hypochromia^LN||T", "suspect", True),
        ("IS|12014^Anemia^99MRC||F", "suspect", False),
        ("IS|01002^Ref Group^99MRC||General", "detail", False),
        ("ST|01001^Remark^99MRC||note", "detail", False),
        ("IS|6690-2^WBC^LN||7.1|10*9/L", "measurement", False),
        ("IS|10027^MID#^99MRC||0.5|10*9/L", "measurement", False),
        ("IS|10999^NEW#^99MRC||***|10*9/L", "measurement", False),
        ("IS|10999^NEW^99MRC||slow", "detail", False),
    ],
)
def test_what_a_row_of_a_mindray_counter_is(obx: str, kind: str, raised: bool) -> None:
    said = row("mindray_bc", "MSH|^~\\&|||||20261103130000||ORU^R01|41|P|2.3.1", f"OBR|1||{TUBE}", f"OBX|1|{obx}")
    assert (said.kind, load_driver("mindray_bc").raised(said)) == (kind, raised)


def test_an_edan_writes_its_doubt_where_others_write_the_code() -> None:
    said = decode(
        "dymind_dh", "MSH|^~\\&|H90|EDANLAB|||20261103101602||ORU^R01|7|P|2.4", f"OBR|1|{TUBE}||CBC",
        "OBX|1|NM|0|WBC|7.1|10\\S\\9/L|4.0-10.0||||F||N", "OBX|2|NM|1|HGB|93|g/L|110-160||||F||L",
        "OBX|3|NM|0|LYM-X|97.1", "OBX|4|ST|0|WBC_PNG_BASE64|AAAA",
    )  # fmt: skip
    assert [(one.code, one.value, one.unit, one.flags, one.kind) for one in said.observations] == [
        ("WBC", "7.1", "10^9/L", ("N",), "measurement"), ("HGB", "93", "g/L", ("L",), "measurement"),
        ("LYM-X", "97.1", None, (), "detail"), ("WBC_PNG_BASE64", "AAAA", None, (), "image"),
    ]  # fmt: skip
    assert {one.sample_id for one in said.observations} == {TUBE}
    assert [len(one.comments) for one in said.observations] == [0, 1, 0, 0]


def test_a_pentra_xlr_names_the_width_of_red_cells_in_one_word() -> None:
    said = row("horiba_pentra", "H|\\^&|||ABX", f"O|1|{TUBE}^00^00||^^^DIF", "R|1|^^^RDWSD^2100-5^1|43|1||||F", "L|1|N")
    assert load_driver("horiba_pentra").tests[said.code or ""].test == "RDWSD"


def test_a_dxh_s_tube_is_the_first_component() -> None:
    said = row("beckman_dxh", "H|\\!~|||DxH", f"O|1|000{TUBE}!7!2|26", "R|1|!!!WBC!33256-9|4.9|10^9/L", "L|1|N")
    assert said.sample_id == f"000{TUBE}"


# ---- HL7 that names the tube in SPM -----------------------------------------------------------------------------

OBX = "OBX|1|NM|K^Potassium||4.1|mmol/L"


def hl7(kind: str, *segments: str) -> Decoded:
    return decode("generic_hl7", f"MSH|^~\\&|X|||||||{kind}|9|P|2.5.1", *segments)


def test_spm_behind_the_rows_names_their_tube_and_not_the_next_one_s() -> None:
    said = hl7("ORU^R01^ORU_R01", "ORC|RE", "OBR|1||F1", OBX, f"SPM|1|{TUBE}^F1", "ORC|RE", "OBR|2||F2", OBX,
               f"SPM|1|^{OTHER}", "ORC|RE", "OBR|3", OBX)  # fmt: skip
    assert [one.sample_id for one in said.observations] == [TUBE, OTHER, None]
    assert hl7("ORU^R01", "OBR|1", OBX, "SPM|1|LOT7|||||||||Q").type is MessageType.QC


def test_spm_before_the_rows_names_the_tube_of_all_its_orders() -> None:
    said = hl7("OUL^R22^OUL_R22", f"SPM|1|{TUBE}", "OBR|1||F1", OBX, "OBR|2||F2", OBX, "SPM|2", f"SAC|||{OTHER}",
               "OBR|1||F3", OBX, "SPM|3", "OBR|1", OBX)  # fmt: skip
    assert [one.sample_id for one in said.observations] == [TUBE, TUBE, OTHER, None]


# ---- chemistry --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ("R|1|^^^TP|6.1|g/dL|0^0||H|N|F||||20131203141051", (("H",), "F", "20131203141051")),
        ("R|1|^^^TP|6.1|g/dL|0^0|L|N|F||||20131203141051|AQ-400", (("L",), "F", "20131203141051")),
    ],
)
def test_a_meril_s_record_is_read_shifted_or_not(record: str, said: tuple[object, ...]) -> None:
    found = row("meril_autoquant", "H|\\^&|||Meril", f"P|1|{TUBE}", record, "L|1|N")
    assert (found.flags, found.status, found.observed_at) == said


@pytest.mark.parametrize("identity", ["", "0000"])
def test_two_tubes_nobody_named_are_not_two_runs_of_one(identity: str) -> None:
    erba = decode("erba_xl", "H|`^&", *2 * (f"O|1|{identity}", "R|1|^^^TP|6.1|g/dL|||N|F"), "L|1|N")
    assert load_driver("erba_xl").reportable(erba.observations) == (True, True)
    vitros = decode("ortho_vitros", "H|\\^&|||3600796", *2 * ("O|1|^2^1", "R|1|^^^1.0+002+1|5|mg/dL"), "L|1|N")
    assert load_driver("ortho_vitros").reportable(vitros.observations) == (True, True)


def test_a_vitros_row_without_a_dilution_is_not_diluted() -> None:
    assert row("ortho_vitros", "H|\\^&|||3600796", f"O|1|{TUBE}", "R|1|^^^002|15|mg/dL", "L|1|N").comments == ()


def test_controls_of_a_mindray_in_one_message_keep_their_own_names() -> None:
    said = decode(
        "mindray_chem_hl7", "MSH|^~\\&|||||20120508094822||ORU^R01|1|P|2.3.1||||2||ASCII",
        "OBR|1|2|TBil||||||||||LOW", "OBX|1|NM|2|TBil|1|mg/dL", "OBR|2|2|TBil||||||||||HIGH", "OBX|1|NM|2|TBil|4|mg/dL",
    )  # fmt: skip
    assert (said.type, [one.sample_id for one in said.observations]) == (MessageType.QC, ["LOW", "HIGH"])


def test_a_test_that_an_indiko_sent_back_is_named_beside_results() -> None:
    orders = (f"O|1|{TUBE}^0.0^5^2||^^^ALB", "R|1|^^^ALB^0.0|25.5|g/l", f"O|2|{TUBE}||^^^sTfR{'|' * 21}X")
    said = decode("thermo_indiko", "H|\\^&|||1^Analyzer 1^7.0", "P|1", *orders, "L|1|N")
    assert said.problems == ("sent back without being run: sTfR",)


def test_lines_of_a_drichem_are_each_of_their_own_tube() -> None:
    head = "R,NORMAL ,30-08-2024,12:0{},{},{},             ,49,9,999,01,01,TBIL-PS ,=,{}      mg/dl ,01,0.0  ,0.0  ,  "
    body = "\x02" + head.format(7, 1, TUBE, "0.1") + "\r\n" + head.format(9, 2, OTHER, "4.2") + "\r\n\x03"
    said = load_driver("fujifilm_drichem").decode(Message("1", "a", datetime(2026, 1, 1, tzinfo=UTC), body.encode()))
    assert [(one.sample_id, one.value, one.observed_at, one.ordinal) for one in said.observations] == [
        (TUBE, "0.1", "30-08-2024 12:07", 1), (OTHER, "4.2", "30-08-2024 12:09", 2)
    ]  # fmt: skip
    assert said.problems == ()


# ---- units ------------------------------------------------------------------------------------------------------

LITRE = Decimal("1E6")  # microlitres
PREFIX = {"3": 3, "6": 6, "9": 9, "12": 12, "³": 3, "⁶": 6, "⁹": 9, "¹²": 12, "03": 3, "06": 6, "09": 9}


def per_microlitre(unit: str) -> Decimal:
    """How many cells in a microlitre one of this unit is, by arithmetic on its spelling."""
    named = {"K/uL": 1000, "M/uL": 10**6, "million/cumm": 10**6, "lakh/cumm": 10**5, "/uL": 1, "/cumm": 1}
    if unit in named:
        return Decimal(named[unit])
    power, volume = unit.split("/")
    exponent = re.fullmatch(r"x?1(?:0(?:\*\*?|\^|[Ee])?|E)(\d+|[³⁶⁹]|¹²)", power)
    assert exponent is not None, unit
    cells = Decimal(10) ** PREFIX.get(exponent[1], int(exponent[1]) if exponent[1].isascii() else -1)
    return cells / LITRE if volume.lower() == "l" else cells


@pytest.mark.parametrize("ucum", ["10*3/uL", "10*6/uL"])
def test_every_spelling_of_a_count_has_the_factor_that_arithmetic_gives(ucum: str) -> None:
    for spelling, (_, factor) in units(ucum).items():
        assert Decimal(factor) == per_microlitre(spelling) / per_microlitre(ucum), spelling
    assert {"10³/µL", "x10^9/L", "10E3/mm3"} <= units("10*3/uL").keys()


MOLAR = {  # grams per mole of the substance, ten times smaller: mg/dL of one mmol/L
    "GLUF": "18.016", "UREA": "6.006", "BUN": "2.801", "CREAT": "11.312", "URIC": "16.811", "TBIL": "58.467",
    "DBIL": "58.467", "CHOL": "38.665", "HDL": "38.665", "LDL": "38.665", "TG": "88.54", "CA": "4.0078",
    "PHOS": "3.0974", "MG": "2.4305", "IRON": "5.5845", "TIBC": "5.5845",
}  # fmt: skip
OF_ONE_MILLIMOLE = {"mmol/l": 1, "umol/l": Decimal("0.001")}


@pytest.mark.parametrize("name", driver_names())
def test_every_molar_factor_is_the_substance_s(name: str) -> None:
    for code, meaning in load_driver(name).tests.items():
        for test in (meaning.test or "").split("|"):
            for unit, (ucum, factor) in meaning.units.items():
                size = OF_ONE_MILLIMOLE.get(unit.lower().replace("µ", "u").replace("μ", "u"))
                if test in MOLAR and size is not None:
                    of_a_gram = {"mg/dL": 1, "ug/dL": 1000}[ucum]
                    wanted = Decimal(MOLAR[test]) * size * of_a_gram
                    assert abs(Decimal(factor) - wanted) / wanted < Decimal("0.002"), (code, unit)


@pytest.mark.parametrize(
    ("obx", "value", "unit"),
    [
        ("SN|K||<^5|x10^9/L", "<5", "x10^9/L"),
        ("SN|K||^1^:^128", "1:128", None),
        ("SN|K||7.1|10^9/L", "7.1", "10^9/L"),
        ("CWE|HIV||260385009^Negative^SCT", "Negative", None),
        ("CE|HIV||POS", "POS", None),
        ("ST|HIV||a^b", "a^b", None),
    ],
)
def test_a_structured_value_is_read_as_people_write_it(obx: str, value: str, unit: str | None) -> None:
    said = hl7("ORU^R01", f"OBR|1||{TUBE}", f"OBX|1|{obx}").observations[0]
    assert (said.value, said.raw, said.unit) == (value, obx.split("|")[3], unit)


def test_a_doubt_of_a_dxh_that_stands_beside_no_value_is_kept() -> None:
    said = row("beckman_dxh", "H|\\!~|||DxH", f"O|1|{TUBE}", "R|1|!!!WBC!33256-9|4.9|10^9/L||3 to 9|A||F", "L|1|N")
    assert said.flags == ("A",)


@pytest.mark.parametrize(
    ("name", "header", "order", "result"),
    [
        ("agappe_cx4", "H|\\^&|||CX4", f"O|1|{TUBE}^1^1^2||^^^ALT{'|' * 7}Q", "R|1|^^^ALT|5|U/L"),
        ("mindray_bs", "H|\\^&|||Mindry^^|||||||PR", f"O|1|9^1^11|{TUBE}|{'|' * 7}Q", "R|1|TP^TP^^F|6|g/dL"),
    ],
)
def test_a_control_of_rc_36_is_a_control_of_every_family(name: str, header: str, order: str, result: str) -> None:
    assert decode(name, header, "P|1", order, result, "L|1|N").type is MessageType.QC


@pytest.mark.parametrize(("report", "kind"), [("", "other"), ("O", "other"), ("Q\\O", "other"), ("X", "result")])
def test_an_order_that_brings_no_result_is_one_only_when_it_says_what_became_of_it(report: str, kind: str) -> None:
    order = f"O|1|{TUBE}^03||^^^GLU|R||||||A" + "|" * 14 + report
    assert decode("generic_astm", "H|\\^&|||HOST", "P|1", order, "L|1|N").type == kind


def test_a_celltac_s_tube_stands_in_o_3_where_o_4_is_empty() -> None:
    header = "H|\\^&|||MEK-1305^1^00984^V02-13"
    orders = (f"O|1|{TUBE}^A^1", f"O|1|^M^1|{OTHER}")
    said = [row("nihonkohden_celltac", header, order, "R|1|^^^ESR|9|mm^9^0", "L|1") for order in orders]
    assert [one.sample_id for one in said] == [TUBE, OTHER]


def test_a_mindray_that_sends_as_its_manual_prints_is_read() -> None:
    records = ("H|\\^&|||BS-800^01.03^123|||||||PR", "P|1||P1", f"O|1|1^1^1|{TUBE}|2^TP^2^1|R")
    result = "R|1|2^TP^1^F|6.1^|g/dL||5.6^9.9|L||F|||20261103134300|20261103135300|BS^1"
    said = row("mindray_bs", *records, result, "L|1|N")
    assert (said.value, said.range, said.flags, said.status) == ("6.1", "5.6^9.9", ("L",), "F")
    assert said.observed_at == "20261103135300"


@pytest.mark.parametrize(("name", "status"), [("roche_cobas_c111", "R"), ("erba_xl", "R"), ("mindray_bc", "")])
def test_what_a_result_that_was_sent_before_says_of_itself(name: str, status: str) -> None:
    assert load_driver(name).resent == status


def test_a_universal_code_is_read_where_there_is_no_local_one() -> None:
    said = decode("generic_astm", "H|\\^&|||X", f"O|1|{TUBE}", "R|1|2160-0^Creatinine^LN|0.9|mg/dL", "R|2|1^^^K|4",
                  "R|3|^Urea|20", "L|1|N")  # fmt: skip
    assert [one.code for one in said.observations] == ["2160-0", "K", None]
    assert said.problems == ("rows without a test code",)
    assert decode("generic_astm", "H|\\^&|||X", f"O|1|{TUBE}", "R|1|2160-0|0.9", "L|1|N").problems == ()


def test_an_alternate_code_is_read_where_obx_3_has_no_other() -> None:
    said = hl7("ORU^R01", f"OBR|1||{TUBE}", "OBX|1|NM|^^^PLAT^Platelets^L||198", "OBX|2|NM|K^Potassium^L^x||4")
    assert [(one.code, one.name) for one in said.observations] == [("PLAT", "Platelets"), ("K", "Potassium")]
    assert said.problems == ()


def test_two_quotes_are_no_tube() -> None:
    assert hl7("OUL^R22", 'SPM|1|""', f"OBR|1||{TUBE}", OBX).observations[0].sample_id == TUBE
    assert row("erba_xl", "H|`^&", 'O|1|""', "R|1|^^^TP|6", "L|1|N").sample_id is None


@pytest.mark.parametrize("checked", [False, True])
def test_blocks_of_an_au_that_go_on_are_each_read_and_none_is_cut(checked: bool) -> None:
    head = f"D 000601 0009{TUBE:>20}    "
    data = b""
    for text, end in ((head + "0001  78.8  002   1.2r ", b"\x17"), (head + "E014  99.9  ", b"\x03")):
        body = text.encode() + end
        data += b"\x02" + body + (blocks.xor_byte(body) if checked else b"")
    said = decode_file(data, "beckman_au")
    assert said["problems"] == []
    rows = [(row["sample_id"], row["code"], row["value"]) for one in said["messages"] for row in one["observations"]]
    assert rows == [(TUBE, "001", "78.8"), (TUBE, "002", "1.2"), (TUBE, "014", "99.9")]


def test_an_au_s_short_id_that_could_be_a_block_s_number_is_not_guessed() -> None:
    data = b"\x02" + f"D 000601 0009{'5 ':>20}    1001  78.8  ".encode() + b"\x17"
    said = decode_file(data, "beckman_au")
    assert said["messages"][0]["observations"] == [] and "in 2 ways" in said["problems"][0]["what"]
