"""The words every driver speaks: a Message goes in, Observations come out, verbatim.

Frozen values only. Law: pure; no I/O, no clock, standard library only.
Source: LIS02-A2 for the words (record, field, component), design of the house for the types.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class DecodeError(Exception):
    """A stored message that the driver cannot read: it is kept, shown on the messages page, replayed after the fix."""


class Kind(StrEnum):
    """What a row of a message is."""

    MEASUREMENT = "measurement"
    SUSPECT = "suspect"  # the analyzer doubts itself
    IMAGE = "image"
    DETAIL = "detail"  # settings, gates, curves: nothing a patient is told


class MessageType(StrEnum):
    """What a message is, said once for all of its rows."""

    RESULT = "result"
    QC = "qc"
    QUERY = "query"
    QUERY_CANCEL = "query_cancel"
    POLL = "poll"  # "have you anything for me?", naming no tube
    ACK = "ack"
    CALIBRATION = "calibration"
    INCOMPLETE = "incomplete"
    OTHER = "other"


class Grade(StrEnum):
    """How far a driver is proven; only FIELD may ever release by itself."""

    MANUAL = "manual"
    CAPTURE = "capture"
    FIELD = "field"


@dataclass(frozen=True, slots=True)
class Message:
    """One whole message as the line gave it: ASTM records H…L joined (without frames), or an HL7 message MSH…

    `body` is bytes: charset is decided by the driver, after framing. `id` is the journal's, unique for ever.
    `received_at` is aware. `incomplete` is set when the line ended before L (or FS): it is shown, never filed.
    """

    id: str
    analyzer: str
    received_at: datetime
    body: bytes
    incomplete: bool = False


class Observation(NamedTuple):
    """What the analyzer said, one row, verbatim text. Not sent is None, sent empty is "".

    A named tuple: it is as frozen as a dataclass and made five times as fast, and a message is mostly these.

    `value` is the driver's component of the value field with outer blanks stripped; `raw` the whole field.
    `observed_at` is the text as sent (all zeros is None). `ordinal` counts the rows of the message from 1.
    """

    sample_id: str | None
    code: str | None
    name: str | None
    value: str | None
    raw: str | None
    unit: str | None
    flags: tuple[str, ...] = ()
    range: str | None = None
    status: str | None = None
    aspect: str | None = None
    comments: tuple[str, ...] = ()
    masked: bool = False
    observed_at: str | None = None
    kind: Kind = Kind.MEASUREMENT
    ordinal: int = 0
    coded: str | None = None  # the analyzer's own interpretation where it sends one beside a number (cobas e: "-1")


@dataclass(frozen=True, slots=True)
class Decoded:
    """All a message says: its type, its sender (H-5 or MSH-3), its rows in order, what was odd about it.

    `sent_at` is H-14 or MSH-7 as sent; `query_sample_ids` is filled for queries and cancels; `problems` are
    sentences such as "H-5 says XN-1000, configured for XN-550": shown to the engineer, never fatal.
    """

    type: MessageType
    sender: str | None
    sent_at: str | None = None
    observations: tuple[Observation, ...] = ()
    query_sample_ids: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    query_raw: tuple[str, ...] = ()  # Q-3 (or the ordering segment) as sent, for analyzers that want it echoed


@dataclass(frozen=True, slots=True)
class TestCode:
    """What an analyzer's code means: the catalogue test it maps to (or None), and how to read its value.

    `test` may name several, "GLUR|GLUF": the one that is ordered on the tube.

    `units` maps a unit text as the analyzer sends it to (UCUM unit of the catalogue, factor as decimal text);
    a unit that is not listed holds the result ("unknown unit"); the key "" stands for a unit not sent or sent empty.
    `coded` maps a sent text (Observation.coded when there is one, else its value) to a catalogue value. A listed
    measurement with test None is known but not in the catalogue: stored and shown, never reported, not unmatched.
    """

    kind: Kind = Kind.MEASUREMENT
    test: str | None = None
    units: dict[str, tuple[str, str]] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()  # for suspects: the codes of this analyzer that the suspicion touches
    coded: dict[str, str] = field(default_factory=dict)
    raised_from: str | None = None  # a suspect that sends a number: it is raised from this number on


@dataclass(frozen=True, slots=True)
class WorkOrder:
    """What to run on one sample, the answer to a query. `codes` are the analyzer's own test codes.

    `sample_id` is the id as the analyzer wrote it; the patient is what it prints beside the result. `birth_date` is
    YYYYMMDD, `sex` M, F or another letter, `container` the tube's letter in the catalogue (E EDTA, S serum …).
    In a download only: `cancelled` are codes that it was told before and that are not wanted any more; `runs` gives a
    number to each code that is to be measured again, other than the number of the time before.
    """

    sample_id: str
    codes: tuple[str, ...]
    stat: bool = False
    specimen: str = ""
    query_raw: str = ""  # the repeat of Q-3 that asked for it
    patient_id: str = ""
    name: str = ""
    sex: str = ""
    birth_date: str = ""
    container: str = ""
    cancelled: tuple[str, ...] = ()
    runs: tuple[tuple[str, int], ...] = ()


class Stamp(NamedTuple):
    """What a driver, which has no clock, must be given for a message that answers nothing: its time
    (YYYYMMDDHHMMSS, the laboratory's) and a number that no other message of ours has (at most 16 characters)."""

    at: str
    number: str
