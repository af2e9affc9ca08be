"""The middleware process: lines, journal, pipeline worker and the lamps of each line, wired together.

Turns Settings into a running service. Law: acknowledging an analyzer depends on the journal's disk alone; restarting
the pages never drops an analyzer.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from collections.abc import Coroutine
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from middleware import ending, sound, store
from middleware.alarms import Alarms
from middleware.ears import Ears
from middleware.health import Health
from middleware.host_orders import answerer
from middleware.journal import Journal
from middleware.lab import Lab, open_lab
from middleware.order_desk import OrderDesk
from middleware.retention import Retention
from middleware.schema import AnalyzerMessage, AnalyzerState
from middleware.settings import Settings
from middleware.supervisor import LineState, run_lines
from middleware.work_apart import WorkApart

log = logging.getLogger("labmitra.middleware")
LOOK = timedelta(seconds=15)  # between two looks at the lines' health


class Lamps:
    """Keeps the newest state of every line and writes it into the lab database once a second, when it changed.

    Its thread also looks at the lines' health and writes the alarms that anybody raised by `alarms`.
    """

    def __init__(self, lab: Lab, ears: Ears, journal: Journal | None = None) -> None:
        """`ears`: what each analyzer said; `journal` is watched for a disk that cannot be written."""
        self._lab, self.alarms = lab, Alarms(lab)
        self.health = Health(lab, ears, self.alarms, lambda: journal is not None and journal.failing)
        self._looked: datetime | None = None
        self._states: dict[str, LineState] = {}
        self._written: dict[str, tuple[Any, ...]] = {}
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="lamps", daemon=True)

    def set(self, state: LineState) -> None:
        """The supervisor's word about one line."""
        with self._lock:
            self._states[state.analyzer] = state

    def start(self) -> None:
        """Begin writing."""
        self._thread.start()

    def stop(self) -> None:
        """Write once more, with every line shown as disconnected, and end."""
        with self._lock:
            self._states = {k: replace(s, connected=False) for k, s in self._states.items()}
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=15)

    def _run(self) -> None:
        while True:
            last = self._stop.wait(1.0)
            try:
                self._turn(look=not last)
            except SQLAlchemyError:
                log.debug("lamps not written: lab database busy")
            if last:
                return

    def _turn(self, look: bool = True) -> None:
        if look:
            self._look()
        self._write()
        self.alarms.write()

    def _look(self) -> None:
        self.health.learn_next()
        now = self._lab.now()
        if self._looked is None or not timedelta() <= now - self._looked < LOOK:
            with self._lock:
                states = dict(self._states)
            self.health.look(states)
            self._looked = now

    def _write(self) -> None:
        with self._lock:
            states = list(self._states.values())
        midnight = self._midnight()
        fresh = {s.analyzer: (s, self.health.beside(s.analyzer), midnight) for s in states}
        changed = {k: v for k, v in fresh.items() if self._written.get(k) != v}
        if not changed:
            return
        with self._lab.write() as conn:
            for state, beside, _day in changed.values():
                _put_lamp(conn, state, beside, midnight, self._lab.now())
            store.touch(conn, "analyzers")
        self._written.update(changed)

    def _midnight(self) -> datetime:
        here = self._lab.now().astimezone(self._lab.settings.lab.timezone)
        return here.replace(hour=0, minute=0, second=0, microsecond=0)


def _put_lamp(conn: Any, state: LineState, beside: dict[str, Any], midnight: datetime, now: datetime) -> None:
    m = store.table(AnalyzerMessage)
    today = store.count(conn, AnalyzerMessage, m.c.analyzer == state.analyzer, m.c.received_at >= midnight)
    values: dict[str, Any] = {
        "connected": state.connected,
        "since": state.since,
        "handshake_at": state.handshake_at,
        "message_at": state.message_at,
        "messages_today": today,
        "refused_today": state.refused,
        "trouble": state.trouble,
        "updated_at": now,
        **beside,
    }
    statement = store.insert_into(conn, AnalyzerState).values(analyzer=state.analyzer, **values)
    conn.execute(statement.on_conflict_do_update(index_elements=["analyzer"], set_=values))


def serve(settings: Settings) -> int:
    """Run until it is told to end; the exit code. JournalError when the journal cannot be used, Trouble when a file is
    damaged."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    settings.journal.parent.mkdir(parents=True, exist_ok=True)
    sound.must_be_whole(settings.journal, sound.JOURNAL)
    sound.url_must_be_whole(settings.database_url, sound.LAB)
    gc.collect()
    gc.freeze()  # what was loaded stays: no collection walks through it while an analyzer waits, or copies it
    with ExitStack() as ends:  # whatever was begun when we are told to stop is ended, the last first
        worker = WorkApart(settings)  # before any thread is
        ends.callback(worker.stop)
        journal = Journal.open(settings.journal)
        ends.callback(journal.close)
        if settings.journal_days:
            journal.quiet = Retention(settings.journal_days, journal.now)
        lab = open_lab(settings)
        ends.callback(lab.engine.dispose)
        journal.recover()
        lamps, orders = Lamps(lab, worker.ears, journal), OrderDesk(lab)
        for part in (lamps, worker, orders):
            ends.callback(part.stop)
        worker.start(lab, journal)
        lamps.start()
        orders.start()
        _run(_lines(lab, journal, worker, lamps, orders))
        ending.told_enough()
    return 0


def _run(lines: Coroutine[Any, Any, None]) -> None:
    """On uvloop where there is one: it reads and writes in a third of the time. Not on Windows."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(lines)
    else:
        uvloop.run(lines)


async def _lines(lab: Lab, journal: Journal, worker: WorkApart, lamps: Lamps, orders: OrderDesk) -> None:
    settings = lab.settings
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in ending.signals():
        loop.add_signal_handler(number, stop.set)
    log.info("middleware is up: %d lines", sum(a.enabled for a in settings.analyzers))
    await run_lines(
        settings, journal, worker.wake, lamps.set, stop, answers=partial(answerer, lab), baskets=orders.baskets
    )
