"""Turns the catalogue into what can be ticked on a form: panels first, then single tests by group.

Law: pure. A test or panel is found by any word of its code or of its name in either language.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from middleware.model import CatalogueTest
from middleware.settings import Settings
from server.strings import Strings


@dataclass(frozen=True, slots=True)
class Choice:
    """One thing to tick. `words` is what the filter box looks through; `tests` are the codes a panel brings."""

    code: str
    name: str
    words: str
    tests: tuple[str, ...] = ()
    link: str = "yes"


@dataclass(frozen=True, slots=True)
class Group:
    """Single tests that belong together."""

    code: str
    name: str
    tests: tuple[Choice, ...]


@dataclass(frozen=True, slots=True)
class Choices:
    """Everything the laboratory does."""

    panels: tuple[Choice, ...]
    groups: tuple[Group, ...]


def choices(settings: Settings, lang: str, strings: Strings) -> Choices:
    """All panels and tests, named in the page's language, in the catalogue's order."""
    panels = tuple(
        Choice(code, panel_name(settings, code, lang), _panel_words(settings, code), tests)
        for code, tests in settings.panels.items()
        if tests
    )
    groups: dict[str, list[Choice]] = {}
    for test in sorted(settings.catalogue.values(), key=lambda c: (c.sort, c.code)):
        groups.setdefault(test.panel, []).append(_choice(test, lang))
    named = (Group(code, _group_name(settings, code, lang, strings), tuple(tests)) for code, tests in groups.items())
    return Choices(panels, tuple(named))


def _choice(test: CatalogueTest, lang: str) -> Choice:
    words = f"{test.code} {test.name_en} {test.name_hi}".casefold()
    return Choice(test.code, test_name(test, lang), words, link=test.link.value)


def _panel_words(settings: Settings, code: str) -> str:
    return " ".join((code, *settings.panel_names.get(code, ()), *settings.panels[code])).casefold()


def panel_name(settings: Settings, code: str, lang: str) -> str:
    """The name of a panel or group of config/panels.csv; its code when nobody gave it one."""
    english, hindi = settings.panel_names.get(code, (code, ""))
    return hindi if lang == "hi" and hindi else english


def _group_name(settings: Settings, code: str, lang: str, strings: Strings) -> str:
    """What the report calls this group of tests: a group is not the panel of the same code."""
    key = f"report.panel.{code}"
    return strings.t(key, lang) if strings.has(key) else panel_name(settings, code, lang)


def test_name(test: CatalogueTest, lang: str) -> str:
    """The name of a test in the page's language."""
    return test.name_hi if lang == "hi" and test.name_hi else test.name_en


def names(catalogue: Mapping[str, CatalogueTest], lang: str) -> dict[str, str]:
    """Name of every test by its code."""
    return {code: test_name(test, lang) for code, test in catalogue.items()}
