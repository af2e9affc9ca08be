"""What a configured line said last, out of the flight recorder: for `labmitra identify --analyzer`.

Turns an analyzer's name into bytes and the driver that it is configured with. Law: the journal is only read; noise that
no receiver could use is in it too, which is what a line that is set wrongly consists of.
"""

from __future__ import annotations

from middleware.journal_trace import TraceReader
from middleware.kit import Misuse
from middleware.kit.identify import MOST
from middleware.problems import nearest
from middleware.settings import Settings

CONVERSATIONS = 20  # the newest ones


def said_by(settings: Settings, name: str) -> tuple[bytes, str]:
    """The newest bytes of this analyzer, and its driver. Misuse when there is no such analyzer; JournalError."""
    analyzer = next((one for one in settings.analyzers if one.name == name), None)
    if analyzer is None:
        raise Misuse(f'There is no analyzer "{name}": {nearest(name, [one.name for one in settings.analyzers])}')
    reader = TraceReader(settings.journal)
    rows = reader.walk(name, reader.last_conversations(name, CONVERSATIONS), reader.newest())
    heard = b"".join(chunk.data for row in rows for chunk in row.chunks if chunk.direction == "in")
    return heard[-MOST:], analyzer.driver
