"""What stands in the tables of each message's rows, for comparing it with what a changed driver would make of them.

Turns message ids into Held rows. Law: reads only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, select

from middleware.model import ResultState
from middleware.schema import AnalyzerMessage, ControlRow, ResultRow, Sample, UnmatchedRow
from middleware.store.core import among, table

RESULT, CONTROL, TRAY, BY_HAND = "result", "control", "tray", "linked by hand"


@dataclass(frozen=True, slots=True)
class Held:
    """One row of a message as it is held: where, for which test ("" when unknown), with which value; `rule` is why it
    lies in the tray. `out`: it has been released, so a report may hold it."""

    ordinal: int
    identity: str
    place: str
    sample_id: str
    code: str
    test: str = ""
    value: str = ""
    unit: str = ""
    flag: str = ""
    rule: str = ""
    out: bool = False


@dataclass(slots=True)
class Recorded:
    """One message as it is recorded: `state` processed or failed, "" when it is not yet; how many rows came before."""

    state: str = ""
    error: str = ""
    duplicates: int = 0
    rows: list[Held] = field(default_factory=list)


def recorded(conn: Connection, message_ids: Collection[str]) -> Mapping[str, Recorded]:
    """What is held of each of these messages."""
    found: dict[str, Recorded] = defaultdict(Recorded)
    m = table(AnalyzerMessage)
    books = select(m.c.id, m.c.state, m.c.error, m.c.duplicates).where(among(conn, m.c.id, message_ids))
    for message_id, state, error, duplicates in conn.execute(books):
        found[message_id] = Recorded(state, error, duplicates)
    linked = _linked(conn, message_ids)
    for message_id, row in (*_results(conn, message_ids, linked), *_controls(conn, message_ids)):
        found[message_id].rows.append(row)
    for message_id, row in _tray(conn, message_ids):
        found[message_id].rows.append(row)
    return found


def elsewhere(conn: Connection, identities: Collection[str]) -> set[str]:
    """Those of these rows that are stored already, under whichever message."""
    found: set[str] = set()
    for row in (ResultRow, ControlRow, UnmatchedRow):
        t = table(row)
        found |= set(conn.execute(select(t.c.identity).where(among(conn, t.c.identity, identities))).scalars())
    return found


def _linked(conn: Connection, message_ids: Collection[str]) -> set[str]:
    u = table(UnmatchedRow)
    here = among(conn, u.c.message_id, message_ids) & (u.c.state == "linked")
    return set(conn.execute(select(u.c.identity).where(here)).scalars())


def _results(conn: Connection, message_ids: Collection[str], linked: set[str]) -> list[tuple[str, Held]]:
    r, s = table(ResultRow), table(Sample)
    statement = select(
        r.c.message_id, r.c.ordinal, r.c.identity, r.c.code, r.c.test, r.c.display, r.c.verbatim, r.c.value, r.c.coded,
        r.c.unit, r.c.flag, r.c.state, s.c.sample_id,
    ).join_from(r, s, r.c.sample_pk == s.c.id).where(among(conn, r.c.message_id, message_ids))  # fmt: skip
    out = (ResultState.RELEASED.value, ResultState.AMENDED.value)
    return [
        (row.message_id, Held(
            row.ordinal, row.identity, BY_HAND if row.identity in linked else RESULT, row.sample_id, row.code, row.test,
            row.display if row.value is not None or row.coded else f"none ({row.verbatim})", row.unit, row.flag,
            out=row.state in out,
        ))
        for row in conn.execute(statement)
    ]  # fmt: skip


def _controls(conn: Connection, message_ids: Collection[str]) -> list[tuple[str, Held]]:
    c = table(ControlRow)
    rows = conn.execute(select(c).where(among(conn, c.c.message_id, message_ids))).mappings()
    return [
        (row["message_id"], Held(
            row["ordinal"], row["identity"], CONTROL, row["lot"], row["code"], row["test"] or "",
            row["verbatim"] if row["value"] is None else f"{row['value']:f}", row["unit"] or "",
        ))
        for row in rows
    ]  # fmt: skip


def _tray(conn: Connection, message_ids: Collection[str]) -> list[tuple[str, Held]]:
    """Rows that still lie in the tray, or that a person said are nobody's."""
    u = table(UnmatchedRow)
    here = among(conn, u.c.message_id, message_ids) & u.c.state.in_(("open", "dismissed"))
    return [
        (row["message_id"], Held(
            row["ordinal"], row["identity"], TRAY, row["sample_id"] or "", row["code"] or "", "", row["value"] or "",
            row["unit"] or "", rule=row["rule"],
        ))
        for row in conn.execute(select(u).where(here)).mappings()
    ]  # fmt: skip
