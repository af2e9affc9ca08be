"""Turns what an analyzer said into what the lab holds: Results, Controls, Unmatched rows, and counts of the rest.

Law: pure; every measurement ends in exactly one place; never guess: a row that does not surely belong to an ordered
test of a registered sample is nobody's, with the reason in words. Source: domain 2.2 (identity first), 8 (sample
ids), design of the house ("an unlisted code is never dropped").
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from drivers.driver import Decoded, Driver, Kind, MessageType, Observation, TestCode
from middleware import sample_id
from middleware.model import (
    CatalogueTest,
    Context,
    Control,
    Matched,
    OrderedTest,
    Reason,
    Result,
    SampleFacts,
    SampleState,
    TestState,
    Unmatched,
)
from middleware.sentences import NOTE, reason
from middleware.taken import Taken, take, verbatim
from middleware.values import Limits, limits_for

HALF_A_YEAR = 183
TUBE = 16  # characters of an identity that say analyzer and tube
MOST = 1000  # codes of one analyzer whose meaning is kept
GONE = frozenset({TestState.CANCELLED, TestState.REJECTED})
FILED = frozenset({MessageType.RESULT, MessageType.QC, MessageType.OTHER})


@dataclass(slots=True)
class Sorted:
    """Where the rows of one message went, while it is being read."""

    results: list[Result] = field(default_factory=list)
    unmatched: list[Unmatched] = field(default_factory=list)
    controls: list[Control] = field(default_factory=list)
    duplicates: int = 0
    not_reportable: int = 0


def match(
    decoded: Decoded, context: Context, driver: Driver, meanings: dict[str | None, Meaning] | None = None
) -> Matched:
    """Sort every row of a message; results carry the reasons that reading them gave (unit, masked, suspects).

    `meanings` keeps what this analyzer's codes mean from one message to the next; empty at first.
    """
    rows = decoded.observations
    found = Sorted()
    suspects = _suspects(rows, driver)
    reportable = driver.reportable(rows)
    tubes = _Tubes(context, driver, {} if meanings is None else meanings)
    identities = _identities(rows, context.analyzer.name, driver.resent)
    for row, identity, report in zip(rows, identities, reportable, strict=True):
        if row.kind is not Kind.MEASUREMENT:
            continue
        if not report or decoded.type not in FILED:
            found.not_reportable += 1
        elif identity in context.known_identities:
            found.duplicates += 1
        else:
            _file(found, driver.in_its_unit(row), identity, decoded.type, suspects, tubes)
    kinds = Counter(row.kind for row in rows)
    return Matched(
        results=tuple(found.results), unmatched=tuple(found.unmatched), controls=tuple(found.controls),
        duplicates=found.duplicates, not_reportable=found.not_reportable, suspects=kinds[Kind.SUSPECT],
        images=kinds[Kind.IMAGE], details=kinds[Kind.DETAIL],
    )  # fmt: skip


def _file(
    found: Sorted,
    row: Observation,
    identity: str,
    type: MessageType,
    suspects: Sequence[Suspect],
    tubes: _Tubes,
) -> None:
    """Put one reportable measurement where it belongs."""
    context = tubes.context
    meaning = tubes.meaning(row)
    if meaning.not_here:
        found.not_reportable += 1
    elif type is MessageType.QC:
        found.controls.append(_control(row, identity, meaning, context))
    else:
        filed = _placed(row, identity, type, suspects, meaning, tubes)
        if isinstance(filed, Result):
            found.results.append(filed)
        else:
            found.unmatched.append(filed)


def _placed(
    row: Observation,
    identity: str,
    type: MessageType,
    suspects: Sequence[Suspect],
    meaning: Meaning,
    tubes: _Tubes,
) -> Result | Unmatched:
    """A patient's row: the result of an ordered test, or nobody's."""
    context = tubes.context
    sample, why = tubes.of(row.sample_id, type)
    if sample is None or why is not None:
        return _unmatched(row, identity, why, sample)
    ordered, why = _ordered(row, meaning, sample, context)
    if ordered is None:
        return _unmatched(row, identity, why, sample)
    test = context.catalogue[ordered.code]
    doubts = tuple([s.reason for s in suspects if s.touches(row)]) if suspects else ()
    row = tubes.driver.in_plain_flags(row)  # the rules know the standard's flags
    return _result(row, identity, sample, ordered, test, meaning.listed[test.code], doubts)


# ---- identity ---------------------------------------------------------------------------------------------------


def _identities(rows: Sequence[Observation], analyzer: str, resent: str = "") -> list[str]:
    """One hash for "this very observation": the same message twice gives the same, equal rows are counted apart.

    SHA-256 of the JSON list of analyzer, tube, code, aspect, time, raw value, unit and status, then `#` and a count:
    databases hold these hashes, so the text must never change by a byte. A row whose status is `resent` counts as F:
    it was sent before as that (RC-37). The first quarter is a hash of analyzer and tube alone: what one tube brings
    stands together in an index of millions, instead of a page of it for each row.
    """
    seen: dict[str, int] = {}
    tubes: dict[str | None, tuple[str, str]] = {}
    hashes = []
    for row in rows:
        tube = tubes.get(row.sample_id)
        if tube is None:
            sent = (row.sample_id or "").strip()
            head = f"[{_json(analyzer)}, {_json(sample_id.normalise(sent) or sent)}"
            tube = tubes[row.sample_id] = head, hashlib.sha256(head.encode()).hexdigest()[:TUBE]
        status = "F" if resent and row.status == resent else row.status
        text = (
            f"{tube[0]}, {_json(row.code)}, {_json(row.aspect)}, {_json(row.observed_at)}, {_json(row.raw)}, "
            f"{_json(row.unit)}, {_json(status)}]"
        )
        seen[text] = number = seen.get(text, 0) + 1
        hashes.append(tube[1] + hashlib.sha256(f"{text}#{number}".encode()).hexdigest()[TUBE:])
    return hashes


def tube_of(identity: str) -> str:
    """The part of an identity that all rows of one analyzer and tube share."""
    return identity[:TUBE]


@lru_cache(maxsize=8192)  # codes, units and most numbers come again
def _json(text: str | None) -> str:
    """As `json.dumps(text, ensure_ascii=False)` writes it."""
    return "null" if text is None else json.encoder.encode_basestring(text)


# ---- what the code means ----------------------------------------------------------------------------------------


class Meaning(NamedTuple):
    """What a code can stand for here: catalogue codes (several when the order must say which), or why it is none."""

    tests: tuple[str, ...] = ()
    why: Reason | None = None
    not_here: bool = False  # known, and not reported from this analyzer
    listed: Mapping[str, TestCode | None] = MappingProxyType({})  # how the driver reads each of `tests`

    @classmethod
    def of(cls, row: Observation, context: Context, driver: Driver) -> Meaning:
        """The site's table first, then the driver's, then (well-behaved analyzers) the catalogue's own codes."""
        code, facts = row.code or "", context.analyzer
        listed = driver.tests.get(code)
        if code in facts.codes:
            tests = tuple(facts.codes[code].split("|"))
        elif listed is not None and listed.test is None:
            return cls(not_here=True)
        elif listed is not None and listed.test is not None:
            tests = tuple(listed.test.split("|"))
        else:
            tests = _catalogue_codes(code, context.catalogue) if driver.codes_are_catalogue else ()
        if not tests:
            sentence = "unknown_code" if code else "no_code"
            return cls(why=reason("unknown_code", sentence, code=code, analyzer=facts.name))
        for test in tests:
            if test not in context.catalogue:
                return cls(why=reason("unknown_code", "no_such_test", code=code, analyzer=facts.name, test=test))
        here = tuple([t for t in tests if t in facts.tests]) if facts.tests else tests
        return cls(here, not_here=not here, listed={test: _code_for(test, code, driver.tests) for test in here})


def _code_for(test: str, code: str, codes: Mapping[str, TestCode]) -> TestCode | None:
    """How the driver reads this test: by its own code, else (codes of the site) by what it says of the test."""
    own = codes.get(code)
    if own is not None and own.test is not None and test in own.test.split("|"):
        return own
    return next((c for c in codes.values() if test in (c.test or "").split("|")), None)


def _catalogue_codes(code: str, catalogue: Mapping[str, CatalogueTest]) -> tuple[str, ...]:
    if code in catalogue:
        return (code,)
    return tuple(t.code for t in catalogue.values() if code and t.loinc == code)


# ---- whose row it is --------------------------------------------------------------------------------------------


class _Tubes:
    """Whose a row is: looked up once for each tube that a message names."""

    def __init__(self, context: Context, driver: Driver, meanings: dict[str | None, Meaning]) -> None:
        self.context, self.driver = context, driver
        self._meanings = meanings
        self._found: dict[str | None, tuple[SampleFacts | None, Reason | None]] = {}

    def meaning(self, row: Observation) -> Meaning:
        """What the row's code can stand for here."""
        known = self._meanings.get(row.code)
        if known is None:
            known = Meaning.of(row, self.context, self.driver)
            if len(self._meanings) < MOST:
                self._meanings[row.code] = known
        return known

    def of(self, sample_id: str | None, type: MessageType) -> tuple[SampleFacts | None, Reason | None]:
        """The registered sample of a row, and why the row may not be filed on it."""
        if sample_id not in self._found:
            self._found[sample_id] = _sample_of(sample_id, type, self.context, self.driver)
        return self._found[sample_id]


def _sample_of(
    said: str | None, type: MessageType, context: Context, driver: Driver
) -> tuple[SampleFacts | None, Reason | None]:
    sent = (said or "").strip()
    number = sample_id.normalise(sent)
    sample = context.samples.get(number or sent)
    if driver.unread(said) or not sent:
        return None, reason("unread", "unread", sample_id=sent or "–")
    if sample is None:
        return None, _no_sample(sent, number)
    if sample.state is SampleState.REJECTED:
        return sample, reason("sample_rejected", "sample_rejected", sample_id=sample.sample_id)
    if type is MessageType.OTHER:
        return sample, reason("other_message", "other_message")
    return sample, None


def _no_sample(sent: str, number: str | None) -> Reason:
    if number is None:
        return reason("unknown_sample", "not_ours", sample_id=sent)
    if not sample_id.valid(number):
        return reason("damaged_id", "damaged", sample_id=number)
    return reason("unknown_sample", "not_registered", sample_id=number)


def _ordered(
    row: Observation, meaning: Meaning, sample: SampleFacts, context: Context
) -> tuple[OrderedTest | None, Reason | None]:
    """The one ordered test of this sample that the code means, or why there is none."""
    if meaning.why is not None:
        return None, meaning.why
    if len(meaning.tests) == 1:
        one = sample.tests.get(meaning.tests[0])
        if one is not None and one.state not in GONE:
            return one, None
    ordered = [sample.tests[t] for t in meaning.tests if t in sample.tests]
    wanted = [o for o in ordered if o.state not in GONE]
    if len(wanted) == 1:
        return wanted[0], None
    names = [context.catalogue[t] for t in meaning.tests]
    told = {
        "test": ", ".join(t.name_en for t in names), "test_hi": ", ".join(t.name_hi for t in names),
        "sample_id": sample.sample_id, "code": row.code or "", "tests": ", ".join(meaning.tests),
    }  # fmt: skip
    if wanted:
        return None, reason("several_tests", "several", **told)
    return None, reason("not_ordered", "cancelled" if ordered else "not_ordered", **told)


def _unmatched(row: Observation, identity: str, why: Reason | None, sample: SampleFacts | None) -> Unmatched:
    if why is None:
        raise AssertionError("a row that is nobody's has a reason")
    return Unmatched(
        identity=identity, ordinal=row.ordinal, sample_id=row.sample_id, code=row.code, name=row.name,
        value=row.value, raw=row.raw, unit=row.unit, flags=row.flags, observed_at=row.observed_at, reason=why,
        sample_pk=sample.id if sample else None,
    )  # fmt: skip


def _control(row: Observation, identity: str, meaning: Meaning, context: Context) -> Control:
    """A control measurement; its value only when it could be read in the catalogue's unit."""
    test = context.catalogue[meaning.tests[0]] if meaning.tests and meaning.why is None else None
    taken = take(row, test, meaning.listed[test.code], None) if test is not None else Taken()
    return Control(
        identity=identity, ordinal=row.ordinal, lot=(row.sample_id or "").strip(), code=row.code or "",
        test=test.code if test else None, verbatim=verbatim(row), value=None if taken.comparator else taken.value,
        unit=test.unit if test and taken.value is not None else row.unit, observed_at=row.observed_at,
    )  # fmt: skip


# ---- suspects ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Suspect:
    """One doubt that the analyzer raised about itself, on one sample; no codes: about all of its results."""

    sample_id: str | None
    codes: frozenset[str]
    reason: Reason

    def touches(self, row: Observation) -> bool:
        """True when the doubt is about this row."""
        return row.sample_id == self.sample_id and (not self.codes or (row.code or "") in self.codes)


def _suspects(rows: Sequence[Observation], driver: Driver) -> tuple[Suspect, ...]:
    found = []
    for row in rows:
        if driver.raised(row):
            listed = driver.tests.get(row.code or "")
            words = (row.name or row.code or "?").replace("_", " ").rstrip("?")
            told = reason("suspects", "suspects", suspect=words)
            found.append(Suspect(row.sample_id, frozenset(listed.doubts if listed else ()), told))
    return tuple(found)


# ---- the result -------------------------------------------------------------------------------------------------


def _result(
    row: Observation,
    identity: str,
    sample: SampleFacts,
    ordered: OrderedTest,
    test: CatalogueTest,
    meaning: TestCode | None,
    doubts: tuple[Reason, ...],
) -> Result:
    patient = sample.patient
    limits = None if test.coded else limits_for(test, patient.sex, patient.age_days)
    taken: Taken = take(row, test, meaning, limits)
    notes = taken.notes + doubts
    if patient.approximate_age:
        notes += _about_age(test, sample, limits)
    return Result(
        identity=identity, ordinal=row.ordinal, sample_pk=sample.id, order_test_id=ordered.id, test=test.code,
        code=row.code or "", verbatim=verbatim(row), value=taken.value, comparator=taken.comparator,
        coded=taken.coded, display=taken.display, unit=test.unit, flag=taken.flag,
        ref_low=limits.ref_low if limits else None, ref_high=limits.ref_high if limits else None,
        analyzer_flags=row.flags, comments=tuple([c for c in row.comments if c]) if row.comments else (),
        status=row.status, aspect=row.aspect, observed_at=row.observed_at, notes=notes,
    )  # fmt: skip


def _about_age(test: CatalogueTest, sample: SampleFacts, limits: Limits | None) -> tuple[Reason, ...]:
    """A guessed age is said where half a year more or less would give another interval (domain 2.2)."""
    patient = sample.patient
    if test.coded:
        return ()
    ages = (max(0, patient.age_days - HALF_A_YEAR), patient.age_days + HALF_A_YEAR)
    if all(limits_for(test, patient.sex, age) == limits for age in ages):
        return ()
    return (reason("approximate_age", "approximate_age", NOTE),)
