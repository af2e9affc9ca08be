"""What would this analyzer's driver read here? A pasted file or a stored message, before anything is configured.

Turns bytes and a draft of an analyzer into rows with what each would become. Law: nothing is stored; what cannot be
read is a sentence. Source: the same receivers and the same driver as the middleware's (`drivers.decode`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from drivers.decode import Found, found_in, nothing_in
from drivers.driver import DecodeError, Driver, Kind, Message, Observation, WireError
from middleware.consider import driver_of
from middleware.journal import JournalReader
from middleware.lab import Lab
from middleware.meant import meant_by
from middleware.model import CatalogueTest
from middleware.settings import AnalyzerSettings
from middleware.spelled import NAMES

MOST = 400  # rows that are shown: a message of a blood count has about eighty
_SPELLED = re.compile("<(" + "|".join((*NAMES, "DEL")) + r")>(\r?\n)?")


@dataclass(frozen=True, slots=True)
class TriedRow:
    """One row as the driver reads it. `tests`: the catalogue tests it can stand for here. `becomes`: filed (when its
    tube is registered and the test ordered) · unknown (the code) · unreported · no_value · or the row's kind."""

    sample_id: str
    code: str
    name: str
    value: str
    unit: str
    tests: tuple[str, ...]
    becomes: str


@dataclass(frozen=True, slots=True)
class TriedMessage:
    """All that was read. `types`: of each message; `error`: why nothing could be read, "" otherwise."""

    types: tuple[str, ...] = ()
    rows: tuple[TriedRow, ...] = ()
    more: int = 0  # rows that are not shown
    problems: tuple[str, ...] = ()
    error: str = ""

    @property
    def unknown(self) -> tuple[TriedRow, ...]:
        """The first row of each code that is not known here."""
        found: dict[str, TriedRow] = {}
        for row in self.rows:
            if row.becomes == "unknown" and row.code:
                found.setdefault(row.code, row)
        return tuple(found.values())


def from_page(text: str) -> bytes:
    """Bytes of a text that a person pasted: control characters that our own pages write as <STX> are those again."""
    if not _SPELLED.search(text):
        return text.encode("utf-8")
    names = {name: chr(number) for number, name in enumerate(NAMES)} | {"DEL": "\x7f"}
    return _SPELLED.sub(lambda found: names[found[1]], text).encode("utf-8")


def read_bytes(
    draft: AnalyzerSettings, data: bytes, catalogue: Mapping[str, CatalogueTest], now: datetime
) -> TriedMessage:
    """The messages in these bytes, a whole line's or bare ones."""
    driver = driver_of(draft)
    found = found_in(driver, data)
    return _read(driver, draft, found, catalogue, now) if found else TriedMessage(error=nothing_in(driver, data))


def read_stored(lab: Lab, draft: AnalyzerSettings, message_id: str) -> TriedMessage | None:
    """A message of the journal as this draft would read it; None when it is not there."""
    message = JournalReader(lab.settings.journal).message(message_id)
    if message is None:
        return None
    found = [Found(message.body, message.incomplete)]
    return _read(driver_of(draft), draft, found, lab.settings.catalogue, lab.now())


def _read(
    driver: Driver, draft: AnalyzerSettings, found: list[Found], catalogue: Mapping[str, CatalogueTest], now: datetime
) -> TriedMessage:
    types: list[str] = []
    rows: list[TriedRow] = []
    problems: list[str] = []
    for one in found:
        if one.body is None:
            problems.append(f"{one.where}: {one.what}")
            continue
        try:
            said = driver.decode(Message("", draft.name, now, one.body, one.incomplete))
        except (DecodeError, WireError) as wrong:
            problems.append(str(wrong))
            continue
        types.append(said.type.value)
        problems += said.problems
        reported = zip(said.observations, driver.reportable(said.observations), strict=True)
        rows += [_row(driver, draft, row, report, catalogue) for row, report in reported]
    error = "" if types else problems[0]
    return TriedMessage(tuple(types), tuple(rows[:MOST]), max(0, len(rows) - MOST), tuple(problems), error)


def _row(
    driver: Driver, draft: AnalyzerSettings, row: Observation, report: bool, catalogue: Mapping[str, CatalogueTest]
) -> TriedRow:
    tests = meant_by(catalogue, draft, row.code or "")
    value = row.value if row.kind is not Kind.IMAGE else ""
    sample_id, code, name, value, unit = (
        (text or "")[:120] for text in (row.sample_id, row.code, row.name, value, row.unit)
    )
    return TriedRow(sample_id, code, name, value, unit, tests, _becomes(driver, draft, row, report, tests))


def _becomes(
    driver: Driver, draft: AnalyzerSettings, row: Observation, report: bool, tests: tuple[str, ...]
) -> str:
    if row.kind is not Kind.MEASUREMENT:
        return row.kind.value
    listed = driver.tests.get(row.code or "")
    quiet = row.code not in draft.codes and listed is not None and listed.test is None
    elsewhere = tests and draft.tests and not draft.tests & set(tests)
    if quiet or elsewhere or not report:
        return "unreported"
    if not tests:
        return "unknown"
    return "no_value" if row.masked else "filed"
