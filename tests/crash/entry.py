"""The real `labmitra middleware` as a process that the crash harness may end at any instruction.

`python -m tests.crash.entry CONFIG LOG` reads orders from its standard input, one JSON object a line, and for each runs
`labmitra middleware --config CONFIG` in a child: forked from here, where everything is imported already, or (`"fresh"`)
an interpreter of its own. It answers with the child's process id, and with how it ended. Law: a fault point exists in
the child of an order that asks for it and nowhere else: no setting, no variable of the environment, nothing in
middleware/ knows of it. Nobody survives its starter: PR_SET_PDEATHSIG, prctl(2).
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import signal
import sqlite3
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import labmitra

_CONNECT = sqlite3.connect
_PR_SET_PDEATHSIG = 1
_COMMIT = "COMMIT"


# ---- fault points -----------------------------------------------------------------------------------------------


class Fault:
    """kill -9 of ourselves right before or right after the `nth` commit of a transaction that wrote `writes`."""

    def __init__(self, file: str, when: str, writes: str, nth: int) -> None:
        """`file` is how the database's path ends; `when` is "before" or "after"; `writes` a piece of its SQL."""
        self.file, self.when, self.writes, self.left = file, when, writes, nth
        self._lock = threading.Lock()

    def passes(self, when: str) -> None:
        """A commit of the wanted kind is at hand, or done."""
        if when == self.when:
            with self._lock:
                self.left -= 1
                if self.left == 0:
                    os.killpg(0, signal.SIGKILL)
                    signal.pause()  # the signal is on its way: not one instruction more

    def install(self) -> None:
        """Every connection to that database is watched from now on."""
        fault = self

        def connect(database: Any, *args: Any, **options: Any) -> Any:
            if not str(database).partition("?")[0].endswith(fault.file) or "mode=ro" in str(database):
                return _CONNECT(database, *args, **options)
            return _CONNECT(database, *args, **{**options, "factory": _watched(fault)})

        sqlite3.connect = connect  # type: ignore[assignment]


def _watched(fault: Fault) -> type[sqlite3.Connection]:
    """A connection that looks at its own statements."""

    class Watched(sqlite3.Connection):
        wanted = False

        def told(self, sql: str) -> None:
            if sql.startswith("BEGIN"):
                self.wanted = False
            self.wanted = self.wanted or fault.writes in sql

        def around(self, commit: Callable[[], Any]) -> Any:
            if not self.wanted:
                return commit()
            fault.passes("before")
            done = commit()
            fault.passes("after")
            self.wanted = False
            return done

        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            self.told(sql)
            run = super().execute
            found: sqlite3.Cursor = self.around(lambda: run(sql, *values)) if sql == _COMMIT else run(sql, *values)
            return found

        def executemany(self, sql: str, *values: Any) -> sqlite3.Cursor:
            self.told(sql)
            return super().executemany(sql, *values)

        def commit(self) -> None:
            self.around(super().commit)

        def cursor(self, *_factory: Any) -> Any:
            return super().cursor(Telling)

    class Telling(sqlite3.Cursor):
        def execute(self, sql: str, *values: Any) -> Any:
            self.connection.told(sql)  # type: ignore[attr-defined]
            return super().execute(sql, *values)

        def executemany(self, sql: str, *values: Any) -> Any:
            self.connection.told(sql)  # type: ignore[attr-defined]
            return super().executemany(sql, *values)

    return Watched


def commit_late() -> None:
    """A mutant whose journal says "committed" each time and commits each eighth time, so that what it acknowledged last
    before a kill is gone: for the proof that the harness would see it."""

    class Late(sqlite3.Connection):
        begun = 0

        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            if sql == _COMMIT:
                return super().execute("SELECT 1")
            if sql.startswith("BEGIN"):
                self.begun += 1
                if self.in_transaction and self.begun % 8:
                    return super().execute("SELECT 1")
                if self.in_transaction:
                    super().execute(_COMMIT)
            return super().execute(sql, *values)

    def connect(database: Any, *args: Any, **options: Any) -> Any:
        writes = "journal" in str(database) and "mode=ro" not in str(database)
        return _CONNECT(database, *args, **{**options, **({"factory": Late} if writes else {})})

    sqlite3.connect = connect  # type: ignore[assignment]


MUTANTS: dict[str, Callable[[], None]] = {"commit_late": commit_late}


# ---- the process ------------------------------------------------------------------------------------------------


def run_middleware(config: str, order: dict[str, Any]) -> None:
    """What a person starts, with the order's fault point. Does not return."""
    if order.get("mutant"):
        MUTANTS[order["mutant"]]()
    if order.get("fault"):
        Fault(**order["fault"]).install()
    sys.argv = ["labmitra", "middleware", "--config", config]
    labmitra.main()


def die_with_starter() -> None:
    """When whoever started us is gone, so are we: an interrupted harness leaves no middleware on the ports."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _child(config: str, log: str, line: str) -> None:
    """In the fork: a process group of its own, its output into the log."""
    die_with_starter()
    os.setpgid(0, 0)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    for number, to in enumerate((null, out, out)):
        os.dup2(to, number)
    order = json.loads(line)
    if order.get("fresh"):
        here = str(Path(__file__).parents[2])
        os.chdir(here)
        os.execv(sys.executable, [sys.executable, "-m", "tests.crash.entry", config, log, line])
    run_middleware(config, order)


def _starter(config: str, log: str) -> None:
    """Child after child, as the orders come; one at a time."""
    import middleware.serial_wire
    import middleware.service  # noqa: F401 - imported once here, not in each child

    gc.freeze()
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            code = 70
            try:
                _child(config, log, line)
            except SystemExit as ended:
                code = ended.code if isinstance(ended.code, int) else 1
            finally:
                sys.stdout.flush()
                os._exit(code)
        with suppress(OSError):  # it was quicker; who is told its id may kill its group at once
            os.setpgid(pid, pid)
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def main(config: str, log: str, order: str = "") -> None:
    """Start children as told, or (with an order) be one."""
    die_with_starter()
    if order:
        run_middleware(config, json.loads(order))
    _starter(config, log)


if __name__ == "__main__":
    main(*sys.argv[1:])
