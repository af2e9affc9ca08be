"""Turns the configured analyzers into "which analyzer measures which test here", and says what each driver is.

Law: pure; the driver's form and config/analyzers.toml are all it reads.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from importlib import import_module

from drivers.driver import driver_names, load_driver
from middleware.settings import AnalyzerSettings, Settings


@dataclass(frozen=True, slots=True)
class DriverFacts:
    """What people are told of a driver: which analyzers it is for, what they speak, how far it is proven."""

    title: str
    speaks: str
    grade: str


def driver_facts(name: str) -> DriverFacts:
    """The facts of one driver; KeyError when there is none of that name."""
    driver = load_driver(name)
    return DriverFacts(driver.title, driver.speaks, driver.grade.value)


@dataclass(frozen=True, slots=True)
class DriverCard:
    """A driver for somebody who chooses one: its facts, and what its own opening words say (English, as there)."""

    name: str
    facts: DriverFacts
    about: str  # which models, how they are connected
    manual: str
    proof: str
    cannot: str  # "" when it says nothing of the kind
    framings: tuple[str, ...]  # ways its analyzer may mark messages, the usual one first; () when there is one
    orders: tuple[str, ...]  # what [[analyzer]] orders may say for it
    codes: tuple[tuple[str, str], ...]  # code → catalogue test, as the driver knows them; () when sites assign them


@cache
def driver_card(name: str) -> DriverCard:
    """The card of one driver; KeyError when there is none of that name."""
    driver = load_driver(name)
    words = " ".join((import_module(f"drivers.{name}").__doc__ or "").split("\n"))
    about, _, rest = words.partition("Manual")
    manual, _, rest = rest.partition("Proof")
    proof = re.split(r"  |Where|Near-|Cannot", rest.strip())[0]
    return DriverCard(
        name, driver_facts(name), _line(about), _line(manual), _line(proof), _line(rest.partition("Cannot:")[2]),
        tuple(driver.framings),
        ("answer", "push", "none") if driver.pushes else ("answer", "none"),
        () if driver.codes_are_the_sites
        else tuple((code, meaning.test) for code, meaning in driver.tests.items() if meaning.test),
    )  # fmt: skip


def driver_cards() -> tuple[DriverCard, ...]:
    """Every driver there is, by title."""
    return tuple(sorted(map(driver_card, driver_names()), key=lambda card: card.facts.title.lower()))


def _line(text: str) -> str:
    return " ".join(text.split())


def tests_of(analyzer: AnalyzerSettings) -> frozenset[str]:
    """The catalogue tests this unit may report: its own list, else all its driver and site codes map to."""
    if analyzer.tests:
        return analyzer.tests
    mapped = {code.test for code in load_driver(analyzer.driver).tests.values() if code.test}
    return frozenset(mapped | set(analyzer.codes.values()))


def measured(settings: Settings) -> dict[str, frozenset[str]]:
    """Every test that some enabled analyzer measures, with the names of those analyzers."""
    found: dict[str, frozenset[str]] = {}
    for analyzer in settings.analyzers:
        if analyzer.enabled:
            for test in tests_of(analyzer):
                found[test] = found.get(test, frozenset()) | {analyzer.name}
    return found


def typed_by_hand(settings: Settings, connected: Collection[str]) -> frozenset[str]:
    """Tests that are typed now: coded ones, those no analyzer measures, those whose analyzers are all down.

    A coded test that an analyzer measures (urine strips) is typed too: people read strips by eye.
    """
    measuring = measured(settings)
    return frozenset(
        code
        for code, test in settings.catalogue.items()
        if test.coded or not measuring.get(code, frozenset()) & set(connected)
    )
