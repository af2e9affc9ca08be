"""A bad network between an analyzer and us, and analyzers that behave as the standards say when it fails them.

`BadNetwork` is a TCP proxy: each connection fragments and delays, and is reset or vanishes without a FIN, in turn,
after some bytes of both directions. From `calm` connections on they all live.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from drivers.wire import lis1a, mllp

PATIENCE = 0.15  # seconds a model analyzer waits for a reply; the standard says 15
TRIES = 200


@dataclass
class BadNetwork:
    """What became of the connections through one proxy."""

    target: tuple[str, int]
    rng: random.Random
    calm: int
    address: tuple[str, int] = ("", 0)
    fates: list[str] = field(default_factory=list)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    def fate(self) -> tuple[str, int]:
        """How a connection ends, and after how many bytes."""
        kind = "lives" if len(self.fates) >= self.calm else ("reset", "vanishes")[len(self.fates) % 2]
        self.fates.append(kind)
        return kind, self.rng.randrange(1, 400)

    async def accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, both directions."""
        kind, left = self.fate()
        try:
            far_reader, far_writer = await asyncio.open_connection(*self.target)
        except OSError:
            reset(writer)
            return
        self.writers += [writer, far_writer]
        link = Link(self.rng, kind, left, (writer, far_writer))
        await asyncio.gather(link.carry(reader, far_writer), link.carry(far_reader, writer))


@dataclass
class Link:
    """Both directions of one connection share its fate."""

    rng: random.Random
    kind: str
    left: int
    ends: tuple[asyncio.StreamWriter, asyncio.StreamWriter]
    dead: bool = False

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One direction, in pieces."""
        with suppress(ConnectionError):
            while data := await reader.read(4096):
                while data and not self.dead:
                    size = self.rng.randrange(1, 60)
                    piece, data = data[:size], data[size:]
                    await asyncio.sleep(self.rng.choice((0, 0, 0, 0.001, 0.004)))
                    self.spend(len(piece))
                    if not self.dead:
                        writer.write(piece)
            if self.kind != "vanishes":  # who vanished sends no FIN
                writer.close()

    def spend(self, size: int) -> None:
        """Bytes until the fate is met."""
        self.left -= size
        if self.kind != "lives" and self.left <= 0 and not self.dead:
            self.dead = True
            if self.kind == "reset":
                for end in self.ends:
                    reset(end)


def reset(writer: asyncio.StreamWriter) -> None:
    """RST instead of FIN."""
    sock = writer.get_extra_info("socket")
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@asynccontextmanager
async def bad_network(target: tuple[str, int], seed: int, calm: int) -> AsyncIterator[BadNetwork]:
    """A proxy in front of `target`, until the block ends."""
    network = BadNetwork(target, random.Random(seed), calm)
    tasks: set[asyncio.Task[None]] = set()

    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(network.accepted(reader, writer)))

    server = await asyncio.start_server(accepted, "127.0.0.1", 0)
    network.address = server.sockets[0].getsockname()
    try:
        yield network
    finally:
        server.close()
        for writer in network.writers:
            writer.transport.abort()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


# ---- analyzers --------------------------------------------------------------------------------------------------


async def astm(address: tuple[str, int], messages: Sequence[bytes]) -> AsyncIterator[bytes]:
    """Brings each message across, whole again from the start after each failure (6.5.1.2, 6.5.2.3); yields it when its
    last frame is acknowledged. The connection is kept while it works."""
    line: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    for message in messages:
        for _ in range(TRIES):
            try:
                line = line or await asyncio.open_connection(*address)
                await _session(*line, message)
            except (ConnectionError, TimeoutError, asyncio.IncompleteReadError):
                if line is not None:
                    line[1].transport.abort()
                line = None
                continue
            yield message
            break
    if line is not None:
        line[1].close()


async def _session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, message: bytes) -> None:
    sender = lis1a.Sender(lis1a.frames(message, one_record_a_frame=True))
    writer.write(sender.start())
    while True:
        reply = await asyncio.wait_for(reader.readexactly(1), PATIENCE)
        for event in sender.receive(reply):
            if isinstance(event, lis1a.Send):
                writer.write(event.data)
            elif isinstance(event, lis1a.Sent):
                return
            elif isinstance(event, lis1a.Failed):
                raise ConnectionError(event.reason)


async def hl7(address: tuple[str, int], messages: Sequence[bytes]) -> AsyncIterator[bytes]:
    """A connection for each message, and for each attempt; yields it when AA came (ML-03, ML-05)."""
    for message in messages:
        for _ in range(TRIES):
            writer = None
            try:
                reader, writer = await asyncio.open_connection(*address)
                writer.write(mllp.block(message))
                reply = await asyncio.wait_for(reader.readuntil(b"\x1c\r"), PATIENCE)
            except (ConnectionError, TimeoutError, asyncio.IncompleteReadError):
                continue
            finally:
                if writer is not None:
                    writer.transport.abort()
            if b"\rMSA|AA|" in reply:
                yield message
                break
