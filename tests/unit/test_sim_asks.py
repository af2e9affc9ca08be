"""What the families that ask take and refuse: the drivers' own answers are taken, one that is otherwise is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from drivers.driver import WorkOrder, load_driver
from simulators.any_driver import Mouth
from simulators.asks import ASKS, Answer, Refused
from simulators.asks_blocks import ASKS_BLOCKS
from simulators.asks_hl7 import ASKS_HL7
from simulators.ordered import assembled, counted
from simulators.page import Page
from simulators.retell import Unusable
from simulators.run_any import Wanted, mouth
from simulators.step import Step
from simulators.templates import decode
from simulators.two_way import FAMILIES, TwoWay
from simulators.values import USUAL

NOW = datetime(2026, 11, 25, 6, 30, tzinfo=UTC)
TUBE = "107632600016"
CODES = {
    "abbott_architect": ("241", "651"), "agappe_mispa_nano": ("ALBUMIN", "CREAT"),
    "beckman_access": ("TSH", "Ferritin"), "beckman_au": ("014", "097"),
    "biosystems_ba400": ("CRP", "GLUCOSE"), "erba_xl": ("GLU", "CR"), "generic_astm": ("TSH", "CRP"),
    "generic_hl7": ("NA", "K"), "horiba_yumizen": ("DIF",), "mindray_bc": ("CBC+DIFF",), "mindray_bs": ("CREA", "TP"),
    "mindray_chem_hl7": ("2", "5"), "ortho_vitros": ("032", "014", "002"), "roche_cobas_c311": ("690", "717"),
    "roche_cobas_e411": ("8", "3"), "siemens_dimension": ("GLUC", "CREA"), "snibe_maglumi": ("TSH II", "FT4 II"),
    "sysmex_ca": ("041", "043", "044", "051"), "sysmex_xn": ("WBC", "HGB"), "thermo_indiko": ("ALB", "GLU"),
}  # fmt: skip
ORDERED = {"horiba_yumizen": ("WBC", "NEU%"), "mindray_bc": ("6690-2", "770-8")}  # where a mode is told


def voice(name: str) -> Mouth:
    return mouth(Wanted(name), lambda: NOW)


def question(name: str) -> Step:
    (step,) = TwoWay(voice(name), print).questions([TUBE])
    return step


def answered(name: str, known: bool = True) -> tuple[Step, list[bytes]]:
    """A question, and what the driver answers."""
    driver, step = load_driver(name), question(name)
    asked = decode(driver, step.said.body)
    assert asked.query_sample_ids == (TUBE,)
    work = WorkOrder(TUBE, ORDERED.get(name, CODES[name]), specimen="Serum", name="Asha Devi", sex="F",
                     query_raw=asked.query_raw[0])  # fmt: skip
    return step, driver.answer(asked, [work] if known else []) or []


def orders(name: str, step: Step, answers: list[bytes], frames: tuple[bytes, ...] = ()) -> dict[str, tuple[str, ...]]:
    """What the analyzer takes from an answer."""
    if name in ASKS_BLOCKS:
        text = step.said.body.strip(b"\x02\x03\x04").decode("latin-1")
        return ASKS_BLOCKS[name].orders(answers[0].decode("latin-1"), text) if answers else {}
    pages = [Page.read(each) for each in answers]
    asked = Page.read(step.said.body)
    return ASKS_HL7[name].orders(pages, asked) if name in ASKS_HL7 else ASKS[name].orders(Answer(pages, frames, asked))


def test_every_family_is_here() -> None:
    assert set(CODES) == set(FAMILIES)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_drivers_answer_is_taken(name: str) -> None:
    step, answers = answered(name)
    assert orders(name, step, answers) == {TUBE: CODES[name]}


@pytest.mark.parametrize("name", FAMILIES)
def test_nothing_known_is_no_order(name: str) -> None:
    step, answers = answered(name, known=False)
    assert orders(name, step, answers) == {}


Change = Callable[[bytes], bytes]


def swap(old: bytes, new: bytes) -> Change:
    return lambda body: body.replace(old, new)


WRONG: list[tuple[str, Change, str]] = [
    ("erba_xl", swap(b"^03|", b"|"), "no tube type"),
    ("erba_xl", swap(b"|A||||SERUM", b"|Q||||SERUM"), "neither A nor N"),
    ("erba_xl", swap(b"|SERUM", b"|"), "no material"),
    ("mindray_bs", swap(b"|SA|", b"|RQ|"), "neither SA nor QA"),
    ("mindray_bs", swap(b"|1^1^1|", b"|1|"), r"number\^tray\^position"),
    ("roche_cobas_e411", swap(b"TSDWN^REPLY", b"TSREQ^REAL"), r"not TSDWN\^REPLY"),
    ("roche_cobas_e411", swap(b"|587^0^2^^S1^SC|", b"|587^0^3^^S1^SC|"), "place of the query"),
    ("roche_cobas_c311", swap(b"|          1076", b"|1076"), "with its padding"),
    ("roche_cobas_c311", swap(b"|A||||1|", b"|X||||1|"), "neither A nor N"),
    ("ortho_vitros", swap(b"|5||||", b"|||||"), "names no fluid"),
    ("abbott_architect", swap(b"|Q\r", b"|O\r"), "O-26 is not Q"),
    ("sysmex_xn", swap(b"^B|", b"^M|"), "does not repeat"),
    ("sysmex_xn", swap(b"|Q\r", b"|O\r"), "O-26 is not Q"),
    ("thermo_indiko", swap(b"|^^^ALB|", b"|^^^ALB\\^^^GLU|"), "several tests"),
    ("snibe_maglumi", swap(b"X8 User", b"Somebody"), "own name"),
    ("mindray_chem_hl7", swap(b"MSA|AA|", b"MSA|AA|9"), "not the control id"),
    ("mindray_bc", swap(b"MSA|AA|", b"MSA|AA|9"), "not the control id"),
    ("generic_hl7", swap(b"QAK|", b"QAK|9"), "tag of the question"),
    ("beckman_au", swap(b"S 000301 ", b"S 000302 "), "not those of the request"),
    ("beckman_au", swap(b"E014097", b"E01409"), "three digits"),
    ("sysmex_ca", swap(b"000304", b"000305"), "not that of the question"),
    ("siemens_dimension", swap(b"\x1cA\x1c", b"\x1cD\x1c"), "adds no order"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change", "why"), WRONG, ids=[f"{name}: {why}" for name, _, why in WRONG])
def test_an_answer_that_is_otherwise_is_refused(name: str, change: Change, why: str) -> None:
    step, answers = answered(name)
    changed = [change(each) for each in answers]
    assert changed != answers
    with pytest.raises(Refused, match=why):
        orders(name, step, changed)


def test_several_records_in_one_frame_are_refused_by_a_vitros() -> None:
    step, answers = answered("ortho_vitros")
    with pytest.raises(Refused, match="one frame"):
        orders("ortho_vitros", step, answers, (answers[0],))


def test_a_count_that_the_lab_does_not_know_is_refused_by_msa() -> None:
    step, answers = answered("mindray_bc")
    assert orders("mindray_bc", step, [answers[0].replace(b"MSA|AA", b"MSA|AR")]) == {}


# ---- results of what was ordered ----------------------------------------------------------------------------------


def told(name: str, codes: tuple[str, ...]) -> Any:
    speaker = voice(name)
    return assembled(speaker.templates, codes, speaker.rng).decoded


RUN = {name: codes for name, codes in CODES.items() if name not in ORDERED}


@pytest.mark.parametrize("name", RUN)
def test_exactly_the_ordered_tests_are_run(name: str) -> None:
    rows = told(name, RUN[name]).observations
    assert [row.code for row in rows] == list(RUN[name])
    assert all(row.value for row in rows)


@pytest.mark.parametrize("name", ["erba_xl", "roche_cobas_c311", "sysmex_xn", "snibe_maglumi", "thermo_indiko"])
def test_a_known_test_has_a_usual_value_in_its_unit(name: str) -> None:
    driver = load_driver(name)
    for row in told(name, RUN[name]).observations:
        meaning = driver.tests[row.code]
        low, high = map(Decimal, USUAL[(meaning.test or "").split("|")[0]][:2])
        assert low <= Decimal(row.value) * Decimal(meaning.units[row.unit or ""][1]) <= high, row
        assert set(row.flags) <= {"N", ""}, "nothing is said of a usual value"


@pytest.mark.parametrize("name", RUN)
def test_what_is_run_is_no_correction(name: str) -> None:
    assert not {row.status for row in told(name, RUN[name]).observations} & {"C", "R"}


def test_a_count_agrees_with_itself() -> None:
    codes = counted(load_driver("sysmex_xn"), True)
    rows = {row.code: float(row.value) for row in told("sysmex_xn", codes).observations}
    assert rows["HCT"] / rows["RBC"] * 10 == pytest.approx(rows["MCV"], rel=0.01)
    assert rows["NEUT%"] + rows["LYMPH%"] + rows["MONO%"] + rows["EO%"] + rows["BASO%"] == pytest.approx(100)


def test_without_the_differential_no_cell_of_it_is_counted() -> None:
    driver = load_driver("mindray_bc")
    every, few = counted(driver, True), counted(driver, False)
    assert {driver.tests[code].test for code in set(every) - set(few)} == {
        cell + how for cell in ("NEUT", "LYMPH", "MONO", "EOS", "BASO") for how in "PA"
    }


def test_who_is_told_nothing_cannot_ask() -> None:
    with pytest.raises(KeyError, match="is told nothing; those that ask are abbott_architect"):
        TwoWay(voice("sysmex_xp"), print)
    with pytest.raises(Unusable, match="runs what it runs"):
        told("tosoh_hlc723", ("SA1C",))


def test_only_an_erba_asks_about_several_tubes_at_once() -> None:
    several = ["107632600016", "107632600027"]
    (once,) = TwoWay(voice("erba_xl"), print).questions(several)
    assert b"|^107632600016`107632600027|" in once.said.body
    assert len(TwoWay(voice("sysmex_xn"), print).questions(several)) == 2


def test_a_question_of_the_standard_serves_where_none_was_recorded() -> None:
    step = question("generic_hl7")
    assert step.said.body.startswith(b"MSH|^~\\&|Analyzer|") and b"|QBP^Q11^QBP_Q11|" in step.said.body
    assert replace(step.said, rows=()).control_id.encode() in step.said.body
