"""The words the simulators share: a day, its samples, a task for an analyzer, and a step it sends.

Turns nothing into nothing: frozen values. Law: a step knows what it contains because it was built from it,
never because somebody decoded it; so the books can be balanced against a source that is not ours. (Those that say
captures anew are read back by their driver: see any_driver.)
Source: the shapes of real messages, named in each simulator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from drivers.driver import Kind


class Note(StrEnum):
    """Why a step is in the day's plan: one word per thing a lab lives through."""

    NORMAL = "normal"
    ABNORMAL = "abnormal"
    CRITICAL = "critical"
    DELTA = "delta"  # far from the patient's previous result
    SUSPECT = "suspect"  # the analyzer doubts itself
    MASKED = "masked"  # ---.- instead of a number
    NOT_AVAILABLE = "na"  # the text NA instead of a number
    BELOW_RANGE = "below-range"  # <3.00
    RERUN = "rerun"  # the same test several times in one message
    WRONG_UNIT = "wrong-unit"
    ZERO_DATE = "zero-date"
    NAME = "name"  # a name with letters outside ASCII
    MARKUP_NAME = "markup-name"  # a name with markup and a formula
    MIS_SCANNED = "mis-scanned"  # one digit wrong, the check digit catches it
    UNREGISTERED = "unregistered"  # a well-formed number nobody registered
    UNREADABLE = "unreadable"  # what the analyzer writes when the barcode could not be read
    UNKNOWN_CODE = "unknown-code"
    SECOND_ANALYZER = "second-analyzer"  # a tube another analyzer has reported too
    AMENDED = "amended"  # status C and another value
    DUPLICATE = "duplicate"  # the whole message once more
    QC = "qc"
    QUERY = "query"  # asks what to run
    ORDERED = "ordered"  # runs exactly what it was told to
    QC_HISTORY = "qc-history"  # controls of past days, caught up with


@dataclass(frozen=True, slots=True)
class DaySample:
    """One tube of the day file. `intervals` (code → low, high) are those of this patient, when the file gives them."""

    sample_id: str
    container: str
    tests: tuple[str, ...]
    sex: str = "M"
    age_days: int = 12000
    name: str = ""
    previous: Mapping[str, str] = field(default_factory=dict)
    intervals: Mapping[str, tuple[str | None, str | None]] = field(default_factory=dict)
    story: str | None = None  # a Note this sample is to live through, when the file says so


@dataclass(frozen=True, slots=True)
class Day:
    """A day file: the same file gives the same plan."""

    seed: int
    samples: tuple[DaySample, ...]
    start: datetime
    pace: float = 0.0  # seconds between two messages: the times in the messages follow it


@dataclass(frozen=True, slots=True)
class Item:
    """One line of an analyzer's menu: its own code, the unit it prints; `name` where it has one beside the code."""

    code: str
    unit: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Task:
    """One message to make: whose, why, with which values (catalogue code → text as printed)."""

    note: Note
    sample_id: str  # as the analyzer says it, which may be wrong
    values: Mapping[str, str]
    at: datetime
    number: int
    sample: DaySample | None = None
    level: int = 0  # of the control; 0 for patients

    @property
    def control(self) -> bool:
        """True for a control run."""
        return self.level > 0


@dataclass(frozen=True, slots=True)
class Row:
    """One result row as sent: what an honest receiver must find.

    `aside` says why nobody awaits this measurement: a rerun's failed try, a research number.
    """

    sample_id: str
    code: str
    value: str
    kind: Kind = Kind.MEASUREMENT
    aside: str = ""  # rerun | research


@dataclass(frozen=True, slots=True)
class Said:
    """A message before it is a step: its bytes, its rows, and how the line cuts it.

    `frame` is the most characters of text in a frame; 0 means one record a frame; ignored by HL7. `bare`: its frames
    end without a CR. `etb`: each record has a frame that ends with ETB, 1: but the last, 2: the last too. `turns`:
    what a dialect of blocks writes, each with what must be heard before the next.
    """

    body: bytes
    rows: tuple[Row, ...]
    frame: int = 240
    control_id: str = ""
    bare: bool = False
    etb: int = 0
    turns: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One message of the plan, with what it contains."""

    analyzer: str
    seq: int
    note: Note
    type: str  # result | qc | query
    said: Said
    burst: bool = False  # sent without the pause that paces the day

    def count(self, kind: Kind) -> int:
        """How many rows of this kind the message holds."""
        return sum(row.kind is kind for row in self.said.rows)

    def books(self) -> dict[str, object]:
        """What the log line says of this step.

        Rows of a control run count as controls, not as measurements; `asides` are the measurements (counted among
        them) that nobody awaits: a rerun's failed tries and research numbers.
        """
        numbers, qc = self.count(Kind.MEASUREMENT), self.type == "qc"
        return {
            "type": self.type,
            "note": self.note.value,
            "sample_ids": sorted({row.sample_id for row in self.said.rows}),
            "measurements": 0 if qc else numbers,
            "suspects": self.count(Kind.SUSPECT),
            "images": self.count(Kind.IMAGE),
            "details": self.count(Kind.DETAIL),
            "controls": numbers if qc else 0,
            "asides": sum(bool(row.aside) for row in self.said.rows),
        }


@dataclass(frozen=True, slots=True)
class Analyzer:
    """A simulated analyzer: what it can measure, in which tubes, and how it says it.

    `stories` are the special days it gives its samples, most wanted first; `lot` names its control.
    """

    name: str
    speaks: str  # ASTM | HL7 | blocks
    containers: str
    menu: Mapping[str, Item]
    say: Callable[[Task], Said]
    stories: tuple[Note, ...]
    controls: Mapping[str, tuple[str, str]]  # catalogue code → mean of level 1, of level 2
    lot: str
    share: tuple[int, ...] = (0, 1, 2, 3, 4)  # of every five tubes it could take, those it gets
    extras: tuple[Note, ...] = ()  # told on top, beside the one message of each tube
    rival: str = ""  # the analyzer that gets the other tubes, and now and then one of ours
