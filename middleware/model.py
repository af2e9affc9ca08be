"""The lab's own values: who may do what, what state a thing is in, what a report says.

Turns nothing into nothing: frozen values and the tables of states and rights. Law: no I/O, no clock, no SQL.
Source: ISO 15189:2022 7.4 (reports, release, amendment), HL7 table 0085 for the states, CLSI AUTO10/AUTO15.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

from middleware.document import (
    Access as Access,
)
from middleware.document import (
    Handover as Handover,
)
from middleware.document import (
    LinkPolicy as LinkPolicy,
)
from middleware.document import (
    Report as Report,
)
from middleware.document import (
    ReportLine as ReportLine,
)
from middleware.document import (
    ReportSample as ReportSample,
)
from middleware.document import (
    ReportStatus as ReportStatus,
)
from middleware.document import (
    Sex as Sex,
)
from middleware.people import (
    RIGHTS as RIGHTS,
)
from middleware.people import (
    Actor as Actor,
)
from middleware.people import (
    NotAllowed as NotAllowed,
)
from middleware.people import (
    Refused as Refused,
)
from middleware.people import (
    Right as Right,
)
from middleware.people import (
    Role as Role,
)

# ---- states -----------------------------------------------------------------------------------------------------


class SampleState(StrEnum):
    REGISTERED = "registered"
    COLLECTED = "collected"
    RECEIVED = "received"
    REJECTED = "rejected"


class TestState(StrEnum):
    """One ordered test. An order is complete when none of its tests is awaited."""

    AWAITED = "awaited"
    RELEASED = "released"
    REJECTED = "rejected"  # cannot be done; the report says so
    CANCELLED = "cancelled"


class ResultState(StrEnum):
    """HL7 table 0085: held R, autoverified R, released F (P while others are awaited), amended C, rejected X."""

    HELD = "held"
    AUTOVERIFIED = "autoverified"  # no rule holds it; waits for a person unless auto-release is on
    RELEASED = "released"
    AMENDED = "amended"  # was released, a newer result of the same test took its place
    REJECTED = "rejected"


RESULT_MOVES: Mapping[ResultState, frozenset[ResultState]] = {
    ResultState.HELD: frozenset({ResultState.RELEASED, ResultState.REJECTED}),
    # back to held when a second result of the same test arrives: a person chooses
    ResultState.AUTOVERIFIED: frozenset({ResultState.RELEASED, ResultState.REJECTED, ResultState.HELD}),
    ResultState.RELEASED: frozenset({ResultState.AMENDED}),
    ResultState.AMENDED: frozenset(),
    ResultState.REJECTED: frozenset(),
}


class MobileOwner(StrEnum):
    """Whose phone it is; only the first two ever get a link (domain 5.4)."""

    SELF = "self"
    FAMILY = "family"
    ASHA = "asha"
    NONE = "none"


# ---- catalogue --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Interval:
    """One row of the catalogue: for a sex and an age, what is usual, critical, absurd. None: no limit.

    Ages are days, `age_min <= age < age_max`. Limits themselves are inside: low means value < limit.
    """

    sex: str  # "A" any, "M", "F"
    age_min: int
    age_max: int
    ref_low: Decimal | None
    ref_high: Decimal | None
    crit_low: Decimal | None
    crit_high: Decimal | None
    absurd_low: Decimal | None
    absurd_high: Decimal | None
    release_low: Decimal | None = None
    release_high: Decimal | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class CatalogueTest:
    """One analyte of config/tests.csv. Numeric tests have intervals; coded tests have allowed values."""

    code: str
    name_en: str
    name_hi: str
    panel: str
    specimen: str
    container: str  # letter printed on the tube: E lavender, S red, F grey, C blue, U cup, B other
    loinc: str
    unit: str  # UCUM
    display_unit: str
    decimals: int
    coded: bool
    intervals: tuple[Interval, ...] = ()
    delta_pct: Decimal | None = None
    delta_floor: Decimal | None = None  # absolute change below which delta never fires
    delta_days: int | None = None
    allowed: tuple[str, ...] = ()
    normal: tuple[str, ...] = ()
    critical: tuple[str, ...] = ()
    link: LinkPolicy = LinkPolicy.YES
    never_auto: bool = False
    method: str = ""
    alt_unit: str | None = None  # another unit people read, e.g. lakh/cumm
    alt_factor: Decimal | None = None
    alt_decimals: int = 0
    calculated: bool = False
    sort: int = 0
    timing: str = ""  # F, PP, 2H: a timed glucose is a tube of its own (domain 8.5)
    units: Mapping[str, Decimal] = field(default_factory=dict, hash=False)  # unit spelling → factor to `unit`
    bands: dict[Any, Any] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )  # see `values.limits_for`

    def interval_for(self, sex: Sex, age_days: int) -> Interval | None:
        """The interval in force for this sex and age in days at collection; None when the catalogue has none."""
        for row in self.intervals:
            if row.age_min <= age_days < row.age_max and row.sex in ("A", sex.value):
                return row
        return None


# ---- from observation to result ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a rule holds a result: the rule's name, a sentence in both languages, and the values it used."""

    rule: str
    text: str
    text_hi: str
    values: Mapping[str, str] = field(default_factory=dict)
    severity: str = "hold"  # hold · critical · block (never part of "release all green") · note (shown, does not hold)


@dataclass(frozen=True, slots=True)
class PatientFacts:
    """What the rules may know of a patient: never the name."""

    sex: Sex
    age_days: int
    approximate_age: bool = False


class Previous(NamedTuple):
    """The latest released result of the same patient and test before this one."""

    value: Decimal | None
    coded: str | None
    unit: str
    at: datetime


class OrderedTest(NamedTuple):
    """One ordered test on a sample, as match and rules see it. `result_state` is that of its newest result."""

    id: int
    code: str
    state: TestState
    has_open_result: bool = False
    open_values: tuple[str, ...] = ()  # values of its held or autoverified results, with their analyzers: "7.1 (xn550)"
    open_analyzers: tuple[str, ...] = ()
    released_value: str | None = None


@dataclass(frozen=True, slots=True)
class SampleFacts:
    """One tube as match and rules see it."""

    id: int
    sample_id: str
    state: SampleState
    specimen: str
    container: str
    patient_id: int
    patient: PatientFacts
    tests: Mapping[str, OrderedTest]  # by catalogue code
    previous: Mapping[str, Previous] = field(default_factory=dict)
    check_digit_ok: bool = True


@dataclass(frozen=True, slots=True)
class AnalyzerFacts:
    """What match and rules must know of the analyzer that spoke."""

    name: str
    driver: str
    grade: str
    codes: Mapping[str, str]  # site-assigned code → catalogue code, from config/analyzers.toml; wins over the driver's
    auto_release: bool = False
    tests: frozenset[str] = frozenset()  # catalogue codes this analyzer may report here; empty: all that are mapped


@dataclass(frozen=True, slots=True)
class Context:
    """Everything match and rules need, read once: samples by the id as registered, the analyzer, the catalogue."""

    analyzer: AnalyzerFacts
    samples: Mapping[str, SampleFacts]
    catalogue: Mapping[str, CatalogueTest]
    known_identities: frozenset[str] = frozenset()
    now: datetime | None = None


class Result(NamedTuple):
    """An observation made ours. `value` is Decimal for numeric tests, with comparator "<" or ">" or "".

    `display` is the rounded text that is compared, shown and printed, so that flag and print never disagree.
    `flag` is N, L, H, LL, HH (critical), A (abnormal coded) or "" (no interval).
    """

    identity: str
    ordinal: int
    sample_pk: int
    order_test_id: int
    test: str
    code: str
    verbatim: str
    value: Decimal | None
    comparator: str
    coded: str | None
    display: str
    unit: str
    flag: str
    ref_low: Decimal | None
    ref_high: Decimal | None
    analyzer_flags: tuple[str, ...]
    comments: tuple[str, ...]
    status: str | None
    aspect: str | None
    observed_at: str | None
    notes: tuple[Reason, ...] = ()  # reasons that matching itself found (unknown unit, masked, not a number)


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A row that is nobody's: shown in the tray with the reason, linked only by a person."""

    identity: str
    ordinal: int
    sample_id: str | None
    code: str | None
    name: str | None
    value: str | None
    raw: str | None
    unit: str | None
    flags: tuple[str, ...]
    observed_at: str | None
    reason: Reason
    sample_pk: int | None = None  # known sample, unknown code or test not ordered


@dataclass(frozen=True, slots=True)
class Control:
    """One control measurement, kept away from patients."""

    identity: str
    ordinal: int
    lot: str  # the control's sample id as sent
    code: str
    test: str | None
    verbatim: str
    value: Decimal | None
    unit: str | None
    observed_at: str | None


class Verdict(NamedTuple):
    """Release or hold, with every reason. `green` means nothing holds it: "release all green" takes it."""

    identity: str
    reasons: tuple[Reason, ...] = ()

    @property
    def green(self) -> bool:
        """True when no reason holds the result."""
        return not self.reasons or all(r.severity == "note" for r in self.reasons)


@dataclass(frozen=True, slots=True)
class Matched:
    """What match() found in one message. Every measurement is in exactly one of the first four."""

    results: tuple[Result, ...] = ()
    unmatched: tuple[Unmatched, ...] = ()
    controls: tuple[Control, ...] = ()
    duplicates: int = 0  # measurements already stored (same identity)
    not_reportable: int = 0  # measurements the driver's rule leaves out (replicates, raw, preliminary): in the message
    suspects: int = 0
    images: int = 0
    details: int = 0


def age_days(birth: date, on: date) -> int:
    """Whole days from birth to the day of collection (domain 2.2: bands are compared in days)."""
    return (on - birth).days
