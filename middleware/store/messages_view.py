"""What became of each message of the journal: the books of the flight recorder.

Law: reads only; the bytes stay in the journal (`middleware.journal.JournalReader`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, literal_column, select

from middleware.schema import AnalyzerMessage, ResultRow, Sample
from middleware.store.analyzers_view import Recent
from middleware.store.core import table

MESSAGE, RESULT, SAMPLE = table(AnalyzerMessage), table(ResultRow), table(Sample)


@dataclass(frozen=True, slots=True)
class Books:
    """One message's row: its counts must balance (measurements = the five that follow)."""

    id: str
    analyzer: str
    received_at: datetime
    type: str
    state: str
    error: str
    sender: str | None
    problems: list[str]
    sample_ids: str
    observations: int
    measurements: int
    results: int
    controls: int
    unmatched: int
    duplicates: int
    not_reportable: int
    suspects: int
    images: int
    details: int
    difference: int
    processed_at: datetime

    @property
    def balanced(self) -> bool:
        """True when every measurement is accounted for."""
        found = self.results + self.controls + self.unmatched + self.duplicates + self.not_reportable
        return self.measurements == found and not self.difference


@dataclass(frozen=True, slots=True)
class Filed:
    """A sample page a message led to."""

    sample_pk: int
    sample_id: str
    results: int


def find(
    conn: Connection,
    analyzer: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    sample: str = "",
    show: str = "all",
    offset: int = 0,
    limit: int = 50,
) -> tuple[Recent, ...]:
    """Messages, newest first. `show` is all · failed · unmatched · unbalanced; `sample` is part of a sample id."""
    query = select(*(MESSAGE.c[n] for n in Recent.__slots__))
    if analyzer:
        query = query.where(MESSAGE.c.analyzer == analyzer)
    if since is not None:
        query = query.where(MESSAGE.c.received_at >= since)
    if until is not None:
        query = query.where(MESSAGE.c.received_at < until)
    if sample:
        query = query.where(MESSAGE.c.sample_ids.contains(sample, autoescape=True))
    if show == "failed":
        query = query.where(MESSAGE.c.state == "failed")
    elif show == "unmatched":
        query = query.where(MESSAGE.c.unmatched > 0)
    elif show == "unbalanced":
        query = query.where(MESSAGE.c.difference != literal_column("0"))
    rows = conn.execute(query.order_by(MESSAGE.c.received_at.desc(), MESSAGE.c.id.desc()).offset(offset).limit(limit))
    return tuple(Recent(**row) for row in rows.mappings())


def books(conn: Connection, message_id: str) -> Books | None:
    """What became of one message; None when it was not processed yet."""
    query = select(*(MESSAGE.c[n] for n in Books.__slots__)).where(MESSAGE.c.id == message_id)
    row = conn.execute(query).mappings().first()
    return Books(**row) if row else None


def filed(conn: Connection, message_id: str) -> tuple[Filed, ...]:
    """The tubes this message's results were filed under."""
    query = (
        select(SAMPLE.c.id.label("sample_pk"), SAMPLE.c.sample_id, func.count().label("results"))
        .join_from(RESULT, SAMPLE, RESULT.c.sample_pk == SAMPLE.c.id)
        .where(RESULT.c.message_id == message_id)
        .group_by(SAMPLE.c.id, SAMPLE.c.sample_id)
        .order_by(SAMPLE.c.id)
    )
    return tuple(Filed(**row) for row in conn.execute(query).mappings())


def by_id(conn: Connection, message_ids: list[str]) -> dict[str, Recent]:
    """The rows of these messages; one that is missing still waits for the pipeline."""
    query = select(*(MESSAGE.c[n] for n in Recent.__slots__)).where(MESSAGE.c.id.in_(message_ids))
    return {row["id"]: Recent(**row) for row in conn.execute(query).mappings()}
