"""Carries a simulator's bytes: a socket it dials, a socket it listens on, a serial port, a pty it makes.

Turns an address into two calls, read and write. Law: a line that breaks raises ConnectionError, never anything else;
a read that waits sees the stop signal within a tenth of a second; nothing here knows what the bytes mean.
Source: LIS01-A2 8.2.1.1 (who connects), the wiring of each analyzer.
"""

from __future__ import annotations

import errno
import socket
import time
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import Protocol
from urllib.parse import SplitResult, urlsplit

import serial

from simulators.line_posts import Folder, Post
from simulators.pty_pair import PtyPair

NONE, BAD = -1, -2  # no port
SLICE = 0.1  # seconds a read waits before it looks at the stop signal


class Line(Protocol):
    """An open line."""

    def read(self, seconds: float) -> bytes:
        """What came within `seconds`, or b""."""
        ...

    def write(self, data: bytes) -> None:
        """Write all of it."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class Opener(Protocol):
    """Something that gives an open line, again and again. `open` raises ConnectionError when there is none yet."""

    def open(self) -> Line:
        """An open line."""
        ...

    def close(self) -> None:
        """Give up for good."""
        ...


class SocketLine:
    """A TCP connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def read(self, seconds: float) -> bytes:
        """What came within `seconds`, or b"". ConnectionError when the other side closed."""
        self._socket.settimeout(seconds)
        try:
            data = self._socket.recv(4096)
        except (TimeoutError, BlockingIOError):  # the latter when asked not to wait at all
            return b""
        except OSError as error:
            raise ConnectionError(str(error)) from error
        if not data:
            raise ConnectionError("the other side closed the connection")
        return data

    def write(self, data: bytes) -> None:
        """Write all of it."""
        self._socket.settimeout(15)
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise ConnectionError(str(error)) from error

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


class Dial:
    """The analyzer connects to the lab."""

    def __init__(self, host: str, port: int) -> None:
        self._where = (host, port)

    def open(self) -> SocketLine:
        """Connect once."""
        try:
            return SocketLine(socket.create_connection(self._where, timeout=5))
        except OSError as error:
            raise ConnectionError(str(error)) from error

    def close(self) -> None:
        """Nothing is kept open here."""


class Listen:
    """The lab connects to the analyzer. `port` is the real one when 0 was asked. ValueError when it is taken."""

    def __init__(self, host: str, port: int) -> None:
        try:
            self._server = socket.create_server((host, port), backlog=1)
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            why = "another program listens there: end it, or name another port" if taken else error.strerror
            raise ValueError(f"tcp://{host}:{port} cannot be listened on: {why}") from error
        self.port: int = self._server.getsockname()[1]

    def open(self) -> SocketLine:
        """The next connection, if one comes within a moment."""
        self._server.settimeout(SLICE)
        try:
            connection, _ = self._server.accept()
        except OSError as error:
            raise ConnectionError("nobody has connected yet") from error
        return SocketLine(connection)

    def close(self) -> None:
        """Stop listening."""
        self._server.close()


class PtyEnd:
    """A serial cable of our own making: the pair lives as long as this, whoever opens and closes the other end."""

    def __init__(self, path: Path) -> None:
        self._pair = PtyPair(path)

    def open(self) -> Line:
        """Our end, once the lab has opened its own."""
        if not self._pair.connected:
            raise ConnectionError("nobody has opened the line yet")
        return _Borrowed(self._pair)

    def close(self) -> None:
        """End the pair."""
        self._pair.close()


class _Borrowed:
    """The pair, of which closing a line must not take the cable away."""

    def __init__(self, pair: PtyPair) -> None:
        self.read = pair.read
        self.write = pair.write

    def close(self) -> None:
        """The cable stays."""


class SerialPort:
    """A real serial port at 9600 8N1."""

    def __init__(self, path: str, baud: int = 9600) -> None:
        self._path, self._baud = path, baud

    def open(self) -> Line:
        """Open the port."""
        try:
            return SerialLine(serial.Serial(self._path, self._baud, timeout=SLICE, write_timeout=30))
        except (serial.SerialException, OSError) as error:
            raise ConnectionError(self._words(error)) from error

    def _words(self, error: OSError) -> str:
        if error.errno == errno.ENOENT:
            return f"there is no {self._path}: is the cable plugged in?"
        if error.errno == errno.EACCES:
            return f"{self._path} may not be opened by this user: put them into the group that owns it (dialout)"
        return str(error)

    def close(self) -> None:
        """Nothing is kept open here."""


class SerialLine:
    """An open serial port."""

    def __init__(self, port: serial.Serial) -> None:
        self._port = port

    def read(self, seconds: float) -> bytes:
        """What came within `seconds`, or b""."""
        try:
            self._port.timeout = seconds
            first = self._port.read(1)
            return bytes(first + self._port.read(self._port.in_waiting)) if first else b""
        except (serial.SerialException, OSError) as error:
            raise ConnectionError(str(error)) from error

    def write(self, data: bytes) -> None:
        """Write all of it."""
        try:
            self._port.write(data)
        except (serial.SerialException, OSError) as error:
            raise ConnectionError(str(error)) from error

    def close(self) -> None:
        """Close the port."""
        self._port.close()


class Paced:
    """Another opener's lines, written in chunks with a pause after each, as a slow serial line delivers them."""

    def __init__(self, opener: Opener, chunk: int, seconds: float) -> None:
        self._opener, self._chunk, self._seconds = opener, chunk, seconds

    def open(self) -> Line:
        """An open line, slowed."""
        return _Slow(self._opener.open(), self._chunk, self._seconds)

    def close(self) -> None:
        """Close the opener behind it."""
        self._opener.close()


class _Slow:
    def __init__(self, line: Line, chunk: int, seconds: float) -> None:
        self._line, self._chunk, self._seconds = line, chunk, seconds
        self.read, self.close = line.read, line.close

    def write(self, data: bytes) -> None:
        """Chunk by chunk."""
        for at in range(0, len(data), self._chunk):
            self._line.write(data[at : at + self._chunk])
            time.sleep(self._seconds)


def opener(to: str | None, listen: str | None) -> Opener:
    """From `--to tcp://HOST:PORT | serial:PATH | pty:PATH | http://HOST:PORT/path | folder:PATH` or `--listen
    tcp://HOST:PORT`.

    Raises ValueError that says what is wrong with the address.
    """
    parts = checked(to, listen)
    host, port = parts.hostname or "", _port(parts)
    if parts.scheme == "tcp":
        return (Dial if to else Listen)(host, port)
    if parts.scheme == "pty":
        return PtyEnd(Path(parts.path))
    if parts.scheme == "serial":
        return SerialPort(parts.path)
    return Post(parts) if parts.scheme == "http" else Folder(Path(parts.path))


def checked(to: str | None, listen: str | None) -> SplitResult:
    """The parts of an address that may be opened; nothing is. ValueError says what is wrong with it."""
    if (to is None) == (listen is None):
        raise ValueError("say either --to (the simulator connects) or --listen (the lab connects)")
    address = to if to is not None else str(listen)
    parts = urlsplit(address)
    port = _port(parts)
    if parts.scheme == "tcp" and parts.hostname and port >= 0:
        return parts
    if to and parts.scheme in ("pty", "serial", "folder") and parts.path:
        return parts
    if to and parts.scheme == "http" and parts.hostname and port != BAD:
        return parts
    raise ValueError(
        f"{address!r} is not an address; write tcp://HOST:PORT, serial:PATH, pty:PATH (makes a pair), "
        "http://HOST:PORT/path or folder:PATH"
    )


def _port(parts: SplitResult) -> int:
    """The port; NONE without one, BAD for one over 65535 or no number."""
    try:
        return NONE if parts.port is None else parts.port
    except ValueError:
        return BAD


class Waiting:
    """Reads a line in slices, so that a stop signal is seen. Raises `Stopped` when it came."""

    def __init__(self, line: Line, stop: Event) -> None:
        self.line, self._stop = line, stop

    def read(self, seconds: float) -> bytes:
        """What came within `seconds`, or b""."""
        end = time.monotonic() + seconds
        while not self._stop.is_set():
            left = end - time.monotonic()
            data = self.line.read(max(0.0, min(SLICE, left)))
            if data or left <= 0:
                return data
        raise Stopped

    def __enter__(self) -> Waiting:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.line.close()


class Stopped(Exception):
    """The simulator was asked to end."""
