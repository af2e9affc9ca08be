"""Finds what an analyzer has said before: the recorded messages that a simulator without a day of its own takes as
templates.

Turns capture files into templates: results and questions, each with what its driver reads there, and how its frames
were cut. Law: a simulator says nothing but what some analyzer said in that shape; without a capture there is none.
Source: tests/captures, in an installed copy beside this module; `--capture FILE` names others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from drivers.decode import found_in
from drivers.driver import Decoded, DecodeError, Driver, Kind, Message, MessageType, load_driver
from drivers.wire import blocks

PLACES = (Path(__file__).parent / "captures", Path(__file__).parents[1] / "tests" / "captures")
WHOLE = 63_993  # LIS01-A2 6.3.1: the most text of a frame
_FRAME = re.compile(rb"\x02\d([^\x02]*?)([\x03\x17])[0-9A-Fa-f]{2}\r\n")


class Cut(NamedTuple):
    """How the frames of a recording are made: the most text of one, 0 for one record in each; `etb`: every record ends
    with ETB, 1: but the last, 2: the last too."""

    frame: int
    etb: int = 0


@dataclass(frozen=True, slots=True)
class Template:
    """One recorded message. `parts` are its records as one text, or the texts of its blocks, each byte one letter;
    `cut` is how its frames were made; `decoded` what its driver reads."""

    driver: Driver
    parts: tuple[str, ...]
    cut: Cut
    decoded: Decoded

    @property
    def ids(self) -> tuple[str, ...]:
        """The tubes it names, in order."""
        found = [row.sample_id for row in self.decoded.observations] + list(self.decoded.query_sample_ids)
        return tuple(dict.fromkeys(identity for identity in found if identity))

    @property
    def numbers(self) -> int:
        """How many of its rows are measurements."""
        return sum(row.kind is Kind.MEASUREMENT for row in self.decoded.observations)


@dataclass(frozen=True, slots=True)
class Templates:
    """All templates of one driver: where there are such, only results that name a tube in every row and in which
    nothing is odd."""

    driver: Driver
    results: tuple[Template, ...]
    questions: tuple[Template, ...]


def files_of(name: str, given: Sequence[Path] = ()) -> list[Path]:
    """The capture files of a driver: those given, else those beside the code. ValueError when there are none."""
    if given:
        return list(given)
    found = next((files for place in PLACES if (files := sorted((place / name).glob("*.raw")))), [])
    if not found:
        raise ValueError(f"no captures of {name} beside this code: --capture FILE names a recording of its bytes")
    return found


def templates(name: str, given: Sequence[Path] = (), framing: str = "") -> Templates:
    """The templates of a driver. KeyError: no such driver or framing; ValueError: nothing recorded, OSError."""
    driver = load_driver(name)
    if framing and framing not in driver.framings:
        raise KeyError(f"{driver.title} has no framing {framing!r}; it has {', '.join(driver.framings) or 'one only'}")
    found = [one for file in files_of(name, given) for one in read(driver, file.read_bytes())]
    site = driver.at_site(framing=framing)
    found = [Template(site, one.parts, one.cut, one.decoded) for one in found]
    results = [one for one in found if one.decoded.type is MessageType.RESULT and one.numbers]
    named = [one for one in results if _names_its_tubes(one)]
    sound = [one for one in named if not one.decoded.problems]
    asked = [one for one in found if one.decoded.type is MessageType.QUERY and one.decoded.query_sample_ids]
    if not results and not asked:
        raise ValueError(f"there is no whole result or question of {driver.title} in these captures")
    return Templates(site, tuple(sound or named or results), tuple(asked))


def _names_its_tubes(one: Template) -> bool:
    return all(row.sample_id and not one.driver.unread(row.sample_id) for row in one.decoded.observations)


def read(driver: Driver, data: bytes) -> Iterator[Template]:
    """The whole messages in a recording, whatever they are."""
    cut = _cut(data)
    for found in found_in(driver, data):
        if found.body is None or found.incomplete:
            continue
        try:
            decoded = decode(driver, found.body)
        except DecodeError:
            continue
        parts = tuple(part.decode("latin-1") for part in _parts(driver, found.body))
        if driver.speaks == "LIS2-A2":  # a file that somebody edited may have other line ends: CR ends a record
            parts = tuple(re.sub(r"[\r\n]+", "\r", part) for part in parts)
        yield Template(driver, parts, cut, decoded)


def decode(driver: Driver, body: bytes) -> Decoded:
    """What the driver reads in a whole message."""
    return driver.decode(Message("", "", datetime(1970, 1, 1, tzinfo=UTC), body))  # no rule reads the time


def _parts(driver: Driver, body: bytes) -> list[bytes]:
    """The texts of the blocks, in whichever framing they came; without blocks the message itself."""
    for framing in (driver.framing, *driver.framings.values()):
        marked = framing is not None and (framing.start or framing.until or driver.speaks == "blocks")
        if framing is not None and marked and body.startswith(framing.start) and (framing.start or not _stx(body)):
            texts = blocks.texts(framing, body)
            if texts:
                return [b"".join(texts)] if driver.speaks != "blocks" else texts
    return [body]


def _stx(body: bytes) -> bool:
    return body.startswith(blocks.STX)


def _cut(data: bytes) -> Cut:
    """How the frames of a recording are made."""
    frames = _FRAME.findall(data)
    texts, ends = [text for text, _ in frames], [end for _, end in frames]
    one_each = len(frames) > 1 and not any(b"\r" in text.removesuffix(b"\r") for text in texts)
    if one_each and b"\x17" in ends and all(text.endswith(b"\r") for text in texts):
        return Cut(0, 1 if b"\x03" in ends else 2)
    if one_each and b"\x17" not in ends:
        return Cut(0)
    return Cut(max(map(len, texts)) if b"\x17" in ends else WHOLE)
