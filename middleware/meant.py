"""What an analyzer's code would mean here: catalogue tests, for the tray's pages.

Turns (analyzer, code) into catalogue codes by the same tables that `match` reads: the site's, then the driver's, then
(well-behaved analyzers) the catalogue's own. Law: pure but for the drivers' forms; an unknown code means nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from drivers.driver import load_driver
from middleware.model import CatalogueTest
from middleware.settings import AnalyzerSettings, Settings


def tests_meant(settings: Settings, analyzer: str, code: str | None) -> tuple[str, ...]:
    """The catalogue tests this code can stand for; () when it is unknown here."""
    unit = next((a for a in settings.analyzers if a.name == analyzer), None)
    return meant_by(settings.catalogue, unit, code) if unit is not None and code else ()


def meant_by(catalogue: Mapping[str, CatalogueTest], unit: AnalyzerSettings, code: str) -> tuple[str, ...]:
    """The same for an analyzer that is perhaps not yet configured."""
    return tuple(test for test in _tests(catalogue, unit, code) if test in catalogue)


def _tests(catalogue: Mapping[str, CatalogueTest], unit: AnalyzerSettings, code: str) -> tuple[str, ...]:
    if code in unit.codes:
        return tuple(unit.codes[code].split("|"))
    driver = load_driver(unit.driver)
    listed = driver.tests.get(code)
    if listed is not None:
        return tuple(listed.test.split("|")) if listed.test else ()
    if not driver.codes_are_catalogue:
        return ()
    return tuple(t.code for t in catalogue.values() if code in (t.code, t.loinc))
