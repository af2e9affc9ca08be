"""`python -m bench.line_serial`: 64 serial lines at once, each at the pace of 9600 baud, over ptys.

Turns running lines into figures: the latest acknowledgement and the share of one processor that the middleware takes.
Law: the far end writes 16 bytes at a time as a USB adapter does, and an acknowledgement is timed from the write of a
frame's last byte; the middleware is a process of its own.
"""

from __future__ import annotations

import asyncio
import os
import pty
import subprocess
import sys
import tempfile
import time
import tty
from pathlib import Path

from bench.rows import Row, show
from bench.servers import ROOT
from drivers.wire import lis1a

BAUD, CHUNK = 9600, 16
ENQ, ACK, EOT = b"\x05", b"\x06", b"\x04"
ROWS = b"".join(b"R|%d|^^^T%d|12.3|mg/dL||N||F||||20260101000000\r" % (n, n) for n in range(1, 26))
MESSAGE = b"H|\\^&|||BENCH^1\rP|1\rO|1|S1||^^^CBC\r" + ROWS + b"L|1|N\r"


class Far:
    """The analyzer's end of one pty."""

    def __init__(self) -> None:
        self.file, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self.path = os.ttyname(self._slave)
        os.set_blocking(self.file, False)
        self.late: list[float] = []
        self.sent = 0

    async def ask(self, data: bytes) -> None:
        """Write at the line's pace, wait for the ACK. RuntimeError when it is something else."""
        for at in range(0, len(data), CHUNK):
            piece = data[at : at + CHUNK]
            await asyncio.sleep(len(piece) * 10 / BAUD)
            os.write(self.file, piece)
        began = time.perf_counter()
        reply = await self._read()
        self.late.append(time.perf_counter() - began)
        if reply != ACK:
            raise RuntimeError(f"{reply!r} is no ACK")

    async def _read(self) -> bytes:
        loop = asyncio.get_running_loop()
        ready = loop.create_future()
        loop.add_reader(self.file, lambda: ready.done() or ready.set_result(None))
        try:
            await asyncio.wait_for(ready, 20)
        finally:
            loop.remove_reader(self.file)
        return os.read(self.file, 64)

    async def run(self, until: float) -> None:
        """Message after message."""
        while time.monotonic() < until:
            await self.ask(ENQ)
            for frame in lis1a.frames(MESSAGE, one_record_a_frame=True):
                await self.ask(frame)
            os.write(self.file, EOT)
            self.sent += 1


async def _play(lines: list[Far], seconds: float) -> None:
    until = time.monotonic() + seconds
    await asyncio.gather(*(line.run(until) for line in lines))


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(count: int = 64, seconds: float = 10.0) -> dict[str, float]:
    """`latest` and `p99` acknowledgement in milliseconds, `cpu` as a share of one core, `messages` sent."""
    lines = [Far() for _ in range(count)]
    with tempfile.TemporaryDirectory(prefix="labmitra-bench-") as folder:
        command = [sys.executable, "-m", "bench.line_server", f"{folder}/journal", "--serial"]
        server = subprocess.Popen(
            [*command, *(line.path for line in lines)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        try:
            assert server.stdout is not None and server.stdout.readline().strip() == "listening"
            before, began = _cpu(server.pid), time.monotonic()
            asyncio.run(_play(lines, seconds))
            used, wall = _cpu(server.pid) - before, time.monotonic() - began
        finally:
            server.kill()
            server.wait()
    late = sorted(late for line in lines for late in line.late)
    return {
        "latest_ms": late[-1] * 1000, "p99_ms": late[int(len(late) * 0.99)] * 1000, "cpu": used / wall,
        "frames": float(len(late)), "messages": float(sum(line.sent for line in lines)),
    }  # fmt: skip


def rows() -> list[Row]:
    """64 lines at once: the latest acknowledgement and the middleware's CPU."""
    found = measure()
    note = f"{found['messages']:.0f} messages, {found['frames']:.0f} frames; p99 {found['p99_ms']:.0f} ms"
    return [
        Row.of(
            "64 serial lines, 9600 baud: latest ACK", found["latest_ms"], "≤ 100 ms", note, 100, most=True, unit=" ms"
        ),
        Row.of("64 serial lines: CPU of the middleware", 100 * found["cpu"], "≤ 25 %", "", 25, most=True, unit=" %"),
    ]


if __name__ == "__main__":
    show(rows())
