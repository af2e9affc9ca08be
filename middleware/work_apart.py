"""The pipeline's worker in a process of its own, so that no analyzer waits while a message is thought about.

Turns a Journal and Settings into a Worker that runs beside the lines: the same code, another interpreter, less of the
processor than the lines get. Law: the journal is still written by the middleware alone: what is done is told to it over
a pair of sockets, and marked there; a worker that ends before its time is replaced by one among the lines, slower and
as right; when the middleware is gone the worker finishes what it has in hand and ends.
"""

from __future__ import annotations

import gc
import logging
import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from typing import Any

from drivers.driver import Message
from middleware import ending
from middleware.ears import Ear, Ears
from middleware.journal import Journal, JournalError, JournalReader
from middleware.lab import Lab, open_lab
from middleware.settings import Settings
from middleware.work import Worker

log = logging.getLogger("labmitra.pipeline")
NICE = 19  # of the worker: the lines come first; beside a busy program it still does some messages a second
OBJECTS = 100_000  # new ones after which garbage is looked for: some batches' worth, none of which is in a circle
ENDS = 20.0  # seconds that the worker has to finish what it has in hand
GONE = (EOFError, OSError, pickle.UnpicklingError)


class WorkApart:
    """The middleware's end: as a Worker, `wake()` is called for each new message."""

    def __init__(self, settings: Settings) -> None:
        """Starts the process, which waits for `start`. To be made before any thread is: it is a fork, which is quick,
        shares its memory and has all that this process has."""
        self.ears = Ears(settings.lab.timezone)
        self._settings = settings
        self._lock = threading.Lock()
        self._idle, self._asked, self._stopping = False, False, False
        self._among: Worker | None = None  # the worker among the lines, once the other is gone
        self._thread: threading.Thread | None = None
        self._conn, other = Pipe()
        mine = signal.pthread_sigmask(signal.SIG_BLOCK, ending.signals())  # the child must not end as its parent would
        self.pid = os.fork()
        if self.pid == 0:
            self._conn.close()
            _be_the_worker(other, settings, mine)
        signal.pthread_sigmask(signal.SIG_SETMASK, mine)
        other.close()

    def start(self, lab: Lab, journal: Journal) -> None:
        """Begin with what a crash left unprocessed. `journal` is this process's writer, `lab` what a worker among the
        lines would write to."""
        self._thread = threading.Thread(target=self._run, args=(lab, journal), name="pipeline", daemon=True)
        self._thread.start()

    def wake(self, _message: Message | None = None) -> None:
        """There is something to do."""
        if self._among is not None:
            self._among.wake()
            return
        with self._lock:
            self._asked = True
            if self._idle:
                self._tell_wake()

    def stop(self) -> None:
        """Finish the message in hand and end."""
        if self._stopping:
            return
        self._stopping = True
        with self._lock:
            self._say("stop")
        if self._thread is not None:
            self._thread.join(ENDS)
        if self._among is not None:
            self._among.stop()
        self._bury()
        self._conn.close()

    # ---- the thread that listens to the worker

    def _run(self, lab: Lab, journal: Journal) -> None:
        self._say("start")
        try:
            while True:
                word, *said = self._conn.recv()
                if word == "done":
                    self._done(journal, *said)
                elif word == "idle":
                    self._rests()
        except GONE:
            if not self._stopping:
                self._take_over(lab, journal)

    def _done(self, journal: Journal, undone: bool, ids: tuple[str, ...], ears: Mapping[str, Ear]) -> None:
        wrong = ""
        try:
            (journal.mark_undone if undone else journal.mark_done)(*ids)
        except JournalError as broken:
            wrong = str(broken)
        self.ears.put(ears)
        with self._lock:
            self._say("marked", wrong)

    def _rests(self) -> None:
        """The worker has found nothing more to do; what came meanwhile it may not have seen."""
        with self._lock:
            self._idle = True
            if self._asked:
                self._tell_wake()

    def _tell_wake(self) -> None:
        self._idle, self._asked = False, False
        self._say("wake")

    def _say(self, *words: object) -> None:
        with suppress(*GONE):  # the listening thread finds out
            self._conn.send(words)

    def _bury(self) -> None:
        """It has ended, unless it hangs or speaks nonsense: nothing of it goes on. Its number is nobody's then."""
        if not self.pid:
            return
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)
        self.pid = 0

    def _take_over(self, lab: Lab, journal: Journal) -> None:
        self._bury()
        log.error("the pipeline's own process has ended; messages are processed beside the lines until a restart")
        worker = Worker(lab, journal)
        worker.ears = self.ears
        self._among = worker
        worker.start()


# ---- the worker's end ---------------------------------------------------------------------------------------------


class FarJournal:
    """The journal as the worker has it: it reads the file, and has what is done marked by its only writer."""

    def __init__(self, conn: Connection, settings: Settings, changed: Callable[[], Mapping[str, Ear]]) -> None:
        """`changed`: what was heard since it was last asked."""
        self._conn, self._changed = conn, changed
        self._reader = JournalReader(settings.journal)
        self._told = threading.Condition()
        self._open = 0  # marks that are not confirmed
        self._wrong = ""

    def unprocessed(self, limit: int = 500) -> list[Message]:
        """As Journal's, once all that was marked is marked. JournalError when it is not."""
        self._settle()
        return self._reader.unprocessed(limit)

    def done_before(self, number: int | None, limit: int) -> list[tuple[int, str]]:
        """As Journal's."""
        return self._reader.done_before(number, limit)

    def mark_done(self, *message_ids: str) -> None:
        """As Journal's, but without waiting: `unprocessed` does."""
        self._mark(False, message_ids)

    def mark_undone(self, *message_ids: str) -> None:
        """As Journal's."""
        self._mark(True, message_ids)
        self._settle()

    def marked(self, wrong: str) -> None:
        """The middleware's word about the oldest open mark; "" when it is on disk."""
        with self._told:
            self._open -= 1
            self._wrong = wrong or self._wrong
            self._told.notify_all()

    def close(self) -> None:
        """The middleware is gone: nobody waits any longer."""
        with self._told:
            self._open, self._wrong = 0, "the middleware has ended"
            self._told.notify_all()

    def _mark(self, undone: bool, ids: tuple[str, ...]) -> None:
        with self._told:
            self._open += 1
        try:
            self._conn.send(("done", undone, ids, self._changed()))
        except OSError as gone:
            raise JournalError(str(gone)) from gone

    def _settle(self) -> None:
        with self._told:
            self._told.wait_for(lambda: self._open <= 0)
            wrong, self._wrong = self._wrong, ""
        if wrong:
            raise JournalError(wrong)


def _be_the_worker(conn: Connection, settings: Settings, mask: Iterable[int]) -> None:
    """The whole life of the forked process; does not return. It ends when the middleware says so or is gone: a signal
    meant for the middleware (Ctrl-C, systemd's stop, a closed terminal) must not cut it short. `mask`: the signals
    that were blocked before the fork."""
    code = 1
    try:
        for number in ending.signals():
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        with suppress(OSError):
            os.nice(NICE)
        with suppress(*GONE):
            if conn.recv() == ("start",):
                _work(conn, settings)
        code = 0
    finally:
        logging.shutdown()
        os._exit(code)


def _work(conn: Connection, settings: Settings) -> None:
    lab = open_lab(settings)
    gc.freeze()
    gc.set_threshold(OBJECTS)
    heard: dict[str, Ear] = {}

    def changed() -> Mapping[str, Ear]:
        now = worker.ears.all()
        fresh = {name: ear for name, ear in now.items() if heard.get(name) is not ear}
        heard.update(fresh)
        return fresh

    def rests() -> None:
        with suppress(OSError):
            conn.send(("idle",))

    journal = FarJournal(conn, settings, changed)
    worker = Worker(lab, journal, rests)
    over = threading.Event()
    threading.Thread(target=_listen, args=(conn, worker, journal, over), name="listen", daemon=True).start()
    worker.start()
    over.wait()
    worker.stop()
    lab.engine.dispose()


def _listen(conn: Connection, worker: Worker, journal: FarJournal, over: threading.Event) -> None:
    """Until the middleware is gone: after "stop" too, for the last marks are still to be confirmed."""
    try:
        while True:
            said: tuple[Any, ...] = conn.recv()
            if said[0] == "stop":
                over.set()
            elif said[0] == "wake":
                worker.wake()
            else:
                journal.marked(said[1])
    except GONE:
        journal.close()
        over.set()
