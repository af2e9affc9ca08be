"""What the analyzers of the crash harness say: message after message, each made of its number alone.

Turns (analyzer, number, attempt) into bytes and the rows they hold. Law: the same three give the same bytes, so that
the books need only numbers and an interrupted run can go on; an attempt differs from the one before by its control id
alone (H-3, MSH-10), so that what was stored of one can never stand for what was lost of another.
Source: LIS02-A2 6 to 12, HL7 v2.3.1 chapter 7.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from drivers.wire import lis1a, mllp

TESTS = {"HB": "g/dL", "HCT": "%", "MCV": "fL", "MCH": "pg", "MCHC": "g/dL", "PLT": "10*3/uL"}
BEGAN = datetime(2026, 11, 22, 8, 0)  # noqa: DTZ001 - what an analyzer writes has no zone
TUBES = 400  # registered for each unit, as they are needed
Row = tuple[str, str, str, str]  # analyzer, code, observed at, value: no two rows of a run are alike
Key = tuple[str, int, int]  # analyzer, number, attempt


@dataclass(frozen=True, slots=True)
class Unit:
    """One analyzer and its line. `line` is "listen" (it dials us), "dial" (we dial it) or "serial"; `frame` is the size
    of its frames, 0: one record a frame."""

    name: str
    driver: str
    line: str
    frame: int = 0

    @property
    def hl7(self) -> bool:
        """It speaks HL7."""
        return self.driver == "generic_hl7"


UNITS = (
    Unit("a_listen", "generic_astm", "listen"),
    Unit("a_split", "generic_astm", "listen", frame=64),
    Unit("a_dial", "generic_astm", "dial", frame=240),
    Unit("a_serial", "generic_astm", "serial"),
    Unit("h_listen", "generic_hl7", "listen"),
    Unit("h_dial", "generic_hl7", "dial"),
)
UNIT = {unit.name: unit for unit in UNITS}


def tube(number: int) -> int | None:
    """Which of its unit's registered tubes a message is of; None: one that nobody registered, or a control. The tubes
    come again when all had their turn."""
    turn, kind = divmod(number, 4)
    return (2 * turn + kind) % TUBES if kind < 2 else None


def stranger(name: str, number: int) -> str:
    """The sample id of a message of no registered tube."""
    return "QC-CRASH-1" if control(number) else f"NOBODY-{name}-{number}"


def control(number: int) -> bool:
    """Is this message of a control?"""
    return number % 4 == 3


def stamp(number: int) -> str:
    """When the sample was measured: a second later for each message."""
    return f"{BEGAN + timedelta(seconds=number):%Y%m%d%H%M%S}"


def values(number: int) -> dict[str, str]:
    """Code → value as sent."""
    return {code: f"{10 + at}.{number % 100:02}" for at, code in enumerate(TESTS)}


def rows(name: str, number: int) -> list[Row]:
    """The rows that this message must become, each exactly once."""
    return [(name, code, stamp(number), value) for code, value in values(number).items()]


def body(key: Key, sample: str) -> bytes:
    """The message."""
    return (_hl7 if UNIT[key[0]].hl7 else _astm)(key, sample)


def _astm(key: Key, sample: str) -> bytes:
    name, number, attempt = key
    at, action = stamp(number), "Q" if control(number) else "N"
    records = [f"H|\\^&|{number}.{attempt}||{name}|||||||P|1|{at}", f"P|1|{number}"]
    records += [f"O|1|{sample}||^^^ALL|R||||||{action}||||||||||||||F"]
    for row, (code, value) in enumerate(values(number).items(), 1):
        records.append(f"R|{row}|^^^{code}|{value}|{TESTS[code]}||N||F||||{at}")
    return "".join(f"{record}\r" for record in [*records, "L|1|N"]).encode()


def _hl7(key: Key, sample: str) -> bytes:
    name, number, attempt = key
    at, mode = stamp(number), "Q" if control(number) else "P"
    segments = [f"MSH|^~\\&|{name}||||{at}||ORU^R01|{number}.{attempt}|{mode}|2.3.1", "PID|1", f"OBR|1||{sample}"]
    for row, (code, value) in enumerate(values(number).items(), 1):
        segments.append(f"OBX|{row}|NM|{code}||{value}|{TESTS[code]}||N|||F|||{at}")
    return "".join(f"{segment}\r" for segment in segments).encode()


@lru_cache(maxsize=4096)
def pieces(key: Key, sample: str) -> tuple[bytes, ...]:
    """What is acknowledged one by one: its frames, or its one block."""
    unit, said = UNIT[key[0]], body(key, sample)
    if unit.hl7:
        return (mllp.block(said),)
    if unit.frame:
        return tuple(lis1a.frames(said, size=unit.frame))
    return tuple(lis1a.frames(said, size=lis1a.MAX_FRAME - 7, one_record_a_frame=True))


_CONTROL_ID = re.compile(rb"\A(?:H\|\\\^&|MSH\|\^~\\&\|\w+\|\|\|\|\d*\|\|ORU\^R01)\|(\d+)\.(\d+)\|")


def key_of(name: str, said: bytes) -> Key | None:
    """Which message these bytes are, None when they are none of ours."""
    found = _CONTROL_ID.match(said)
    return (name, int(found[1]), int(found[2])) if found else None
