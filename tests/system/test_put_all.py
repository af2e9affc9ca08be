"""Many rows at once are the rows of one at a time, on both engines, whatever an analyzer's words are."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, NamedTuple

import pytest

from middleware.actions.results import release
from middleware.schema import ControlRow, ResultRow, UnmatchedRow
from middleware.store.context import samples_for
from middleware.store.core import fitted, put_all, table
from tests.labs import NOW, Desk

WORDS = ("7.1", "", "7.1\0", "µ" * 400, "सोडियम", "x" * 500, "\udcff", "-0.0", "'); DROP TABLE result; --")


def tray_row(number: int) -> dict[str, Any]:
    word = WORDS[number % len(WORDS)]
    return {
        "identity": f"{number:064x}", "message_id": "m1", "ordinal": number, "analyzer": "bench", "sample_id": word,
        "code": word or None, "value": word, "flags": [word[:3]] if number % 3 else [], "rule": "unread", "text": word,
        "text_hi": "", "created_at": NOW + timedelta(seconds=number // 2),
    }  # fmt: skip


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 250])
def test_many_rows_are_the_rows_of_one_by_one(count: int, desk: Desk) -> None:
    rows = [tray_row(number) for number in range(count)]
    with desk.lab.write() as conn:
        put_all(conn, UnmatchedRow, rows)
    together = desk.rows(UnmatchedRow)
    t = table(UnmatchedRow)
    with desk.lab.write() as conn:
        conn.execute(t.delete())
        for row in rows:
            conn.execute(t.insert().values(**fitted(UnmatchedRow, row)))
    apart = desk.rows(UnmatchedRow)
    assert [{**r, "id": 0} for r in together] == [{**r, "id": 0} for r in apart]
    assert len(together) == count and all(r["state"] == "open" and r["closed_at"] is None for r in together)


class Control(NamedTuple):
    identity: str
    message_id: str
    ordinal: int
    analyzer: str
    lot: str
    code: str
    value: Decimal | None
    received_at: datetime


def test_equal_numbers_keep_their_own_text_and_equal_times_are_one_instant(desk: Desk) -> None:
    india = timezone(timedelta(hours=5, minutes=30))
    values = [Decimal("7.1"), Decimal("7.10"), Decimal("0"), Decimal("-0.0"), None]
    rows = [
        Control(f"{n:064x}", "m1", n, "bench", "QC-1", "HB", values[n % 5], NOW if n % 2 else NOW.astimezone(india))
        for n in range(205)
    ]
    with desk.lab.write() as conn:
        put_all(conn, ControlRow, rows)
    kept = desk.rows(ControlRow)
    assert [str(r["value"]) for r in kept] == [str(r.value) for r in rows]
    assert {r["received_at"] for r in kept} == {NOW} and not any(r["excluded"] for r in kept)


def test_of_two_releases_at_one_instant_the_newer_result_is_the_earlier_value(desk: Desk) -> None:
    made, first = desk.measured("HB=13.0 g/dL")
    patient = desk.one(ResultRow, id=first[0])["patient_id"]
    _, second = desk.measured("HB=13.5 g/dL")
    with desk.lab.write() as conn:  # both are one patient's
        conn.execute(table(ResultRow).update().values(patient_id=patient))
    for result in (*first, *second):
        release(desk.lab, desk.pathologist, [result])
    with desk.lab.read() as conn:
        (facts,) = samples_for(conn, [desk.sample_id(made)], NOW).values()
    assert facts.previous["HB"] == (Decimal("13.5"), None, "g/dL", NOW)
