"""Says which drivers fit a stream and why, best first, and what is wrong with the line.

Turns bytes into an Identity. Law: pure; it advises an engineer and never chooses a driver for patient data: the port
names the driver, in config/analyzers.toml, and a person writes it there.
Source: each driver's own form: its language, its `sender` pattern, its codes, the places it reads.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from drivers.decode import Found, found_in
from drivers.driver import (
    Decoded,
    DecodeError,
    Driver,
    Kind,
    Message,
    Observation,
    WireError,
    driver_names,
    load_driver,
)
from middleware.kit.signs import DIALECT, signs
from middleware.kit.stream import Shape, Stream, look

MOST = 262_144  # bytes that are looked at: a recording of days says no more
FITS = 0.45  # from here on a driver is said to fit
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# What speaks for a driver, and how much; together 1. The name that the analyzer gives itself weighs most.
SENDER, CODES, IDS, VALUES, READ = 0.35, 0.3, 0.1, 0.1, 0.15
PROBLEM, MOST_PROBLEMS = 0.05, 0.25  # against it: each problem sentence, all of them


@dataclass(frozen=True, slots=True)
class Fit:
    """One driver and this stream: `score` up to 1, and the reasons in words."""

    driver: str
    title: str
    score: float
    reasons: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Would it make sense to try this driver?"""
        return self.score >= FITS


@dataclass(frozen=True, slots=True)
class Identity:
    """What a stream is: its shape and delimiters, what is wrong with its line, the drivers that can read it."""

    stream: Stream
    signs: tuple[str, ...]
    fits: tuple[Fit, ...]

    def as_json(self) -> dict[str, object]:
        """For --json."""
        return {
            "shape": str(self.stream.shape), "speaks": self.stream.speaks, "delimiters": self.stream.marks,
            "bytes": len(self.stream.data), "messages": len(self.stream.bodies), "signs": list(self.signs),
            "drivers": [
                {"driver": f.driver, "title": f.title, "score": round(f.score, 3), "fits": f.fits,
                 "reasons": list(f.reasons)}
                for f in self.fits
            ],
        }  # fmt: skip


def identify(data: bytes, tell: Callable[[int, int], None] = lambda _done, _all: None) -> Identity:
    """All there is to say about these bytes. `tell` is given how many of how many drivers have been tried."""
    looked = data[:MOST]
    stream = look(looked)
    posted = look(looked.partition(b"\r\n\r\n")[2]) if stream.shape is Shape.HTTP else stream
    names = () if stream.shape in (Shape.EMPTY, Shape.CONTROLS) else driver_names()
    found: list[Fit] = []
    for number, name in enumerate(names, 1):
        fit = fit_of(load_driver(name), posted)
        if fit is not None:
            found.append(fit)
        tell(number, len(names))
    found.sort(key=lambda fit: (-round(fit.score, 3), fit.driver.startswith("generic"), fit.driver))
    dialect = bool(found) and found[0].fits and load_driver(found[0].driver).speaks == "blocks"
    told = [sign for sign in signs(looked) if not (dialect and sign == DIALECT)]
    return Identity(stream, tuple(told), tuple(found))


def fit_of(driver: Driver, stream: Stream) -> Fit | None:
    """How this driver fits; None when it reads nothing there."""
    if stream.speaks and driver.speaks in ("LIS2-A2", "HL7") and stream.speaks != driver.speaks:
        return None
    heard = _heard(driver, found_in(driver, stream.data))
    return None if heard is None or (stream.speaks and driver.speaks == "blocks" and not heard.rows) else heard.fit()


@dataclass(slots=True)
class _Heard:
    """What one driver made of the stream."""

    driver: Driver
    messages: int = 0
    unread: int = 0
    asked: int = 0
    rows: list[Observation] = field(default_factory=list)
    senders: set[str] = field(default_factory=set)
    problems: int = 0

    def fit(self) -> Fit:
        """The sum of what speaks for it."""
        measured = [row for row in self.rows if row.kind is Kind.MEASUREMENT]
        parts = [self._read(), self._sender(), self._codes(), *self._places(measured)]
        against = min(MOST_PROBLEMS, PROBLEM * self.problems)
        reasons = [why for _, why in parts if why]
        if self.problems:
            reasons.append(f"{self.problems} problem{'s' if self.problems > 1 else ''} while reading")
        score = max(0.0, sum(worth for worth, _ in parts) - against)
        return Fit(self.driver.name, self.driver.title, score, tuple(reasons))

    def _read(self) -> tuple[float, str]:
        all_ = self.messages + self.unread
        return READ * self.messages / all_, f"reads {self.messages} of {all_} messages"

    def _sender(self) -> tuple[float, str]:
        if self.driver.speaks == "blocks":
            listed = sum(1 for row in self.rows if row.code in self.driver.tests or not self.driver.tests)
            own = listed * 2 > len(self.rows) if self.rows else self.asked
            return (0.6 * SENDER, "its own dialect is read") if own else (0.0, "")
        if not self.driver.sender:
            return 0.1 * SENDER, ""
        if not self.senders:
            return -0.3 * SENDER, "the stream names no sender, this analyzer does"
        pattern = re.compile(self.driver.sender)
        fits = all(pattern.match(sender.strip()) for sender in self.senders)
        shown = ", ".join(sorted(sender.strip()[:30] for sender in self.senders)[:2])
        return (SENDER, f"the sender {shown!r} is one of its kind") if fits else (-SENDER, f"not its sender: {shown!r}")

    def _codes(self) -> tuple[float, str]:
        coded = [row for row in self.rows if row.code]
        if not coded or not self.driver.tests:
            return (0.2 * CODES if not self.rows and self.asked else 0.0), ""
        listed = sum(1 for row in coded if row.code in self.driver.tests)
        return CODES * listed / len(coded), f"{listed} of {len(coded)} codes are in its table"

    def _places(self, measured: Sequence[Observation]) -> list[tuple[float, str]]:
        """Do its addresses hold ids and values?"""
        if not measured:
            return [(IDS if self.asked else 0.0, f"{self.asked} tubes asked for" if self.asked else "")]
        ids = sum(1 for row in measured if not self.driver.unread(row.sample_id)) / len(measured)
        values = sum(1 for row in measured if row.value and row.code) / len(measured)
        return [(IDS * ids, f"{ids:.0%} of rows have a tube's number"),
                (VALUES * values, f"{values:.0%} have code and value")]  # fmt: skip


def _heard(driver: Driver, found: Sequence[Found]) -> _Heard | None:
    heard = _Heard(driver)
    for one in found:
        if one.body is None:
            heard.problems += 1
            continue
        decoded = _decoded(driver, one)
        if decoded is None:
            heard.unread += 1
            continue
        heard.messages += 1
        heard.rows += decoded.observations
        heard.asked += len(decoded.query_sample_ids)
        heard.problems += sum(1 for problem in decoded.problems if "but this line is configured" not in problem)
        if decoded.sender and decoded.sender.strip():
            heard.senders.add(decoded.sender)
    return heard if heard.messages else None


def _decoded(driver: Driver, found: Found) -> Decoded | None:
    try:
        return driver.decode(Message("", "", _EPOCH, found.body or b"", found.incomplete))
    except (DecodeError, WireError):
        return None
