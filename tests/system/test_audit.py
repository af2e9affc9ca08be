"""The audit trail: one chain whatever happens at once, broken wherever a line is altered or taken out."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select

from middleware import store
from middleware.actions import register, results
from middleware.schema import AuditRow
from middleware.store import table
from tests.labs import Desk


def a_days_work(desk: Desk) -> None:
    made, ids = desk.measured("HB=13.0 g/dL", name="सुनीता <b>देवी</b>")
    results.release(desk.lab, desk.technician, ids)
    results.amend(desk.lab, desk.pathologist, ids[0], "13.4", "13.4", "गलत पढ़ा")
    register.mint_slip(desk.lab, desk.reception, made.order_id)


def broken_at(desk: Desk) -> int | None:
    with desk.lab.read() as conn:
        return store.audit_broken_at(conn)


def test_the_chain_of_a_days_work_is_sound(desk: Desk) -> None:
    assert broken_at(desk) is None  # also when there is no line yet
    a_days_work(desk)
    assert broken_at(desk) is None
    lines = desk.rows(AuditRow)
    assert len({line["chain"] for line in lines}) == len(lines) == 9
    assert [line["action"] for line in lines] == [
        "register", "register", "receive", "release", "issue report", "type result", "amend", "issue report",
        "print slip",
    ]  # fmt: skip
    assert all(line["at"] == desk.clock() and line["who"] and line["role"] for line in lines)


ALTERED: dict[str, Any] = {
    "who": "Nobody", "role": "admin", "action": "reject", "subject": "order", "subject_id": "99",
    "detail": {"value": "9.9"}, "chain": "0" * 64,
}  # fmt: skip


@pytest.mark.parametrize("column", [*ALTERED, "at"])
def test_a_line_that_was_altered_is_found(column: str, desk: Desk) -> None:
    a_days_work(desk)
    lines = desk.rows(AuditRow)
    line = lines[3]
    value = line["at"] + timedelta(microseconds=1) if column == "at" else ALTERED[column]
    assert line[column] != value
    a = table(AuditRow)
    with desk.lab.write() as conn:
        conn.execute(a.update().where(a.c.id == line["id"]).values(**{column: value}))
    assert broken_at(desk) == line["id"]


def test_a_line_that_was_taken_out_is_found_at_the_next(desk: Desk) -> None:
    a_days_work(desk)
    lines = desk.rows(AuditRow)
    a = table(AuditRow)
    with desk.lab.write() as conn:
        conn.execute(delete(a).where(a.c.id == lines[3]["id"]))
    assert broken_at(desk) == lines[4]["id"]


def test_eight_people_at_once_write_one_chain(desk: Desk) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: desk.register("HB", name=f"Patient {n}"), range(16)))
    assert broken_at(desk) is None and len(desk.rows(AuditRow)) == 16 * 3


def test_a_line_goes_with_its_change_or_not_at_all(desk: Desk) -> None:
    before = desk.dump()
    with pytest.raises(OSError), desk.lab.write() as conn:
        store.audit(conn, desk.clock(), desk.admin, "set role", "user", 1, {"old": "a", "new": "b"})
        raise OSError
    assert desk.dump() == before


def test_the_trail_survives_the_round_trip_of_both_engines(desk: Desk) -> None:
    detail = {"हिन्दी": "µ", "none": None, "list": [1, "2", True], "deep": {"b": 1, "a": "\u2028 '\" \\"}}
    with desk.lab.write() as conn:
        store.audit(conn, desk.clock() + timedelta(microseconds=123457), desk.admin, "try", "user", "x", detail)
        assert conn.execute(select(table(AuditRow).c.detail)).scalar_one() == detail
    assert broken_at(desk) is None
