"""What immunoassay drivers do that no capture shows: what they are told when they ask, which row is reported, whose.

Answers are read back by `astm-2025` 0.8.1, which no one here wrote.
"""

from __future__ import annotations

from typing import Any

import pytest
from astm import codec

from drivers.decode import decode_file
from drivers.driver import Decoded, Kind, MessageType, WorkOrder, load_driver
from drivers.wire import blocks, lis2a
from tests.drivers.said import TUBE, as_sent, decode, work


def answered(driver: str, query: str, *orders: WorkOrder) -> list[lis2a.Record]:
    """The records of the one answer; astm-2025 reads each of them to the same fields."""
    form = load_driver(driver)
    (body,) = form.answer(decode(form, query), orders) or [b""]
    records = lis2a.parse(body)
    for line, record in zip(body.decode().splitlines(), records, strict=True):
        theirs = [as_sent(field) for field in codec.decode_record(line.encode(), "latin-1")]
        assert theirs[0] == record.type
        assert theirs[2:] == [record.raw(str(number)) for number in range(3, len(theirs) + 1)], line
    return records


# ---- ARCHITECT --------------------------------------------------------------------------------------------------

ARC = "H|\\^&|||ARCHITECT^8.10^F1^H1P1O1R1C1Q1L1\r"


def architect(*rows: str) -> Decoded:
    return decode("abbott_architect", f"{ARC}P|1\rO|1|{TUBE}\r" + "".join(f"{row}\r" for row in rows) + "L|1\r")


def arc(n: int, aspect: str, value: str, dilution: str = "UNDILUTED", at: str = "20261122100000", st: str = "F") -> str:
    return f"R|{n}|^^^241^HBsAg^{dilution}^P^1^2^^{aspect}|{value}|S/CO||||{st}||A||{at}|i1"


def test_of_an_architect_test_the_result_is_reported_with_its_interpretation_beside_it() -> None:
    said = architect(arc(1, "F", "4.87"), arc(2, "I", "Reactive"), arc(3, "P", "30118"))
    assert load_driver("abbott_architect").reportable(said.observations) == (True, False, False)
    assert [row.coded for row in said.observations] == ["Reactive", None, None]
    assert architect(arc(1, "F", "0.2"), arc(2, "I", "Nonreactive")).observations[0].coded == "Non-reactive"
    assert architect(arc(1, "F", "0.2"), arc(2, "I", "GRAYZONE")).observations[0].coded == "GRAYZONE"


def test_of_an_architect_test_without_a_result_row_the_words_are_reported_and_counts_never() -> None:
    report = load_driver("abbott_architect").reportable
    assert report(architect(arc(1, "I", "Reactive"), arc(2, "P", "30118")).observations) == (True, False)
    assert report(architect(arc(1, "P", "30118")).observations) == (False,)


def test_of_a_diluted_architect_test_in_one_message_the_latest_is_reported() -> None:
    said = architect(arc(1, "F", "> 31000"), arc(2, "F", "90739.27", "1:15", at="20261122103000"))
    assert load_driver("abbott_architect").reportable(said.observations) == (False, True)
    assert [row.comments for row in said.observations] == [(), ("dilution 1:15",)]
    assert architect(arc(1, "F", "140", "STANDARD")).observations[0].comments == ()


def test_architect_is_told_its_orders_and_that_there_are_none() -> None:
    query = f"{ARC}Q|1|^{TUBE}||^^^ALL||||||||O\rL|1\r"
    head, patient, order, last = answered("abbott_architect", query, work("241", "651", stat=True))
    assert (head["5"], head.raw("10"), last.raw("2")) == ("Lab Mitra", "ARCHITECT^8.10^F1^H1P1O1R1C1Q1L1", "1")
    assert (patient["4"], patient["9"]) == ("P77", "F")
    told = [order.raw(n) for n in ("3", "5", "6", "12", "26")]
    assert told == [TUBE, "^^^241\\^^^651", "S", "A", "Q"]
    _, nothing, _ = answered("abbott_architect", query)
    assert [nothing.raw(n) for n in ("1", "3", "5", "13")] == ["Q", f"^{TUBE}", "^^^ALL", "X"]


def test_a_row_without_a_code_goes_on_to_the_tray_and_a_picture_is_never_reported() -> None:
    said = architect("R|1|^^^^^^^^^^F|5", "R|2||6")
    assert load_driver("abbott_architect").reportable(said.observations) == (True, True)
    picture = said.observations[0]._replace(kind=Kind.IMAGE, code="X")
    assert load_driver("abbott_architect").reportable([picture]) == (False,)


# ---- cobas e 411 ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("done", "at"), [("", "20261122103000"), ("0" * 14, "20261122103000"), ("20261122101500", "20261122101500")]
)
def test_a_time_of_zeros_is_none_and_the_orders_time_counts(done: str, at: str) -> None:
    order = f"O|1|{TUBE}|0^1^1^^S1^SC|ALL|R||||||N|||||||||||20261122103000|||F"
    said = decode("roche_cobas_e411", f"H|\\^&|||cobas-e411^1\rP|1\r{order}\rR|1|^^^8/1/not|3|||||||||{done}\rL|1|N\r")
    assert [row.observed_at for row in said.observations] == [at]


# ---- VITROS -----------------------------------------------------------------------------------------------------

VITROS = "H|\\^&|||3600812||||||||LIS2-A\r"


def test_vitros_is_told_dilution_assay_and_fluid_and_that_nothing_is_known() -> None:
    query = f"{VITROS}Q|1|^{TUBE}||ALL||||||||O\rL|1|N\r"
    head, _, order, last = answered("ortho_vitros", query, work("002", "014"))
    assert (head["13"], last["3"]) == ("LIS2-A", "N")
    assert [order.raw(n) for n in ("3", "5", "12", "16", "26")] == [TUBE, "^^^1.0000+002+1.0\\014+1.0", "N", "5", "O"]
    assert [record.raw("3") for record in answered("ortho_vitros", query)] == ["", "I"]
    assert load_driver("ortho_vitros").one_record_a_frame


def test_of_vitros_replicates_the_mean_is_reported_and_a_dilution_is_another_run() -> None:
    rows = [f"R|{n}|^^^{d}+002+1.0|{v}|mIU/L||^0^||V|||1|2026112210000{n}" for n, (d, v) in enumerate(
        [("1.0000", "3.41"), ("1.0000", "3.36"), ("1.0000", "3.46"), ("5.0000", "3.50")])]  # fmt: skip
    said = decode("ortho_vitros", f"{VITROS}P|1\rO|1|{TUBE}^1^1\r" + "\r".join(rows) + "\rL|1|N\r")
    assert [(row.code, row.aspect) for row in said.observations] == [
        ("002", "mean"), ("002", "replicate"), ("002", "replicate"), ("002", None)
    ]  # fmt: skip
    assert load_driver("ortho_vitros").reportable(said.observations[:3]) == (True, False, False)
    assert load_driver("ortho_vitros").reportable(said.observations) == (False, False, False, True)


@pytest.mark.parametrize(
    ("sent", "code"),
    [("1.0000+002+1.0", "002"), ("1.000000+032+1", "032"), ("+7+", "7"), ("002", "002"), ("1.0+", None)],
)
def test_a_vitros_code_stands_between_two_dilutions(sent: str, code: str | None) -> None:
    said = decode("ortho_vitros", f"{VITROS}P|1\rO|1|1\rR|1|^^^{sent}|5\rL|1|N\r")
    assert said.observations[0].code == code


# ---- Access -----------------------------------------------------------------------------------------------------


def test_access_is_told_its_orders_and_nothing_at_all_about_an_unknown_tube() -> None:
    query = f"H|\\^&|||ACCESS^508991\rQ|1|^{TUBE}||ALL||||||||O\rL|1|F\r"
    _, patient, order, last = answered("beckman_access", query, work("TSH", specimen="Serum"))
    assert (patient.raw("3"), last.raw("3")) == ("P77", "F")
    assert [order.raw(n) for n in ("3", "5", "12", "16")] == [TUBE, "^^^TSH", "A", "Serum"]
    assert load_driver("beckman_access").answer(decode("beckman_access", query)) is None


# ---- Maglumi ----------------------------------------------------------------------------------------------------

MAGLUMI = f"H|\\^&||PSWD|X8 User|||||Lis||P|E1394-97|20261122\rQ|1|^{TUBE}||ALL||||||||O\rL|1|N\r"


def test_maglumi_is_told_each_test_in_an_order_of_its_own_under_its_own_name() -> None:
    head, _, first, second, _ = answered("snibe_maglumi", MAGLUMI, work("TT3 II", "TSH II"))
    assert [head.raw(n) for n in ("4", "5", "10", "12", "13")] == ["PSWD", "X8 User", "Lis", "P", "E1394-97"]
    assert [[order.raw(n) for n in ("2", "3", "5", "6")] for order in (first, second)] == [
        ["1", TUBE, "^^^TT3 II", "R"], ["2", TUBE, "^^^TSH II", "R"]
    ]  # fmt: skip
    assert [record.type for record in answered("snibe_maglumi", MAGLUMI)] == ["H", "L"]


def test_a_maglumi_message_is_read_in_either_framing_whatever_is_set_today() -> None:
    form = load_driver("snibe_maglumi")
    block = b"\x02" + MAGLUMI.encode() + b"\x03"
    for variant in (form, form.at_site(framing="simple"), form.at_site(framing="e1381")):
        assert decode(variant, MAGLUMI).query_sample_ids == (TUBE,)
        assert decode(variant, block).query_sample_ids == (TUBE,)
    assert form.at_site(framing="simple").framing is form.framings["simple"]
    assert form.at_site() is form
    with pytest.raises(KeyError):
        form.at_site(framing="e1392")


def test_a_tube_that_was_diluted_by_hand_is_no_tube_of_ours() -> None:
    form = load_driver("snibe_maglumi")
    assert [form.unread(said) for said in (f"{TUBE} dil", "0", TUBE)] == [True, True, False]


@pytest.mark.parametrize("name", ["TSH", "TSH II", "TSH III"])
def test_every_generation_of_a_maglumi_assay_is_the_same_test(name: str) -> None:
    assert {load_driver(driver).tests[name].test for driver in ("snibe_maglumi", "snibe_maglumi_hl7")} == {"TSH"}


def test_rows_of_a_simple_block_with_a_damaged_record_are_nobodys() -> None:
    """No checksum: the O of the second tube came as 0, its result would have been the first tube's."""
    rows = "P|1\rO|1|71||^^^TSH\rR|1|^^^TSH|1.2|uIU/mL\rO|2|72||^^^TSH\rR|1|^^^TSH|9.8|uIU/mL\rL|1|N\r"
    block = f"\x02{MAGLUMI.partition('Q|')[0]}{rows}\x03"
    sound, damaged = decode("snibe_maglumi", block), decode("snibe_maglumi", block.replace("O|2", "0|2"))
    assert [row.sample_id for row in sound.observations] == ["71", "72"]
    assert ([row.sample_id for row in damaged.observations], len(damaged.problems)) == ([None, None], 2)


@pytest.mark.parametrize(
    ("sample_id", "type_"),
    [("$7", MessageType.QC), ("CTRL 1", MessageType.QC), ("QC-2", MessageType.QC), ("C60", MessageType.RESULT)],
)
def test_a_maglumi_control_is_told_by_its_id(sample_id: str, type_: MessageType) -> None:
    body = f"{MAGLUMI.partition('Q|')[0]}P|1\rO|1|{sample_id}||^^^TSH\rR|1|^^^TSH|1.2|uIU/mL\rL|1|N\r"
    assert decode("snibe_maglumi", body).type is type_


def test_a_maglumi_control_is_told_by_the_code_of_its_role_and_ids_may_have_parts() -> None:
    head = "MSH|^~\\&|Maglumi User||Lis||20261122150108||OUL^R22|990|P|2.5|||NE|NE||UTF-8"
    row = "OBX|1||TSH II||9.17^|uIU/mL^^UCUM|0.3 to 4.5|H|||F"
    said = decode("snibe_maglumi_hl7", f"{head}\rSPM|1|L7&Maglumi^||Serum|||||||Q^^HL70369\rOBR|1|||TSH^1\r{row}\r")
    assert (said.type, said.observations[0].sample_id, said.observations[0].unit) == (MessageType.QC, "L7", "uIU/mL")


def test_a_maglumi_asks_in_hl7_by_tsreq_and_is_told_nothing() -> None:
    head = "MSH|^~\\&|Maglumi X3||Lis||20261122150108||TSREQ|1|P|2.5|||NE|NE||UTF-8"
    said = decode("snibe_maglumi_hl7", f"{head}\rQPD|TSREQ||{TUBE} ^^A01^1|0\rRCP|I||R\r")
    assert (said.type, said.query_sample_ids, said.query_raw) == (MessageType.QUERY, (TUBE,), (f"{TUBE} ^^A01^1",))
    assert load_driver("snibe_maglumi_hl7").answer(said) is None


# ---- VIDAS ------------------------------------------------------------------------------------------------------


def vidas(*fields: str, mark: str = "\x1e") -> bytes:
    text = "".join(f"{mark}{field}|" for field in fields).encode("latin-1") + b"\x1d"
    return b"\x02" + text + blocks.sum_hex(text) + b"\x03"


def test_vidas_words_are_the_answer_of_a_test_with_words() -> None:
    seen = decode("biomerieux_mini_vidas", vidas("mtrsl", f"ci{TUBE}", "rtHBS", "qlNégatif", "qn0.05")).observations[0]
    meaning = load_driver("biomerieux_mini_vidas").tests["HBS"]
    assert (seen.value, seen.coded, meaning.coded[(seen.coded or "").casefold()]) == ("0.05", "Négatif", "Non-reactive")
    only = decode("biomerieux_mini_vidas", vidas("mtrsl", f"ci{TUBE}", "rtHBS", "qlPositif", "qn")).observations[0]
    assert (only.value, only.coded, only.flags) == ("Positif", "Positif", ())


def test_a_vidas_control_out_of_range_reaches_the_technician_as_a_flag() -> None:
    said = decode("biomerieux_mini_vidas", vidas("mtrsl", f"ci{TUBE}", "rtTSH", "qn3,85 uIU/ml", "ncconthnor"))
    assert (said.observations[0].flags, said.observations[0].unit) == (("conthnor",), "uIU/ml")


def test_what_a_vidas_says_of_one_assay_is_not_said_of_the_next() -> None:
    said = decode("biomerieux_mini_vidas", vidas(
        "mtrsl", f"ci{TUBE}", "rtHBS", "rnHBs Ag", "td11/22/26", "qlPositif", "qn0.95", "rtHIV", "qn0.05",
        "rtTSH", "qn>=60.00 uIU/ml", "qd10", "ncconthnor",
    ))  # fmt: skip
    assert [(row.code, row.name, row.value, row.coded, row.flags, row.observed_at) for row in said.observations] == [
        ("HBS", "HBs Ag", "0.95", "Positif", ("Positif",), "11/22/26"),
        ("HIV", None, "0.05", None, (), None),
        ("TSH", None, ">=60.00", None, ("conthnor",), None),
    ]


def test_each_vidas_assay_is_of_the_sample_named_before_it() -> None:
    said = decode("biomerieux_mini_vidas", vidas("mtrsl", "ci71", "rtTSH", "qn2", "ciC1", "rtTSH", "qn3"))
    assert [(row.sample_id, row.value) for row in said.observations] == [("71", "2"), ("C1", "3")]
    assert said.type is MessageType.RESULT
    late = decode("biomerieux_mini_vidas", vidas("mtrsl", "rtTSH", "qn2", "ci71"))
    assert [row.sample_id for row in late.observations] == ["71"]


def test_vidas_messages_whose_end_marks_a_recorder_dropped_are_each_read() -> None:
    stored = b"".join(vidas("mtrsl", f"ci{n}", "rtTSH", "qn2")[:-1] + b"\r\n" for n in (71, 72))
    seen: Any = decode_file(stored, "biomerieux_mini_vidas")
    assert [m["observations"][0]["sample_id"] for m in seen["messages"]] == ["71", "72"]
    assert seen["problems"] == []
