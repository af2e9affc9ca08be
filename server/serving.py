"""Serves one web application until it is told to stop; then it ends by itself, with an exit code.

Turns a uvicorn configuration into a running server. Law: SIGTERM, SIGINT and SIGHUP end it in order (open requests,
then the application's own end) and with 0; what the caller has to close after it is closed. The port comes first: a
second process on it has begun nothing when it is told so.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn

from middleware import ending

log = logging.getLogger("labmitra.serving")
NOT_STARTED = 3


class _Server(uvicorn.Server):
    """uvicorn raises a caught signal once more after its end, and the process would die of it before closing up."""

    def __init__(self, config: uvicorn.Config, told: Callable[[], None]) -> None:
        super().__init__(config)
        self._told = told

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._told()
        super().handle_exit(sig, frame)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self.handle_exit) for number in ending.signals()}
        try:
            yield
        finally:
            if not self.should_exit:  # else the process is ending, and told again it goes on with that
                for number, handler in before.items():
                    signal.signal(number, handler)


def serve(config: uvicorn.Config, told: Callable[[], None] = lambda: None) -> int:
    """Serve until it is told to end; the exit code: 0, or NOT_STARTED when the port cannot be had.

    `told` is called from the signal, before open requests are waited for: what never ends by itself can end then.
    """
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    try:
        port = socket.create_server((config.host, config.port), family=family, backlog=config.backlog)
    except OSError as taken:
        log.error(
            "port %d of %s cannot be had: %s. Does this service run already? Else end the other program, or set "
            "another port in lab.toml.", config.port, config.host, _reason(taken),
        )  # fmt: skip
        return NOT_STARTED
    with port:
        _Server(config, told).run([port])
    return 0


def _reason(taken: OSError) -> str:
    """In the system's words, without the address: that is told."""
    known = taken.errno is not None and not isinstance(taken, socket.gaierror)  # its numbers are not those of errno
    return (os.strerror(taken.errno) if known and taken.errno else str(taken.strerror)).lower()
