"""Raises and ends the alarms of the lines: each begun once, ended once, logged once each.

Turns what anybody notices about a line into rows of line_alarm. Law: `Alarms` is called from the lines' event loop and
from any thread: it only takes note, the lamps' thread writes; what cannot be written yet is kept in order until it can.
No patient data: an alarm's words are a kind, durations and counts.

Whoever works inside a transaction uses `raise_alarm` and `end_alarm`; whoever does not uses `Alarms`.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from middleware.alarm_settings import AlarmKind
from middleware.lab import Lab
from middleware.store import alarms as rows

log = logging.getLogger("labmitra.line")
KEPT = 1000  # changes kept while the lab database cannot be written
KINDS = frozenset(kind.value for kind in AlarmKind)

Key = tuple[AlarmKind, str]


def raise_alarm(
    lab: Lab, conn: Connection, kind: AlarmKind, analyzer: str = "", at: datetime | None = None, **args: Any
) -> bool:
    """The alarm lasts from now on; True when it began by this call. `args` fill its words (JSON); "": every line's."""
    told = lab.settings.alarms
    tell = bool(told.mobiles and lab.settings.hub.url) and kind in told.sms_kinds
    began = rows.begin(conn, analyzer, kind.value, at or lab.now(), args, tell)
    if began:
        log.warning("%s: alarm begins: %s%s", analyzer or "all lines", kind.value, _words(args))
    return began


def end_alarm(lab: Lab, conn: Connection, kind: AlarmKind, analyzer: str = "", at: datetime | None = None) -> bool:
    """The alarm is over; True when it lasted until now."""
    ended = rows.end(conn, analyzer, kind.value, at or lab.now())
    if ended:
        log.info("%s: alarm ends: %s", analyzer or "all lines", kind.value)
    return ended


def _words(args: Mapping[str, Any]) -> str:
    told = ", ".join(f"{name} {value}" for name, value in args.items())
    return f" ({told})" if told else ""


@dataclass(frozen=True, slots=True)
class _Change:
    kind: AlarmKind
    analyzer: str
    at: datetime
    args: Mapping[str, Any] | None  # None: it ends


class Alarms:
    """What is noticed, until it is written. One per middleware process."""

    def __init__(self, lab: Lab) -> None:
        """`lab`: where the rows go."""
        self._lab = lab
        self._lock = threading.Lock()
        self._changes: deque[_Change] = deque(maxlen=KEPT)
        self._lasting: dict[Key, tuple[datetime, Mapping[str, Any]]] = {}

    def begin(self, kind: AlarmKind, analyzer: str = "", **args: Any) -> None:
        """This is wrong now; saying so again costs nothing, other `args` replace the words of the lasting one."""
        with self._lock:
            lasting = self._lasting.get((kind, analyzer))
            if lasting is None or lasting[1] != args:
                now = self._lab.now()
                self._lasting[kind, analyzer] = (lasting[0] if lasting else now, args)
                self._changes.append(_Change(kind, analyzer, now, args))

    def end(self, kind: AlarmKind, analyzer: str = "") -> None:
        """This is right again, or was all the time."""
        with self._lock:
            if self._lasting.pop((kind, analyzer), None) is not None:
                self._changes.append(_Change(kind, analyzer, self._lab.now(), None))

    def since(self, kind: AlarmKind, analyzer: str = "") -> datetime | None:
        """When the lasting alarm of this kind began; None when there is none."""
        with self._lock:
            lasting = self._lasting.get((kind, analyzer))
        return lasting[0] if lasting else None

    def lasting(self) -> tuple[Key, ...]:
        """Every alarm that lasts."""
        with self._lock:
            return tuple(self._lasting)

    def refresh(self) -> None:
        """Read which alarms last: those of the last run, and those that were raised in a transaction."""
        with self._lab.read() as conn:
            stored = rows.lasting(conn)
        with self._lock:
            if not self._changes:
                ours = [a for a in stored if a.kind in KINDS]  # another version may know more kinds
                self._lasting = {(AlarmKind(a.kind), a.analyzer): (a.began_at, a.args) for a in ours}

    def write(self) -> None:
        """Bring every noted change into the lab database, in order."""
        with self._lock:
            changes = list(self._changes)
        if not changes:
            return
        with self._lab.write() as conn:
            for change in changes:
                if change.args is None:
                    end_alarm(self._lab, conn, change.kind, change.analyzer, change.at)
                else:
                    raise_alarm(self._lab, conn, change.kind, change.analyzer, change.at, **change.args)
        with self._lock:
            for _ in changes:
                self._changes.popleft()
