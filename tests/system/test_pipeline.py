"""A whole simulated day through the real drivers, on both engines: nothing lost, nothing twice, the books balance.

The simulators know what they sent because they built it; what the lab holds is compared with that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import delete

from drivers import decode
from drivers.driver import Kind, Message, driver_names, load_driver
from middleware import pipeline
from middleware.actions import results, unmatched
from middleware.journal import Journal
from middleware.model import Refused, Sex
from middleware.schema import (
    AnalyzerMessage,
    AuditRow,
    ControlRow,
    Order,
    OrderTest,
    ReasonRow,
    ResultRow,
    Sample,
    UnmatchedRow,
)
from middleware.settings import AnalyzerSettings
from middleware.store import change, table
from middleware.store.books_view import message_books, twice
from simulators.day import INDIA, plan
from simulators.step import Day, DaySample, Note, Step
from tests.labs import BENCH, Desk

SPOKEN = {"xn550": "sysmex_xn", "xl640": "erba_xl", "bc5150": "mindray_bc", "e411": "roche_cobas_e411"}
CAPTURES = Path(__file__).parents[1] / "captures"
VISITS = (
    (("CBC",), {"sex": Sex.MALE}),
    (("CBC", "KFT", "LFT"), {}),
    (("CBC", "THYROID"), {}),
    (("CBC", "ELEC", "GLUR"), {"sex": Sex.MALE}),
    (("CBC", "HBSAG", "FERR"), {}),
    (("KFT", "GLUF", "GLUPP"), {}),
    (("CBC", "LIPID", "FT4"), {"sex": Sex.MALE}),
    (("CBC",), {}),
)


@pytest.fixture
def day(desk: Desk) -> Day:
    """Sixteen patients, registered; a simulated day of their tubes."""
    for number in range(16):
        tests, who = VISITS[number % len(VISITS)]
        desk.register(*tests, name=f"Patient {number}", **who)
    tests = {pk: [t["test"] for t in desk.rows(OrderTest, sample_pk=pk)] for pk in range(1, 200)}
    sexes = {o["id"]: VISITS[n % len(VISITS)][1].get("sex", Sex.FEMALE) for n, o in enumerate(desk.rows(Order))}
    tubes = tuple(
        DaySample(s["sample_id"], s["container"], tuple(tests[s["id"]]), sexes[s["order_id"]].value, 16000)
        for s in desk.rows(Sample)
    )
    return Day(3, tubes, desk.clock().astimezone(INDIA))


def steps(day: Day) -> list[tuple[str, Step]]:
    """Every message of the day but the controls of past days, in the order of the plans."""
    return [
        (analyzer, step)
        for analyzer, simulator in SPOKEN.items()
        for step in plan(day, simulator)
        if step.note is not Note.QC_HISTORY
    ]


def messages(desk: Desk, sent: Sequence[tuple[str, Step]], prefix: str = "") -> list[Message]:
    """As the journal would hold them."""
    return [Message(f"{prefix}{a}-{s.seq:03d}", a, desk.clock(), s.said.body) for a, s in sent]


def held(desk: Desk) -> dict[str, Any]:
    """What the lab holds, without the numbers and times that depend on the order of arrival."""
    results_ = Counter(
        (r["identity"], r["analyzer"], r["test"], r["display"], r["flag"], r["verbatim"], r["order_test_id"])
        for r in desk.rows(ResultRow)
    )
    return {
        "results": results_,
        "controls": Counter((c["identity"], c["lot"], c["test"], str(c["value"])) for c in desk.rows(ControlRow)),
        "tray": Counter((u["identity"], u["rule"], u["sample_id"], u["state"]) for u in desk.rows(UnmatchedRow)),
    }


def test_a_day_twice_and_in_another_order_gives_the_same_rows(day: Day, desk: Desk) -> None:
    sent = steps(day)
    first = messages(desk, sent)
    for message in first:
        assert pipeline.process(desk.lab, message).state == "processed", message.id
    once, every_row = held(desk), desk.dump()
    assert len(once["results"]) > 150 and once["controls"] and once["tray"]
    for message in first:
        assert pipeline.process(desk.lab, message).state == "already"
    assert desk.dump() == every_row
    for message in Random(5).sample(first, len(first)):  # replayed in any order
        assert pipeline.process(desk.lab, message, again=True).state == "processed"
    assert held(desk) == once
    for message in messages(desk, sent, "again-"):  # the analyzers' own buffers send the whole day once more
        assert pipeline.process(desk.lab, message).state == "processed"
    assert held(desk) == once
    _books_agree(desk, sent, copies=2)


def test_another_order_of_arrival_gives_the_same_rows(day: Day, desk: Desk) -> None:
    sent = steps(day)
    for message in messages(desk, Random(7).sample(sent, len(sent))):
        pipeline.process(desk.lab, message)
    _books_agree(desk, sent, in_order=False)
    shuffled = held(desk)
    with desk.lab.write() as conn:
        for row in (ReasonRow, UnmatchedRow, ResultRow, ControlRow, AnalyzerMessage):
            conn.execute(delete(table(row)))
    for message in messages(desk, sent):
        pipeline.process(desk.lab, message)
    assert held(desk) == shuffled


def _books_agree(desk: Desk, sent: Sequence[tuple[str, Step]], copies: int = 1, in_order: bool = True) -> None:
    """Message by message against what the simulator put in, and place by place."""
    by_id = {f"{a}-{s.seq:03d}": s for a, s in sent}
    rows = desk.rows(AnalyzerMessage)
    assert len(rows) == copies * len(sent)
    for row in rows:
        step = by_id[row["id"].removeprefix("again-")]
        said = {
            "measurements": step.count(Kind.MEASUREMENT), "suspects": step.count(Kind.SUSPECT),
            "images": step.count(Kind.IMAGE), "details": step.count(Kind.DETAIL), "type": step.type,
        }  # fmt: skip
        assert {k: row[k] for k in said} == said, row["id"]
        places = sum(row[k] for k in ("results", "controls", "unmatched", "duplicates", "not_reportable"))
        assert places == row["measurements"], row["id"]
        if row["id"].startswith("again-") or (in_order and step.note is Note.DUPLICATE):
            assert row["duplicates"] + row["not_reportable"] == row["measurements"], row["id"]
    with desk.lab.read() as conn:
        assert all(b.balanced for b in message_books(conn)) and twice(conn) == 0
    assert sum(r["results"] for r in rows) == len(desk.rows(ResultRow))
    assert sum(r["controls"] for r in rows) == len(desk.rows(ControlRow))
    assert sum(r["unmatched"] for r in rows) == len(desk.rows(UnmatchedRow))
    ids = {r["id"] for r in desk.rows(ResultRow) if r["state"] == "held"}
    assert ids <= {r["result_id"] for r in desk.rows(ReasonRow)}  # every held result says why


def test_every_capture_is_processed_with_balanced_books(desk: Desk) -> None:
    """Real and re-made captures of every family: nobody registered these tubes, so all of it is visible in the tray."""
    units = tuple(AnalyzerSettings(name, name, name, "tcp-listen://x:1") for name in driver_names())
    lab = replace(desk.lab, settings=replace(desk.lab.settings, analyzers=units))
    done = 0
    for path in sorted(CAPTURES.rglob("*.raw")):
        for body in _bodies(path):
            outcome = pipeline.process(lab, Message(f"c{done}", path.parent.name, desk.clock(), body))
            assert outcome.state == "processed", (path, outcome.error)
            done += 1
    assert done >= 15
    for row in desk.rows(AnalyzerMessage):
        places = sum(row[k] for k in ("results", "controls", "unmatched", "duplicates", "not_reportable"))
        assert places == row["measurements"], row["id"]
    assert not desk.rows(ResultRow) and desk.rows(UnmatchedRow) and desk.rows(ControlRow)


def _bodies(path: Path) -> list[bytes]:
    """The messages in a capture, without the line around them, as the journal would have stored them."""
    found = decode._found(load_driver(path.parent.name), path.read_bytes())
    return [one.body for one in found if one.body is not None and not one.incomplete]


# ---- unknown, then known


def test_an_unknown_tube_that_is_registered_later_leaves_the_tray_on_replay(desk: Desk) -> None:
    later = desk.register("HB", "PLT", received=False)
    tube = desk.sample_id(later)
    with desk.lab.write() as conn:  # not there yet: as if another person registered it afterwards
        change(conn, Sample, later.sample_pks[0], sample_id="000000000000")
    message = desk.message(tube, "HB=13.0 g/dL", "PLT=250 10*3/uL")
    pipeline.process(desk.lab, message)
    assert [(u["rule"], u["value"]) for u in desk.tray()] == [("unknown_sample", "13.0"), ("unknown_sample", "250")]
    with desk.lab.write() as conn:
        change(conn, Sample, later.sample_pks[0], sample_id=tube)
    pipeline.process(desk.lab, message, again=True)
    once = desk.dump()
    assert desk.tray() == [] and [r["display"] for r in desk.rows(ResultRow)] == ["13.0", "250"]
    closed = [(u["state"], u["closed_note"], u["result_id"]) for u in desk.rows(UnmatchedRow)]
    assert closed == [("superseded", "found its sample", 1), ("superseded", "found its sample", 2)]
    pipeline.process(desk.lab, message, again=True)
    assert desk.dump(("change", "message")) == {k: v for k, v in once.items() if k not in ("change", "message")}
    row = desk.one(AnalyzerMessage)
    assert (row["measurements"], row["results"], row["unmatched"], row["duplicates"]) == (2, 2, 0, 0)


def test_sent_again_by_the_analyzer_after_registration_it_leaves_the_tray_too(desk: Desk) -> None:
    desk.say("107632699990", "HB=13.0 g/dL")
    made = desk.register("HB")
    with desk.lab.write() as conn:
        change(conn, Sample, made.sample_pks[0], sample_id="107632699990")
    (result_id,) = desk.say("107632699990", "HB=13.0 g/dL")
    assert desk.tray() == [] and desk.one(UnmatchedRow)["result_id"] == result_id
    assert desk.say("107632699990", "HB=13.0 g/dL") == []
    with desk.lab.read() as conn:
        assert all(b.balanced for b in message_books(conn)) and twice(conn) == 0


def test_a_linked_row_is_not_filed_again_by_replay_or_by_the_analyzer(desk: Desk) -> None:
    made = desk.register("HB")
    message = desk.message("107632699990", "HB=13.0 g/dL")
    pipeline.process(desk.lab, message)
    unmatched.link(desk.lab, desk.technician, desk.tray()[0]["id"], made.sample_pks[0], "HB", "tube in hand")
    row = desk.one(ResultRow)
    assert (row["state"], row["display"], row["message_id"]) == ("held", "13.0", message.id)
    assert "linked_by_hand" in {r["rule"] for r in desk.rows(ReasonRow)}
    for again in (message, desk.message("107632699990", "HB=13.0 g/dL")):
        pipeline.process(desk.lab, again, again=True)
    assert len(desk.rows(ResultRow)) == 1 and desk.tray() == []
    books = [(m["results"], m["unmatched"], m["duplicates"]) for m in desk.rows(AnalyzerMessage)]
    assert books == [(1, 0, 0), (0, 0, 1)]


def test_a_row_that_was_dismissed_stays_dismissed(desk: Desk) -> None:
    message = desk.message("107632699990", "HB=13.0 g/dL")
    pipeline.process(desk.lab, message)
    with pytest.raises(Refused, match="why"):
        unmatched.dismiss(desk.lab, desk.technician, 1, " ")
    unmatched.dismiss(desk.lab, desk.technician, 1, "a trial run")
    for refused in (
        lambda: unmatched.dismiss(desk.lab, desk.technician, 1, "again"),
        lambda: unmatched.link(desk.lab, desk.technician, 1, 1, "HB", "tube in hand"),
    ):
        with pytest.raises(Refused):
            refused()
    pipeline.process(desk.lab, message, again=True)
    assert desk.tray() == [] and desk.one(UnmatchedRow)["closed_note"] == "a trial run"


def test_a_code_that_gets_its_mapping_leaves_the_tray_on_replay(desk: Desk) -> None:
    made = desk.register("HB", "PLT")
    message = desk.message(desk.sample_id(made), "HGB7=13.0 g/dL", "ZZZ=1", "PLT=250 10*3/uL")
    pipeline.process(desk.lab, message)
    assert [(u["rule"], u["code"]) for u in desk.tray()] == [("unknown_code", "HGB7"), ("unknown_code", "ZZZ")]
    bench = replace(BENCH, codes={"HGB7": "HB", "ZZZ": "WBC"}, tests=frozenset({"HB", "PLT"}))
    others = tuple(a for a in desk.lab.settings.analyzers if a.name != "bench")
    lab = replace(desk.lab, settings=replace(desk.lab.settings, analyzers=(*others, bench)))
    pipeline.process(lab, message, again=True)
    assert desk.tray() == [] and sorted(r["test"] for r in desk.rows(ResultRow)) == ["HB", "PLT"]
    row = desk.one(AnalyzerMessage)
    assert (row["measurements"], row["results"], row["unmatched"], row["not_reportable"]) == (3, 2, 0, 1)
    pipeline.process(desk.lab, message, again=True)  # the mapping is taken away again: what is filed stays
    assert [u["code"] for u in desk.tray()] == ["ZZZ"] and len(desk.rows(ResultRow)) == 2
    row = desk.one(AnalyzerMessage)
    assert (row["results"], row["unmatched"], row["not_reportable"]) == (2, 1, 0)


def test_a_link_brings_the_interpretation_that_only_the_message_holds(desk: Desk) -> None:
    """cobas e: `-1^0.28` is "Non-reactive"; the tray shows 0.28."""
    made = desk.register("HBSAG")
    body = (
        b"H|\\^&|||cobas-e411^1|||||host|RSUPL^BATCH|P|1\rP|1\rO|1|107632699990|0^5016^1^^SAMPLE^NORMAL|ALL|R||||||X"
        b"|||||||||||||O\rR|1|^^^5/1/not|-1^0.28|COI||N||F|||20261122101500|20261122103000|\rL|1\r"
    )
    journal = Journal.open(desk.lab.settings.journal)
    message = journal.finish("e411", None, body, False)
    journal.close()
    pipeline.process(desk.lab, message)
    (row,) = desk.tray()
    result_id = unmatched.link(desk.lab, desk.technician, row["id"], made.sample_pks[0], "HBSAG", "tube in hand")
    found = desk.one(ResultRow, id=result_id)
    assert (found["coded"], found["verbatim"], found["analyzer"]) == ("Non-reactive", "-1^0.28", "e411")


def test_a_link_needs_a_reason_a_tube_in_the_laboratory_and_an_ordered_test(desk: Desk) -> None:
    made = desk.register("HB")
    desk.say("107632699990", "HB=13.0 g/dL")
    row = desk.tray()[0]["id"]
    before = desk.dump()
    for sample_pk, test, reason, why in (
        (made.sample_pks[0], "HB", " ", "how you know"),
        (4711, "HB", "tube in hand", "in the laboratory"),
        (made.sample_pks[0], "PLT", "tube in hand", "cannot be linked"),
    ):
        with pytest.raises(Refused, match=why):
            unmatched.link(desk.lab, desk.technician, row, sample_pk, test, reason)
    assert desk.dump() == before


# ---- what cannot be processed


@pytest.mark.parametrize(
    ("analyzer", "body", "why"),
    [
        ("gone", b"H|\\^&\rL|1\r", "analyzer 'gone' is not in config/analyzers.toml"),
        ("bench", b"no message at all", ""),
        ("bc5150", b"H|\\^&\rL|1\r", ""),
    ],
)
def test_what_cannot_be_read_is_kept_as_failed(analyzer: str, body: bytes, why: str, desk: Desk) -> None:
    message = Message("m1", analyzer, desk.clock(), body)
    outcome = pipeline.process(desk.lab, message)
    row = desk.one(AnalyzerMessage)
    assert (outcome.state, row["state"], row["analyzer"]) == ("failed", "failed", analyzer)
    assert row["error"] == outcome.error != "" and why in outcome.error
    assert pipeline.process(desk.lab, message).state == "failed" and len(desk.rows(AnalyzerMessage)) == 1


def test_what_was_failed_is_processed_after_the_fix_and_never_failed_again(desk: Desk) -> None:
    made = desk.register("HB")
    journal = Journal.open(desk.lab.settings.journal)
    message = journal.finish("new", None, desk.message(desk.sample_id(made), "HB=13.0 g/dL").body, False)
    journal.close()
    assert pipeline.replay(desk.lab, desk.engineer, message.id).state == "failed"
    new = replace(BENCH, name="new")
    lab = replace(desk.lab, settings=replace(desk.lab.settings, analyzers=(*desk.lab.settings.analyzers, new)))
    assert pipeline.replay(lab, desk.engineer, message.id).state == "processed"
    row = desk.one(AnalyzerMessage)
    assert (row["state"], row["error"], row["results"]) == ("processed", "", 1)
    assert pipeline.replay(desk.lab, desk.engineer, message.id).state == "failed"  # taken out of the configuration
    assert desk.one(AnalyzerMessage) == row
    assert [line["detail"]["state"] for line in desk.rows(AuditRow) if line["action"] == "replay"] == [
        "failed", "processed", "failed",
    ]  # fmt: skip
    with pytest.raises(Refused, match="no longer in the journal"):
        pipeline.replay(lab, desk.engineer, "nosuch")


def test_words_longer_than_a_column_and_a_nul_are_stored_on_both_engines(desk: Desk) -> None:
    made = desk.register("HB")
    long = "X" * 300
    message = desk.message(desk.sample_id(made), f"{long}=1 {long}", "HB=13.0 g/dL", "NUL=a\0b")
    assert pipeline.process(desk.lab, message).state == "processed"
    first, second = desk.tray()
    assert len(first["code"]) == 80 and first["code"].endswith("X…") and "\0" not in second["value"]
    assert desk.one(ResultRow)["display"] == "13.0"


def test_names_and_comments_are_read_in_the_charset_of_the_site(desk: Desk) -> None:
    made = desk.register("HB")
    latin = replace(BENCH, name="old", charset="latin-1")
    lab = replace(desk.lab, settings=replace(desk.lab.settings, analyzers=(*desk.lab.settings.analyzers, latin)))
    body = desk.message(desk.sample_id(made), "QQ=5 µL", analyzer="old").body.decode().encode("latin-1")
    pipeline.process(lab, Message("m1", "old", desk.clock(), body))
    assert desk.tray()[0]["unit"] == "µL"


def test_ages_are_counted_in_the_laboratorys_days(desk: Desk) -> None:
    """A baby of yesterday is one day old at 00:40 in Varanasi, though in UTC its birthday is not over."""
    desk.clock.at = datetime(2026, 11, 25, 19, 10, tzinfo=UTC)  # 00:40 on the 26th
    tbil = desk.lab.settings.catalogue["TBIL"]
    made = desk.register("TBIL", birth_date=date(2026, 11, 25))
    (result_id,) = desk.say(desk.sample_id(made), "TBIL=4.0 mg/dL")
    one_day = tbil.interval_for(Sex.FEMALE, 1)
    assert one_day is not None and one_day.ref_high != tbil.interval_for(Sex.FEMALE, 0).ref_high  # type: ignore[union-attr]
    assert desk.one(ResultRow, id=result_id)["ref_high"] == one_day.ref_high


def test_a_query_and_an_incomplete_message_leave_no_result(desk: Desk) -> None:
    made = desk.register("HB")
    whole = desk.message(desk.sample_id(made), "HB=13.0 g/dL")
    pipeline.process(desk.lab, Message("m1", "bench", desk.clock(), whole.body[: whole.body.index(b"L|1")], True))
    query = f"H|\\^&|||Bench^1|||||||P|1\rQ|1|^{desk.sample_id(made)}||ALL||||||||O\rL|1|N\r".encode()
    pipeline.process(desk.lab, Message("m2", "bench", desk.clock(), query))
    assert desk.rows(ResultRow) == [] and desk.tray() == []
    told = [(m["type"], m["measurements"], m["not_reportable"]) for m in desk.rows(AnalyzerMessage)]
    assert told == [("incomplete", 1, 1), ("query", 0, 0)]


def test_a_second_open_result_takes_the_green_from_the_first(desk: Desk) -> None:
    made, (first,) = desk.measured("HB=13.0 g/dL")
    (second,) = desk.say(desk.sample_id(made), "HB=13.2 g/dL", at="20261122101500")
    assert [(r["state"], r["green"]) for r in desk.rows(ResultRow)] == [("held", False)] * 2
    assert results.release_green(desk.lab, desk.technician).released == ()
    assert results.release(desk.lab, desk.technician, [second]).released == (second,)
    assert desk.one(ResultRow, id=first)["state"] == "rejected"
    assert len(desk.versions(made)) == 1
