"""Turns what a person writes behind `labmitra trace` into lines of the flight recorder. Writes nothing.

Law: what makes no sense is told in one sentence, with what to write instead.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo

from middleware.journal_trace import TraceReader
from middleware.problems import nearest
from middleware.settings import Settings
from middleware.trace import PAUSE, Asked, Screen, moment_of, show


class Wrong(ValueError):
    """What was asked for makes no sense; the text says why and what to write."""


def run(
    settings: Settings, analyzer: str, since: str, until: str, follow: bool, message: str, as_hex: bool,
    tell: Callable[[str], None],
) -> None:  # fmt: skip
    """Tell line by line what was asked for. Raises Wrong, JournalError; KeyboardInterrupt ends a `follow`."""
    reader, zone = TraceReader(settings.journal), settings.lab.timezone
    names = [a.name for a in settings.analyzers]
    if analyzer not in names and not reader.known(analyzer):
        raise Wrong(f'There is no analyzer "{analyzer}": {nearest(analyzer, names)}')
    screen = Screen(zone, as_hex)
    if message:
        _one(reader, analyzer, message, screen, tell)
        return
    asked = Asked(_moment(since, zone), _moment(until, zone), follow)
    if not show(reader, analyzer, asked, screen, tell, lambda: time.sleep(PAUSE)):
        tell(f"{analyzer}: nothing was said {'in this time' if since or until else 'yet'}")


def _moment(text: str, zone: tzinfo) -> datetime | None:
    try:
        return moment_of(text, zone, datetime.now(UTC)) if text else None
    except (ValueError, OverflowError) as wrong:
        raise Wrong(str(wrong)) from wrong


def _one(reader: TraceReader, analyzer: str, message: str, screen: Screen, tell: Callable[[str], None]) -> None:
    found = reader.message(message)
    if found is None or found.analyzer != analyzer:
        whose = f" It is a message of {found.analyzer}." if found else ""
        raise Wrong(f'There is no message "{message}" of {analyzer}.{whose}')
    for traced in reader.around(message):
        for line in screen.lines(traced):
            tell(line)
