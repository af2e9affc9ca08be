"""process(message): read once, think, write once. The way of every message from the journal into the lab database.

Turns messages into rows, many in one transaction where a queue waits. Law: idempotent by message id; nothing is
dropped: a message that cannot be decoded is kept as failed with its reason; rows that are astray raise an alarm.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from drivers.driver import Decoded, DecodeError, Driver, Message, WireError
from middleware import store
from middleware.actions import SYSTEM
from middleware.actions.results import release_in
from middleware.consider import Heard, consider, driver_of, facts_of
from middleware.journal import JournalReader
from middleware.lab import Lab
from middleware.match import Meaning
from middleware.model import Actor, AnalyzerFacts, Refused, Right
from middleware.settings import AnalyzerSettings
from middleware.store.message_rows import Filing, processed, record_failure
from middleware.store.record import record

log = logging.getLogger("labmitra.pipeline")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one message: "processed", "already" or "failed" with the reason."""

    state: str
    decoded: Decoded | None = None
    error: str = ""
    difference: int = 0  # rows of it that are astray: always 0
    filed: bool = False  # at least one row became a patient's result or a control


def analyzer_of(lab: Lab, name: str) -> AnalyzerSettings | None:
    """The configured analyzer of this name, None when it was taken out of the configuration."""
    return next((a for a in lab.settings.analyzers if a.name == name), None)


def process(lab: Lab, message: Message, again: bool = False) -> Outcome:
    """Bring one journal message into the lab database.

    `again` (replay) thinks anew about a message already processed: rows that now find their sample leave the tray,
    nothing stored is altered. Raises only for a database that cannot be read or written: the caller tries again.
    """
    return process_all(lab, [message], again)[0]


def process_all(
    lab: Lab, messages: Sequence[Message], again: bool = False, held: Callable[[float], None] | None = None
) -> list[Outcome]:
    """The same for several messages, in their order and in one transaction: all of it is stored or nothing.

    What comes of it is what `process` makes of one after the other. `held` is told for how many seconds nobody else
    could write.
    """
    names = {message.analyzer for message in messages}
    voices = {name: _voice(lab, name) for name in names}
    readings = [_read(message, voices[message.analyzer]) for message in messages]
    with lab.write(gives_way=len(messages) > 1) as conn:
        begun = time.monotonic()
        seen = processed(conn, [message.id for message in messages])
        for group in _groups(readings):
            _process_group(lab, conn, group, seen, again)
    if held is not None:
        held(time.monotonic() - begun)
    for reading in readings:
        if reading.outcome.difference:
            log.error("%s: the books of message %s differ by %d rows", reading.message.analyzer, reading.message.id,
                      reading.outcome.difference)  # fmt: skip
    return [reading.outcome for reading in readings]


@dataclass(slots=True)
class _Reading:
    """A message, what it says, and what becomes of it."""

    message: Message
    outcome: Outcome
    heard: Heard | None = None
    releases: bool = False  # results that no rule holds are released without a person


@dataclass(frozen=True, slots=True)
class _Voice:
    """A configured analyzer, and how it is read."""

    driver: Driver
    facts: AnalyzerFacts
    releases: bool
    meanings: dict[str | None, Meaning] = field(default_factory=dict, compare=False)


def _voice(lab: Lab, name: str) -> _Voice | None:
    analyzer = analyzer_of(lab, name)
    if analyzer is None:
        return None
    driver = driver_of(analyzer)
    return _Voice(driver, facts_of(analyzer, driver), _may_release_by_itself(analyzer, driver))


def _read(message: Message, voice: _Voice | None) -> _Reading:
    """Decode; a message that cannot be read comes back as failed, with the reason."""
    if voice is None:
        error = f"analyzer {message.analyzer!r} is not in config/analyzers.toml"
        return _Reading(message, Outcome("failed", error=error))
    try:
        decoded = voice.driver.decode(message)
    except (DecodeError, WireError) as broken:
        return _Reading(message, Outcome("failed", error=str(broken)))
    heard = Heard(decoded, voice.facts, voice.driver, voice.meanings)
    return _Reading(message, Outcome("processed", decoded), heard, voice.releases)


def _groups(readings: Iterable[_Reading]) -> Iterator[list[_Reading]]:
    """Neighbours that cannot see each other's results: no tube stands twice in a group, nor a message.

    One that may release by itself stands alone, for a release shows in everything of its patient.
    """
    group: list[_Reading] = []
    taken: set[str] = set()
    for reading in readings:
        names = {f"message {reading.message.id}", *(reading.heard.sample_ids() if reading.heard else ())}
        if group and (not taken.isdisjoint(names) or reading.releases or group[-1].releases):
            yield group
            group, taken = [], set()
        group.append(reading)
        taken |= names
    if group:
        yield group


def _process_group(lab: Lab, conn: Connection, group: Sequence[_Reading], seen: set[str], again: bool) -> None:
    filed: list[_Reading] = []
    for reading in group:
        if reading.heard is None:
            record_failure(conn, reading.message, reading.outcome.error, lab.now())
        elif reading.message.id in seen and not again:
            reading.outcome = Outcome("already", reading.outcome.decoded)
        else:
            filed.append(reading)
    heard = [reading.heard for reading in filed if reading.heard is not None]
    thoughts = consider(lab, conn, heard) if heard else []
    filings = [
        Filing(reading.message, one.decoded, thought.matched, thought.verdicts, thought.samples,
               reading.message.id in seen)
        for reading, one, thought in zip(filed, heard, thoughts, strict=True)
    ]  # fmt: skip
    recorded = record(conn, filings, lab.settings.rules.version, lab.now()) if filings else []
    seen.update(reading.message.id for reading in filed)
    for reading, thought, (green, difference) in zip(filed, thoughts, recorded, strict=True):
        came_home = bool(thought.matched.results or thought.matched.controls)
        reading.outcome = replace(reading.outcome, difference=difference, filed=came_home)
        if reading.releases and green:
            release_in(lab, conn, SYSTEM, green)


def _may_release_by_itself(analyzer: AnalyzerSettings, driver: Driver) -> bool:
    """Only a driver proven in the field, on an analyzer for which a person switched it on (ISO 15189 7.4.1.5)."""
    return analyzer.auto_release and driver.grade.value == "field"


def replay(lab: Lab, actor: Actor, message_id: str) -> Outcome:
    """Think anew about a stored message, after a driver, mapping or registration was put right."""
    actor.must(Right.MESSAGES)
    message = stored(lab, message_id)
    outcome = process(lab, message, again=True)
    with lab.write() as conn:
        store.audit(conn, lab.now(), actor, "replay", "message", message_id, {"state": outcome.state})
    return outcome


def stored(lab: Lab, message_id: str) -> Message:
    """A message of the journal by its id. Refused when it is not (or no longer) there."""
    message = JournalReader(lab.settings.journal).message(message_id)
    if message is None:
        raise Refused("This message is no longer in the journal.")
    return message


def decode_stored(lab: Lab, message: Message) -> Decoded:
    """The rows of a message, decoded anew for the messages page. Raises DecodeError when the driver cannot read it."""
    analyzer = analyzer_of(lab, message.analyzer)
    if analyzer is None:
        raise DecodeError(f"analyzer {message.analyzer!r} is not in config/analyzers.toml")
    return driver_of(analyzer).decode(message)
