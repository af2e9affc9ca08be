"""Runs stored messages through today's drivers and a configuration, and compares with what is recorded: writes nothing.

Turns what was asked for into a WhatIf. Law: journal and lab database are opened read only, no secret is made, nothing
is filed: only `replay` on the messages page, by a person, changes what is held. Messages are taken in the order they
came, some hundred at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from drivers.driver import DecodeError, Driver, Message, Observation, WireError, driver_names
from middleware.consider import Heard, driver_of, facts_of
from middleware.journal import JournalReader, StoredMessage
from middleware.kit import Misuse
from middleware.kit.what_if import APPEARS, FAILS, READ, Change, WhatIf, compare, measured, stands
from middleware.lab import Lab, reading_engine
from middleware.match import Meaning, match
from middleware.model import AnalyzerFacts, Context
from middleware.problems import nearest
from middleware.sample_id import normalise
from middleware.settings import AnalyzerSettings, Settings
from middleware.store.context import samples_for
from middleware.store.what_if_view import Held, Recorded, elsewhere, recorded

BATCH = 200  # messages that are read and thought about at once
PAGE = 1000  # lines of the journal's list read at once


@dataclass(frozen=True, slots=True)
class Asked:
    """Which messages: since when, of which analyzer ("" all), of analyzers with which driver ("" all). An analyzer
    and a driver that it does not have: as if it had it."""

    since: datetime | None
    driver: str = ""
    analyzer: str = ""


def run(
    settings: Settings, asked: Asked, now: Callable[[], datetime],
    tell: Callable[[int, int], None] = lambda _done, _all: None,
) -> WhatIf:  # fmt: skip
    """What would change. `tell` is given how many of how many messages are done. Raises Misuse, JournalError, and what
    SQLAlchemy raises for a database that cannot be read."""
    voices = _voices(settings, asked)
    reader = JournalReader(settings.journal)
    stored = _stored(reader, asked)
    found = WhatIf()
    if not stored:
        return found
    engine = reading_engine(settings.database_url)
    try:
        trial = _Trial(Lab(engine=engine, settings=settings, now=now), voices, found)
        for at in range(0, len(stored), BATCH):
            trial.batch([m for line in stored[at : at + BATCH] if (m := reader.to_message(line)) is not None])
            tell(min(at + BATCH, len(stored)), len(stored))
    finally:
        engine.dispose()
    return found


@dataclass(frozen=True, slots=True)
class _Voice:
    driver: Driver
    facts: AnalyzerFacts


def _voices(settings: Settings, asked: Asked) -> dict[str, _Voice | None]:
    """The analyzers that are tried, by name; None: configured, and not asked for."""
    names = [analyzer.name for analyzer in settings.analyzers]
    if asked.driver and asked.driver not in driver_names():
        raise Misuse(f'There is no driver "{asked.driver}": {nearest(asked.driver, driver_names())}')
    if asked.analyzer and asked.analyzer not in names:
        raise Misuse(f'There is no analyzer "{asked.analyzer}": {nearest(asked.analyzer, names)}')
    chosen: dict[str, _Voice | None] = {}
    for analyzer in settings.analyzers:
        named = analyzer.name == asked.analyzer
        wanted = named or (not asked.analyzer and asked.driver in ("", analyzer.driver))
        chosen[analyzer.name] = _voice(_as_if(analyzer, asked.driver if named else "")) if wanted else None
    if not any(chosen.values()):
        raise Misuse(f'No analyzer is configured with "{asked.driver}": name one with --analyzer to try it on.')
    return chosen


def _as_if(analyzer: AnalyzerSettings, driver: str) -> AnalyzerSettings:
    """What a site set belongs to the driver it was set for."""
    if driver in ("", analyzer.driver):
        return analyzer
    return replace(analyzer, driver=driver, framing="", layout={})


def _voice(analyzer: AnalyzerSettings) -> _Voice:
    driver = driver_of(analyzer)
    return _Voice(driver, facts_of(analyzer, driver))


def _stored(reader: JournalReader, asked: Asked) -> list[StoredMessage]:
    """The messages asked for, the oldest first."""
    found: list[StoredMessage] = []
    before = None
    while page := reader.messages(asked.analyzer or None, asked.since, None, None, PAGE, before):
        found += page
        before = page[-1].id
    return found[::-1]


class _Trial:
    """Thinks about messages batch by batch."""

    def __init__(self, lab: Lab, voices: dict[str, _Voice | None], found: WhatIf) -> None:
        self.lab, self.voices, self.found = lab, voices, found
        self.seen: set[str] = set()  # rows that an earlier message of this run brings

    def batch(self, messages: Sequence[Message]) -> None:
        """Compare these messages."""
        tried = []
        for message in messages:
            voice = self.voices.get(message.analyzer)
            if voice is not None:
                tried.append((message, voice))
            elif message.analyzer not in self.voices:
                self.found.foreign[message.analyzer] += 1
        if not tried:
            return
        with self.lab.read() as conn:
            held = recorded(conn, [message.id for message, _ in tried])
            heard = [(message, voice, _read(message, voice)) for message, voice in tried]
            samples = samples_for(conn, _numbers([one for *_, one in heard]), self._now())
            for message, voice, one in heard:
                context = Context(voice.facts, samples, self.lab.settings.catalogue, now=self._now())
                self._compare(conn, message, voice, one, context, held.get(message.id, Recorded()))

    def _now(self) -> datetime:
        return self.lab.now().astimezone(self.lab.settings.lab.timezone)

    def _compare(
        self, conn: Connection, message: Message, voice: _Voice, heard: Heard | str, context: Context, was: Recorded
    ) -> None:
        found = self.found
        found.messages += 1
        if not was.state:
            found.waiting += 1
            return
        if isinstance(heard, str):
            changes = [Change(message.id, (FAILS,), message.analyzer, None, None, f"{message.id}: {heard}")]
            changes = changes if was.state != "failed" else []
        else:
            found.rows += measured(heard.decoded.observations)
            matched = match(heard.decoded, context, heard.driver)
            after = stands(matched, {sample.id: sample for sample in context.samples.values()})
            changes = compare(message.id, was.rows, after, lambda old: _same_test(old, context, voice.driver), found)
            changes = self._without_repeats(conn, changes)
            if was.state == "failed":
                why = f"{message.id}: {len(after)} rows (it failed: {was.error})"
                changes.append(Change(message.id, (READ,), message.analyzer, None, None, why))
            self.seen |= {held.identity for held in after}
        found.changes += changes
        found.changed += bool(changes)

    def _without_repeats(self, conn: Connection, changes: Sequence[Change]) -> list[Change]:
        """A row that appears in a message that was sent again is held already, under the first."""
        new = [change.after.identity for change in changes if change.kinds == (APPEARS,) and change.after]
        known = (elsewhere(conn, new) | self.seen) if new else set()
        return [change for change in changes if not (change.after and change.kinds == (APPEARS,)
                                                     and change.after.identity in known)]  # fmt: skip


def _read(message: Message, voice: _Voice) -> Heard | str:
    try:
        return Heard(voice.driver.decode(message), voice.facts, voice.driver)
    except (DecodeError, WireError) as broken:
        return str(broken)


def _numbers(heard: Sequence[Heard | str]) -> set[str]:
    return {number for one in heard if not isinstance(one, str) for number in one.sample_ids() if normalise(number)}


def _same_test(old: Held, context: Context, driver: Driver) -> bool:
    row = Observation(None, old.code, None, None, None, None)
    return old.test in Meaning.of(row, context, driver).tests
