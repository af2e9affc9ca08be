"""A million inputs: `make fuzz`. Every reader of bytes either reads or raises WireError or DecodeError, nothing else.

Turns a seed and a number into one input: a piece of a capture or of a made-up session, cut, changed and spliced, or
bytes that look like anything; and into one reader of it. Law: input number n of a seed is the same in every run, so a
finding is a number (`--first n --inputs 1`), and a run that was stopped goes on from where it was (`--first n`).
Memory is measured after a warm-up and at the end: what grows without bound fails the run.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from random import Random
from typing import NamedTuple

from drivers.decode import decode_file
from drivers.driver import DecodeError, Driver, Message, WireError, WorkOrder, driver_names, load_driver
from drivers.wire import hl7, lis1a, lis2a, mllp

NOW = datetime(2026, 11, 3, 12, tzinfo=UTC)
CHUNK = 5_000  # inputs between two lines of progress
WARM_UP = 20_000  # inputs until memory is first measured
ENDLESS = 5.0  # seconds of one input that count as a finding
GROWTH = 24_000_000  # bytes that a process may grow by after its warm-up
CHARSETS = (None, None, None, "latin-1", "utf-8", "cp1251", "gb18030", "ascii")
SPICE = [bytes([code]) for code in (*range(33), 127, 255)] + [
    b"\r\n", b"\x1c\r", b"\x05\x04", b"\x05\x02", b"\x0bMSH|^~\\&|", b"H|\\^&\r", b"L|1|N\r", b"\rQ|1|^1\r", b"|", b"^",
    b"\\", b"&", b"~", b"&X", b"\\X0D\\", b"&X4&", b'""', b"\xc2\xb2", "सी".encode(), b"\xef\xbb\xbf", b"9" * 40, b"-",
]  # fmt: skip
MADE_UP = (
    b"\x05" + b"".join(lis1a.frames(b"H|\\^&|||x\rP|1\rO|1|7\rR|1|^^^HB|9.1|g/dL\rC|1|I|a&F&b\rL|1|N\r", 30)) + b"\x04",
    b"\x05" + b"".join(lis1a.session([b"H|\\^&\rQ|1|^7\\^8||ALL||||||||O\rL|1|N\r"] * 2, 240, True)) + b"\x04",
    mllp.block(b"MSH|^~\\&|A|B|||1||QRY^Q02|1|P|2.3.1|||AL|ER||UNICODE UTF-8\rQRD|1|R|D|1|||RD|7|OTH|||T\r"),
    b"\x0bFHS|^~\\&\rBHS|^~\\&\rMSH|^~\\&||||||OUL^R22|1|P|2.5.1\rSPM|1|7\rOBX|1|ED|x||^^^Base64^QQ==\rBTS|1\r\x1c\r",
)


# ---- the readers --------------------------------------------------------------------------------------------------


def _frames(data: bytes, chance: Random) -> None:
    """A receiver and an assembler as a connection drives them: in pieces, with refusals and timers."""
    receiver, assembler = lis1a.Receiver(chance.random() < 0.3, max_frame=20_000), lis1a.Assembler(5_000)
    size = chance.choice((1, 7, 64, len(data) + 1))
    if chance.random() < 0.7:
        receiver.receive(b"\x05")
        receiver.accept()
    for at in range(0, len(data), size):
        _events(receiver, assembler, receiver.receive(data[at : at + size]), chance)
        if chance.random() < 0.05:
            _events(receiver, assembler, receiver.expire(), chance)
    for _ in range(3):
        _events(receiver, assembler, receiver.expire(), chance)
    assembler.rest()


def _events(receiver: lis1a.Receiver, assembler: lis1a.Assembler, events: list[lis1a.Event], chance: Random) -> None:
    while events:
        for event in events:
            if isinstance(event, lis1a.FrameRefused):
                receiver.refuse()
            elif isinstance(event, lis1a.FrameArrived):
                lis1a.text_of(event.raw)
                assembler.add(event.text, event.last)
                if chance.random() < 0.1:
                    assembler.undo()
                    receiver.refuse()
                else:
                    receiver.accept()
            elif isinstance(event, lis1a.SessionBegan):
                receiver.accept()
        events = receiver.receive(b"")


def _sender(data: bytes, chance: Random) -> None:
    sender = lis1a.Sender(lis1a.frames(b"H|\\^&\rL|1|N\r", 5), chance.choice(tuple(lis1a.Role)))
    for byte in data[:40]:
        if sender.state is lis1a.State.NEUTRAL:
            sender.start()
        sender.receive(bytes([byte, 6]) if byte % 3 else b"\x06")
        if byte % 11 == 0:
            sender.expire()


def _records(data: bytes, chance: Random) -> None:
    lis2a.split(data)
    for record in lis2a.parse(data, chance.choice(CHARSETS)):
        for address in ("1", "2", "3.2", "4(2).3", "5.1", "9"):
            record[address]
        record.repeats(5)
        lis2a.decode(lis2a.encode("a" + "|".join(record.fields), record.delimiters), record.delimiters)


def _segments(data: bytes, chance: Random) -> None:
    if head := hl7.rough_head(data):
        hl7.parse(hl7.acknowledge(head, "AE", at="20261103120000", control_id="1", text="x"))
    for body in hl7.split(data):
        segments = hl7.parse(body, chance.choice(CHARSETS))
        for segment in segments:
            for address in ("1", "2", "3.1.2", "5(2).4", "9.1", "18"):
                segment[address]
            segment.repeats(3)
        if segments[0].type == "MSH":
            for code in hl7.codes(segments, chance.choice(("accept", "error", "reject"))):
                hl7.acknowledge(segments, code, at="20261103120000", control_id="1", text="x")


def _blocks(data: bytes, chance: Random) -> None:
    receiver, size = mllp.Receiver(20_000), chance.choice((1, 9, len(data) + 1))
    events = [event for at in range(0, len(data), size) for event in receiver.receive(data[at : at + size])]
    if b"".join(event.raw for event in events + receiver.close()) != data:
        raise AssertionError("bytes were lost between the blocks")


def _driver(name: str) -> Callable[[bytes, Random], None]:
    driver = _loaded(name)

    def read(data: bytes, chance: Random) -> None:
        decoded = driver.decode(Message("1", "a", NOW, data, chance.random() < 0.2))
        driver.reportable(decoded.observations)
        for row in decoded.observations:
            driver.raised(row)
            driver.unread(row.sample_id)
        if decoded.query_sample_ids:
            orders = [WorkOrder(one, ("GLU",), query_raw=raw) for one, raw in _asked(decoded)]
            for told in driver.answer(decoded, orders) or []:
                lis1a.session([told])

    return read


def _asked(decoded: object) -> Iterator[tuple[str, str]]:
    yield from zip(decoded.query_sample_ids, decoded.query_raw, strict=False)  # type: ignore[attr-defined]


def _file(name: str) -> Callable[[bytes, Random], None]:
    def read(data: bytes, chance: Random) -> None:
        decode_file(data, name)

    return read


@cache
def _loaded(name: str) -> Driver:
    return load_driver(name)


Reader = Callable[[bytes, Random], None]


@cache
def readers() -> dict[str, Reader]:
    """Every reader of bytes, by name."""
    plain = {"frames": _frames, "sender": _sender, "records": _records, "segments": _segments, "blocks": _blocks}
    decoders = {f"decode {name}": _driver(name) for name in driver_names()}
    return plain | decoders | {f"file {name}": _file(name) for name in driver_names()}


# ---- the inputs ---------------------------------------------------------------------------------------------------


class Seed(NamedTuple):
    """Bytes to begin with, and which language they are."""

    kind: str
    data: bytes


@cache
def seeds(kind: str = "") -> tuple[Seed, ...]:
    """The captures and what was made up, as they are and without their frames; of one kind or all."""
    found: list[Seed] = []
    paths = sorted((Path(__file__).parents[1] / "captures").glob("*/*.raw"))
    for data in (*(path.read_bytes() for path in paths), *MADE_UP):
        if b"\x0b" in data:
            bodies = [event.body for event in mllp.Receiver().receive(data) if isinstance(event, mllp.Block)]
            found += [Seed("blocks", data), *(Seed("segments", body) for body in bodies)]
        elif b"\x02" in data:
            texts = [part[1:] for part in data.replace(b"\x17", b"\x03").split(b"\x02")[1:]]
            found += [Seed("frames", data), Seed("records", b"".join(text.partition(b"\x03")[0] for text in texts))]
        else:
            found.append(Seed("segments" if data[:3] == b"MSH" else "records", data))
    return tuple(seed for seed in found if kind in ("", seed.kind))


def wanted(name: str) -> str:
    """The language that a reader reads."""
    group, _, driver = name.partition(" ")
    if not driver:
        return group if group != "sender" else "frames"
    speaks_hl7 = _loaded(driver).speaks == "HL7"
    return {"decode": ("records", "segments"), "file": ("frames", "blocks")}[group][speaks_hl7]


def one(seed: int, number: int) -> tuple[str, bytes, Random]:
    """Input `number` of a seed: the name of its reader, the bytes, and what the reader draws from."""
    chance = Random(seed << 40 | number)
    name = chance.choice(tuple(readers()))
    return name, _bytes(chance, wanted(name) if chance.random() < 0.8 else ""), chance


def _bytes(chance: Random, kind: str) -> bytes:
    if chance.random() < 0.05:
        return b"".join(chance.choice(SPICE) if chance.random() < 0.5 else chance.randbytes(3) for _ in range(12))
    data = bytearray(chance.choice(seeds(kind)).data)
    if len(data) > 400 and chance.random() < 0.8:  # a piece with its head: most is quick then
        cut = chance.randrange(40, 400)
        middle = chance.randrange(len(data))
        data = data[:cut] + data[middle : middle + 200]
    for _ in range(chance.choice((0, 1, 1, 2, 4, 10))):
        _change(data, chance)
    return bytes(data)


def _change(data: bytearray, chance: Random) -> None:
    at, how = chance.randrange(len(data) + 1), chance.randrange(6)
    if how == 0:
        data[at : at + 1] = chance.randbytes(1)
    elif how == 1:
        data[at:at] = chance.choice(SPICE)
    elif how == 2:
        del data[at : at + chance.choice((1, 1, 3, 30))]
    elif how == 3:
        data[at:at] = data[at : at + chance.choice((1, 5, 50))]
    elif how == 4:
        other = chance.choice(seeds()).data
        begin = chance.randrange(len(other))
        data[at:at] = other[begin : begin + 60]
    else:
        data[at : at + 4] = chance.choice(SPICE)


# ---- the run ------------------------------------------------------------------------------------------------------


class Done(NamedTuple):
    """What a chunk found: each number with its traceback, the process it ran in, and that process's memory."""

    findings: list[tuple[int, str]]
    process: int
    memory: int


def run(seed: int, first: int, count: int, most: int = 10) -> list[tuple[int, str]]:
    """Read inputs first … first + count - 1; what was wrong with which, at most `most`."""
    findings: list[tuple[int, str]] = []
    for number in range(first, first + count):
        wrong = _read(*one(seed, number))
        if wrong:
            findings.append((number, wrong))
        if len(findings) == most:
            break
    return findings


def _read(name: str, data: bytes, chance: Random) -> str:
    """What was wrong with the reading of one input; "" when it was read or refused."""
    began = time.process_time()
    try:
        readers()[name](data, chance)
    except (WireError, DecodeError):
        return ""
    except Exception:  # noqa: BLE001  what this is looking for
        return f"{name} of {data!r}\n{traceback.format_exc()}"
    spent = time.process_time() - began
    return f"{name} of {data!r} took {spent:.0f} s" if spent > ENDLESS else ""


def _chunk(job: tuple[int, int, int]) -> Done:
    return Done(run(*job), os.getpid(), memory())


def memory() -> int:
    """Bytes of this process in memory; 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


class Watch:
    """The memory of each process, from its warm-up on."""

    def __init__(self) -> None:
        self._chunks: dict[int, int] = {}
        self._warm: dict[int, int] = {}
        self.grown = 0

    def saw(self, process: int, size: int) -> None:
        """A chunk of that process is done."""
        self._chunks[process] = self._chunks.get(process, 0) + 1
        if self._chunks[process] * CHUNK <= WARM_UP:
            self._warm[process] = size
        else:
            self.grown = max(self.grown, size - self._warm[process])


def jobs_of(seed: int, first: int, count: int) -> list[tuple[int, int, int]]:
    """The run in chunks."""
    return [(seed, at, min(CHUNK, first + count - at)) for at in range(first, first + count, CHUNK)]


def chunks(jobs: list[tuple[int, int, int]], processes: int) -> Iterator[Done]:
    """The chunks, done in this process or in several."""
    if processes == 1:
        yield from map(_chunk, jobs)
        return
    with ProcessPoolExecutor(processes) as pool:
        yield from pool.map(_chunk, jobs)


def main(arguments: list[str] | None = None) -> int:
    """The command. 0: nothing found. 1: findings, or memory that grew."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first input: go on where a run stopped")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=1)
    asked = parser.parse_args(arguments)
    began, watch, found, done = time.monotonic(), Watch(), 0, 0
    jobs = jobs_of(asked.seed, asked.first, asked.inputs)
    for (_, at, count), chunk in zip(jobs, chunks(jobs, asked.processes), strict=True):
        watch.saw(chunk.process, chunk.memory)
        found, done = found + len(chunk.findings), done + count
        for number, what in chunk.findings:
            print(
                f"FOUND input {number} of seed {asked.seed} (--seed {asked.seed} --first {number} --inputs 1): {what}"
            )
        rate = done / (time.monotonic() - began)
        print(f"{done} of {asked.inputs}, {rate:.0f}/s, {found} found, {chunk.memory / 1e6:.0f} MB;"
              f" go on with --first {at + count}", flush=True)  # fmt: skip
    grew = watch.grown > GROWTH
    print(f"{done} inputs, {found} found, memory grew by {watch.grown / 1e6:.1f} MB" + (": TOO MUCH" if grew else ""))
    return 1 if found or grew else 0


if __name__ == "__main__":
    sys.exit(main())
