"""Looks at every line from time to time and says what is wrong: silence, clock, down, garbage, refused, books, journal.

Turns line states, what was last heard, and the past of each analyzer into alarms and into the words beside its lamps.
Law: reads the database, writes nothing (see `alarms`); what cannot be known raises nothing and ends nothing.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from middleware import clock_drift, rhythm
from middleware.alarm_settings import SENSITIVITY, AlarmKind
from middleware.alarms import Alarms
from middleware.ears import Ears
from middleware.lab import Lab
from middleware.rhythm import Rhythm
from middleware.settings import AnalyzerSettings
from middleware.store import alarms as rows

if TYPE_CHECKING:
    from middleware.supervisor import LineState

RELEARN = timedelta(hours=1)
BOOKS_KEPT = timedelta(days=1)  # how long a message whose counts differ keeps its alarm
LEAP = 60.0  # seconds that our clock and the time that went by may differ between two looks
BACK = 0.8  # of the limit: a clock that wavers about the limit does not raise an alarm each time
MANY, SOON, CALM = 10, timedelta(minutes=10), timedelta(minutes=30)  # refusals in SOON; over when none came for CALM


class Health:
    """The looks at one middleware's lines. Not safe between threads: the lamps' thread alone uses it."""

    def __init__(
        self, lab: Lab, ears: Ears, alarms: Alarms, journal_fails: Callable[[], bool],
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        """`ears`: what the pipeline's worker heard; `journal_fails`: True while the journal cannot be written; `ticks`:
        seconds that go by whatever the clock says."""
        self._lab, self._ears, self._alarms, self._journal_fails = lab, ears, alarms, journal_fails
        self._began = lab.now()  # to be here, by a clock that did not leap since
        self._ticks, self._looked = ticks, (self._began, ticks())
        self._enabled = {a.name: a for a in lab.settings.analyzers if a.enabled}
        self._rhythms: dict[str, Rhythm] = {}
        self._learned: dict[str, datetime] = {}
        self._down: dict[str, datetime] = {}
        self._refused: dict[str, deque[tuple[datetime, int]]] = {}
        self._rose: dict[str, datetime] = {}

    # ---- learning

    def learn_next(self) -> str | None:
        """Learn the rhythm of the analyzer that was not learned for longest, an hour at least; its name."""
        now = self._lab.now()
        due = [n for n in self._enabled if n not in self._learned or self._learned[n] <= now - RELEARN]
        if not due:
            return None
        name = min(due, key=lambda n: self._learned.get(n, datetime.min.replace(tzinfo=now.tzinfo)))
        with self._lab.read() as conn:
            last = rows.last_message(conn, name, now)  # one of the future came while our clock was wrong
            times = rows.message_times(conn, name, last - timedelta(weeks=rhythm.WEEKS), now) if last else []
        settings = self._lab.settings
        self._rhythms[name] = rhythm.learn(times, settings.lab.timezone, settings.alarms.holidays)
        self._learned[name] = now
        return name

    def beside(self, analyzer: str) -> dict[str, Any]:
        """What the lamps of an analyzer are told beside the line's own state: columns of analyzer_state."""
        ear, known = self._ears.of(analyzer), self._rhythms.get(analyzer)
        found: dict[str, Any] = {
            "parsed_at": ear.parsed_at, "failed_at": ear.failed_at, "result_at": ear.result_at,
            "unfiled_at": ear.unfiled_at,
        }  # fmt: skip
        drift = clock_drift.drift(ear.readings)
        if drift is not None:
            found["drift_seconds"] = drift.seconds
        found = {k: v for k, v in found.items() if v is not None}  # what an earlier run knew stays
        if known is not None and analyzer in self._enabled:
            gap = known.usual_gap(self._lab.now())
            off = self._enabled[analyzer].silence == "off"
            found["rhythm"] = "off" if off else "learned" if known.learned else "learning"
            found["rhythm_days"] = known.days
            found["usual_gap_seconds"] = None if gap is None else round(gap.total_seconds())
        return found

    # ---- looking

    def look(self, states: Mapping[str, LineState]) -> None:
        """Raise and end alarms by how things stand now."""
        self._leaps()
        self._alarms.refresh()
        self._journal()
        self._books()
        for kind, name in self._alarms.lasting():
            if name and name not in self._enabled:
                self._alarms.end(kind, name)  # taken out of the configuration
        for name, analyzer in self._enabled.items():
            state = states.get(name)
            self._clock(analyzer)
            if state is not None:
                self._line_down(analyzer, state)
                self._garbage(name, state)
                self._silence(analyzer, state)
                self._refusals(analyzer, state)

    def _leaps(self) -> None:
        """Our clock was set, or this computer slept: moments that we remember say nothing of how long ago they were."""
        now, ticks = self._lab.now(), self._ticks()
        then, ticked = self._looked
        self._looked = now, ticks
        if abs((now - then).total_seconds() - (ticks - ticked)) > LEAP:
            self._began = now
            for remembered in (self._learned, self._down, self._refused, self._rose):
                remembered.clear()

    def _journal(self) -> None:
        if self._journal_fails():
            self._alarms.begin(AlarmKind.JOURNAL)
        else:
            self._alarms.end(AlarmKind.JOURNAL)

    def _books(self) -> None:
        """For a day, or until a replay rights them."""
        with self._lab.read() as conn:
            counts = rows.unbalanced(conn, self._lab.now() - BOOKS_KEPT)
        for name in self._enabled:
            if name in counts:
                self._alarms.begin(AlarmKind.BOOKS, name, count=counts[name])
            else:
                self._alarms.end(AlarmKind.BOOKS, name)

    def _garbage(self, name: str, state: LineState) -> None:
        if state.garbage:
            self._alarms.begin(AlarmKind.GARBAGE, name)
        else:
            self._alarms.end(AlarmKind.GARBAGE, name)

    def _silence(self, analyzer: AnalyzerSettings, state: LineState) -> None:
        known, name = self._rhythms.get(analyzer.name), analyzer.name
        if analyzer.silence == "off":
            self._alarms.end(AlarmKind.SILENCE, name)
            return
        if known is None:
            return
        now = self._lab.now()
        last = max((t for t in (known.last, state.message_at) if t is not None and t <= now), default=None)
        lasts_since = self._alarms.since(AlarmKind.SILENCE, name)
        if lasts_since is not None:
            if lasts_since > now or (last is not None and last >= lasts_since):
                self._alarms.end(AlarmKind.SILENCE, name)
        elif last is not None and self._alarms.since(AlarmKind.DOWN, name) is None:
            since = max(last, self._began)  # while we were away nobody could speak
            gap = known.usual_gap(now)
            if gap is not None and known.unusual(since, now, SENSITIVITY[analyzer.silence]):
                usual = round(gap.total_seconds())
                self._alarms.begin(AlarmKind.SILENCE, name, since=last.isoformat(), usual=usual)

    def _clock(self, analyzer: AnalyzerSettings) -> None:
        drift = clock_drift.drift(self._ears.of(analyzer.name).readings)
        limit = analyzer.clock_minutes * 60
        if limit == 0:
            self._alarms.end(AlarmKind.CLOCK, analyzer.name)
        elif drift is None:
            return  # nothing new is known
        elif drift.unset or abs(drift.seconds) > limit:
            minutes = round(drift.seconds / 60)
            self._alarms.begin(AlarmKind.CLOCK, analyzer.name, minutes=minutes, unset=drift.unset)
        elif abs(drift.seconds) <= limit * BACK:
            self._alarms.end(AlarmKind.CLOCK, analyzer.name)

    def _line_down(self, analyzer: AnalyzerSettings, state: LineState) -> None:
        """A line that we open ourselves must be up; one that the analyzer opens may rest, unless we cannot listen."""
        name, now = analyzer.name, self._lab.now()
        ours = not analyzer.line.startswith("tcp-listen:")
        limit = timedelta(minutes=self._lab.settings.alarms.down_minutes)
        if not limit or state.connected or not (ours or state.trouble):
            self._down.pop(name, None)
            self._alarms.end(AlarmKind.DOWN, name)
            return
        since = self._down.setdefault(name, now)
        known = self._rhythms.get(name)
        lasts = known.active_time(since, now) if known is not None and known.learned else now - since
        if lasts >= limit and self._alarms.since(AlarmKind.DOWN, name) is None:
            self._alarms.begin(AlarmKind.DOWN, name, since=since.isoformat())

    def _refusals(self, analyzer: AnalyzerSettings, state: LineState) -> None:
        name, now, count = analyzer.name, self._lab.now(), state.refused
        seen = self._refused.setdefault(name, deque())
        if seen and count < seen[-1][1]:
            seen.clear()  # a new day counts from nothing
        if seen and count > seen[-1][1]:
            self._rose[name] = now
        seen.append((now, count))
        while seen[0][0] < now - SOON:
            seen.popleft()
        if count - seen[0][1] >= MANY and self._alarms.since(AlarmKind.REFUSED, name) is None:
            self._alarms.begin(AlarmKind.REFUSED, name, count=count - seen[0][1])
        elif now - self._rose.get(name, self._began) >= CALM:
            self._alarms.end(AlarmKind.REFUSED, name)
