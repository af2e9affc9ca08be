"""The books of every message are checked when it is recorded; what is astray is said, shown and counted."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from middleware import pipeline
from middleware.journal import Journal, JournalReader
from middleware.schema import AnalyzerMessage, ControlRow, ResultRow, UnmatchedRow
from middleware.store import record as record_module
from middleware.store.books_view import message_books, session_books, unbalanced
from middleware.store.message_rows import _COUNTED, astray
from tests.labs import Desk

VALUES = ("HB=13.0 g/dL", "PLT=250 10*3/uL", "ZZ=1")
Spoil = Callable[[pytest.MonkeyPatch], None]


def a_row_is_dropped(kind: Any) -> Spoil:
    """A store that loses the last row of a table."""

    def spoil(monkeypatch: pytest.MonkeyPatch) -> None:
        real = record_module.put_all
        monkeypatch.setattr(
            record_module, "put_all", lambda conn, row, rows: real(conn, row, rows[:-1] if row is kind else rows)
        )

    return spoil


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR]


@pytest.mark.parametrize("kind", [ResultRow, UnmatchedRow])
def test_a_row_that_is_lost_raises_the_alarm_until_the_message_is_put_right(
    kind: Any, desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made = desk.register("HB", "PLT")
    message = desk.message(desk.sample_id(made), *VALUES)
    with monkeypatch.context() as broken:
        a_row_is_dropped(kind)(broken)
        outcome = pipeline.process(desk.lab, message)
    assert (outcome.state, outcome.difference) == ("processed", 1)
    assert said(caplog) == [f"bench: the books of message {message.id} differ by 1 rows"]
    assert desk.one(AnalyzerMessage)["difference"] == 1
    with desk.lab.read() as conn:
        assert unbalanced(conn) == {"bench": 1}
        assert [b.balanced for b in message_books(conn)] == [False]
    caplog.clear()
    pipeline.process(desk.lab, message, again=True)  # mended, and thought about again
    with desk.lab.read() as conn:
        assert unbalanced(conn) == {} and all(b.balanced for b in message_books(conn))
    assert said(caplog) == [] and len(desk.rows(ResultRow)) == 2 and len(desk.tray()) == 1


def test_a_control_that_is_lost_raises_it_too(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    body = desk.message("QC-1", "HB=13.0 g/dL", "PLT=250 10*3/uL").body
    fields = body.split(b"\r")
    fields[2] = fields[2] + b"|" * (11 - fields[2].count(b"|")) + b"Q"
    message = pipeline.Message("qc", "bench", desk.clock(), b"\r".join(fields))
    a_row_is_dropped(ControlRow)(monkeypatch)
    assert pipeline.process(desk.lab, message).difference == 1
    row = desk.one(AnalyzerMessage)
    assert (row["type"], row["measurements"], row["controls"], row["difference"]) == ("qc", 2, 1, 1)


def test_it_stays_silent_when_all_is_filed_sent_twice_linked_or_read_otherwise(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    made = desk.register("HB", "PLT")
    message = desk.message(desk.sample_id(made), *VALUES)
    again = desk.message(desk.sample_id(made), *VALUES)
    stranger = desk.message("107632699990", "HB=13.0 g/dL")
    for one in (message, again, stranger, desk.message("", "HB=1"), desk.message("QC-1", *VALUES)):
        assert pipeline.process(desk.lab, one).difference == 0
    for one in (again, message, stranger):
        assert pipeline.process(desk.lab, one, again=True).difference == 0
    assert said(caplog) == [] and {m["difference"] for m in desk.rows(AnalyzerMessage)} == {0}


def test_what_is_filed_and_no_longer_reported_from_here_is_counted_once(desk: Desk) -> None:
    """A person narrows the list of tests of an analyzer, and the message is thought about again."""
    made = desk.register("HB", "PLT")
    message = desk.message(desk.sample_id(made), "HB=13.0 g/dL", "PLT=250 10*3/uL")
    pipeline.process(desk.lab, message)
    settings = desk.lab.settings
    narrow = tuple(replace(a, tests=frozenset({"HB"})) if a.name == "bench" else a for a in settings.analyzers)
    outcome = pipeline.process(replace(desk.lab, settings=replace(settings, analyzers=narrow)), message, again=True)
    row = desk.one(AnalyzerMessage)
    assert outcome.difference == 0
    assert (row["measurements"], row["results"], row["not_reportable"], row["difference"]) == (2, 2, 0, 0)


def test_astray_counts_rows_in_either_direction() -> None:
    none = dict.fromkeys(_COUNTED, 0)
    fine = {**none, "observations": 6, "measurements": 4, "results": 1, "controls": 1, "unmatched": 1,
            "not_reportable": 1, "suspects": 1, "details": 1}  # fmt: skip
    assert astray(fine) == 0
    assert astray({**fine, "results": 0}) == astray({**fine, "results": 2}) == 1
    assert astray({**fine, "details": 0}) == 1 and astray({**fine, "observations": 9}) == 3


def test_the_books_of_a_conversation_are_the_sum_of_its_messages(desk: Desk) -> None:
    made = desk.register("HB", "PLT")
    journal = Journal.open(desk.lab.settings.journal, desk.clock)
    session, other = journal.session("bench", "LIS2-A2"), journal.session("bench", "LIS2-A2")
    bodies = [desk.message(desk.sample_id(made), *VALUES).body, desk.message("", "HB=1").body]
    messages = [journal.message(session, body) for body in bodies]
    journal.append(session, b"", "frame", messages=messages)
    journal.append(other, b"", "frame", messages=[journal.message(other, bodies[0])])
    assert JournalReader(journal.path).same_session(messages[1].id) == [m.id for m in messages]
    assert JournalReader(journal.path).same_session("nosuch") == []
    pipeline.process_all(desk.lab, journal.unprocessed())
    journal.close()
    with desk.lab.read() as conn:
        books = session_books(conn, [m.id for m in messages])
        assert session_books(conn, []) is None and session_books(conn, ["nosuch"]) is None
    assert books is not None and books.balanced and books.messages == 2
    assert (books.sums["measurements"], books.sums["results"], books.sums["unmatched"]) == (4, 2, 2)
