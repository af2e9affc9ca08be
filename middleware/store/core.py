"""The few statements that every write needs: an audit line, a raised change counter, the next serial of a day.

Law: called inside the caller's transaction, never opens one. SQL stays in `middleware.store`.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache, lru_cache
from itertools import chain
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Dialect,
    Table,
    Text,
    any_,
    bindparam,
    cast,
    func,
    literal_column,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import SQLModel

from middleware.model import Actor, Refused
from middleware.schema import AuditRow, Change, Exact, SampleCounter

_AUDIT_LOCK = 0x4C4D4155  # one chain: on PostgreSQL writers of audit lines queue behind this advisory lock


def table(row: type[SQLModel]) -> Table:
    """The Core table of an SQLModel class."""
    return row.__table__  # type: ignore[attr-defined,no-any-return]


def insert_into(conn: Connection, row: type[SQLModel]) -> sqlite.Insert | postgresql.Insert:
    """An INSERT of the connection's own dialect: both have on_conflict_do_nothing and on_conflict_do_update."""
    return sqlite.insert(table(row)) if conn.dialect.name == "sqlite" else postgresql.insert(table(row))


def audit(
    conn: Connection,
    at: datetime,
    actor: Actor,
    action: str,
    subject: str,
    subject_id: object,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Add one line to the audit trail, chained to the line before it by SHA-256.

    `action` is a verb ("release"), `subject` the kind of thing, `detail` old and new values and reasons (JSON).
    """
    if conn.dialect.name == "postgresql":
        conn.execute(text("SELECT pg_advisory_xact_lock(:k)"), {"k": _AUDIT_LOCK})
    rows = table(AuditRow)
    before = conn.execute(select(rows.c.chain).order_by(rows.c.id.desc()).limit(1)).scalar() or ""
    line = {
        "at": at,
        "who": actor.name,
        "role": actor.role.value,
        "action": action,
        "subject": subject,
        "subject_id": str(subject_id),
        "detail": dict(detail or {}),
    }
    conn.execute(rows.insert().values(**line, chain=audit_link(before, line)))


def audit_link(before: str, line: Mapping[str, Any]) -> str:
    """The SHA-256 hex that ties one audit line to the one before it."""
    body = json.dumps({**line, "at": line["at"].timestamp()}, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(f"{before}\n{body}".encode()).hexdigest()


def audit_broken_at(conn: Connection) -> int | None:
    """The id of the first audit line whose chain does not hold, None when the whole trail is sound."""
    rows = table(AuditRow)
    before = ""
    for row in conn.execute(select(rows).order_by(rows.c.id)).mappings():
        keys = ("at", "who", "role", "action", "subject", "subject_id", "detail")
        if audit_link(before, {k: row[k] for k in keys}) != row["chain"]:
            return int(row["id"])
        before = row["chain"]
    return None


def touch(conn: Connection, *topics: str) -> None:
    """Raise the change counter of each topic: pages that watch it refresh after this transaction commits.

    A topic named several times is raised so often.
    """
    statement = insert_into(conn, Change)
    raised = {"counter": table(Change).c.counter + statement.excluded.counter}
    statement = statement.on_conflict_do_update(index_elements=["topic"], set_=raised)
    conn.execute(statement, [{"topic": topic, "counter": times} for topic, times in Counter(topics).items()])


def changes(conn: Connection) -> dict[str, int]:
    """All change counters, by topic."""
    rows = table(Change)
    return {row[0]: row[1] for row in conn.execute(select(rows.c.topic, rows.c.counter))}


def next_serial(conn: Connection, day: date, purpose: str) -> int:
    """The next number of this day and purpose ("sample", "report", "order"), from 1; never given twice."""
    counter = table(SampleCounter)
    statement = insert_into(conn, SampleCounter).values(day=day, purpose=purpose, last=1)
    taken = statement.on_conflict_do_update(
        index_elements=["day", "purpose"], set_={"last": counter.c.last + 1}
    ).returning(counter.c.last)
    return int(conn.execute(taken).scalar_one())


def among(conn: Connection, column: Column[Any], values: Collection[Any]) -> ColumnElement[bool]:
    """The condition that a column has one of these values: one parameter, however many, so that the statement is
    compiled and planned once."""
    if conn.dialect.name == "sqlite":
        return column.in_(select(func.json_each(json.dumps(list(values))).table_valued("value").c.value))
    return column == any_(cast(list(values), postgresql.ARRAY(column.type)))


@cache
def _lengths(row: type[SQLModel]) -> Mapping[str, int]:
    """How many characters each text column holds, where it has a limit."""
    found = {c.name: getattr(c.type, "length", None) for c in table(row).columns}
    return {name: length for name, length in found.items() if isinstance(length, int)}


def fitted(row: type[SQLModel], values: Mapping[str, Any]) -> dict[str, Any]:
    """What an analyzer said, so that both engines can store it: too long is cut (the message keeps all), NUL replaced.

    Only for an analyzer's words: what a person typed is never cut, `put` refuses it.
    """
    found = dict(values)
    for name, length in _texts(row):
        said = found.get(name)
        if isinstance(said, str) and (len(said) > length or not said.isascii() or "\0" in said):
            found[name] = _fit(said, length)
    return found


_ANY = 1 << 60  # characters: a column without a limit


@cache
def _texts(row: type[SQLModel]) -> tuple[tuple[str, int], ...]:
    """The text columns and what they hold; a number kept as text is none."""
    lengths = _lengths(row)
    texts = (c for c in table(row).columns if not isinstance(c.type, Exact))
    columns = (c for c in texts if c.name in lengths or isinstance(c.type, Text))
    return tuple((c.name, lengths.get(c.name, _ANY)) for c in columns)


def _fit(text_: str, length: int) -> str:
    clean = text_.replace("\0", "\N{SYMBOL FOR NULL}").encode("utf-8", "replace").decode("utf-8")
    return clean if len(clean) <= length else clean[: length - 1] + "…"


def _storable(row: type[SQLModel], values: Mapping[str, Any]) -> None:
    """SQLite takes any length and PostgreSQL breaks off: on both, a person is told."""
    for name, length in _lengths(row).items():
        value = values.get(name)
        if isinstance(value, str) and len(value) > length:
            raise Refused(f"Too long: {name} has at most {length} characters.")
    if any(isinstance(value, str) and "\0" in value for value in values.values()):
        raise Refused("There is a character that cannot be stored. Type it again.")


def count(conn: Connection, row: type[SQLModel], *where: Any) -> int:
    """How many rows of a table fulfil the conditions."""
    return int(conn.execute(select(func.count()).select_from(table(row)).where(*where)).scalar_one())


def one(conn: Connection, row: type[SQLModel], row_id: object) -> Mapping[str, Any] | None:
    """One row by its primary key, as a mapping; None when there is none."""
    rows = table(row)
    key = next(iter(rows.primary_key.columns))
    found = conn.execute(select(rows).where(key == row_id)).mappings().first()
    return dict(found) if found is not None else None


def put(conn: Connection, row: type[SQLModel], **values: Any) -> int:
    """Insert one row and give back its integer id (0 for tables whose key is not an integer)."""
    _storable(row, values)
    done = conn.execute(table(row).insert().values(**values))
    key = done.inserted_primary_key[0] if done.inserted_primary_key else 0
    return key if isinstance(key, int) else 0


def next_ids(conn: Connection, row: type[SQLModel], count: int) -> list[int]:
    """The next `count` integer ids of a table, to be given to `put_all`; the caller holds the writers' lock."""
    rows = table(row)
    if not count:
        return []
    if conn.dialect.name == "sqlite":
        last = conn.execute(select(func.max(rows.c.id))).scalar() or 0
        return list(range(last + 1, last + 1 + count))
    sequence = func.pg_get_serial_sequence(rows.name, "id")
    given = select(func.nextval(sequence)).select_from(func.generate_series(1, count))
    return list(conn.execute(given).scalars())


def put_all(conn: Connection, row: type[SQLModel], rows: Sequence[Mapping[str, Any] | tuple[Any, ...]]) -> None:
    """Insert rows that have the same columns, as mappings or as named tuples; an analyzer's words in them are made to
    fit, as by `fitted`."""
    if rows:
        names: tuple[str, ...] = getattr(rows[0], "_fields", None) or tuple(rows[0])
        adding = _adding(row, conn.dialect, names)
        adding.write(conn, adding.bound(rows))


_Bind = Callable[[Any], Any]
_AT_ONCE = 100  # rows of one statement: SQLite steps once for all of them, and Python's lock is free meanwhile


@dataclass(frozen=True, slots=True)
class _Adding:
    """An INSERT compiled once, and how its columns are bound: what Core does, but not anew for each of many rows.

    `one` adds a row, `many` _AT_ONCE of them ("": rows are named parameters, not positions). `names` stand in the
    order of the given columns, then of `defaults`: what nobody named and the statement does not say itself; `order`
    puts them into the statement's. `texts`: columns that are made to fit, and how many characters they hold.
    """

    one: str
    many: str
    names: tuple[str, ...]
    defaults: tuple[Any, ...]
    order: tuple[int, ...]
    texts: tuple[tuple[int, int], ...]
    binders: tuple[tuple[int, _Bind], ...]

    def bound(self, rows: Sequence[Mapping[str, Any] | tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """The rows as the driver takes them, in the statement's order. Thought of column by column: most columns have
        few values, and what is the same for all rows is looked at once."""
        if isinstance(rows[0], tuple):
            columns: list[Sequence[Any]] = list(zip(*rows, strict=True))
        else:
            given = self.names[: len(self.names) - len(self.defaults)]
            columns = [[row[name] for row in rows] for name in given]  # type: ignore[call-overload]
        columns += [(value,) * len(rows) for value in self.defaults]
        for at, length in self.texts:
            columns[at] = _fitting(columns[at], length)
        for at, bind in self.binders:
            columns[at] = _bound(columns[at], bind)
        return list(zip(*[columns[at] for at in self.order], strict=True))

    def write(self, conn: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Add bound rows."""
        if not self.many:
            names = [self.names[at] for at in self.order]
            conn.exec_driver_sql(self.one, [dict(zip(names, row, strict=True)) for row in rows])
            return
        whole = len(rows) - len(rows) % _AT_ONCE
        for at in range(0, whole, _AT_ONCE):
            conn.exec_driver_sql(self.many, tuple(chain.from_iterable(rows[at : at + _AT_ONCE])))
        if whole < len(rows):
            conn.exec_driver_sql(self.one, list(rows[whole:]))


def _fitting(column: Sequence[Any], length: int) -> Sequence[Any]:
    unlike = [said for said in set(column) if said and (len(said) > length or not said.isascii() or "\0" in said)]
    if not unlike:
        return column
    fits = {said: _fit(said, length) for said in unlike}
    return [fits.get(said, said) for said in column]


def _bound(column: Sequence[Any], bind: _Bind) -> Sequence[Any]:
    """Each object of a column is bound once; equal ones apart, for 7.10 and 7.1 are equal and not the same text."""
    said = {key: bind(value) for key, value in {id(value): value for value in column}.items()}
    return [said[id(value)] for value in column]


@lru_cache(maxsize=100)
def _adding(row: type[SQLModel], dialect: Dialect, given: tuple[str, ...]) -> _Adding:
    columns = table(row).columns
    values: dict[str, Any] = {name: bindparam(name, type_=columns[name].type) for name in given}
    defaults = {c.name: _default(c) for c in columns if c.name not in given and c.default is not None}
    for name in [name for name, value in defaults.items() if value == ""]:
        del defaults[name]
        values[name] = literal_column("''")
    values |= {name: bindparam(name, type_=columns[name].type) for name in defaults}
    compiled = table(row).insert().inline().values(values).compile(dialect=dialect)
    one, names = str(compiled), (*given, *defaults)
    adding, _, marks = one.partition(" VALUES ")
    binders = [columns[name].type.dialect_impl(dialect).bind_processor(dialect) for name in names]
    return _Adding(
        one,
        f"{adding} VALUES {', '.join([marks] * _AT_ONCE)}" if compiled.positional else "",
        names,
        tuple(defaults.values()),
        tuple(names.index(name) for name in compiled.positiontup or compiled.params),
        tuple((names.index(name), length) for name, length in _texts(row) if name in names),
        tuple((at, bind) for at, bind in enumerate(binders) if bind is not None),
    )


def _default(column: Column[Any]) -> Any:
    """The value that SQLModel gives a column nobody named."""
    default = column.default.arg if column.default is not None else None  # type: ignore[attr-defined]
    return default(None) if callable(default) else default


def change(conn: Connection, row: type[SQLModel], row_id: object, **values: Any) -> None:
    """Set columns of one row by its primary key."""
    _storable(row, values)
    rows = table(row)
    key = next(iter(rows.primary_key.columns))
    conn.execute(rows.update().where(key == row_id).values(**values))
