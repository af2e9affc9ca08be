"""Sends analyzers the orders that they do not ask for: watches what is awaited, fills each line's basket.

Turns changes of the lab database into downloads, and their outcomes into rows. Law: its own thread, no line waits for
it; a tube's row is pending until its analyzer took it, through restarts and days without a line; what it knows is not
sent again; only tests that it is mapped for; never a tube that is not ours, for only our own rows are read.
Source: LIS02-A2 section 8 (orders), IHE LAW LAB-28.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from drivers.driver import Driver, Stamp, WireError, WorkOrder
from middleware import store
from middleware.consider import driver_of
from middleware.downloads import Basket, Download, Outcome, Told
from middleware.host_orders import codes_for, order_for
from middleware.lab import Lab
from middleware.order_plan import NOTHING, Standing, changes, plan, runs
from middleware.settings import AnalyzerSettings
from middleware.store import downloads as rows
from middleware.store.downloads import DownloadRow
from middleware.store.work_orders import tubes

log = logging.getLogger("labmitra.orders")
LOOK = 1.0  # seconds between two looks at the change counters
SHARE = 20  # a look that took long is rested from so many times as long: a twentieth of one core at most
AGAIN = timedelta(minutes=10)  # a look without any change: tubes become too old
MOST = 20  # downloads in a basket
UNSAYABLE = "a text of this order cannot be said in its dialect"
WATCHED = ("orders", "results")  # topics of the change counters that may change what is awaited

Move = tuple[str, int, "DownloadRow | None", Standing]
"""Analyzer, tube, the row where there is one, how it stands from now on."""


@dataclass(slots=True)
class _Told:
    """One analyzer that is sent orders."""

    settings: AnalyzerSettings
    driver: Driver
    codes: dict[str, str]
    basket: Basket = field(default_factory=Basket)
    failures: int = 0  # in a row, of any of its downloads
    rests_until: datetime | None = None  # it does not listen: nothing is tried before


class OrderDesk:
    """A thread that keeps the baskets of all analyzers with orders = "push"."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._told = {
            analyzer.name: _Told(analyzer, driver, codes_for(driver, analyzer, lab.settings.catalogue))
            for analyzer, driver in ((a, driver_of(a)) for a in lab.settings.analyzers if a.enabled)
            if analyzer.orders == "push" and driver.pushes is not None
        }
        self._seen: tuple[int, ...] = ()
        self._planned: datetime | None = None
        self._numbers = itertools.count()
        self._down = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="orders", daemon=True)

    @property
    def baskets(self) -> dict[str, Basket]:
        """By analyzer, for the lines."""
        return {name: told.basket for name, told in self._told.items()}

    def start(self) -> None:
        """Begin, where any analyzer is sent orders at all."""
        if self._told:
            self._thread.start()

    def stop(self) -> None:
        """Write what the lines told last, and end."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=15)

    def _run(self) -> None:
        rest = LOOK
        while True:
            last = self._stop.wait(rest)
            began = time.monotonic()
            try:
                self.turn(last)
                self._down = False
            except SQLAlchemyError as broken:
                if not self._down:
                    log.error("orders wait: the lab database cannot be used (%s)", type(broken).__name__)
                self._down = True
            if last:
                return
            rest = max(LOOK, SHARE * (time.monotonic() - began))

    def turn(self, last: bool = False) -> None:
        """One look: outcomes are written, what changed is planned, baskets are filled. `last`: outcomes only."""
        settled = self._settle()
        if last:
            return
        self._wake()
        planned = self._plan_when_changed()
        for told in self._told.values():
            if planned or settled or not told.basket.waiting:
                self._fill(told)

    # ---- what is to be sent

    def _plan_when_changed(self) -> bool:
        now = self._lab.now()
        with self._lab.read() as conn:
            counters = store.changes(conn)
            seen = tuple(counters.get(topic, 0) for topic in WATCHED)
            rested = self._planned is not None and timedelta() <= now - self._planned < AGAIN
            if seen == self._seen and rested:
                return False
            moves = [move for told in self._told.values() for move in _moves(conn, told, now)]
        if moves or not rested:
            with self._lab.write(gives_way=True) as conn:
                rows.lapse(conn, now)
                for move in moves:
                    rows.stand(conn, *move, now)
                if moves:
                    store.touch(conn, "analyzers")
        self._seen, self._planned = seen, self._planned if rested else now
        return bool(moves)

    def _wake(self) -> None:
        """An analyzer that did not listen and now says something is tried at once."""
        for name, told in self._told.items():
            if told.basket.woke() and told.failures:
                told.failures, told.rests_until = 0, None
                with self._lab.write(gives_way=True) as conn:
                    rows.hurry(conn, name, self._lab.now())

    def _fill(self, told: _Told) -> None:
        """The basket anew: what is pending as it is wanted now."""
        now = self._lab.now()
        if told.rests_until is not None and now < told.rests_until <= now + rows.LONGEST:
            told.basket.fill(())
            return
        with self._lab.read() as conn:
            due = rows.due(conn, told.settings.name, now, MOST)
            work = tubes(conn, [row.sample_pk for row in due])
        ready: list[Download] = []
        for row in due:
            adds, cancels = changes(row.wanted, row.told)
            order = order_for(work[row.sample_pk], adds, cancels, runs(row.wanted, row.told))
            messages = self._messages(told.driver, order)
            download = Download(row.id, tuple(messages or ()), row.wanted)
            if messages:
                ready.append(download)
            elif messages is None:
                told.basket.tell(download, Outcome.REFUSED, UNSAYABLE)
            else:
                told.basket.tell(download, Outcome.NOTHING)
        told.basket.fill(ready)

    def _messages(self, driver: Driver, work: WorkOrder) -> list[bytes] | None:
        """What the driver says; None when its dialect cannot say it."""
        now = self._lab.now()
        number = f"{int(now.timestamp() * 1000):013d}{next(self._numbers) % 1000:03d}"
        try:
            return driver.push([work], Stamp(f"{now.astimezone(self._lab.settings.lab.timezone):%Y%m%d%H%M%S}", number))
        except WireError:  # its text may be a patient's
            return None

    # ---- what became of it

    def _settle(self) -> bool:
        """Write what the lines told; was there anything?"""
        found = {name: told.basket.outcomes() for name, told in self._told.items()}
        if not any(found.values()):
            return False
        with self._lab.write(gives_way=True) as conn:
            for told in itertools.chain.from_iterable(found.values()):
                self._write(conn, told)
            store.touch(conn, "analyzers")
        for name, told_now in found.items():
            self._told[name].basket.settled(told_now)
            self._rest(self._told[name], told_now)
            _log(name, told_now)
        return True

    def _rest(self, analyzer: _Told, told: Sequence[Told]) -> None:
        """One order that fails must not hold up the others for long, nor an analyzer that does not listen be rung up
        for each of its orders: all of them rest, longer each time, until one gets there."""
        if not told:
            return
        for one in told:
            analyzer.failures = analyzer.failures + 1 if one.outcome is Outcome.FAILED else 0
        pause = rows.pause_after(analyzer.failures) if analyzer.failures else None
        analyzer.rests_until = self._lab.now() + pause if pause else None

    def _write(self, conn: Connection, told: Told) -> None:
        row, at = rows.row_of(conn, told.download.key), self._lab.now()
        content = dict(told.download.content)
        if row is None:
            return
        if told.outcome in (Outcome.SENT, Outcome.NOTHING):
            rows.taken(conn, row, content, at, sent=told.outcome is Outcome.SENT)
        elif told.outcome is Outcome.REFUSED:
            rows.refused(conn, row, content, told.why, at)
        else:
            rows.failed(conn, row, told.why, at)


def _log(name: str, told: Sequence[Told]) -> None:
    failed = [one.why for one in told if one.outcome is Outcome.FAILED]
    refused = sum(one.outcome is Outcome.REFUSED for one in told)  # why is the analyzer's own text: not for a log
    if failed:
        log.warning("%s: %d orders did not get there, they stay pending: %s", name, len(failed), failed[-1])
    if refused:
        log.warning("%s: %d orders were refused", name, refused)


def _moves(conn: Connection, told: _Told, now: datetime) -> list[Move]:
    """The downloads of one analyzer that stand otherwise from now on."""
    wanted: dict[int, dict[str, list[object]]] = {}
    for one in rows.wanted(conn, set(told.codes), now):
        wanted.setdefault(one.sample_pk, {})[one.test] = [told.codes[one.test], one.again]
    known = rows.downloads(conn, told.settings.name, list(wanted), now)
    over = [pk for pk, row in known.items() if set(row.told) - set(wanted.get(pk, ()))]
    standing = rows.standing_tests(conn, over)
    found: list[Move] = []
    for pk in {**known, **wanted}:
        row = known.get(pk)
        before = row.standing if row is not None else NOTHING
        after = plan(before, wanted.get(pk, {}), standing.get(pk, ()))
        if after != before:
            found.append((told.settings.name, pk, row, after))
    return found
