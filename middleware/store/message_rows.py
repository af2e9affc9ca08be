"""A message's own row: what it said, what became of it, and whether its books balance.

Turns a Filing and what stands in the tables afterwards into counts. Law: the two sides are counted apart, what the
driver saw and what is stored; one that was processed never becomes failed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from drivers.driver import Decoded, Kind, Message, Observation
from middleware.model import Matched, SampleFacts, Verdict
from middleware.schema import AnalyzerMessage, ControlRow, ResultRow, UnmatchedRow
from middleware.store.core import among, fitted, insert_into, table, touch


@dataclass(frozen=True, slots=True)
class Filing:
    """One message, thought about. `samples` by primary key gives each result its patient; `seen`: it was recorded
    before, so rows of it may be filed, lie in the tray or have been dealt with by hand."""

    message: Message
    decoded: Decoded
    matched: Matched
    verdicts: Sequence[Verdict]
    samples: Mapping[int, SampleFacts]
    seen: bool

    def matched_rows(self) -> Iterator[tuple[int, str]]:
        """Ordinal and identity of each row that has a place: a result, a control or the tray."""
        for result in self.matched.results:
            yield result.ordinal, result.identity
        for row in self.matched.unmatched:
            yield row.ordinal, row.identity
        for control in self.matched.controls:
            yield control.ordinal, control.identity


def known(conn: Connection, message_ids: Sequence[str]) -> set[str]:
    """Those of these messages that have a row, processed or failed."""
    m = table(AnalyzerMessage)
    return set(conn.execute(select(m.c.id).where(among(conn, m.c.id, message_ids))).scalars())


def processed(conn: Connection, message_ids: Sequence[str]) -> set[str]:
    """Those of these messages that were already recorded (state processed)."""
    m = table(AnalyzerMessage)
    return set(conn.execute(select(m.c.id).where(among(conn, m.c.id, message_ids), m.c.state == "processed")).scalars())


def record_failure(conn: Connection, message: Message, error: str, now: datetime) -> None:
    """Keep a message that could not be decoded: state failed, with the reason, for the messages page and replay.

    One that was processed before stays as it was.
    """
    if processed(conn, [message.id]):
        return  # thought about again with a driver or a configuration that cannot read it: what is stored stays
    values = {
        "id": message.id, "analyzer": message.analyzer, "received_at": message.received_at, "type": "other",
        "state": "failed", "error": error, "processed_at": now,
    }  # fmt: skip
    _upsert_messages(conn, [{**_NO_COUNTS, **values}])
    touch(conn, "analyzers")


_COUNTED = (
    "observations", "measurements", "results", "controls", "unmatched", "duplicates", "not_reportable", "suspects",
    "images", "details", "difference",
)  # fmt: skip
_NO_COUNTS: dict[str, Any] = {**dict.fromkeys(_COUNTED, 0), "sender": None, "problems": [], "sample_ids": ""}


def put_messages(
    conn: Connection,
    filings: Sequence[Filing],
    duplicates: Mapping[str, int],
    filed: Mapping[str, set[int]],
    now: datetime,
) -> list[int]:
    """Each message's own row, with what stands in the tables of it now; how many of its rows are astray.

    By message: `duplicates` that recording found, `filed` rows (ordinals) that were filed before.
    """
    ids = [filing.message.id for filing in filings]
    u = table(UnmatchedRow)
    stored = {
        "results": _stored(conn, ResultRow, ids),
        "controls": _stored(conn, ControlRow, ids),
        "unmatched": _stored(conn, UnmatchedRow, ids, u.c.state.in_(("open", "dismissed"))),
        "duplicates": duplicates,
    }
    rows = []
    for filing in filings:
        found = {name: counted.get(filing.message.id, 0) for name, counted in stored.items()}
        found["duplicates"] += filing.matched.duplicates
        books = {**_said(filing, filed.get(filing.message.id, set())), **found}
        rows.append({**books, "difference": astray(books), "processed_at": now})
    _upsert_messages(conn, rows)
    return [row["difference"] for row in rows]


def astray(books: Mapping[str, int]) -> int:
    """By how many rows the books of a message differ: what the driver saw against what stands in the tables."""
    places = ("results", "controls", "unmatched", "duplicates", "not_reportable")
    others = ("measurements", "suspects", "images", "details")
    filed, kept = sum(books[name] for name in places), sum(books[name] for name in others)
    return abs(books["measurements"] - filed) + abs(books["observations"] - kept)


def _stored(conn: Connection, kind: Any, message_ids: Sequence[str], *where: Any) -> dict[str, int]:
    """How many rows of a table came of each message."""
    t = table(kind)
    counted = select(t.c.message_id, func.count()).where(among(conn, t.c.message_id, message_ids), *where)
    return {row[0]: row[1] for row in conn.execute(counted.group_by(t.c.message_id))}


def _left(filing: Filing, filed: set[int]) -> int:
    """Measurements that stay in the message. One that was filed before a driver or a setting was changed counts there
    and not here."""
    kept = filing.matched.not_reportable
    if not filed:
        return kept
    placed = {ordinal for ordinal, _ in filing.matched_rows()}
    left = {o.ordinal for o in _measured(filing.decoded)} - placed
    return kept - len(left & filed)


def _measured(decoded: Decoded) -> list[Observation]:
    return [o for o in decoded.observations if o.kind is Kind.MEASUREMENT]


def _said(filing: Filing, filed: set[int]) -> dict[str, Any]:
    message, decoded, matched = filing.message, filing.decoded, filing.matched
    return {
        "id": message.id,
        "analyzer": message.analyzer,
        "received_at": message.received_at,
        "type": decoded.type.value,
        "state": "processed",
        "error": "",
        "sender": decoded.sender,
        "problems": list(decoded.problems),
        "sample_ids": " ".join(sorted(_sample_ids(decoded))),
        "observations": len(decoded.observations),
        "measurements": len(_measured(decoded)),
        "not_reportable": _left(filing, filed),
        "suspects": matched.suspects,
        "images": matched.images,
        "details": matched.details,
    }


def _sample_ids(decoded: Decoded) -> set[str]:
    own = {o.sample_id for o in decoded.observations if o.sample_id}
    return own | set(decoded.query_sample_ids)


def _upsert_messages(conn: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    statement = insert_into(conn, AnalyzerMessage)
    anew = {name: statement.excluded[name] for name in rows[0] if name != "id"}
    statement = statement.on_conflict_do_update(index_elements=["id"], set_=anew)
    conn.execute(statement, [fitted(AnalyzerMessage, row) for row in rows])
