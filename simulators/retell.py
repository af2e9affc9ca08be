"""Tells a recorded message anew: another tube, other numbers, another time, everything else as it was.

Turns a template into the parts of a new message. Law: what is replaced stands where the driver's own form says it
stands (sample id, value, times), and the driver is asked at the end: it must read the same rows with the new id and
numbers, or the message is not used. Source: LIS02-A2, HL7 v2 chapter 7, the forms of drivers/.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from random import Random
from typing import NamedTuple

from drivers.driver import Decoded, Driver, Kind, Observation
from simulators import marks, vary
from simulators.page import Line, Page, padded, place
from simulators.templates import Template, decode

NewId = Callable[[str], str]
"""The id that stands for one of the template's."""

TIMES = ("H.14", "O.7", "O.8", "O.15", "O.23", "R.12", "R.13", "Q.7", "MSH.7", "OBR.7", "OBR.8", "OBR.14", "OBR.22",
         "ORC.9", "OBX.14", "OBX.19", "QRD.1")  # fmt: skip
SHAPES = (
    (re.compile(r"(?:19|20)\d{12}"), "%Y%m%d%H%M%S"),
    (re.compile(r"(?:19|20)\d{10}"), "%Y%m%d%H%M"),
    (re.compile(r"(?:19|20)\d{6} \d\d:\d\d:\d\d"), "%Y%m%d %H:%M:%S"),
    (re.compile(r"(?:19|20)\d{6}"), "%Y%m%d"),
)


LONE = 4  # an id of so few characters may be another number elsewhere in the record


class Unusable(ValueError):
    """The driver does not read the new message as it should: the template is no use."""


class Made(NamedTuple):
    """A new message: its parts, and what its driver reads there."""

    parts: tuple[str, ...]
    decoded: Decoded


def record_of_rows(driver: Driver) -> str:
    """The record that holds a row: R or OBX."""
    return "OBX" if driver.speaks == "HL7" else "R"


def retold(template: Template, new_id: NewId, now: datetime, rng: Random | None) -> Made:
    """A message of records or segments, told anew; without `rng` with the numbers it has. Raises Unusable."""
    driver = template.driver
    page = Page.read("".join(template.parts).encode("latin-1"))
    kept = template.decoded.observations
    rows = list(page.rows(record_of_rows(driver)))
    for (line, _), row in zip(rows, kept, strict=False):
        if rng and row.kind is Kind.MEASUREMENT:
            _new_value(driver, line, row, rng)
    new_times(driver, page, now)
    ids = {identity: new_id(identity) for identity in template.ids}
    for old, new in ids.items():
        rename(driver, page, old, new)
    return proved(template, (page.bytes().decode("latin-1"),), ids)


def addresses(sent: str | tuple[str, ...]) -> tuple[str, ...]:
    """A form's addresses: one is a text, several are a tuple, none is ""."""
    return tuple(filter(None, (sent,) if isinstance(sent, str) else sent))


def value_address(driver: Driver, line: Line) -> str:
    """Where this row has its value: the first of the form's addresses that was sent and is not empty."""
    found = [inside for _, inside in map(place, addresses(driver.value))]
    sent = [inside for inside in found if line.get(inside)]
    whole = found[0].partition(".")[0]
    return next(iter(sent), whole if line.get(whole) else found[0])


def _new_value(driver: Driver, line: Line, row: Observation, rng: Random) -> None:
    where = value_address(driver, line)
    old = line.get(where) or ""
    new = vary.field(old, row.value, rng)
    line.put(where, new)
    number = vary.NUMBER.search(row.value or "")
    at = old.find(number[0]) if number else -1
    for begin, end in {(0, len(old)), (at, at + len(number[0]) if number else at)}:
        if end - begin > 2 and vary.is_number(old[begin:end]):
            line.swap(old[begin:end].strip(), new[begin:end].strip())  # R-10 and OBX-13 repeat it


def rename(driver: Driver, page: Page, old: str, new: str) -> None:
    """Put another id wherever the old one stands: at the form's own addresses, and where it is repeated."""
    spots = [place(address) for address in (*addresses(driver.sample_id), *addresses(driver.query_id))]
    for line in page.lines:
        for record, inside in spots:
            sent = line.get(inside) if line.type == record else None
            if sent and sent.strip(" -") == old:
                line.put(inside, padded(sent, new))
        if len(old) > LONE and line.type in ("P", "O", "Q", "PID", "SPM", "SAC", "OBR", "QPD"):
            line.swap(old, new)


def new_times(driver: Driver, page: Page, now: datetime) -> None:
    """The latest time of a row becomes now; the others keep their distance from it, and none lies ahead."""
    rows = set(map(place, addresses(driver.observed_at)))
    found = list(_times(page, {*map(place, TIMES), *rows}))
    of_rows = [one.moment for one in found if one.spot in rows and "%H" in one.shape]
    latest = max(of_rows or [one.moment for one in found], default=None)
    for one in found:
        if latest is not None:
            moment = min(one.moment + (now.replace(tzinfo=None) - latest), now.replace(tzinfo=None))
            one.line.put(one.spot[1], moment.strftime(one.shape) + one.rest)


class _Time(NamedTuple):
    line: Line
    spot: tuple[str, str]
    moment: datetime
    shape: str
    rest: str


def _times(page: Page, spots: set[tuple[str, str]]) -> Iterator[_Time]:
    for line in page.lines:
        for spot in sorted(spots):
            sent = line.get(spot[1]) if line.type == spot[0] else None
            found = _moment(sent) if sent else None
            if found is not None:
                yield _Time(line, spot, *found)


def _moment(sent: str) -> tuple[datetime, str, str] | None:
    """The time that a text begins with, its shape, and what follows it."""
    for pattern, shape in SHAPES:
        found = pattern.match(sent)
        if found:
            try:
                return datetime.strptime(found[0], shape), shape, sent[found.end() :]  # noqa: DTZ007 - as printed
            except ValueError:
                return None
    return None


def proved(template: Template, parts: tuple[str, ...], ids: dict[str, str]) -> Made:
    """The new message, when its driver reads the same rows of the new tubes. Raises Unusable."""
    driver = template.driver
    said = decode(driver, marks.body(driver, parts))
    old, new = template.decoded.observations, said.observations
    same = len(old) == len(new) and all(
        (ids.get(was.sample_id or "", was.sample_id), was.code, was.kind, was.unit, was.masked)
        == (now.sample_id, now.code, now.kind, now.unit, now.masked)
        for was, now in zip(old, new, strict=True)
    )
    asked = tuple(ids.get(identity, identity) for identity in template.decoded.query_sample_ids)
    if not same or said.query_sample_ids != asked or said.type is not template.decoded.type:
        raise Unusable(f"{driver.title} does not read the new message as the recorded one")
    return Made(parts, said)
