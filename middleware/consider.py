"""Thinks about messages: reads their context once, matches, verifies. Writes nothing.

Turns each Decoded into (Context, Matched, Verdicts). Shared by the pipeline (what an analyzer said) and by the actions
that bring a value in by hand (typed, linked), so that every value passes the same rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TypeVar

from sqlalchemy import Connection

from drivers.driver import Decoded, Driver, Grade, load_driver
from middleware.lab import Lab
from middleware.match import Meaning, match
from middleware.model import AnalyzerFacts, Context, Matched, SampleFacts, Verdict
from middleware.rules import verify
from middleware.sample_id import normalise
from middleware.settings import AnalyzerSettings
from middleware.store.context import samples_for

T = TypeVar("T")
Pairs = tuple[tuple[str, T], ...]

TYPED = AnalyzerFacts(name="", driver="generic_astm", grade=Grade.FIELD.value, codes={})
"""Who "said" a typed value: no analyzer. The rules treat it like any other; it is marked typed on the report."""


@dataclass(frozen=True, slots=True)
class Considered:
    """What the lab makes of one message, before anything is written."""

    context: Context
    matched: Matched
    verdicts: tuple[Verdict, ...]

    @property
    def samples(self) -> dict[int, SampleFacts]:
        """The samples of the context by primary key."""
        return {s.id: s for s in self.context.samples.values()}


def driver_of(analyzer: AnalyzerSettings) -> Driver:
    """The analyzer's driver, as this site set it. KeyError when there is no such driver."""
    layout, units = tuple(analyzer.layout.items()), tuple(analyzer.units.items())
    return _at_site(load_driver(analyzer.driver), analyzer.charset, analyzer.framing, layout, units)


@cache
def _at_site(driver: Driver, charset: str | None, framing: str, layout: Pairs[int], units: Pairs[str]) -> Driver:
    """One for each way an analyzer is set: a driver keeps what it learned of its form."""
    return driver.at_site(charset, framing, dict(layout), dict(units))


def facts_of(analyzer: AnalyzerSettings, driver: Driver) -> AnalyzerFacts:
    """What match and rules know of a configured analyzer."""
    return AnalyzerFacts(
        name=analyzer.name,
        driver=analyzer.driver,
        grade=driver.grade.value,
        codes=analyzer.codes,
        auto_release=analyzer.auto_release,
        tests=analyzer.tests,
    )


@dataclass(frozen=True, slots=True)
class Heard:
    """What one message says, and who said it."""

    decoded: Decoded
    facts: AnalyzerFacts
    driver: Driver
    meanings: dict[str | None, Meaning] = field(default_factory=dict, compare=False)  # of this analyzer's codes

    def sample_ids(self) -> frozenset[str]:
        """The tubes it names, each by our number where it can be one, else as sent ("" when it names none)."""
        said = {o.sample_id for o in self.decoded.observations}
        texts = {(text or "").strip() for text in said}
        return frozenset(normalise(text) or text for text in texts)


def consider(lab: Lab, conn: Connection, heard: Sequence[Heard]) -> list[Considered]:
    """Read once for all of them, then think about each: match every row, verify every result.

    No two of them name the same tube: what one of them brings is not seen by the others.
    """
    ids = [{n for n in one.sample_ids() if normalise(n)} for one in heard]
    now = lab.now().astimezone(lab.settings.lab.timezone)
    samples = samples_for(conn, set().union(*ids), now)
    return [
        _considered(lab, one, Context(one.facts, {n: samples[n] for n in mine if n in samples},
                                      lab.settings.catalogue, now=now))
        for one, mine in zip(heard, ids, strict=True)
    ]  # fmt: skip


def _considered(lab: Lab, heard: Heard, context: Context) -> Considered:
    matched = match(heard.decoded, context, heard.driver, heard.meanings)
    return Considered(context, matched, verify(matched.results, context, lab.settings.rules))
