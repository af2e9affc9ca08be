"""Turns values into the text a page shows: times in the lab's zone, ages, sample ids, intervals.

Law: the same value is the same text on every page. Filters that need words or the zone take them from the page's
context, so one Jinja environment serves both languages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context

from middleware.model import CatalogueTest
from middleware.sample_id import pretty
from middleware.settings import Settings

TEMPLATES = Path(__file__).parent / "templates"
DASH = "–"


@dataclass(frozen=True, slots=True)
class TestShown:
    """How a page calls a test: names, the unit people read, decimals. An unknown code is shown as it is."""

    code: str
    name_en: str
    name_hi: str
    unit: str  # UCUM, as results carry it
    display_unit: str
    decimals: int
    coded: bool = False
    allowed: tuple[str, ...] = ()
    sort: int = 10_000

    def unit_of(self, unit: str) -> str:
        """The unit to show beside a value: ours when the result is in our unit, else the result's own."""
        return self.display_unit if unit == self.unit else unit


def tests_shown(settings: Settings, codes: Iterable[str]) -> dict[str, TestShown]:
    """How to show each of these tests; codes the catalogue no longer has are kept."""
    return {code: _shown(code, settings.catalogue.get(code)) for code in codes}


def _shown(code: str, test: CatalogueTest | None) -> TestShown:
    if test is None:
        return TestShown(code, code, code, "", "", 2)
    return TestShown(
        code, test.name_en, test.name_hi, test.unit, test.display_unit, test.decimals, test.coded, test.allowed,
        test.sort,
    )  # fmt: skip


def titles(settings: Settings) -> dict[str, str]:
    """What the pages call each analyzer."""
    return {a.name: a.title for a in settings.analyzers}


def environment(zone: ZoneInfo, static: Mapping[str, str], has_word: Callable[[str], bool]) -> Environment:
    """The Jinja environment of one app: autoescape on, strict undefined, our filters."""
    env = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, auto_reload=False,
    )  # fmt: skip
    env.globals["zone"] = zone
    env.globals["has_word"] = has_word
    env.globals["static"] = lambda name: f"/static/{name}?v={static[name]}"
    env.filters.update(
        when=when,
        day=day,
        clock=clock,
        ago=ago,
        lately=lately,
        span=span,
        age=age,
        tube=tube,
        both=both,
        interval=interval,
        kind=kind_of_flag,
        names=names,
    )
    return env


def _zone(context: Context) -> ZoneInfo:
    zone: ZoneInfo = context["zone"]
    return zone


@pass_context
def when(context: Context, at: datetime | None) -> str:
    """dd-mm-yyyy HH:MM on the lab's clock."""
    return at.astimezone(_zone(context)).strftime("%d-%m-%Y %H:%M") if at else DASH


@pass_context
def day(context: Context, at: datetime | date | None) -> str:
    """dd-mm-yyyy; a datetime is taken to the lab's zone first."""
    if at is None:
        return DASH
    local = at.astimezone(_zone(context)) if isinstance(at, datetime) else at
    return local.strftime("%d-%m-%Y")


@pass_context
def clock(context: Context, at: datetime | None) -> str:
    """HH:MM on the lab's clock."""
    return at.astimezone(_zone(context)).strftime("%H:%M") if at else DASH


@pass_context
def lately(context: Context, at: datetime | None, now: datetime) -> str:
    """HH:MM when it was less than a day ago, else dd-mm-yyyy HH:MM; to be said beside how long ago it was."""
    recent = at is not None and abs((now - at).total_seconds()) < 24 * 3600
    return clock(context, at) if recent else when(context, at)


@pass_context
def ago(context: Context, at: datetime | None, now: datetime) -> str:
    """How long ago in words: "12 min", "3 h", "2 days"; a clock that is ahead gives "now"."""
    if at is None:
        return DASH
    t, minutes = context["t"], int((now - at).total_seconds() // 60)
    if minutes < 1:
        return str(t("time.now"))
    if minutes < 60:
        return str(t("time.minutes", n=minutes))
    if minutes < 48 * 60:
        return str(t("time.hours", n=minutes // 60))
    return str(t("time.days", n=minutes // (24 * 60)))


@pass_context
def span(context: Context, seconds: int) -> str:
    """How long, in words: "25 min", "2 h 5 min", "3 days"; less than a minute counts as one."""
    t, minutes = context["t"], max(1, round(seconds / 60))
    if minutes < 60:
        return str(t("time.minutes", n=minutes))
    if minutes >= 48 * 60:
        return str(t("time.days", n=round(minutes / (24 * 60))))
    hours = str(t("time.hours", n=minutes // 60))
    return f"{hours} {t('time.minutes', n=minutes % 60)}" if minutes % 60 else hours


@pass_context
def age(context: Context, birth: date, on: date, precision: str = "day") -> str:
    """The age in the unit people use: days under a month, months under two years, else years; ~ when only the year
    is known."""
    t, days = context["t"], max((on - birth).days, 0)
    months = (on.year - birth.year) * 12 + on.month - birth.month - (on.day < birth.day)
    if days < 31:
        text = f"{days} {t('age.days')}"
    elif months < 24:
        text = f"{months} {t('age.months')}"
    else:
        text = f"{months // 12} {t('age.years')}"
    return f"~{text}" if precision == "year" else text


def tube(sample_id: str | None) -> str:
    """A sample id as people read it, SSS-YDDD-NNNN-C; what is not ours is left as it is."""
    if sample_id is None:
        return DASH
    return pretty(sample_id) if len(sample_id) == 12 and sample_id.isascii() and sample_id.isdigit() else sample_id


@pass_context
def both(context: Context, thing: Any, field: str = "name") -> str:
    """`thing.name_hi` or `thing.name_en` by the page's language; English when there is no Hindi."""
    chosen = getattr(thing, f"{field}_{context['lang']}")
    return str(chosen or getattr(thing, f"{field}_en"))


@pass_context
def names(context: Context, tests: Mapping[str, TestShown], codes: Iterable[str]) -> str:
    """The names of these tests, with commas between."""
    return ", ".join(both(context, tests[code]) if code in tests else code for code in codes)


def interval(low: Decimal | None, high: Decimal | None, decimals: int = 2) -> str:
    """ "12.0 – 15.0", "≤ 5.0", "≥ 40", "" when there is none; never more decimals than the test is shown with."""
    if low is None and high is None:
        return ""
    if low is None:
        return f"≤ {high:.{decimals}f}"
    if high is None:
        return f"≥ {low:.{decimals}f}"
    return f"{low:.{decimals}f} {DASH} {high:.{decimals}f}"


def kind_of_flag(flag: str) -> str:
    """Which of good, warn, bad a flag is shown as; its word stands beside it."""
    return {"N": "good", "": "plain", "LL": "bad", "HH": "bad"}.get(flag, "warn")
