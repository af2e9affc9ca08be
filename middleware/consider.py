"""Thinks about one message: reads its context once, matches, verifies. Writes nothing.

Turns a Decoded into (Context, Matched, Verdicts). Shared by the pipeline (what an analyzer said) and by the actions
that bring a value in by hand (typed, linked), so that every value passes the same rules.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import Connection

from drivers.driver import Decoded, Driver, Grade, load_driver
from middleware.lab import Lab
from middleware.match import match
from middleware.model import AnalyzerFacts, Context, Matched, SampleFacts, Verdict
from middleware.rules import verify
from middleware.sample_id import normalise
from middleware.settings import AnalyzerSettings
from middleware.store.context import context_for

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
    """The analyzer's driver, with this site's charset. KeyError when there is no such driver."""
    driver = load_driver(analyzer.driver)
    return replace(driver, charset=analyzer.charset) if analyzer.charset else driver


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


def consider(lab: Lab, conn: Connection, decoded: Decoded, facts: AnalyzerFacts, driver: Driver) -> Considered:
    """Read once, then think: match every row, verify every result."""
    said = {o.sample_id for o in decoded.observations if o.sample_id}
    ids = {n for n in map(normalise, said) if n is not None}
    now = lab.now().astimezone(lab.settings.lab.timezone)
    context = context_for(conn, ids, facts, lab.settings.catalogue, now)
    matched = match(decoded, context, driver)
    return Considered(context, matched, verify(matched.results, context, lab.settings.rules))
