"""Reconciles what the analyzers know with what the middleware has on disk: lost, twice, or nobody's.

Turns the analyzers' logs, the journal and the lab database into a Tally. Law: reads only (the journal is opened
`mode=ro`), and through nothing of the middleware that writes; what is found wrong once stays wrong. It knows of the
journal that the bytes of a line stand in `chunk.data` in the order they came, and messages in `message`.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Engine, select

from middleware import store
from middleware.schema import ControlRow, ResultRow, UnmatchedRow
from middleware.store import books_view
from tests.crash.analyzers import Log
from tests.crash.said import BEGAN, Key, Row, body, key_of, pieces, rows

KINDS = {
    "result": (ResultRow, "verbatim"),
    "control": (ControlRow, "verbatim"),
    "tray": (UnmatchedRow, "raw"),
}


@dataclass(frozen=True, slots=True)
class Tally:
    """How things stand. `lost` was acknowledged and is not there; `twice` is there more than once; `strange` is there
    and nobody sent it. The last three say what, in words."""

    acknowledged: int
    messages: int
    lost: tuple[str, ...]
    twice: tuple[str, ...]
    strange: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Nothing lost, nothing twice, nothing out of nowhere."""
        return not (self.lost or self.twice or self.strange)


@dataclass
class _Line:
    """One analyzer's account: the bytes of its line that are not yet accounted for, and how far its log was read."""

    log: Log
    stream: bytearray = field(default_factory=bytearray)
    read: int = 0
    confirmed: set[Key] = field(default_factory=set)


class Books:
    """The account of a whole run; each `look()` takes in what came since the one before."""

    def __init__(self, journal: Path, engine: Engine, logs: Sequence[Log], sample: Callable[[str, int], str]) -> None:
        """`engine` is the lab database's; `sample` says whose a message was."""
        self._journal, self._engine, self._sample = journal, engine, sample
        self._lines = {log.name: _Line(log) for log in logs}
        self._chunk = self._message = 0
        self._stored: Counter[Key] = Counter()
        self._undone: set[Key] = set()
        self._rows: Counter[Row] = Counter()
        self._row_ids = dict.fromkeys(KINDS, 0)
        self._wrong: dict[str, dict[str, None]] = {"lost": {}, "twice": {}, "strange": {}}
        self._acknowledged = 0

    def look(self) -> Tally:
        """Take in what is new. Call it while no middleware runs, or when nothing is under way: an acknowledgement that
        was read must find its bytes."""
        upto = {name: len(line.log.lines) for name, line in self._lines.items()}  # before the journal is read
        done = self._read_journal()
        self._read_lab()
        for name, line in self._lines.items():
            self._account(line, upto[name])
        for key in done:
            self._must_be_filed(key)
        confirmed = sum(len(line.confirmed) for line in self._lines.values())
        wrong = {what: tuple(found) for what, found in self._wrong.items()}
        return Tally(self._acknowledged, confirmed, wrong["lost"], wrong["twice"], wrong["strange"])

    def settled(self) -> Tally:
        """The last account: every confirmed message is processed, and the lab's own books balance."""
        self.look()
        for line in self._lines.values():
            for key in line.confirmed:
                self._must_be_filed(key)
        with self._engine.connect() as conn:
            for books in books_view.message_books(conn):
                if not books.balanced or books.failed:
                    self._say("lost", f"the books of {books.analyzer} do not balance ({books.failed} failed)")
        return self.look()

    def _say(self, what: str, text: str) -> None:
        self._wrong[what].setdefault(text)

    # ---- what is on disk

    def _read_journal(self) -> list[Key]:
        """The new bytes of each line, the new messages; the messages that the pipeline has done since."""
        if not self._journal.exists():
            return []
        with closing(sqlite3.connect(f"{self._journal.as_uri()}?mode=ro", uri=True, timeout=10)) as conn:
            conn.execute("BEGIN")
            chunks = "SELECT c.id, s.analyzer, c.data FROM chunk c JOIN session s ON s.id = c.session WHERE c.id > ?"
            for number, name, data in conn.execute(f"{chunks} ORDER BY c.id", (self._chunk,)):
                self._chunk = number
                self._lines[name].stream += data
            messages = "SELECT number, analyzer, body FROM message WHERE number > ? AND incomplete = 0 ORDER BY number"
            for number, name, said in conn.execute(messages, (self._message,)):
                self._message = number
                self._take_message(name, said)
            waiting = conn.execute("SELECT analyzer, body FROM message WHERE done = 0 AND incomplete = 0").fetchall()
        undone = {key for name, said in waiting if (key := key_of(name, said))}
        done = [key for key in self._undone if key not in undone]
        self._undone &= undone
        return done

    def _take_message(self, name: str, said: bytes) -> None:
        key = key_of(name, said)
        if key is None or said != body(key, self._sample(name, key[1])):
            self._say("strange", f"{name}: a message that nobody sent")
            return
        self._stored[key] += 1
        self._undone.add(key)
        if self._stored[key] > 1:
            self._say("twice", f"{key}: {self._stored[key]} messages in the journal")

    def _read_lab(self) -> None:
        with self._engine.connect() as conn:
            for kind, (row, value) in KINDS.items():
                t = store.table(row)
                statement = select(t.c.id, t.c.analyzer, t.c.code, t.c.observed_at, t.c[value])
                for number, *found in conn.execute(statement.where(t.c.id > self._row_ids[kind]).order_by(t.c.id)):
                    self._row_ids[kind] = number
                    self._take_row(kind, (found[0], found[1], found[2], found[3]))
            conn.rollback()

    def _take_row(self, kind: str, row: Row) -> None:
        self._rows[row] += 1
        number = _number(row[2])
        begun = self._lines[row[0]].log.last()[0] if row[0] in self._lines else -1
        if self._rows[row] > 1:
            self._say("twice", f"{row}: {self._rows[row]} rows in the lab database, the last a {kind}")
        if not 0 < number <= begun or row not in rows(row[0], number):
            self._say("strange", f"{row}: a {kind} that nobody sent")

    # ---- what must be there

    def _account(self, line: _Line, upto: int) -> None:
        """Each acknowledged piece stands on the line after the one before it."""
        at = 0
        for number, attempt, piece in line.log.lines[line.read : upto]:
            if piece == 0:
                continue
            key = (line.log.name, number, attempt)
            sent = pieces(key, self._sample(line.log.name, number))
            self._acknowledged += 1
            found = line.stream.find(sent[piece - 1], at)
            if found < 0:
                self._say("lost", f"{key}: piece {piece} was acknowledged and is not in the journal")
            else:
                at = found + len(sent[piece - 1])
            if piece == len(sent):
                self._confirm(line, key)
        line.read = upto
        del line.stream[:at]

    def _confirm(self, line: _Line, key: Key) -> None:
        line.confirmed.add(key)
        if not self._stored[key]:
            self._say("lost", f"{key}: acknowledged to its end, and no message of the journal")

    def _must_be_filed(self, key: Key) -> None:
        for row in rows(key[0], key[1]):
            if not self._rows[row]:  # said once, however often it was sent
                self._say("lost", f"{row} of message {key[1]} is neither result nor control nor in the tray")


def _number(observed_at: str | None) -> int:
    """The message's number, from the time its rows carry; 0 when it is none."""
    try:
        then = type(BEGAN).strptime(observed_at or "", "%Y%m%d%H%M%S")
    except ValueError:
        return 0
    return int((then - BEGAN).total_seconds())
