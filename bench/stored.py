"""A year of a laboratory in a minute: bulk rows for the benches, and newly registered tubes.

Turns a number of results into rows of every table they touch, as the lab itself would have left them. Law: for
benches only; it goes around the actions because a million registrations would take hours.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
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

    def fill(self, results: int, part: int = 2000) -> None:
        """About `results` results of the last year, all but the last day's released."""
        visits = results // len(CBC)
        with _bulk(self._url) as bulk:
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
        with _bulk(self._url) as bulk:
            bulk(rows)
        return visits

    def _visit(self, rows: Bulk, at: datetime, state: str) -> Visit:
        number = next(self._visits)
        patient = self._patient(rows, at)
        day = at.date()
        serial = self._serials[day] = self._serials.get(day, 0) + 1
        tube = sample_id.make(self._site + serial // 10_000, day, serial % 10_000 or 1)
        order = dict(
            id=number, order_no=f"O-{number}", report_no=f"R-{number}", patient_id=patient, facility_code="BENCH",
            registered_at=at, registered_by="bench", ordered_at=at,
        )  # fmt: skip
        rows[Order].append(_row(Order, order))
        rows[Sample].append(_row(Sample, dict(
            id=number, sample_id=tube, year=day.year, order_id=number, specimen="EDTA whole blood", container="E",
            state="received", registered_at=at, received_at=at, received_by="bench",
        )))  # fmt: skip
        for _, test, *_ in CBC:
            rows[OrderTest].append(_row(OrderTest, dict(
                id=next(self._tests), order_id=number, sample_pk=number, test=test, panel="CBC", state=state,
            )))  # fmt: skip
        return Visit(tube, number, number, patient, at)

    def _patient(self, rows: Bulk, at: datetime) -> int:
        if self._patients and self._random.random() < 0.5:
            return self._random.randint(1, self._patients)
        self._patients += 1
        number = self._patients
        born = (self._now - timedelta(days=self._random.randint(7000, 25000))).date()
        rows[Patient].append(_row(Patient, dict(
            id=number, uhid=f"B{number}", name=f"Patient {number}", name_key=f"patient {number}", sex="MF"[number % 2],
            birth_date=born, created_at=at,
        )))  # fmt: skip
        return number

    def _measured(self, rows: Bulk, visit: Visit) -> None:
        at, spread = visit.at, 0.04 if self._random.random() < 0.8 else 0.4
        message_id = f"{int(at.timestamp() * 1000):012x}{self._random.getrandbits(80):020x}"
        rows[AnalyzerMessage].append(_row(AnalyzerMessage, dict(
            id=message_id, analyzer="xn", received_at=at, type="result", state="processed", sample_ids=visit.sample_id,
            observations=len(CBC), measurements=len(CBC), results=len(CBC), processed_at=at,
        )))  # fmt: skip
        first = (visit.order_id - 1) * len(CBC) + 1
        for n, (code, test, unit, typical, decimals) in enumerate(CBC):
            value = f"{typical * (1 + self._random.uniform(-spread, spread)):.{decimals}f}"
            number = next(self._results)
            rows[ResultRow].append(_row(ResultRow, dict(
                id=number, identity=hashlib.sha256(f"{number}".encode()).hexdigest(), message_id=message_id,
                ordinal=n + 1, order_test_id=first + n, sample_pk=visit.sample_pk, patient_id=visit.patient_id,
                test=test, analyzer="xn", code=code, verbatim=value, value=value, display=value, unit=unit, flag="N",
                state="released", green=spread < 0.1, rule_set="bench", created_at=at, released_at=at,
                released_by="bench", observed_at="20261122101500",
            )))  # fmt: skip
            if spread > 0.1 and n % 2:
                rows[ReasonRow].append(_row(ReasonRow, dict(
                    id=next(self._reasons), result_id=number, rule="release_limits", severity="hold",
                    text=f"{test} {value} is above the highest value released without a second look.",
                    text_hi=f"{test} {value} सबसे ऊंचे मान से ज़्यादा है। इससे ज़्यादा नतीजा देखकर ही जारी होता है।",
                    rule_values={"limit": value},
                )))  # fmt: skip


_DEFAULTS: dict[Any, dict[str, Any]] = {}


def _row(kind: Any, given: dict[str, Any]) -> tuple[Any, ...]:
    """The values of every column, defaults filled in, in the table's order."""
    if kind not in _DEFAULTS:
        _DEFAULTS[kind] = {c.name: _default(c) for c in table(kind).columns}
    return tuple((_DEFAULTS[kind] | given).values())


def _default(column: Any) -> Any:
    default = column.default.arg if column.default is not None else None
    if column.nullable or default is not None and not callable(default):
        return default
    kind = column.type.python_type
    return {bool: False, int: 0, list: [], dict: {}}.get(kind, "")


class _bulk:  # noqa: N801 - used like a function
    """Writes rows as the driver takes them fastest: executemany on SQLite, COPY on PostgreSQL."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._sqlite = url.startswith("sqlite")

    def __enter__(self) -> Any:
        if self._sqlite:
            self._conn: Any = sqlite3.connect(self._url.removeprefix("sqlite:///"))
            return self._sqlite_rows
        self._conn = psycopg.connect(self._url)
        return self._postgres_rows

    def __exit__(self, kind: object, *_: object) -> None:
        with closing(self._conn):
            if kind is None:
                self._conn.commit()
                self._after()

    def _after(self) -> None:
        """As the database's own housekeeping would leave it."""
        if not self._sqlite:
            self._sequences()
            self._conn.commit()

    def _sequences(self) -> None:
        for kind in TABLES:
            name = table(kind).name
            if "id" in table(kind).columns and name != "message":
                self._conn.execute(
                    f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), (SELECT coalesce(max(id), 0) + 1 FROM {name}), false)"
                )

    def _sqlite_rows(self, rows: Bulk) -> None:
        for kind, values in rows.items():
            if values:
                marks = ",".join("?" * len(values[0]))
                self._conn.executemany(f"INSERT INTO {table(kind).name} VALUES ({marks})", _texts(values))

    def _postgres_rows(self, rows: Bulk) -> None:
        with self._conn.cursor() as cursor:
            for kind, values in rows.items():
                columns = ",".join(f'"{c.name}"' for c in table(kind).columns)
                with cursor.copy(f"COPY {table(kind).name} ({columns}) FROM STDIN") as copy:
                    for row in values:
                        copy.write_row([json.dumps(v) if isinstance(v, dict | list) else v for v in row])


def _texts(rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    for row in rows:
        yield tuple(_text(v) for v in row)


def _text(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    if isinstance(value, dict | list):
        return json.dumps(value)
    return value.isoformat() if hasattr(value, "isoformat") else value
