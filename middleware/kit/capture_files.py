"""`labmitra capture`: finds the conversation in the flight recorder, writes the capture's three files.

Turns a message's id, the next message of a line or a file into <case>.raw, .json and .talk.json. Law: the journal is
only read; nothing is overwritten unless told to; no name of a patient goes into a file's name.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from drivers.driver import DecodeError, Driver, Message, driver_names, load_driver
from middleware.consider import driver_of
from middleware.journal import Chunk, JournalReader
from middleware.kit import Misuse
from middleware.kit.capture import Captured, Said, capture
from middleware.problems import nearest
from middleware.settings import Settings

SETTLED = 1.0  # seconds after a message that our acknowledgement of it may take to be recorded
LOOK = 0.5  # seconds between two looks for the next message
STILL = (
    "Look at every byte of it before it leaves the laboratory: `labmitra decode` shows what the driver reads, an "
    "editor the rest. Sex, age rows, times and lot numbers stay as they were."
)


@dataclass(frozen=True, slots=True)
class Source:
    """What is to be captured: its chunks, the driver that reads it, and a name for the case."""

    said: Sequence[Said]
    driver: Driver
    case: str


def from_message(settings: Settings, message_id: str, driver: str = "") -> Source:
    """A message of the journal with everything said around it. Misuse when there is none; JournalError."""
    reader = JournalReader(settings.journal)
    message = reader.message(message_id)
    if message is None:
        raise Misuse(f'There is no message "{message_id}" in the journal: its id stands on the messages page.')
    return _of_message(settings, reader, message, driver)


def from_line(
    settings: Settings, analyzer: str, wait: float, pause: Callable[[float], None], driver: str = ""
) -> Source:
    """The next message of this analyzer. Misuse when none comes within `wait` seconds."""
    names = [one.name for one in settings.analyzers]
    if analyzer not in names:
        raise Misuse(f'There is no analyzer "{analyzer}": {nearest(analyzer, names)}')
    reader = JournalReader(settings.journal)
    before = reader.messages(analyzer, limit=1)
    for _ in range(max(1, int(wait / LOOK))):
        newest = reader.messages(analyzer, limit=1)
        if newest and newest != before:
            pause(SETTLED)
            message = reader.to_message(newest[0])
            if message is not None:
                return _of_message(settings, reader, message, driver)
        pause(LOOK)
    raise Misuse(f"{analyzer} has sent no message within {wait:g} seconds: is it connected? See `labmitra trace`.")


def from_file(file: Path, driver: str) -> Source:
    """The bytes of a file; which driver reads them must be said. OSError of the file."""
    if not driver:
        raise Misuse("Say which driver reads the file: --driver NAME (`labmitra identify FILE` says which fit).")
    return Source((Said(0, True, file.read_bytes()),), _named(driver), re.sub(r"\W+", "_", file.stem))


def make(source: Source) -> Captured:
    """The capture, with a salt that is kept nowhere. Misuse when the driver reads nothing in it."""
    try:
        return capture(source.driver, source.said, secrets.token_bytes(32))
    except DecodeError as broken:
        raise Misuse(f"{source.driver.name} cannot read it: {broken}") from broken


def write(captured: Captured, into: Path, case: str, force: bool = False) -> tuple[Path, ...]:
    """Write the three files below <into>/<driver>/. Misuse when one is there already; OSError of the disk."""
    folder = into / captured.driver
    files = {
        folder / f"{case}.raw": captured.raw,
        folder / f"{case}.json": _json(captured.read),
        folder / f"{case}.talk.json": _json(captured.talk()),
    }
    there = next((path for path in files if path.exists()), None)
    if there is not None and not force:
        raise Misuse(f"{there} is there already: name another --case, or --force to write over it.")
    folder.mkdir(parents=True, exist_ok=True)
    for path, content in files.items():
        path.write_bytes(content)
    return tuple(files)


def told(captured: Captured, files: Sequence[Path]) -> list[str]:
    """The summary, as lines."""
    messages: list[dict[str, list[object]]] = captured.read["messages"]  # type: ignore[assignment]
    rows = sum(len(message["observations"]) for message in messages)
    size = len(captured.raw)
    lines = [f"{captured.driver}: {len(messages)} messages, {rows} rows, {size} bytes of the analyzer, "
             f"{len(captured.said)} chunks, {captured.replaced} names and numbers replaced"]  # fmt: skip
    lines += [f"  look: {doubt}" for doubt in captured.doubts]
    return [*lines, *(f"wrote {path}" for path in files), STILL]


def _of_message(settings: Settings, reader: JournalReader, message: Message, named: str) -> Source:
    driver = _named(named) if named else _configured(settings, message)
    chunks = [chunk for chunk in reader.chunks(message.id) if chunk.data]
    by_analyzer = any(chunk.direction == "in" for chunk in chunks)
    posted = any(chunk.direction == "in" and chunk.data.startswith((b"POST ", b"PUT ")) for chunk in chunks)
    said = _said(chunks) if by_analyzer and not posted else [Said(0, True, message.body)]  # a file's, or HTTP's body
    return Source(said, driver, f"{message.analyzer}_{message.received_at:%Y%m%d_%H%M%S}")


def _said(chunks: Sequence[Chunk]) -> list[Said]:
    first = min(chunk.at for chunk in chunks)
    return [Said((chunk.at - first) // timedelta(milliseconds=1), chunk.direction == "in", chunk.data)
            for chunk in chunks]  # fmt: skip


def _configured(settings: Settings, message: Message) -> Driver:
    analyzer = next((one for one in settings.analyzers if one.name == message.analyzer), None)
    if analyzer is None:
        raise Misuse(f'"{message.analyzer}" is not in analyzers.toml any more: say which driver reads it (--driver).')
    return driver_of(analyzer)


def _named(driver: str) -> Driver:
    if driver not in driver_names():
        raise Misuse(f'There is no driver "{driver}": {nearest(driver, driver_names())}')
    return load_driver(driver)


def _json(value: object) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode()
