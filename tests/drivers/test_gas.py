"""What the gas, electrolyte, coagulation and molecular drivers know beyond their captures: answers, ids, ends."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest

from drivers.decode import decode_file
from drivers.driver import DecodeError, Kind, MessageType, WorkOrder, load_driver
from drivers.wire import blocks
from middleware.match import match
from middleware.model import Context
from tests.drivers.said import decode
from tests.system.line_kit import analyzer, running
from tests.unit import matching

CAPTURES = Path(__file__).parents[1] / "captures"
TUBE = "107632600600"


def texts(driver: str, *pieces: bytes) -> list[bytes]:
    """The blocks that a line of this driver would store."""
    framing = load_driver(driver).framing
    assert framing is not None
    receiver = blocks.Receiver(framing)
    events = [event for piece in pieces for event in receiver.receive(piece)] + receiver.expire()
    return [event.text for event in events if isinstance(event, blocks.Block)]


def in_pieces(data: bytes, seed: int) -> list[bytes]:
    chance, at, pieces = Random(seed), 0, []
    while at < len(data):
        size = chance.choice((1, 4, 8, 60))
        pieces.append(data[at : at + size])
        at += size
    return pieces


def context(driver: str, *tests: str, **facts: dict[str, str]) -> Context:
    """A received tube with these tests ordered, and this analyzer."""
    return matching.context(matching.sample(*tests, sample_id=TUBE), driver=driver, **facts)


# ---- Stago ------------------------------------------------------------------------------------------------------

STA = b"H|\\^&|||STA_Satlellite_Max^CL1^1|||||||P|1|%s\rP|1\rO|1|%s|%s||R\rR|1|^^^SINR^F^64|3.05|INR ISI||||F||x||%s\r"
WARNED = b"C|1||36^Test Co 44 controls are invalid.|I\rL|1|N\r"


def test_results_sent_again_months_later_are_the_same_results() -> None:
    first, again = (
        decode("stago_sta", STA % (sent, TUBE.encode(), b"227", b"20260622150404") + WARNED)
        for sent in (b"20260622150500", b"20261129115622")
    )
    where, driver = context("stago_sta", "INR"), load_driver("stago_sta")
    (result,) = match(first, where, driver).results
    assert (result.display, result.comments) == ("3.05", ("36^Test Co 44 controls are invalid.",))
    known = Context(where.analyzer, where.samples, where.catalogue, known_identities=frozenset({result.identity}))
    found = match(again, known, driver)
    assert (found.results, found.duplicates) == ((), 1)


def test_of_several_runs_the_latest_final_one_that_has_a_value_is_reported() -> None:
    head = (STA % (b"1", TUBE.encode(), b"227", b"1")).partition(b"R|1|")[0]
    row = b"R|%d|^^^SINR^%s^64|%s|INR ISI||||F||x||%s\r"
    runs = [(b"F", b"3.05", b"20260622150404"), (b"F", b"0.88", b"20260622153444"), (b"F", b"----", b"20260622160000"),
            (b"P", b"1.10", b"20260622170000"), (b"I", b"high", b"20260622180000")]  # fmt: skip
    rows = b"".join(row % (number, *run) for number, run in enumerate(runs, 1))
    said = decode("stago_sta", head + rows + WARNED)
    assert load_driver("stago_sta").reportable(said.observations) == (False, True, False, False, False)


def test_the_number_of_a_method_is_no_sample() -> None:
    said = decode("stago_sta", STA % (b"1", b"", b"227", b"1") + WARNED)
    assert [row.sample_id for row in said.observations] == [None]


# ---- Sysmex CA --------------------------------------------------------------------------------------------------

ASKED = b"\x02R1210101 0611260951000304 107632600536B           040      050      \x03"


def test_a_query_is_answered_with_its_header_and_each_assay_once() -> None:
    ca = load_driver("sysmex_ca")
    query = decode("sysmex_ca", ASKED)
    assert (query.type, query.query_sample_ids) == (MessageType.QUERY, ("107632600536",))
    work = WorkOrder("107632600536", ("041", "044", "051"), query_raw=query.query_raw[0])
    head = b"S1210101 0611260951000304 107632600536B           "
    assert ca.answer(query, [work]) == [head + b"040      050      "]
    assert ca.answer(query) == [head + b"000      "]


def test_a_query_that_goes_on_in_another_block_is_answered_at_its_end() -> None:
    query = decode("sysmex_ca", ASKED.replace(b"R1210101", b"R1210102"))
    assert load_driver("sysmex_ca").answer(query) is None
    query = decode("sysmex_ca", ASKED.replace(b"R1210101", b"R1210202"))
    assert load_driver("sysmex_ca").answer(query) is not None


def test_a_bound_has_the_point_that_its_parameter_implies() -> None:
    head = b"\x02D1210101U221126123000000101   107632600536B               "
    said = decode("sysmex_ca", head + b"041 >190 044<1000 043> 0.9 052  95  \x03")
    assert [row.value for row in said.observations] == [">19.0", "<10.00", "> 0.9", "95"]


def test_texts_whose_marks_a_recorder_dropped_are_read_where_the_driver_knows_them() -> None:
    block = "D1210101U221126123000000101   10763260042{}B               041  145 "
    seen: Any = decode_file("\r\n".join(block.format(n) for n in (4, 5)).encode(), "sysmex_ca")
    assert [m["observations"][0]["sample_id"] for m in seen["messages"]] == ["107632600424", "107632600425"]
    strip = b"ID:%s\r\rNO.000007 2026-11-22\r\r GLU -\r\r"
    ended: Any = decode_file(strip % b"71" + b"\x03" + strip % b"72" + b"\x03", "urit_50")
    assert [m["observations"][0]["sample_id"] for m in ended["messages"]] == ["71", "72"]
    with pytest.raises(DecodeError, match="nothing in it can be read"):
        decode_file(b"no block of this analyzer", "sysmex_ca")


# ---- RAPIDPoint -------------------------------------------------------------------------------------------------

ANNOUNCED = (CAPTURES / "siemens_rapidpoint/new_sample_announced.raw").read_bytes()
ACKED = b"\x02\x06\x030B\x04"
FETCH = b"SMP_REQ\x1c\x1eaMOD\x1d0500\x1d\x1d\x1d\x1ciIID\x1d64204\x1d\x1d\x1d\x1crSEQ\x1d13223\x1d\x1d\x1d\x1c\x1e"


def rapid(text: bytes) -> bytes:
    framing = load_driver("siemens_rapidpoint").framing
    assert framing is not None
    return framing.wrap(text)


async def test_what_is_announced_is_acknowledged_by_a_block_and_fetched(tmp_path: Path) -> None:
    data = rapid(b"SMP_NEW_DATA\x1c\x1eiPID\x1d7\x1d\x1d\x1d\x1cmpH\x1d7.4\x1d\x1d\x1d\x1c\x1e")
    unit = analyzer("gas", "tcp-listen://127.0.0.1:0", "siemens_rapidpoint")
    async with running(tmp_path / "journal.sqlite3", unit) as lines:
        one = await lines.connect("gas")
        one.writer.write(ANNOUNCED)
        assert await one.reader.readexactly(len(ACKED + rapid(FETCH))) == ACKED + rapid(FETCH)
        one.writer.write(ACKED + data)
        assert await one.reader.readexactly(len(ACKED)) == ACKED
        one.writer.write(data[:-2] + b"0\x04")
        assert await one.reader.readexactly(len(ACKED)) == b"\x02\x15\x031A\x04"
        one.writer.close()
        await lines.until(lambda: len(lines.messages) == 2)  # the receipt is none


def test_controls_and_calibrations_are_fetched_too_and_we_say_who_we_are() -> None:
    driver = load_driver("siemens_rapidpoint")
    for name, wanted in (("QC_NEW_AV", b"QC_REQ"), ("CAL_NEW_AV", b"CAL_REQ"), ("ID_REQ", b"ID_DATA")):
        query = decode("siemens_rapidpoint", rapid(name.encode() + b"\x1c\x1e"))
        assert query.type is MessageType.POLL
        (answer,) = driver.answer(query) or []
        assert answer.partition(b"\x1c")[0] == wanted
    asked = decode("siemens_rapidpoint", rapid(b"PAT_DEMOG_REQ\x1c\x1eiPID\x1d7\x1d\x1d\x1d\x1c\x1e"))
    assert (asked.query_sample_ids, driver.answer(asked)) == (("7",), None)


# ---- printed reports --------------------------------------------------------------------------------------------

PRINTED = {
    "sensacore_st200": CAPTURES / "sensacore_st200/two_back_to_back_then_control.raw",
    "siemens_rapidlab": CAPTURES / "siemens_rapidlab/short_sample_then_gases_then_control.raw",
}


@pytest.mark.parametrize("driver", PRINTED)
@pytest.mark.parametrize("seed", range(3))
def test_reports_are_told_apart_however_they_arrive(driver: str, seed: int) -> None:
    data = PRINTED[driver].read_bytes()
    whole = texts(driver, data)
    assert len(whole) == 4
    assert texts(driver, *in_pieces(data, seed)) == whole


def test_a_report_without_its_end_files_nothing_also_when_the_next_follows() -> None:
    whole, *_ = texts("sensacore_st200", PRINTED["sensacore_st200"].read_bytes())
    cut, after = texts("sensacore_st200", whole[:400] + b"\n" + whole)
    assert decode("sensacore_st200", cut).type is MessageType.INCOMPLETE
    assert (decode("sensacore_st200", after).type, after) == (MessageType.RESULT, whole)


def test_the_next_patients_report_is_not_the_rest_of_one_whose_end_was_lost() -> None:
    _, gases, *_ = texts("siemens_rapidlab", PRINTED["siemens_rapidlab"].read_bytes())
    cut, after = texts("siemens_rapidlab", gases[: gases.rindex(b"\n-") + 1] + gases)
    assert decode("siemens_rapidlab", cut).type is MessageType.INCOMPLETE
    assert (decode("siemens_rapidlab", after).type, after) == (MessageType.RESULT, gases)


@pytest.mark.parametrize(
    ("driver", "begin"), [("sensacore_st200", b"Sample test:"), ("siemens_rapidlab", b"--- Siemens Diagnostics")]
)
def test_two_reports_that_run_together_are_filed_to_nobody(driver: str, begin: bytes) -> None:
    whole = next(text for text in texts(driver, PRINTED[driver].read_bytes()) if b"mmol/L" in text)
    damaged = whole.replace(begin, b"???")
    said = decode(driver, whole.rstrip(b"\xb0-\x1b\x00 \r\n") + b"\r\n" + damaged)
    assert (said.type, said.problems[-1].partition(":")[0]) == (MessageType.INCOMPLETE, "two reports run together")


# ---- Radiometer -------------------------------------------------------------------------------------------------

ABL = b"H|\\^&|||ABL80^1\rP|1||%s\rO|1|%s|Sample #^7\rR|1|^^^K+^M|4.1|||||F|||1|20261106101210\rR|2|^^^Na+^M|140\r"
NEXT = b"P|2||107632600613\rO|1||Sample #^8\rR|1|^^^K+^M|3.9\rL|1|N\r"


@pytest.mark.parametrize(
    ("typed", "barcode", "sample_id"),
    [(TUBE, "", TUBE), ("00000001", "", None), ("KUMARI", "", None), (TUBE, "12", "12"), ("", "", None)],
)
def test_only_a_tubes_number_typed_for_the_patient_names_a_tube(typed: str, barcode: str, sample_id: str) -> None:
    said = decode("radiometer_abl80", ABL % (typed.encode(), barcode.encode()) + NEXT)
    assert [row.sample_id for row in said.observations] == [sample_id, sample_id, "107632600613"]
    assert [row.observed_at for row in said.observations] == ["20261106101210", "20261106101210", None]


@pytest.mark.parametrize("place", [b"|QC #^34|||||||||||Arterial^", b"|||||||||||||QCLevel^C8002"])
def test_a_control_of_an_abl80_is_told_by_its_run_and_its_level(place: bytes) -> None:
    said = decode("radiometer_abl80", b"H|\\^&|||ABL80^1\rP|1\rO|1|" + place + b"\rR|1|^^^K+^M|4.1|mmol/L\rL|1|N\r")
    assert said.type is MessageType.QC


# ---- GeneXpert --------------------------------------------------------------------------------------------------

XPERT = (
    b"H|@^\\|1||Lab^GeneXpert^6.5|||||us||P|1394-97|20261106\rP|1\rO|1|%s||^^^MTB-RIF|R\r"
    b"R|1|^MTB^^Xpert^MTB-RIF Ultra^4^MTB^|%s|||||F||x|1|20261106105411\rR|2|^MTB^^Xpert^^^rpoB1^Ct|^24.7\r"
    b"R|3|^MTB^^Trace^MTB-RIF Ultra^4^MTB Trace^|^|||||F\rL|1|N\r"
)


@pytest.mark.parametrize(
    ("value", "masked"),
    [("NOT DETECTED^", False), ("DETECTED MEDIUM^", False), ("INVALID^", True), ("ERROR^", True), ("NO RESULT^", True),
     ("NO RESULT - REPEAT TEST^", True), ("Invalid^", True), ("DETECTED - LOW^", False)],
)
def test_a_run_without_an_answer_is_masked_and_probes_are_details(value: str, masked: bool) -> None:
    said = decode("cepheid_genexpert", XPERT % (TUBE.encode(), value.encode()))
    assert [(row.kind, row.masked) for row in said.observations] == [
        (Kind.MEASUREMENT, masked), (Kind.DETAIL, False), (Kind.MEASUREMENT, False),
    ]  # fmt: skip
    assert load_driver("cepheid_genexpert").reportable(said.observations) == (True, False, False)


def test_a_patient_of_a_query_is_never_taken_for_a_tube() -> None:
    """Q-3 is patient^sample: a tube without a patient first, then one with."""
    said = decode("cepheid_genexpert", b"H|@^\\|1||Lab^GeneXpert^6.2\rQ|1|^71@P9^72@P8^||||||||||O\rL|1|N\r")
    assert (said.type, said.query_sample_ids) == (MessageType.QUERY, ("71", "72"))


def test_a_test_of_one_result_is_told_by_its_code_for_the_host() -> None:
    """Its probes have that code where results have theirs, and no assay's name."""
    result = b"R|1|^HIV QL^^^Xpert HIV-1 Qual^2^HIV-1^|NOT DETECTED^|||||F\r"
    rows = result + b"R|2|^^^HIV QL^^^SPC^Ct|^31.0\rL|1|N\r"
    said = decode("cepheid_genexpert", b"H|@^\\|1||Lab^GeneXpert^6.2\rP|1\rO|1|7||^^^HIV QL\r" + rows)
    assert [(row.code, row.name, row.value, row.kind) for row in said.observations] == [
        ("HIV QL", "HIV-1", "NOT DETECTED", Kind.MEASUREMENT), ("HIV QL", "SPC", "31.0", Kind.DETAIL),
    ]  # fmt: skip
    assert said.problems == ()


def test_what_the_catalogue_does_not_have_waits_where_a_person_sees_it() -> None:
    said = decode("cepheid_genexpert", XPERT % (TUBE.encode(), b"DETECTED LOW^"))
    found = match(said, context("cepheid_genexpert", "AFB"), load_driver("cepheid_genexpert"))
    assert [(row.name, row.value) for row in found.unmatched] == [("MTB", "DETECTED LOW")]
    assert (found.results, found.not_reportable, found.details) == ((), 1, 1)


# ---- SPOTCHEM, SmartLyte ----------------------------------------------------------------------------------------


def test_an_ion_in_milliequivalents_counts_its_charge() -> None:
    for driver, calcium in (("diamond_smartlyte", "Ca"), ("radiometer_abl80", "Ca++"), ("sensacore_st200", "iCa")):
        known = load_driver(driver).tests[calcium]
        assert (known.test, known.units["mEq/L"], known.units["mmol/L"]) == ("ICA", ("mmol/L", "0.5"), ("mmol/L", "1"))


def test_a_line_of_columns_keeps_leading_zeros_and_one_that_lost_a_byte_is_not_read() -> None:
    text = b"\x0226/11/06 09:20 ID# %s [Serum]     Na       140  mmol/L \x03"
    assert [row.sample_id for row in decode("arkray_spotchem_el", text % b"0007632   ").observations] == ["0007632"]
    assert [row.sample_id for row in decode("arkray_spotchem_el", text % (b" " * 10)).observations] == [None]
    whole = text % b"0007632   "
    assert decode("arkray_spotchem_el", whole[:-1] + b"\r\n\x03").observations[0].value == "140"
    for lost in (12, 20, 33, 45, 50, 54):  # in the head, the id, the kind, the name, the value, the unit
        said = decode("arkray_spotchem_el", whole[:lost] + whole[lost + 1 :])
        assert said.type is MessageType.OTHER or said.observations[0].value == "140", lost


@pytest.mark.parametrize(
    ("body", "sample_id", "at"),
    [
        (b"pId=7&test=12&ionData%5BK%5D%5Bconc%5D=4.1&dt=1793940000000", "7", "20261106044000+0000"),
        (b"pId=&test=12&ionData[K][conc]=4.1&dt=soon", "12", None),
        (b"ionData[K][conc]=4.1&dt=99999999999999999", None, None),
    ],
)
def test_a_form_names_the_sample_typed_before_the_analyzers_own_number(
    body: bytes, sample_id: str | None, at: str | None
) -> None:
    (row,) = decode("diamond_smartlyte", body).observations
    assert (row.sample_id, row.code, row.value, row.observed_at) == (sample_id, "K", "4.1", at)
    assert decode("diamond_smartlyte", b"hello=1").type is MessageType.OTHER
