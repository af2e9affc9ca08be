"""Wires to analyzers: TCP both ways and serial, all with the same two calls, `read` and `write`.

Turns a line's URL into wires: `line(url).run(handle, tell)` calls `handle(wire)` for each connection, and connects
again by itself for ever. Law: knows bytes only; nothing here is lost or made up. Reading stops while what was read is
not yet taken, so a fast or mad sender cannot fill the memory.
Source: LIS01-A2 5.2 (characters on a serial line), 8.2 (on TCP the computer is the server; some analyzers listen).
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from math import inf
from typing import Protocol
from urllib.parse import urlsplit

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds between attempts to connect
CONNECT_TIMEOUT = 10.0
FULL = 65_536  # bytes read and not taken: stop reading
PIECE = 4096  # bytes handled in one turn of the loop: who sends without waiting must not make the others wait
STUCK = 1_048_576  # bytes written and not sent: the other end is gone
UNANSWERED = 120.0  # seconds until a peer that confirms nothing we sent counts as gone
MOST = 400  # connections of one line; analyzers that forget to hang up must not use up this computer's

Handle = Callable[["Wire"], Awaitable[None]]
Heard = Callable[["bytes | None"], None]
Tell = Callable[[str, str], None]
"""Told ("listening", address), ("down", why) when a line cannot be reached; each wire speaks for itself."""


class Line(Protocol):
    """One configured line."""

    async def run(self, handle: Handle, tell: Tell) -> None:
        """Until cancelled."""


class Wire(asyncio.Protocol):
    """One connection: `write(data)`, `close()`, and what comes either by `await read(seconds)` or, quicker, by
    `flow(heard)` until `hold()`. Also the asyncio protocol of TCP connections."""

    def __init__(self, peer: str = "") -> None:
        self.peer = peer
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._data: list[bytes] = []
        self._size = 0
        self._paused = False
        self._turning = False  # the next piece is given soon
        self._ended = False
        self._heard: Heard | None = None
        self._reader: asyncio.Future[None] | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._watched = inf  # when the timer rings
        self._deadline = inf

    async def read(self, seconds: float | None = None) -> bytes | None:
        """What has come, as soon as anything has; b"" when the other end closed; None after `seconds` of silence."""
        if not self._data and not self._ended:
            self._reader = reader = self._loop.create_future()
            self.expect(seconds)
            try:
                await reader
            finally:
                self._reader = None
        return self._taken() if self._data or self._ended else None

    def flow(self, heard: Heard, seconds: float | None = None) -> None:
        """From now on what comes is given to `heard` at once, as `read` would return it: at the end b"", None after
        `seconds` of silence. What had come before is given now."""
        self._heard = heard
        self.expect(seconds)
        if self._data or self._ended:
            self._catch_up()

    @property
    def spoken(self) -> bool:
        """Has anything come that was not taken yet?"""
        return bool(self._data)

    def hold(self) -> None:
        """Give no more to `heard`: what comes is kept, up to a bound."""
        self._heard = None
        self._deadline = inf

    def expect(self, seconds: float | None) -> None:
        """How long the silence may last from now on. One timer serves many: it is moved only when it would come too
        late."""
        if seconds is None:
            self._deadline = inf
            return
        self._deadline = deadline = self._loop.time() + seconds
        if self._watched > deadline:
            self._watch_until(deadline)

    def write(self, data: bytes) -> None:
        """Send. A connection that is gone says so by the next `read`."""
        transport = self._transport
        if transport is not None and not transport.is_closing():
            transport.write(data)
            if transport.get_write_buffer_size() > STUCK:
                transport.abort()

    def close(self) -> None:
        """Hang up."""
        self._end()
        if self._transport is not None:
            self._transport.close()

    # ---- the asyncio side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: connected."""
        self._transport = transport  # type: ignore[assignment]
        self.peer = _address(transport.get_extra_info("peername"))
        _keep_alive(transport.get_extra_info("socket"))

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes."""
        if self._heard is not None and not self._data and len(data) <= PIECE:
            self._heard(data)
            return
        self._data.append(data)
        self._size += len(data)
        if self._size > (FULL if self._heard is None else PIECE) and not self._paused:
            self._pause(True)
        if self._heard is not None:
            self._go_on_soon()
        self._wake()

    def connection_lost(self, _exc: Exception | None) -> None:
        """asyncio: the other end is gone."""
        self._end()

    # ---- inside

    def _go_on_soon(self) -> None:
        if not self._turning:
            self._turning = True
            self._loop.call_soon(self._next_turn)

    def _next_turn(self) -> None:
        self._turning = False
        self._catch_up()

    def _catch_up(self) -> None:
        """Give a piece of what had come, and the rest in the next turns of the loop."""
        if self._heard is not None and self._data:
            self._heard(self._piece())
        if self._heard is not None:  # it may have said `hold`
            if self._data:
                self._go_on_soon()
            elif self._ended:
                self._heard(b"")

    def _piece(self) -> bytes:
        data = self._data[0] if len(self._data) == 1 else b"".join(self._data)
        piece, rest = data[:PIECE], data[PIECE:]
        self._data, self._size = [rest] if rest else [], len(rest)
        if self._paused and not rest:
            self._pause(False)
        return piece

    def _taken(self) -> bytes:
        data = self._data[0] if len(self._data) == 1 else b"".join(self._data)
        self._data.clear()
        self._size = 0
        if self._paused:
            self._pause(False)
        return data

    def _pause(self, paused: bool) -> None:
        self._paused = paused
        if self._transport is not None and not self._transport.is_closing():
            if paused:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def _end(self) -> None:
        if self._ended:
            return
        self._ended = True
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if self._heard is not None and not self._data:
            self._heard(b"")
        self._wake()

    def _watch_until(self, deadline: float) -> None:
        if self._watch is not None:
            self._watch.cancel()
        if not self._ended:
            self._watch, self._watched = self._loop.call_at(deadline, self._look), deadline

    def _look(self) -> None:
        self._watch, self._watched = None, inf
        if self._deadline == inf:
            return
        if self._loop.time() < self._deadline:
            self._watch_until(self._deadline)
        elif self._heard is not None:
            self._heard(None)
        else:
            self._wake()


class TcpListen:
    """The analyzer connects to us; each connection is a wire of its own. Port 0 takes any free one: see `address`."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self.address = ""

    async def run(self, handle: Handle, tell: Tell) -> None:
        """Accept until cancelled. OSError when the port cannot be had: the supervisor tries again."""
        loop = asyncio.get_running_loop()
        tasks: dict[asyncio.Task[None], None] = {}  # in the order they came

        def accepted() -> Wire:
            return _Accepted(handle, tasks)

        server = await loop.create_server(accepted, self._host or None, self._port, backlog=512, reuse_address=True)
        self.address = _address(server.sockets[0].getsockname())
        tell("listening", self.address)
        try:
            await loop.create_future()
        finally:
            server.close()
            await _cancelled(tasks)


class _Accepted(Wire):
    """A wire that starts its own task when it is connected."""

    def __init__(self, handle: Handle, tasks: dict[asyncio.Task[None], None]) -> None:
        super().__init__()
        self._handle, self._tasks = handle, tasks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if len(self._tasks) >= MOST:
            next(iter(self._tasks)).cancel()  # the oldest
        task = self._loop.create_task(_handled(self._handle, self))
        self._tasks[task] = None
        task.add_done_callback(lambda ended: self._tasks.pop(ended, None))


class Dial:
    """We connect, and again after each end, with growing pauses while nobody answers."""

    def __init__(self, connect: Callable[[], Awaitable[Wire]], name: str) -> None:
        self._connect, self._name = connect, name

    async def run(self, handle: Handle, tell: Tell) -> None:
        """Until cancelled."""
        pauses = Backoff()
        while True:
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT):  # wait_for of Python 3.11 can swallow a cancellation
                    wire = await self._connect()
            except (OSError, TimeoutError) as wrong:
                tell("down", f"{self._name} cannot be reached: {_reason(wrong)}")
            else:
                pauses.reset()
                await _handled(handle, wire)
            await asyncio.sleep(pauses.next())


class Backoff:
    """Pauses in seconds: doubled each time up to the longest, each shortened by chance, so that lines do not march."""

    def __init__(self, first: float = FIRST_PAUSE, longest: float = LONGEST_PAUSE) -> None:
        self._first, self._longest = first, longest
        self._pause = first

    def next(self) -> float:
        """The next pause."""
        pause, self._pause = self._pause, min(self._pause * 2, self._longest)
        return pause * random.uniform(0.5, 1.0)

    def reset(self) -> None:
        """It went well."""
        self._pause = self._first


def line(url: str) -> Line:
    """The line a URL of config/analyzers.toml names. ValueError when it names none."""
    parts = urlsplit(url)
    if parts.scheme in ("tcp-listen", "http-listen"):
        return TcpListen(parts.hostname or "", parts.port or 0)
    if parts.scheme == "tcp" and parts.hostname and parts.port:
        return Dial(_tcp(parts.hostname, parts.port), parts.netloc)
    if parts.scheme in ("serial", "rfc2217", "socket"):
        from middleware.serial_wire import opener  # pyserial is loaded only where a line is serial

        return Dial(opener(url), url.partition("?")[0])
    raise ValueError(f"{url!r} is no line: tcp-listen://HOST:PORT, tcp://HOST:PORT, serial:PATH?baud=9600, rfc2217://…")


def _tcp(host: str, port: int) -> Callable[[], Awaitable[Wire]]:
    async def connect() -> Wire:
        _, wire = await asyncio.get_running_loop().create_connection(Wire, host, port)
        return wire

    return connect


async def _handled(handle: Handle, wire: Wire) -> None:
    try:
        await handle(wire)
    finally:
        wire.close()


async def _cancelled(tasks: dict[asyncio.Task[None], None]) -> None:
    waiting = list(tasks)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


def _reason(wrong: BaseException) -> str:
    if isinstance(wrong, TimeoutError):
        return "no answer"
    if isinstance(wrong, socket.gaierror):  # its numbers are not those of errno
        return f"the name is unknown ({wrong.strerror})"
    if isinstance(wrong, OSError) and wrong.errno:
        return os.strerror(wrong.errno)
    return str(wrong) or type(wrong).__name__


def _address(name: object) -> str:
    if isinstance(name, tuple) and len(name) >= 2:
        return f"[{name[0]}]:{name[1]}" if ":" in str(name[0]) else f"{name[0]}:{name[1]}"
    return str(name or "")


def _keep_alive(sock: socket.socket | None) -> None:
    """A cable pulled is noticed within two minutes, on an idle line as on one where our last reply hangs."""
    if sock is None:
        return
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        waits = ("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)
        for option, value in (*waits, ("TCP_USER_TIMEOUT", int(UNANSWERED * 1000))):
            if hasattr(socket, option):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
