"""The form an analyzer fills in: where everything sits, in the standard's own numbers, and what its codes mean.

Law: data only; when it is not enough a driver overrides one named function (unlisted, reports, answers).
Source: the vendor's manual beside the driver; LIS02-A2 and HL7 v2 chapter 7 for the addresses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from drivers.engine.words import Decoded, Grade, Kind, Message, Observation, Stamp, TestCode, WorkOrder
from drivers.wire.blocks import Framing

# What stands where a number should be and is none. A single "-" or "+" is a grade on urine strips: not masked.
MASKED = r"[-.*]{2,}|NA|N/A|No Result|NO RESULT"

Reportable = Callable[[Sequence[Observation]], tuple[bool, ...]]
Answer = Callable[[Decoded, Sequence[WorkOrder]], "list[bytes] | None"]
Push = Callable[[Sequence[WorkOrder], Stamp], "list[bytes]"]
Reads = Callable[["Form", Message], Decoded]


class Said(NamedTuple):
    """A row whose code the form does not list, for deciding what it is. `type` is OBX-2, "" in ASTM."""

    code: str
    name: str
    value: str
    flags: tuple[str, ...]
    type: str


Unlisted = Callable[[Said], Kind]


class RowText(NamedTuple):
    """One row as it was sent, for a family whose rows need a word of their own. `get("R.3.11")` is the text at an
    address of the row or of a record above it, as sent; None when it was not sent."""

    get: Callable[[str], str | None]


Retells = Callable[[Observation, RowText], Observation]
Settles = Callable[[Decoded, Message], Decoded]


class ByType(dict[str, Kind]):
    """A form's `unlisted` where the type alone (OBX-2) says what a row is; one that is not named is a measurement."""

    def __call__(self, row: Said) -> Kind:
        return self.get(row.type, Kind.MEASUREMENT)


def a_measurement(_row: Said) -> Kind:
    """A row of an unlisted code is a measurement: it becomes an Unmatched that the technician sees."""
    return Kind.MEASUREMENT


def every_measurement(observations: Sequence[Observation]) -> tuple[bool, ...]:
    """Every measurement is reportable, nothing else is."""
    return tuple(row.kind is Kind.MEASUREMENT for row in observations)


def no_answer(_query: Decoded, _orders: Sequence[WorkOrder]) -> list[bytes] | None:
    """This analyzer is told nothing."""
    return None


@dataclass(frozen=True, kw_only=True, eq=False)
class Form:
    """One analyzer family. An address is `RECORD.field.component`, "O.4.3"; of several the first that was sent counts.

    `speaks` decides the engine; "blocks" is a dialect of its own: then `framing` says how its blocks are marked and
    `reads` what stands in them. `sender` is checked against H-5 or MSH-3: a mismatch is a problem sentence, never a
    search for another driver. `pseudo` matches ids that name no tube (an unread barcode). `control` are marks of
    quality control: an address and its value; `control_id` is a pattern of ids that only controls have; `calibration`
    are the header's marks of a calibration. `aspect` is what tells several rows of one test apart (final,
    interpretation, raw): its text, by `aspects`, else as sent. `no_range` is a pattern of ranges that say "none"
    (`^\\^`, `-`). `flag_words` are the analyzer's own flags that say no more than one of the standard: as sent → N, L
    or H. `resent` is the status of a result that was sent before: it is the same result, not another one. `query_id` is
    where a query names the tube, of each repeat alike; `query_further` where a list names it from the second repeat on.

    What a site sets on its analyzer is a variant of the form (Driver.at_site): `framings` are the ways it may mark its
    messages, None being LIS01 frames; `columns` are the widths that may be set, `layout` those that are; `unit_unsent`
    is the unit of a code that is sent without one.
    """

    name: str
    title: str
    grade: Grade
    speaks: Literal["LIS2-A2", "HL7", "blocks"]
    sample_id: str | tuple[str, ...] = ""
    code: str = ""
    value: str | tuple[str, ...] = ""
    code_from: str = ""  # the code begins after this, where it stands: "+" in `1.0000+032+1`
    code_until: str = ""  # the code ends where this stands: "/" in `117/1/not`
    code_name: str = ""
    coded: str = ""
    unit: str = ""
    flag: str = ""
    flag_words: Mapping[str, str] = field(default_factory=dict)
    range: str = ""
    status: str = ""
    aspect: str = ""
    aspects: Mapping[str, str] = field(default_factory=dict)
    observed_at: str | tuple[str, ...] = ()
    query_id: str = ""
    query_further: str = ""
    query_cancel: tuple[str, str] | None = None
    sender: str = ""
    control: tuple[tuple[str, str], ...] = ()
    control_id: str = ""
    calibration: tuple[tuple[str, str], ...] = ()
    pseudo: str = ""
    masked: str = MASKED
    no_range: str = ""
    resent: str = ""
    charset: str | None = None
    free_numbering: bool = False  # frame numbers are not checked (LL-34)
    frame_size: int = 240  # most characters of text in a frame sent to it
    one_record_a_frame: bool = False
    own_escapes: bool = False  # a delimiter behind an escape delimiter (`&|`) is text
    bare_frames: bool = False  # its frames end without a CR, and so do those sent to it
    codes_are_catalogue: bool = False  # an unlisted code may be a catalogue code or a LOINC
    codes_are_the_sites: bool = False  # `tests` says by catalogue codes how tests are read: none of them is ordered by
    tests: Mapping[str, TestCode] = field(default_factory=dict)
    unlisted: Unlisted = a_measurement
    raised_from: str = ""  # an unlisted suspect is raised from this number on
    retells: Retells | None = None  # the family's word on one row, after the addresses were read
    settles: Settles | None = None  # its word on the whole message
    reports: Reportable = every_measurement
    answers: Answer = no_answer
    pushes: Push | None = None  # orders that it did not ask for; None: its manual knows no such message
    framing: Framing | None = None
    framings: Mapping[str, Framing | None] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    layout: Mapping[str, int] = field(default_factory=dict)
    unit_unsent: Mapping[str, str] = field(default_factory=dict)
    reads: Reads | None = None
