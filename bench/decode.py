"""`python -m bench.decode`: what reading a blood count costs, ours beside python-astm and python-hl7.

Turns the bytes of one blood count of 25 results into microseconds: ASTM, one record a frame and each frame in a read of
its own, and an ORU^R01. Law: all are measured in one run, round after round, in another order each; the medians are
compared.
Ours checks the frames, assembles them, and reads records into observations; python-astm checks and splits the same
frames; python-hl7 parses the same message and reads the five fields of each OBX. Each is done once unmeasured before it
is measured: what the one before it left in the processor's caches is not its own cost (whatever came after python-hl7
paid a tenth more).
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from random import Random

import hl7
from astm.codec import decode_message

from bench.rows import Row, show
from drivers.driver import Decoded, Driver, Message, load_driver
from drivers.wire import lis1a, mllp

ROUNDS, TIMES = 60, 10
LINE = lis1a.Receiver(), lis1a.Assembler()  # as a connection has them, from session to session
GOALS = {"ASTM, generic_astm": 120.0, "ASTM, sysmex_xn": 120.0, "HL7, generic_hl7": 100.0}  # microseconds
BESIDE = {  # the goals beside what the others take: a computer's slow hour changes both
    "ASTM, generic_astm": ("python-astm, its codec", 120 / 300),
    "ASTM, sysmex_xn": ("python-astm, its codec", 120 / 300),
    "HL7, generic_hl7": ("python-hl7, parse and read", 100 / 2100),
}
AT = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)
STAMP = "20261122101500"
COUNTS = (
    ("WBC", "10*3/uL", "6.80"), ("RBC", "10*6/uL", "4.71"), ("HGB", "g/dL", "14.1"), ("HCT", "%", "42.3"),
    ("MCV", "fL", "89.8"), ("MCH", "pg", "29.9"), ("MCHC", "g/dL", "33.3"), ("PLT", "10*3/uL", "251"),
    ("RDW-SD", "fL", "42.5"), ("RDW-CV", "%", "13.1"), ("PDW", "fL", "12.4"), ("MPV", "fL", "10.5"),
    ("P-LCR", "%", "28.7"), ("PCT", "%", "0.26"), ("NEUT#", "10*3/uL", "3.92"), ("LYMPH#", "10*3/uL", "2.05"),
    ("MONO#", "10*3/uL", "0.55"), ("EO#", "10*3/uL", "0.21"), ("BASO#", "10*3/uL", "0.04"), ("NEUT%", "%", "57.6"),
    ("LYMPH%", "%", "30.1"), ("MONO%", "%", "8.1"), ("EO%", "%", "3.1"), ("BASO%", "%", "0.6"),
    ("IG#", "10*3/uL", "0.03"),
)  # fmt: skip


def astm_frames(sender: str, order: str, code: str) -> list[bytes]:
    """A blood count as frames, one record each. `order` is O-3 and O-4; `code` the form of R-3, `{}` the code."""
    records = [f"H|\\^&|||{sender}|||||||P|LIS2-A2|{STAMP}", "P|1||PAT1||A^B||19800131|F"]
    records.append(f"O|1|{order}|^^^CBC|R|{STAMP}||||||||||||||||||F")
    for number, (name, unit, value) in enumerate(COUNTS, 1):
        records.append(f"R|{number}|{code.format(name)}|{value}|{unit}||N||F||||{STAMP}")
    return lis1a.frames("".join(f"{record}\r" for record in [*records, "L|1|N"]).encode(), one_record_a_frame=True)


def hl7_block() -> bytes:
    """The same blood count as an MLLP block."""
    segments = [f"MSH|^~\\&|SENDER|LAB|LIS|HOSP|{STAMP}||ORU^R01|M1|P|2.5.1", "PID|1||PAT1^^^LAB||A^B||19800131|F"]
    segments.append(f"OBR|1|S1|S1|CBC^Complete blood count^L|||{STAMP}")
    for number, (name, unit, value) in enumerate(COUNTS, 1):
        segments.append(f"OBX|{number}|NM|{name}^{name}^L||{value}|{unit}|||||F|||{STAMP}")
    return mllp.block("".join(f"{segment}\r" for segment in segments).encode())


def line(frames: list[bytes]) -> bytes:
    """A session as the line gives it: every frame in its own read, accepted, assembled. The message's text."""
    receiver, assembler = LINE
    bodies: list[bytes] = []
    for data in (b"\x05", *frames, b"\x04"):
        for event in receiver.receive(data):
            if isinstance(event, lis1a.FrameArrived):
                made = assembler.add(event.text, event.last)
                if made:
                    bodies += [message.body for message in made]
                receiver.accept()
            elif not isinstance(event, lis1a.SessionEnded):
                receiver.accept()
    (body,) = bodies
    return body


def block(data: bytes) -> bytes:
    """The message in an MLLP block."""
    (event,) = mllp.Receiver().receive(data)
    if not isinstance(event, mllp.Block):
        raise ValueError("no block")
    return event.body


def read(driver: Driver, body: bytes) -> Decoded:
    """The observations of a blood count; ValueError when it is not all there."""
    decoded = driver.decode(Message("1", "a", AT, body))
    if [row.value for row in decoded.observations] != [value for _, _, value in COUNTS] or decoded.problems:
        raise ValueError(f"not read as it should: {decoded.problems}")
    return decoded


def python_hl7(text: str) -> list[tuple[str, ...]]:
    """Code, value, unit, status and time of each OBX."""
    found = hl7.parse(text).segments("OBX")
    return [(str(row[3][0][0]), str(row[5]), str(row[6]), str(row[11]), str(row[14])) for row in found]


def works() -> Mapping[str, Callable[[], object]]:
    """What is measured, by name."""
    generic, sysmex, oru = (load_driver(name) for name in ("generic_astm", "sysmex_xn", "generic_hl7"))
    plain = astm_frames("SENDER^1.0", "S1|", "^^^{}")
    xn = astm_frames("XN-550^00-24", f"|1^1^{'107632600424':>22}^B", "^^^^{}^1")
    sent = hl7_block()
    text = block(sent).decode()
    for driver, frames in ((generic, plain), (sysmex, xn)):
        read(driver, line(frames))
    read(oru, block(sent))
    return {
        "ASTM, generic_astm": lambda: generic.decode(Message("1", "a", AT, line(plain))),
        "ASTM, sysmex_xn": lambda: sysmex.decode(Message("1", "a", AT, line(xn))),
        "ASTM, frames only": lambda: line(plain),
        "python-astm, its codec": lambda: [decode_message(frame, "latin-1") for frame in plain],
        "HL7, generic_hl7": lambda: oru.decode(Message("1", "a", AT, block(sent))),
        "python-hl7, parse and read": lambda: python_hl7(text),
    }


def rows(rounds: int = ROUNDS) -> list[Row]:
    """One row for each, from one run: median CPU time of one blood count, and the least."""
    measured = works()
    found: dict[str, list[float]] = {name: [] for name in measured}
    order, chance = list(measured.items()), Random(1)
    for _ in range(rounds):
        chance.shuffle(order)
        for name, work in order:
            work()
            start = time.process_time_ns()
            for _ in range(TIMES):
                work()
            found[name].append((time.process_time_ns() - start) / TIMES / 1000)
    middle = {name: statistics.median(times) for name, times in found.items()}
    beside = [_beside(name, middle[name] / middle[other], other, bound) for name, (other, bound) in BESIDE.items()]
    return [*(_row(name, times) for name, times in found.items()), *beside]


def _beside(name: str, share: float, other: str, bound: float) -> Row:
    note = "the goal's microseconds by what the other took where it was set"
    return Row.of(f"decode: {name} / {other}", share, f"≤ {bound:.2f}", note, bound, most=True)


def _row(name: str, times: list[float]) -> Row:
    bound = GOALS.get(name, 0.0)
    note = f"25 results, CPU; least {min(times):.0f} µs"
    goal = f"≤ {bound:.0f} µs" if bound else ""
    return Row.of(f"decode: {name}", statistics.median(times), goal, note, bound, most=True, unit=" µs")


if __name__ == "__main__":
    show(rows())
