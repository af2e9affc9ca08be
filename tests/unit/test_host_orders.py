"""What an analyzer is told to run: only what is awaited on that tube, only what it can measure, in its own codes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy.exc import OperationalError

from drivers.driver import Message, load_driver
from drivers.wire import blocks, lis2a
from middleware import host_orders
from middleware.actions import results, samples
from middleware.answers import NotNow
from middleware.settings import AnalyzerSettings
from tests.labs import BENCH, Desk

ASTM = load_driver("generic_astm")


def query(desk: Desk, *ids: str) -> Message:
    asked = "\\".join(f"^{sample_id}" for sample_id in ids)
    return Message("q", "bench", desk.clock(), f"H|\\^&|||Bench^1\rQ|1|{asked}||ALL|||||||||O\rL|1|N\r".encode())


def told(desk: Desk, *ids: str, analyzer: AnalyzerSettings = BENCH) -> list[tuple[str, list[str]]]:
    """(sample id, codes) of each order in the answer."""
    answer = host_orders.answerer(desk.lab, analyzer, ASTM)(query(desk, *ids))
    assert answer is not None
    records = [record for body in answer for record in lis2a.parse(body)]
    return [
        (record["3.1"] or "", [repeat.split("^")[3] for repeat in record.repeats(5)])
        for record in records
        if record.type == "O"
    ]


def test_an_analyzer_whose_codes_only_the_site_knows_is_told_those_alone() -> None:
    bench = replace(BENCH, codes={"117": "TSH"})
    assert host_orders.codes_for(load_driver("roche_cobas_e411"), bench, ("TSH", "HIV")) == {"TSH": "117"}


def test_an_awaited_tube_is_told_with_its_tests(desk: Desk) -> None:
    made = desk.register("HB", "PLT")
    assert told(desk, desk.sample_id(made)) == [(desk.sample_id(made), ["HB", "PLT"])]


def test_the_id_comes_back_as_it_was_asked(desk: Desk) -> None:
    sample_id = desk.sample_id(desk.register("HB"))
    assert told(desk, f"000{sample_id}") == [(f"000{sample_id}", ["HB"])]  # RC-33


def test_several_tubes_in_one_question(desk: Desk) -> None:
    first, second = desk.sample_id(desk.register("HB")), desk.sample_id(desk.register("PLT"))
    assert told(desk, first, second) == [(first, ["HB"]), (second, ["PLT"])]


def test_what_has_a_result_is_not_run_again_until_it_is_rejected(desk: Desk) -> None:
    made, (hb, _) = desk.measured("HB=13.0 g/dL", "PLT=250 10*3/uL")
    assert told(desk, desk.sample_id(made)) == []
    results.reject(desk.lab, desk.technician, hb, "clot in the tube")
    assert told(desk, desk.sample_id(made)) == [(desk.sample_id(made), ["HB"])]


def test_only_what_this_analyzer_may_report_is_sent_and_by_the_sites_code(desk: Desk) -> None:
    sample_id = desk.sample_id(desk.register("HB", "PLT"))
    site = replace(BENCH, codes={"H1": "HB"}, tests=frozenset({"HB"}))
    assert told(desk, sample_id, analyzer=site) == [(sample_id, ["H1"])]


def test_an_alternative_code_serves_the_test_that_is_ordered(desk: Desk) -> None:
    sample_id = desk.sample_id(desk.register("GLUR"))
    assert told(desk, sample_id, analyzer=replace(BENCH, codes={"GLU": "GLUF|GLUR"})) == [(sample_id, ["GLU"])]


def test_an_unknown_a_rejected_and_an_unread_tube_have_no_order(desk: Desk) -> None:
    made = desk.register("HB")
    samples.reject_sample(desk.lab, desk.technician, made.sample_pks[0], "clotted", ask_new=False)
    assert told(desk, desk.sample_id(made), "999999999999", "S-77", "") == []


def test_results_only_means_that_nothing_is_said(desk: Desk) -> None:
    sample_id = desk.sample_id(desk.register("HB"))
    assert host_orders.answerer(desk.lab, replace(BENCH, orders="none"), ASTM)(query(desk, sample_id)) is None


@pytest.mark.parametrize("asked", [b"P\x1cDIM1\x1c0\x1c1\x1c0\x1c", b"I\x1c{tube}\x1c"])
def test_results_only_ends_a_turn_where_the_dialect_needs_a_word_for_it(desk: Desk, asked: bytes) -> None:
    """The Dimension waits for an answer to each block: N, nothing."""
    driver = load_driver("siemens_dimension")
    text = asked.replace(b"{tube}", desk.sample_id(desk.register("CREAT")).encode())
    message = Message("p", "dim", desk.clock(), b"\x02" + text + blocks.sum_hex(text) + b"\x03")
    analyzer = replace(BENCH, driver="siemens_dimension")
    answers = [host_orders.answerer(desk.lab, replace(analyzer, orders=to), driver) for to in ("answer", "none")]
    assert [(told(message) or [b""])[0][:1] for told in answers] == [b"D" if asked[:1] == b"I" else b"N", b"N"]


def test_when_the_database_cannot_be_read_there_is_no_answer_now(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OperationalError("SELECT", {}, Exception("locked"))

    monkeypatch.setattr(host_orders, "awaited", broken)
    with pytest.raises(NotNow, match="ask again"):
        host_orders.answerer(desk.lab, BENCH, ASTM)(query(desk, "107632600424"))


def test_a_result_is_no_question(desk: Desk) -> None:
    message = desk.message(desk.sample_id(desk.register("HB")), "HB=13 g/dL")
    assert host_orders.answerer(desk.lab, BENCH, ASTM)(message) is None


def beside_results(desk: Desk, asked: str, *rows: str, status: str = "O", mode: str = "P") -> Message:
    """A message with results of a tube, `rows` as CODE=VALUE, and a question about it."""
    records = [f"H|\\^&|||Bench^1|||||||{mode}", "P|1", f"O|1|{asked}"]
    records += [f"R|{n}|^^^{row.partition('=')[0]}|{row.partition('=')[2]}|g/dL" for n, row in enumerate(rows, 1)]
    records += [f"Q|1|^{asked}||ALL||||||||{status}", "L|1|N", ""]
    return Message("rq", "bench", desk.clock(), "\r".join(records).encode())


def ordered(desk: Desk, message: Message, analyzer: AnalyzerSettings = BENCH) -> list[str] | None:
    """The codes that the answer orders, None when there is no answer."""
    answer = host_orders.answerer(desk.lab, analyzer, ASTM)(message)
    if answer is None:
        return None
    records = [record for body in answer for record in lis2a.parse(body)]
    return [repeat.split("^")[3] for record in records if record.type == "O" for repeat in record.repeats(5)]


def test_rc_01_4_1_receiver_a_question_beside_results_is_answered_without_what_was_measured(desk: Desk) -> None:
    """Q is of level 1, as P: it may follow results. They may not be in the database yet."""
    tube = desk.sample_id(desk.register("HB", "PLT", "WBC"))
    assert ordered(desk, beside_results(desk, tube, "HB=13.0", "WBC=")) == ["PLT", "WBC"], "no value: still awaited"
    assert ordered(desk, beside_results(desk, tube, "HB=13.0", mode="T")) == ["HB", "PLT", "WBC"], "training"
    site = replace(BENCH, codes={"H1": "HB", "H2": "HB"})
    assert ordered(desk, beside_results(desk, f"000{tube}", "H2=13.0"), site) == ["PLT", "WBC"], "under another code"


def test_rc_34_11_receiver_a_question_taken_back_beside_results_is_not_answered(desk: Desk) -> None:
    tube = desk.sample_id(desk.register("HB", "PLT"))
    assert ordered(desk, beside_results(desk, tube, "HB=13.0", status="A")) is None


def test_results_only_leaves_a_question_beside_results_alone(desk: Desk) -> None:
    tube = desk.sample_id(desk.register("HB", "PLT"))
    assert ordered(desk, beside_results(desk, tube, "HB=13.0"), replace(BENCH, orders="none")) is None
