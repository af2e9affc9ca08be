"""The pipeline's worker: takes what the journal holds unprocessed and brings it into the lab database, in order.

Turns rows of the journal into calls of `pipeline.process_all`: one message alone, many when a queue waits. Law: a lab
database that is locked, full or gone stops nothing but this worker, which tries again; a message that breaks the code
is kept as failed and never blocks others.
"""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from sqlalchemy import event
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError, StatementError

from drivers.driver import Message
from middleware.backlog import Backlog
from middleware.catch_up import catch_up
from middleware.ears import Ears
from middleware.journal import JournalError
from middleware.lab import Lab
from middleware.pipeline import Outcome, process, process_all
from middleware.store.message_rows import record_failure

log = logging.getLogger("labmitra.pipeline")
PAUSE, LONGEST_PAUSE = 1.0, 30.0
LEAST, MOST = 8, 100  # messages in one transaction, where a queue waits
LONGEST, TOO_LONG = 0.2, 1.0  # seconds that a transaction should not exceed, and must not


class Worker:
    """One thread that processes messages as they come. `wake()` is called for each new message."""

    def __init__(self, lab: Lab, journal: Backlog, rests: Callable[[], None] = lambda: None) -> None:
        """`journal` is the process's own writer, or the way to it; `lab` the database the results go to; `rests` is
        called each time when nothing is left to do."""
        self._lab, self._journal, self._rests = lab, journal, rests
        self._wake, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="pipeline", daemon=True)
        self._down = False
        self._caught_up = False
        self._size = LEAST
        self.ears = Ears(lab.settings.lab.timezone)

    def start(self) -> None:
        """Begin with what a crash left unprocessed."""
        event.listen(self._lab.engine, "connect", self._anew)
        self._wake.set()
        self._thread.start()

    def wake(self, _message: Message | None = None) -> None:
        """There is something to do."""
        self._wake.set()

    def stop(self) -> None:
        """Finish the message in hand and end."""
        self._stop.set()
        self._wake.set()
        self._thread.join(timeout=20)
        event.remove(self._lab.engine, "connect", self._anew)

    def _anew(self, _dbapi: object, _record: object) -> None:
        """A new connection: it may be to a database that was put back from a backup while it was away."""
        self._caught_up = False
        self._wake.set()

    def _run(self) -> None:
        pause = PAUSE
        while not self._stop.is_set():
            self._wake.wait(timeout=5)
            self._wake.clear()
            if self._drain():
                pause = PAUSE
                self._rests()
            else:
                self._stop.wait(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
                self._wake.set()

    def _drain(self) -> bool:
        """Process everything there is; False when the database or the journal could not be used."""
        try:
            self._catch_up()
            while waiting := self._journal.unprocessed():
                while waiting:
                    if self._stop.is_set():
                        return True
                    batch, waiting = waiting[: self._size], waiting[self._size :]
                    if not (self._together(batch) or all(self._one(message) for message in batch)):
                        return False
        except JournalError as broken:  # it says so itself; what was not marked as done comes again and is known
            self._say_down(broken)
            return False
        except SQLAlchemyError as broken:
            self._say_down(broken)
            return False
        return True

    def _catch_up(self) -> None:
        """At the start and after each new connection: was the lab database put back from a backup?"""
        if not self._caught_up:
            self._caught_up = True  # before, for it may connect
            try:
                catch_up(self._lab, self._journal)
            except BaseException:
                self._caught_up = False
                raise

    def _together(self, batch: Sequence[Message]) -> bool:
        """All of a batch in one transaction; False when one of them must be tried alone."""
        try:
            outcomes = process_all(self._lab, batch, held=partial(self._fit, len(batch)))
        except Exception:  # noqa: BLE001 - tried one by one, and each says what is wrong with it
            return False
        for message, outcome in zip(batch, outcomes, strict=True):
            self._heard(message, outcome)
        self._say_up()
        self._journal.mark_done(*(message.id for message in batch))
        return True

    def _fit(self, count: int, seconds: float) -> None:
        """As many messages in one transaction as keep a person's write waiting for a moment only."""
        fitting = int(count * LONGEST / max(seconds, 0.001))
        least = LEAST if seconds < TOO_LONG else 1  # on a computer that is busy otherwise, small ones only cost more
        self._size = max(least, min(fitting, 2 * self._size, MOST))

    def _one(self, message: Message) -> bool:
        try:
            outcome = process(self._lab, message)
        except Exception as bug:  # noqa: BLE001 - loop edge: recorded and shown, the line goes on
            if _is_down(bug):
                self._say_down(bug)
                return False
            log.error("message %s could not be processed: %s", message.id, _place(bug))
            if not self._keep_failure(message, bug):
                return False
        else:
            self._heard(message, outcome)
        self._say_up()
        self._journal.mark_done(message.id)
        return True

    def _heard(self, message: Message, outcome: Outcome) -> None:
        if outcome.state == "failed":
            self.ears.failed(message, self._lab.now())
        elif outcome.state == "processed" and outcome.decoded is not None:
            self.ears.read(message, outcome.decoded, outcome.filed, self._lab.now())

    def _keep_failure(self, message: Message, bug: Exception) -> bool:
        try:
            with self._lab.write() as conn:
                record_failure(conn, message, f"{type(bug).__name__}: {bug}", self._lab.now())
            self.ears.failed(message, self._lab.now())
        except SQLAlchemyError as broken:
            self._say_down(broken)
            return False
        return True

    def _say_down(self, broken: Exception) -> None:
        if not self._down:
            log.error("lab database or journal cannot be used (%s); messages wait", type(broken).__name__)
        self._down = True

    def _say_up(self) -> None:
        if self._down:
            log.info("lab database is back; waiting messages are being processed")
        self._down = False


def _is_down(broken: Exception) -> bool:
    """True when the database is in trouble; False when it refused this one message, which must not block the others."""
    of_the_message = isinstance(broken, DataError | IntegrityError) or (
        isinstance(broken, StatementError) and not isinstance(broken, DBAPIError)
    )
    return isinstance(broken, SQLAlchemyError) and not of_the_message


def _place(bug: Exception) -> str:
    """Kind and place of a mistake, for the log: its text may hold a patient's data and stands with the message only."""
    frames = traceback.extract_tb(bug.__traceback__)
    return " < ".join([type(bug).__name__, *(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(frames[-4:]))])
