"""How a process learns that it is to end, and ends in order: signals, and the end of whoever started it.

Turns SIGTERM, SIGINT (Ctrl-C) and SIGHUP (the terminal is closed) into one ordered end, from the first moment of a
start to the last of an end. Law: no traceback; told once is enough, told again changes nothing; SIGHUP means nothing
where our starter had it ignored (nohup). A child of `labmitra run` or `demo` ends when its starter is gone.
Source: prctl(2), PR_SET_PDEATHSIG; POSIX on SIGHUP and nohup.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from types import FrameType

STARTER = "LABMITRA_STARTER"  # in a child's environment: the process that it ends with
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_PR_SET_PDEATHSIG = 1


def signals() -> tuple[signal.Signals, ...]:
    """Those that end this process."""
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return tuple(number for number in _SIGNALS if not (ignored and number is signal.SIGHUP))


@contextmanager
def in_order(code: int = 0) -> Iterator[None]:
    """Whoever is told to end in this block leaves it by SystemExit(code), so that what was begun is put away.

    For the start of a service: it sets handlers of its own as soon as it serves.
    """

    def told(_number: int, _frame: FrameType | None) -> None:
        told_enough()
        raise SystemExit(code)

    before = {number: signal.signal(number, told) for number in signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def told_enough() -> None:
    """This process is ending: nothing it is told from now on cuts that short."""
    for number in signals():
        signal.signal(number, lambda *_: None)


def with_starter(environ: MutableMapping[str, str]) -> None:
    """When `environ` names a starter: be told to end (SIGTERM) when that process ends, however it ends."""
    starter = environ.pop(STARTER, "")
    if not starter:
        return
    import ctypes  # a child of ours alone needs it

    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is None:  # not Linux
        return
    prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if str(os.getppid()) != starter:  # it ended before we asked
        raise SystemExit(0)
