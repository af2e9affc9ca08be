"""Clinical chemistry: what analyzers are told when they ask, which run is reported, and whose number is no tube's."""

from __future__ import annotations

from pathlib import Path

import pytest
from astm import codec

from drivers.decode import found_in
from drivers.driver import MessageType, WorkOrder, driver_names, load_driver
from drivers.engine.chemistry import material
from drivers.wire import hl7, lis1a, lis2a
from simulators import hl7_text
from tests.drivers.said import as_sent, decode

CAPTURES = Path(__file__).parents[1] / "captures"
TUBE, OTHER = "107632600424", "107632600435"
ASKS = {  # driver → what its analyzer asks
    "mindray_bs": f"H|\\^&|||Mindry^^|||||||RQ|1394-97|20261122090000\rQ|7|^{TUBE}||||||||||O\rL|8|N\r",
    "agappe_mispa_nano": f"H|\\^&|||Mindry^^|||||||RQ|1394-97|20261122090000\rQ|7|^{TUBE}||||||||||O\rL|8|N\r",
    "roche_cobas_c311": f"H|\\^&|||H7600^1|||||host|TSREQ^REAL|P|1\r"
    f"Q|1|^^{TUBE:>22}^3^50021^021^^S1^SC||ALL||||||||A\rL|1|N\r",
    "roche_cobas_e411": f"H|\\^&|||cobas-e411^1|||||host|TSREQ^REAL|P|1\r"
    f"Q|1|^^{TUBE}^587^@8^2^^S2^SC||ALL||||||||O\rL|1|N\r",
    "thermo_indiko": f"H|\\^&|||1^Analyzer 1^7.0|||||||P||20261122090000\rQ|1|^{TUBE}^^||^^^ALL^||||||||O\rL|1|N\r",
    "generic_astm": f"H|\\^&|||X^1|||||||P|LIS2-A2\rQ|1|^{TUBE}||ALL||||||||O\rL|1|N\r",
    "erba_xl": f"H|`^&||||||||||P|E 1394-97\rQ|1|^{TUBE}`{OTHER}|||S|||||||O\rL|1|N\r",
    "mindray_chem_hl7": "MSH|^~\\&|Mindray|BS-240|||20261122090000||QRY^Q02|17|P|2.3.1||||||ASCII|||\r"
    f"QRD|20261122090000|R|D|1|||RD|{TUBE}|OTH|||T|\rQRF|BS-240|20261122000000|20261122235959|||RCT|COR|ALL||\r",
    **dict.fromkeys(
        ("biosystems_ba400", "generic_hl7"),
        "MSH|^~\\&|BA400|Biosystems|Host|Lab|20261122090000||QBP^Q11^QBP_Q11|f676459e-4d4c-4aad-b65f-cef7f04c9521|P|2.5.1"
        f"|||ER|AL||UNICODE UTF-8|||LAB-27^IHE\rQPD|WOS^Work Order Step^IHE_LABTF|f676459e4d4c|{TUBE}\rRCP|I||R\r",
    ),
}
ASTM = [name for name in ASKS if ASKS[name].startswith("H|\\^&")]
HL7 = [name for name in ASKS if ASKS[name].startswith("MSH")]


def answers(name: str, *codes: str, stat: bool = False, known: bool = True, specimen: str = "Serum") -> list[bytes]:
    """What the driver says to its analyzer's question about TUBE."""
    asked = decode(name, ASKS[name])
    assert (asked.type, asked.query_sample_ids[0]) == (MessageType.QUERY, TUBE)
    work = WorkOrder(
        TUBE, codes, stat, specimen, asked.query_raw[0], "UH-77", "Asha Devi", "F", "19900102", "S"
    )  # fmt: skip
    return load_driver(name).answer(asked, [work] if known else []) or []


def fields(body: bytes, kind: str) -> list[list[str]]:
    """The records of one type, as sent."""
    return [line.split("|") for line in body.decode().split("\r") if line.startswith(f"{kind}|")]


# ---- every answer is well-formed --------------------------------------------------------------------------------


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("name", ASTM)
def test_an_independent_codec_reads_the_same_fields(name: str, known: bool) -> None:
    """astm-2025 0.8.1 does not read delimiters from H: the usual ones are tried, H-2 is left out."""
    for body in answers(name, "GLU", "685", known=known):
        theirs = codec.decode(lis1a.frames(body, size=lis1a.MAX_FRAME - 7)[0], "latin-1")
        ours = [record.fields for record in lis2a.parse(body)]
        assert len(theirs) == len(ours)
        for read, sent in zip(theirs, ours, strict=True):
            skip = slice(1, 2) if sent[0] == "H" else slice(0, 0)
            got, want = [as_sent(field) for field in read], list(sent)
            del got[skip], want[skip]
            assert got == want


# What hl7apy objects to, and why it stays.
TABLE = "HL7 table 0396 names HL7's own tables HL7nnnn: hl7apy takes the four n for letters"
LAW_DEVIATIONS = {
    "Warning: Value HL70369 not in table HL70396 in element SPM_11.CWE_3": TABLE,
    "Warning: Value HL70487 not in table HL70396 in element SPM_4.CWE_3": TABLE,
    "Warning: Value HL70485 not in table HL70396 in element TQ1_9.CWE_3": TABLE,
    "Warning: Value IHE_LABTF not in table HL70396 in element QAK_3.CE_3": "BA400 capture: as it asks, echoed",
    "Warning: Value IHE_LABTF not in table HL70396 in element QPD_1.CE_3": "as above",
    "Error: Missing required child OML_O33_ORDER_PRIOR.OML_O33_OBSERVATION_PRIOR": "HL7 2.5.1 4.4.6: ORDER repeats "
    "below one SPECIMEN, as IHE LAW 3.28 wants it; hl7apy takes the second ORC for a prior result's",
}
DEVIATIONS = {
    "biosystems_ba400": LAW_DEVIATIONS
    | {"Warning: Value A400 not in table HL70396 in element OBR_4.CE_3": "BA400 capture: the name of its codes"},
    "generic_hl7": LAW_DEVIATIONS,
    "mindray_chem_hl7": {
        "Error: Missing required child DSP.DSP_3": "Mindray's manual: DSP rows are told by number, empty ones are sent",
        "Error: Datatype None is not correct for DSP.DSP_3 (it must be None)": "as above",
        "Error: Missing required child QRD.QRD_10": "Mindray's manual: its own query, echoed",
    },
}


@pytest.mark.parametrize("name", HL7)
def test_hl7apy_finds_only_what_the_vendor_wants(name: str) -> None:
    bodies = [*answers(name, "2", "5"), *answers(name, known=False)]
    assert {line for body in bodies for line in hl7_text.deviations(body.decode())} == set(DEVIATIONS[name])


@pytest.mark.parametrize("name", sorted(ASKS))
def test_text_cannot_bring_a_field_or_a_segment_of_its_own(name: str) -> None:
    asked = decode(name, ASKS[name])
    evil = "x|y^z&\\\rO|9|8\rOBR|9"
    work = WorkOrder(TUBE, (evil,), False, evil, asked.query_raw[0], evil, evil, evil, evil, evil)
    for body in load_driver(name).answer(asked, [work]) or []:
        assert b"\rO|9" not in body and b"\rOBR|9" not in body


# ---- Mindray's ASTM ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mindray_bs", "agappe_mispa_nano"])
def test_mindray_is_told_in_an_sa_message_and_no_order_in_qa(name: str) -> None:
    (told,) = answers(name, "GLU", "UREA", stat=True, specimen="Fluoride plasma")
    assert fields(told, "H")[0][11:13] == ["SA", "1394-97"]
    (order,) = fields(told, "O")
    assert [order[n - 1] for n in (3, 4, 5, 6, 16, 26)] == ["1^1^1", TUBE, "GLU^^2^1\\UREA^^2^1", "S", "plasma", "Q"]
    (nothing,) = answers(name, known=False)
    assert (fields(nothing, "H")[0][11], fields(nothing, "L"), fields(nothing, "O")) == ("QA", [["L", "1", "I"]], [])


def test_a_bar_in_a_text_of_a_mindray_shifts_no_field() -> None:
    rows = "R|1|TP^Total &| Protein^^F|6.4^^^^|g/dL|^|H||F||0|20261122\rR|2|X^a&|&b &E& c^^F|1^|mmol/L\r"
    said = decode("mindray_bs", f"\rH|\\^&|||Mindry^^|||||||PR|1394-97\rO|1|1^1^1|{TUBE}\r{rows}L|1|N\r")
    assert [(row.name, row.value, row.unit) for row in said.observations] == [
        ("Total | Protein", "6.4", "g/dL"), ("a|b & c", "1", "mmol/L")
    ]  # fmt: skip


def test_a_blank_code_is_the_name_and_nothing_is_guessed_where_both_are_blank() -> None:
    rows = "R|1|^UREA^^F|1.5^|mg/dL|||||||20261122\rR|2|^ ^^F|2.5^|mg/dL|||||||20261122\r"
    said = decode("agappe_mispa_nano", f"H|\\^&|||Mindry^^|||||||PR|1394-97\rP|1\rO|1|1^1^1|{TUBE}\r{rows}L|1|N\r")
    assert [(row.code, row.value) for row in said.observations] == [("UREA", "1.5"), (None, "2.5")]
    assert load_driver("agappe_mispa_nano").reportable(said.observations) == (True, True)


def test_mindray_reports_the_number_not_its_interpretation() -> None:
    (raw,) = [f for f in CAPTURES.glob("mindray_bs/*.raw") if "interpretation" in f.stem]
    driver = load_driver("mindray_bs")
    said = [decode(driver, found.body or b"") for found in found_in(driver, raw.read_bytes())]
    assert [one.type.value for one in said] == ["qc", "calibration", "result"]
    reported = [
        row for row, yes in zip(said[2].observations, driver.reportable(said[2].observations), strict=True) if yes
    ]
    assert [(row.code, row.value, row.coded) for row in reported] == [
        ("CREA", "-0.012345", None), ("CRP", "18.250000", "Positive"), ("CHOL", "NA", None),
    ]  # fmt: skip


# ---- Mindray's HL7 ----------------------------------------------------------------------------------------------


def test_qck_says_nf_and_nothing_follows_it() -> None:
    (check,) = answers("mindray_chem_hl7", known=False)
    assert [fields(check, "MSA")[0][1:7], fields(check, "ERR")[0], fields(check, "QAK")[0]] == [
        ["AA", "17", "Message accepted", "", "", "0"], ["ERR", "0"], ["QAK", "SR", "NF"],
    ]  # fmt: skip


def test_dsr_follows_qck_with_its_rows_by_number() -> None:
    check, display = answers("mindray_chem_hl7", "2", "5", stat=True)
    assert [fields(body, "MSH")[0][8:10] for body in (check, display)] == [["QCK^Q02", "17"], ["DSR^Q03", "17"]]
    rows = {int(row[1]): row[3] for row in fields(display, "DSP") if len(row) > 3}
    assert rows == {
        1: "UH-77", 3: "Asha Devi", 4: "19900102000000", 5: "F", 21: TUBE, 24: "Y", 26: "serum", 29: "2^^^", 30: "5^^^",
    }  # fmt: skip
    assert display.decode().split("\r")[4] == ASKS["mindray_chem_hl7"].split("\r")[1]  # QRD as it was sent


def test_the_rack_place_of_a_mindray_is_no_tube() -> None:
    head = "MSH|^~\\&|Mindray|BS-240|||20261122||ORU^R01|1|P|2.3.1||||0||ASCII\r"
    said = decode("mindray_chem_hl7", head + f"OBR|1||{TUBE}\rOBX|1|NM|2|ALT|5|U/L\r")
    assert (said.observations[0].sample_id, said.problems) == (None, ("rows without a sample id",))


def test_a_kind_of_result_in_msh_16_is_given_back_with_msa_6() -> None:
    asked = hl7.parse("MSH|^~\\&|Mindray|BS|||1||ORU^R01|9|P|2.3.1||||2||ASCII\r")
    assert hl7.codes(asked) == ("AA",)
    told = hl7.acknowledge(asked, "AA", at="20261122090000", control_id="1").decode()
    assert told == "MSH|^~\\&|||Mindray|BS|20261122090000||ACK^R01|1|P|2.3.1||||2||ASCII\rMSA|AA|9||||0\r"


# ---- Roche ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "tube", "place", "kind"),
    [
        ("roche_cobas_c311", f"{TUBE:>22}", "3^50021^021^^S1^SC", "1"),
        ("roche_cobas_e411", TUBE, "587^@8^2^^S2^SC", "2"),
    ],
)
def test_roche_is_told_in_tsdwn_reply_with_the_tubes_place(name: str, tube: str, place: str, kind: str) -> None:
    (told,) = answers(name, "685", "690", stat=True)
    assert fields(told, "H")[0][10] == "TSDWN^REPLY"
    (order,) = fields(told, "O")
    assert [order[n - 1] for n in (3, 4, 5, 6, 12, 16, 26)] == [
        tube, place, "^^^685^\\^^^690^", "S", "A", kind, "O",
    ]  # fmt: skip
    (nothing,) = answers(name, known=False)
    assert (fields(nothing, "H")[0][10], fields(nothing, "O")) == ("TSDWN^REPLY", [])


@pytest.mark.parametrize("sent", ["@192", "0", "@3"])
def test_an_unread_barcode_names_no_tube(sent: str) -> None:
    assert load_driver("roche_cobas_c311").unread(sent)


# ---- LAW --------------------------------------------------------------------------------------------------------


def test_law_answers_with_rsp_and_sends_the_work_in_oml() -> None:
    response, work = answers("biosystems_ba400", "ALT-GPT", "CRP", specimen="Urine (spot)")
    assert fields(response, "QAK") == [["QAK", "f676459e4d4c", "OK", "WOS^Work Order Step^IHE_LABTF"]]
    assert fields(response, "QPD")[0][3] == TUBE
    assert (fields(work, "SPM")[0][2], fields(work, "SPM")[0][4], fields(work, "SAC")[0][3]) == (
        TUBE,
        "UR^^HL70487",
        TUBE,
    )
    assert [order[1] for order in fields(work, "ORC")] == ["NW", "NW"]
    assert [order[4] for order in fields(work, "OBR")] == ["ALT-GPT^ALT-GPT^A400", "CRP^CRP^A400"]
    heads = [hl7.parse(body)[0] for body in (response, work)]
    assert [(head["5"], head["6"], head["9.1"], head["16"], head["21"]) for head in heads] == [
        ("BA400", "Biosystems", "RSP", "", "LAB-27^IHE"), ("BA400", "Biosystems", "OML", "AL", "LAB-28^IHE"),
    ]  # fmt: skip
    assert len({head["10"] for head in heads}) == 2 and all(len(head["10"] or "") <= 20 for head in heads)


def test_law_says_that_nothing_is_known_in_an_oml_too() -> None:
    response, nothing = answers("biosystems_ba400", known=False)
    assert fields(response, "QAK")[0][2] == "NF"
    assert (fields(nothing, "SPM")[0][11], fields(nothing, "ORC")[0][1], fields(nothing, "OBR")) == (
        "U^^HL70369",
        "DC",
        [],
    )


def test_a_query_of_another_kind_is_not_answered_by_law() -> None:
    asked = decode("generic_hl7", ASKS["mindray_chem_hl7"])
    assert (asked.type, load_driver("generic_hl7").answer(asked, [])) == (MessageType.QUERY, None)


# ---- others -----------------------------------------------------------------------------------------------------


def test_indiko_is_told_one_order_for_each_test() -> None:
    (told,) = answers("thermo_indiko", "ALB", "GLU")
    assert [(order[2], order[4], order[11], order[25]) for order in fields(told, "O")] == [
        (TUBE, "^^^ALB", "X", "Q\\O"), (TUBE, "^^^GLU", "X", "Q\\O"),
    ]  # fmt: skip


def test_erba_is_told_each_of_the_tubes_it_asked_for() -> None:
    asked = decode("erba_xl", ASKS["erba_xl"])
    works = [
        WorkOrder(tube, ("GLU",), specimen="Serum", query_raw=raw)
        for tube, raw in zip((TUBE, OTHER), asked.query_raw, strict=True)
    ]
    (told,) = load_driver("erba_xl").answer(asked, works) or []
    assert [(order[2], order[4], order[15]) for order in fields(told, "O")] == [
        (f"{TUBE}^03", "^^^GLU", "SERUM"), (f"{OTHER}^03", "^^^GLU", "SERUM"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["agappe_cx4", "meril_autoquant", "elitech_selectra", "roche_cobas_c111"])
def test_these_are_told_nothing(name: str) -> None:
    asked = decode(name, f"H|\\^&|||X\rQ|1|{TUBE}||ALL\rL|1\r")
    assert (asked.query_sample_ids, load_driver(name).answer(asked, [WorkOrder(TUBE, ("GLU",))])) == ((TUBE,), None)


def test_the_running_number_of_a_cx4_is_no_tube() -> None:
    assert decode("agappe_cx4", "H|\\^&|||CX4\rQ|1|^130^5^45^N||ALL\rL|1\r").query_sample_ids == ()


def test_of_a_rerun_the_correction_is_reported() -> None:
    rows = "R|1|^^^685/|>700|U/l||HH||F|||20261122093812\rR|2|^^^685/|912|U/l||H||C|||20261122094000\r"
    said = decode("roche_cobas_c311", f"H|\\^&|||H7600^1\rP|1\rO|1|{TUBE}|1^2^3^^S1^SC\r{rows}L|1|N\r")
    assert load_driver("roche_cobas_c311").reportable(said.observations) == (False, True)


def test_curves_are_no_comments() -> None:
    (raw,) = CAPTURES.glob("elitech_selectra/pro_m*.raw")
    driver = load_driver("elitech_selectra")
    for found in found_in(driver, raw.read_bytes()):
        assert all(
            text.startswith("M01") for row in decode(driver, found.body or b"").observations for text in row.comments
        )


def test_urea_and_urea_nitrogen_convert_by_factors_of_their_own() -> None:
    table = load_driver("erba_xl").tests
    assert (table["UREA"].units["mmol/L"], table["BUN"].units["mmol/L"]) == (("mg/dL", "6.006"), ("mg/dL", "2.8014"))


@pytest.mark.parametrize(
    ("specimen", "word"),
    [("Serum", "serum"), ("Fluoride plasma", "plasma"), ("Urine (24 h)", "urine"), ("EDTA whole blood", "blood"),
     ("CSF", "csf"), ("", "serum")],
)  # fmt: skip
def test_the_catalogues_specimen_in_the_words_of_analyzers(specimen: str, word: str) -> None:
    assert material(specimen) == word


def test_these_chemistry_drivers_are_there() -> None:
    assert set(ASKS) <= set(driver_names())
