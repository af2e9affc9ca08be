"""Rows and tubes for the tests of matching: a row as an analyzer sends it, the tube it names, what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from drivers.driver import Decoded, Driver, MessageType, Observation, load_driver
from middleware import model  # model.TestState: a bare TestState would be collected
from middleware.catalogue import read_catalogue
from middleware.match import match
from middleware.model import (
    AnalyzerFacts,
    Context,
    Matched,
    OrderedTest,
    PatientFacts,
    Result,
    SampleFacts,
    SampleState,
    Sex,
)
from middleware.rules import RULES
from middleware.settings import RuleSettings

CATALOGUE = read_catalogue(Path(__file__).parents[2] / "config").tests
GENERIC = load_driver("generic_astm")
SAMPLE = "107632600424"
ALL_RULES = RuleSettings(frozenset(RULES), "test", {})


def row(code: str | None, value: str | None, unit: str | None = None, **more: Any) -> Observation:
    """One row as a well-behaved analyzer sends it."""
    said = {"sample_id": SAMPLE, "name": None, "raw": value, "ordinal": 1, **more}
    return Observation(code=code, value=value, unit=unit, **said)


def sample(*codes: str, **more: Any) -> SampleFacts:
    """A received tube of a man of 40 with these tests ordered."""
    facts: dict[str, Any] = {
        "id": 1, "sample_id": SAMPLE, "state": SampleState.RECEIVED, "specimen": "Serum", "container": "S",
        "patient_id": 3, "patient": PatientFacts(Sex.MALE, 14600),
        "tests": {c: OrderedTest(n, c, model.TestState.AWAITED) for n, c in enumerate(codes, start=10)}, **more,
    }  # fmt: skip
    return SampleFacts(**facts)


def context(tube: SampleFacts | None, **facts: Any) -> Context:
    """What was read of the database: one tube or none, and the analyzer."""
    analyzer: dict[str, Any] = {"name": "a1", "driver": "generic_astm", "grade": "manual", "codes": {}, **facts}
    return Context(AnalyzerFacts(**analyzer), {tube.sample_id: tube} if tube else {}, CATALOGUE)


def matched(
    rows: Sequence[Observation],
    where: Context,
    driver: Driver = GENERIC,
    type: MessageType = MessageType.RESULT,
) -> Matched:
    """The rows of one message, matched."""
    return match(Decoded(type, None, observations=tuple(rows)), where, driver)


def one(code: str, value: str | None, unit: str | None = None, **more: Any) -> Result:
    """The result of one row of one ordered test."""
    test = more.pop("test", code)
    tube = sample(test, **more.pop("tube", {}))
    found = matched([row(code, value, unit, **more)], context(tube))
    assert found.unmatched == ()
    return found.results[0]


def why(rows: Sequence[Observation], where: Context, driver: Driver = GENERIC, **more: Any) -> list[tuple[str, str]]:
    """Rule and sentence of each row of the tray; nothing else came of the message."""
    found = matched(rows, where, driver, **more)
    assert (found.results, found.controls) == ((), ())
    return [(u.reason.rule, u.reason.text) for u in found.unmatched]
