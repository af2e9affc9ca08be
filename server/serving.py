"""Serves one web application until it is told to stop; then it ends by itself, with an exit code.

Turns a uvicorn configuration into a running server. Law: SIGTERM and SIGINT end it in order (open requests, then the
application's own end) and with 0; what the caller has to close after it is closed.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn

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
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def serve(config: uvicorn.Config, told: Callable[[], None] = lambda: None) -> int:
    """Serve until SIGTERM or SIGINT; the exit code: 0, or NOT_STARTED when the port cannot be had.

    `told` is called from the signal, before open requests are waited for: what never ends by itself can end then.
    """
    server = _Server(config, told)
    server.run()
    return 0 if server.started else NOT_STARTED
