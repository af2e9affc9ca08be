"""A year of a laboratory in a minute: bulk rows for the benches, and newly registered tubes.

Turns a number of results into rows of every table they touch, as the lab itself would have left them. Law: for
benches only; it goes around the actions because a million registrations would take hours.
"""

from __future__ import annotations

import itertools
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from random import Random
from typing import Any

import psycopg

from middleware import sample_id
from middleware.schema import AnalyzerMessage, Order, OrderTest, Patient, ReasonRow, ResultRow, Sample
from middleware.settings import Settings
from middleware.store.core import table

# sent code, catalogue code, unit, usual value, decimals
CBC = (
    ("WBC", "WBC", "10*3/uL", 6.8, 2), ("RBC", "RBC", "10*6/uL", 4.71, 2), ("HGB", "HB", "g/dL", 14.1, 1),
    ("HCT", "HCT", "%", 42.3, 1), ("MCV", "MCV", "fL", 89.8, 1), ("MCH", "MCH", "pg", 29.9, 1),
    ("MCHC", "MCHC", "g/dL", 33.3, 1), ("PLT", "PLT", "10*3/uL", 251, 0), ("RDW-SD", "RDWSD", "fL", 42.5, 1),
    ("RDW-CV", "RDWCV", "%", 13.1, 1), ("PDW", "PDW", "fL", 12.4, 1), ("MPV", "MPV", "fL", 10.5, 1),
    ("P-LCR", "PLCR", "%", 28.7, 1), ("PCT", "PCT", "%", 0.26, 2), ("NEUT#", "NEUTA", "10*3/uL", 3.92, 2),
    ("LYMPH#", "LYMPHA", "10*3/uL", 2.05, 2), ("MONO#", "MONOA", "10*3/uL", 0.55, 2),
    ("EO#", "EOSA", "10*3/uL", 0.21, 2), ("BASO#", "BASOA", "10*3/uL", 0.04, 2), ("NEUT%", "NEUTP", "%", 57.6, 1),
    ("LYMPH%", "LYMPHP", "%", 30.1, 1), ("MONO%", "MONOP", "%", 8.1, 1), ("EO%", "EOSP", "%", 3.1, 1),
    ("BASO%", "BASOP", "%", 0.6, 1), ("RET%", "RETIC", "%", 1.1, 2),
)  # fmt: skip
DAYS = 360
TABLES = (Patient, Order, Sample, OrderTest, AnalyzerMessage, ResultRow, ReasonRow)
Bulk = dict[Any, list[tuple[Any, ...]]]


@dataclass(frozen=True, slots=True)
class Visit:
    """One registered tube that waits for its count."""

    sample_id: str
    sample_pk: int
    order_id: int
    patient_id: int
    at: datetime


class Archive:
    """The rows of one laboratory, by number: patients come again, tubes do not."""

    def __init__(self, url: str, settings: Settings) -> None:
        """`url` names a migrated, empty database."""
        self._url, self._site = url, settings.lab.site
        self._now, self._random = datetime.now(UTC), Random(11)
        self._visits, self._patients, self._tests = itertools.count(1), 0, itertools.count(1)
        self._results, self._reasons = itertools.count(1), itertools.count(1)
        self._serials: dict[Any, int] = {}

    def fill(self, results: int, part: int = 1000) -> None:
        """About `results` results of the last year, all released."""
        visits = results // len(CBC)
        with _Bulk(self._url, anew=True) as bulk:
            for begin in range(0, visits, part):
                rows: Bulk = {t: [] for t in TABLES}
                for number in range(begin, min(begin + part, visits)):
                    at = self._now - timedelta(days=DAYS * (1 - number / visits) + 1)
                    visit = self._visit(rows, at, "released")
                    self._measured(rows, visit)
                bulk(rows)

    def register(self, count: int) -> list[Visit]:
        """Tubes of today, received, every test awaited; half of the patients were here before."""
        rows: Bulk = {t: [] for t in TABLES}
        visits = [self._visit(rows, self._now, "awaited") for _ in range(count)]
        with _Bulk(self._url) as bulk:
            bulk(rows)
        return visits

    def _visit(self, rows: Bulk, at: datetime, state: str) -> Visit:
        number = next(self._visits)
        patient = self._patient(rows, at)
        day = at.date()
        serial = self._serials[day] = self._serials.get(day, 0) + 1
        tube = sample_id.make(self._site + serial // 10_000, day, serial % 10_000 or 1)
        rows[Order].append(_row(
            Order, id=number, order_no=f"O-{number}", report_no=f"R-{number}", patient_id=patient,
            facility_code="BENCH", registered_at=at, registered_by="bench", ordered_at=at,
        ))  # fmt: skip
        rows[Sample].append(_row(
            Sample, id=number, sample_id=tube, year=day.year, order_id=number, specimen="EDTA whole blood",
            container="E", state="received", registered_at=at, received_at=at, received_by="bench",
        ))  # fmt: skip
        like = _row(OrderTest, order_id=number, sample_pk=number, panel="CBC", state=state)
        rows[OrderTest] += [_with(OrderTest, like, id=next(self._tests), test=test) for _, test, *_ in CBC]
        return Visit(tube, number, number, patient, at)

    def _patient(self, rows: Bulk, at: datetime) -> int:
        if self._patients and self._random.random() < 0.5:
            return self._random.randint(1, self._patients)
        self._patients += 1
        number = self._patients
        born = (self._now - timedelta(days=self._random.randint(7000, 25000))).date()
        rows[Patient].append(_row(
            Patient, id=number, uhid=f"B{number}", name=f"Patient {number}", name_key=f"patient {number}",
            sex="MF"[number % 2], birth_date=born, created_at=at,
        ))  # fmt: skip
        return number

    def _measured(self, rows: Bulk, visit: Visit) -> None:
        at, spread = visit.at, 0.04 if self._random.random() < 0.8 else 0.4
        message_id = f"{int(at.timestamp() * 1000):012x}{self._random.getrandbits(80):020x}"
        rows[AnalyzerMessage].append(_row(
            AnalyzerMessage, id=message_id, analyzer="xn", received_at=at, type="result", state="processed",
            sample_ids=visit.sample_id, observations=len(CBC), measurements=len(CBC), results=len(CBC),
            processed_at=at,
        ))  # fmt: skip
        like = _row(
            ResultRow, message_id=message_id, sample_pk=visit.sample_pk, patient_id=visit.patient_id, analyzer="xn",
            flag="N", state="released", green=spread < 0.1, rule_set="bench", created_at=at, released_at=at,
            released_by="bench", observed_at="20261122101500",
        )  # fmt: skip
        first = (visit.order_id - 1) * len(CBC) + 1
        tube = f"{self._random.getrandbits(64):016x}"  # the shape of match's identities
        for n, (code, test, unit, typical, decimals) in enumerate(CBC):
            value = f"{typical * (1 + self._random.uniform(-spread, spread)):.{decimals}f}"
            number = next(self._results)
            rows[ResultRow].append(_with(
                ResultRow, like, id=number, identity=f"{tube}{self._random.getrandbits(192):048x}", ordinal=n + 1,
                order_test_id=first + n, test=test, code=code, verbatim=value, value=value, display=value, unit=unit,
            ))  # fmt: skip
            if spread > 0.1 and n % 2:
                rows[ReasonRow].append(self._reason(number, test, value))

    def _reason(self, result_id: int, test: str, value: str) -> tuple[Any, ...]:
        return _row(
            ReasonRow, id=next(self._reasons), result_id=result_id, rule="release_limits", severity="hold",
            text=f"{test} {value} is above 5, the highest value released without a second look.",
            text_hi=f"{test} {value}, 5 से ज़्यादा है। इससे ज़्यादा नतीजा देखकर ही जारी होता है।",
            rule_values={"limit": value},
        )  # fmt: skip


@cache
def _columns(kind: Any) -> dict[str, Any]:
    return {c.name: _default(c) for c in table(kind).columns}


@cache
def _places(kind: Any) -> dict[str, int]:
    return {name: at for at, name in enumerate(_columns(kind))}


def _row(kind: Any, **given: Any) -> tuple[Any, ...]:
    """The values of every column, defaults filled in, in the table's order, as both drivers take them."""
    return tuple(_text(value) for value in (_columns(kind) | given).values())


def _with(kind: Any, row: tuple[Any, ...], **given: Any) -> tuple[Any, ...]:
    """The same row with other values."""
    values, places = list(row), _places(kind)
    for name, value in given.items():
        values[places[name]] = value
    return tuple(values)


def _default(column: Any) -> Any:
    default = column.default.arg if column.default is not None else None
    if column.nullable or (default is not None and not callable(default)):
        return default
    kind = column.type.python_type
    return {bool: False, int: 0, list: [], dict: {}}.get(kind, "")


def _text(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    if isinstance(value, dict | list):
        return json.dumps(value)
    return value.isoformat() if isinstance(value, date) else value


class _Bulk:
    """Writes rows as the driver takes them fastest: executemany on SQLite, COPY on PostgreSQL. `anew`: the database is
    empty, its indexes are made when it is full."""

    def __init__(self, url: str, anew: bool = False) -> None:
        self._url, self._anew = url, anew
        self._sqlite = url.startswith("sqlite")
        self._indexes: list[str] = []

    def __enter__(self) -> Any:
        if self._sqlite:
            self._conn: Any = sqlite3.connect(self._url.removeprefix("sqlite:///"))
            self._conn.execute("PRAGMA cache_size=-200000")
            if self._anew:
                self._conn.execute("PRAGMA synchronous=OFF")
                self._without_indexes()
            return self._sqlite_rows
        self._conn = psycopg.connect(self._url, options="-c timezone=UTC")
        return self._postgres_rows

    def __exit__(self, kind: object, *_: object) -> None:
        with closing(self._conn):
            if kind is not None:
                return
            for statement in self._indexes:
                self._conn.execute(statement)
            if not self._sqlite:
                self._sequences()
            self._conn.commit()

    def _without_indexes(self) -> None:
        names = [table(kind).name for kind in TABLES]
        found = self._conn.execute("SELECT name, tbl_name, sql FROM sqlite_schema WHERE type = 'index' AND sql != ''")
        for name, of, sql in found.fetchall():
            if of in names:
                self._conn.execute(f'DROP INDEX "{name}"')
                self._indexes.append(sql)

    def _sequences(self) -> None:
        for kind in TABLES:
            name = table(kind).name
            if kind is not AnalyzerMessage:
                last = f"(SELECT coalesce(max(id), 0) + 1 FROM {name})"
                self._conn.execute(f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), {last}, false)")

    def _sqlite_rows(self, rows: Bulk) -> None:
        for kind, values in rows.items():
            if values:
                names = ",".join(f'"{name}"' for name in _columns(kind))
                marks = ",".join("?" * len(values[0]))
                self._conn.executemany(f"INSERT INTO {table(kind).name} ({names}) VALUES ({marks})", values)

    def _postgres_rows(self, rows: Bulk) -> None:
        with self._conn.cursor() as cursor:
            for kind, values in rows.items():
                names = ",".join(f'"{name}"' for name in _columns(kind))
                with cursor.copy(f"COPY {table(kind).name} ({names}) FROM STDIN") as copy:
                    for row in values:
                        copy.write_row(row)
