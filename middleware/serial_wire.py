"""Serial ports as wires: a POSIX port by its file descriptor, pyserial's network URLs by threads.

Turns `serial:PATH?baud=9600&bits=8&parity=N&stop=1&flow=none`, `rfc2217://…` and `socket://…` into wires.
Law: a port that vanishes ends its wire; the line opens it again when it is back. A port is ours alone while open.
Source: LIS01-A2 5.2.2.4-5, 5.2.3 (8 data bits, no parity, 1 stop; 9600 baud); pyserial's documentation of its URLs.
"""

from __future__ import annotations

import asyncio
import os
import queue
import select
import threading
import weakref
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import serial

from middleware.transports import FULL, STUCK, Wire

OPTIONS = {"baud": "9600", "bits": "8", "parity": "N", "stop": "1", "flow": "none"}
WRITE_TIMEOUT = 10.0  # seconds until a hung network port counts as gone
REST = 0.004  # seconds that bytes may lie in a port: four characters' time at 9600 baud
FLOWS = ("none", "xonxoff", "rtscts", "dsrdtr")


def opener(url: str) -> Callable[[], Awaitable[Wire]]:
    """A function that opens the port this URL names. ValueError when the URL makes no sense."""
    parts = urlsplit(url)
    given = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    settings = _settings({**OPTIONS, **{key: value for key, value in given.items() if key in OPTIONS}})
    if parts.scheme != "serial":
        rest = "&".join(f"{key}={value}" for key, value in given.items() if key not in OPTIONS)
        plain = url.partition("?")[0] + (f"?{rest}" if rest else "")
        return lambda: _open_network(plain, settings)
    unknown = set(given) - set(OPTIONS)
    path = unquote(parts.path or parts.netloc)
    if unknown or not path:
        raise ValueError(f"{url!r}: {', '.join(sorted(unknown)) or 'path'} is not understood")
    return lambda: _open_port(path, settings)


def _settings(options: dict[str, str]) -> dict[str, Any]:
    if options["flow"] not in FLOWS:
        raise ValueError(f"flow={options['flow']} is not one of {', '.join(FLOWS)}")
    if options["parity"].upper() not in serial.Serial.PARITIES:
        raise ValueError(f"parity={options['parity']} is not one of {', '.join(serial.Serial.PARITIES)}")
    chosen = {flow: options["flow"] == flow for flow in FLOWS[1:]}
    return {
        "baudrate": int(options["baud"]), "bytesize": int(options["bits"]), "parity": options["parity"].upper(),
        "stopbits": float(options["stop"]) if options["stop"] == "1.5" else int(options["stop"]), **chosen,
    }  # fmt: skip


async def _open_port(path: str, settings: dict[str, Any]) -> Wire:
    # Opening and setting a port takes no time worth a thread; a path that is no port fails at once.
    return PortWire(serial.Serial(path, timeout=0, exclusive=True, **settings))


async def _open_network(url: str, settings: dict[str, Any]) -> Wire:
    port = await asyncio.to_thread(serial.serial_for_url, url, timeout=0.2, write_timeout=WRITE_TIMEOUT, **settings)
    return NetworkPortWire(port, url)


class _Ports:
    """The ports of one event loop. A slow line brings its bytes in crumbs, and a wake-up for each crumb of many lines
    costs more than the crumbs: after the first one the loop rests, then it reads whatever ports have something."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._calls: dict[int, Callable[[], None]] = {}
        self._resting = False

    def add(self, file: int, readable: Callable[[], None]) -> None:
        """Call `readable` when there is something to read."""
        self._calls[file] = readable
        self._epoll.register(file, select.EPOLLIN)
        if len(self._calls) == 1 and not self._resting:
            self._watch()

    def remove(self, file: int) -> None:
        """No more."""
        if self._calls.pop(file, None) is not None:
            self._epoll.unregister(file)
            if not self._calls and not self._resting:
                asyncio.get_running_loop().remove_reader(self._epoll.fileno())

    def _watch(self) -> None:
        asyncio.get_running_loop().add_reader(self._epoll.fileno(), self._rest)

    def _rest(self) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._epoll.fileno())
        loop.call_later(REST, self._take)
        self._resting = True

    def _take(self) -> None:
        self._resting = False
        for file, _ in self._epoll.poll(0):
            if file in self._calls:
                self._calls[file]()
        if self._calls:
            self._watch()


class _PlainPorts:
    """The same where there is no epoll: each port for itself."""

    def add(self, file: int, readable: Callable[[], None]) -> None:
        """Call `readable` when there is something to read."""
        asyncio.get_running_loop().add_reader(file, readable)

    def remove(self, file: int) -> None:
        """No more."""
        asyncio.get_running_loop().remove_reader(file)


_ports: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Ports | _PlainPorts] = weakref.WeakKeyDictionary()


def _ports_of(loop: asyncio.AbstractEventLoop) -> _Ports | _PlainPorts:
    if loop not in _ports:
        _ports[loop] = _Ports() if hasattr(select, "epoll") else _PlainPorts()
    return _ports[loop]


class PortWire(Wire):
    """A port of this machine; also a pty."""

    def __init__(self, port: serial.Serial) -> None:
        super().__init__(str(port.port))
        self._port = port
        self._file = port.fileno()
        self._unsent = b""
        os.set_blocking(self._file, False)
        self._ports = _ports_of(self._loop)
        self._ports.add(self._file, self._readable)

    def write(self, data: bytes) -> None:
        if self._ended:
            return
        self._unsent += data
        if len(self._unsent) > STUCK:
            self.close()
        elif len(self._unsent) == len(data):
            self._writable()

    def close(self) -> None:
        if self._file >= 0:
            if not self._paused:
                self._ports.remove(self._file)
            self._loop.remove_writer(self._file)
            self._file = -1
            self._port.close()
        self._end()

    def _readable(self) -> None:
        try:
            data = os.read(self._file, FULL)
        except BlockingIOError:
            return
        except OSError:  # the cable's USB end was pulled
            data = b""
        if data:
            self.data_received(data)
        else:
            self.close()

    def _writable(self) -> None:
        try:
            sent = os.write(self._file, self._unsent)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.close()
            return
        self._unsent = self._unsent[sent:]
        if self._unsent:
            self._loop.add_writer(self._file, self._writable)
        else:
            self._loop.remove_writer(self._file)

    def _pause(self, paused: bool) -> None:
        self._paused = paused
        if self._file < 0:
            return
        if paused:
            self._ports.remove(self._file)
        else:
            self._ports.add(self._file, self._readable)


class NetworkPortWire(Wire):
    """A port that pyserial reaches over the network: its calls block, so one thread reads and one writes."""

    def __init__(self, port: Any, url: str) -> None:
        super().__init__(url)
        self._port = port
        self._outgoing: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._unsent = 0
        self._room = threading.Event()
        self._room.set()
        self._writer = threading.Thread(target=self._write_all, daemon=True)
        self._writer.start()
        threading.Thread(target=self._read_all, daemon=True).start()

    def write(self, data: bytes) -> None:
        if self._ended:
            return
        self._unsent += len(data)
        self._outgoing.put(data)
        if self._unsent > STUCK:
            self.close()

    def close(self) -> None:
        if not self._ended:
            self._end()
            self._room.set()
            self._outgoing.put(None)

    def _pause(self, paused: bool) -> None:
        self._paused = paused
        if paused:
            self._room.clear()
        else:
            self._room.set()

    def _read_all(self) -> None:
        try:
            while not self._ended:
                self._room.wait()
                data = self._port.read(max(1, min(self._port.in_waiting, FULL)))
                if data:
                    self._call(self.data_received, data)
        except OSError:  # pyserial's own errors are OSErrors
            self._call(self.close)
        finally:  # pyserial cannot bear a close while another thread is inside a call
            self._outgoing.put(None)
            self._writer.join()
            self._port.close()

    def _write_all(self) -> None:
        try:
            while (data := self._outgoing.get()) is not None:
                self._port.write(data)
                self._call(self._sent, len(data))
        except OSError:
            self._call(self.close)

    def _sent(self, size: int) -> None:
        self._unsent -= size

    def _call(self, function: Callable[..., None], *values: object) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function, *values)
