"""process(message): read once, think, write once. The way of every message from the journal into the lab database.

Law: idempotent by message id; nothing is dropped: a message that cannot be decoded is kept as failed with its reason.
"""

from __future__ import annotations

from dataclasses import dataclass

from drivers.driver import Decoded, DecodeError, Driver, Message, WireError
from middleware import store
from middleware.actions import SYSTEM
from middleware.actions.results import release_in
from middleware.consider import consider, driver_of, facts_of
from middleware.journal import JournalReader
from middleware.lab import Lab
from middleware.model import Actor, Refused, Right
from middleware.settings import AnalyzerSettings
from middleware.store.record import is_processed, record, record_failure


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one message: "processed", "already" or "failed" with the reason."""

    state: str
    decoded: Decoded | None = None
    error: str = ""


def analyzer_of(lab: Lab, name: str) -> AnalyzerSettings | None:
    """The configured analyzer of this name, None when it was taken out of the configuration."""
    return next((a for a in lab.settings.analyzers if a.name == name), None)


def process(lab: Lab, message: Message, again: bool = False) -> Outcome:
    """Bring one journal message into the lab database.

    `again` (replay) thinks anew about a message already processed: rows that now find their sample leave the tray,
    nothing stored is altered. Raises only for a database that cannot be read or written: the caller tries again.
    """
    analyzer = analyzer_of(lab, message.analyzer)
    if analyzer is None:
        return _failed(lab, message, f"analyzer {message.analyzer!r} is not in config/analyzers.toml")
    driver = driver_of(analyzer)
    try:
        decoded = driver.decode(message)
    except (DecodeError, WireError) as broken:
        return _failed(lab, message, str(broken))
    with lab.write() as conn:
        if not again and is_processed(conn, message.id):
            return Outcome("already", decoded)
        thought = consider(lab, conn, decoded, facts_of(analyzer, driver), driver)
        green = record(conn, message, decoded, thought.matched, thought.verdicts, thought.samples,
                       lab.settings.rules.version, lab.now())  # fmt: skip
        if _may_release_by_itself(analyzer, driver) and green:
            release_in(lab, conn, SYSTEM, green)
    return Outcome("processed", decoded)


def _may_release_by_itself(analyzer: AnalyzerSettings, driver: Driver) -> bool:
    """Only a driver proven in the field, on an analyzer for which a person switched it on (ISO 15189 7.4.1.5)."""
    return analyzer.auto_release and driver.grade.value == "field"


def _failed(lab: Lab, message: Message, error: str) -> Outcome:
    with lab.write() as conn:
        record_failure(conn, message, error, lab.now())
    return Outcome("failed", error=error)


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
