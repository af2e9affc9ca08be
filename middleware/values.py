"""Text of an analyzer to a number of the catalogue, and a number to its flag.

Turns ("1.5", "lakh/cumm") into 150 in 10*3/uL, "<3.00" into a comparator and a number, a number into N, L, H, LL, HH.
Law: Decimal only; what is no number never becomes one, and never 0; no unit is guessed; never raises.
Source: domain 2.2 (limits are inside, compare what is displayed, sex other), 2.7 (units of India).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from functools import cache, lru_cache
from typing import NamedTuple

from drivers.driver import TestCode
from middleware.catalogue import unit_key
from middleware.model import CatalogueTest, Interval, Sex

_NUMBER = re.compile(r"(<=|>=|<|>)?\s*([+-]?)(\d*)(?:([.,])(\d*))?", re.ASCII)
_WHOLE, _FRACTION = 9, 18  # most digits: float noise such as 30.600000381469727 is read, noise on the line is not
_NO_UNIT = re.compile(r"\{[^}]*\}|\[pH\]")


class Number(NamedTuple):
    """A number as sent. `doubtful`: its comma may be a decimal point or a separator of thousands."""

    value: Decimal
    comparator: str = ""
    doubtful: bool = False


@lru_cache(maxsize=8192)  # an analyzer's numbers have three digits: most were read before
def number(text: str, decimals: int = 0) -> Number | None:
    """The number in a text, with `<`, `>`, `≤` or `≥` before it and a decimal comma or point; None when it is none.

    A comma before exactly three digits is doubtful unless the test prints three decimals.
    """
    found = _NUMBER.fullmatch(text.strip().replace("≤", "<=").replace("≥", ">="))
    if found is None:
        return None
    comparator, sign, whole, mark, fraction = found.groups("")
    if not whole + fraction or len(whole) > _WHOLE or len(fraction) > _FRACTION:
        return None
    doubtful = mark == "," and len(fraction) == 3 and decimals != 3
    return Number(Decimal(f"{sign}{whole or 0}{'.' if fraction else ''}{fraction}"), comparator, doubtful)


def factor(test: CatalogueTest, meaning: TestCode | None, unit: str | None) -> Decimal | None:
    """What a value in this unit is multiplied with to be in the catalogue's unit; None when nobody said so."""
    sent = (unit or "").strip()
    listed = meaning.units if meaning else {}
    target = listed.get(sent)
    if target is None and listed:
        target = {unit_key(text): listed[text] for text in listed}.get(unit_key(sent))
    if target is not None:
        return _decimal(target[1]) if target[0] == test.unit else None
    if not sent:
        return Decimal(1) if _NO_UNIT.fullmatch(test.unit) else None
    return test.units.get(unit_key(sent))


@lru_cache(maxsize=1000)
def _decimal(text: str) -> Decimal:
    return Decimal(text)


@cache
def _place(decimals: int) -> Decimal:
    return Decimal(1).scaleb(-decimals)


def converted(found: Number, times: Decimal, decimals: int) -> Decimal:
    """The value in the catalogue's unit as it is printed: half up to the test's decimals.

    A bound (`<0.003`) stays as it was sent; when its unit is converted it is rounded outwards, so that it stays true.
    """
    if not found.comparator:
        value = found.value if times == 1 else found.value * times
        return value.quantize(_place(decimals), ROUND_HALF_UP)
    if times == 1:
        return found.value
    outwards = ROUND_CEILING if found.comparator.startswith("<") else ROUND_FLOOR
    return (found.value * times).quantize(_place(decimals), rounding=outwards)


class Limits(NamedTuple):
    """The limits in force for one patient and test; None: no limit on that side.

    `normal` and `calm` follow from the others, for a glance at most values: from and to which one is N, and within
    which neither absurd nor critical nor release limits say anything, whatever window the rules are set to.
    """

    ref_low: Decimal | None = None
    ref_high: Decimal | None = None
    crit_low: Decimal | None = None
    crit_high: Decimal | None = None
    absurd_low: Decimal | None = None
    absurd_high: Decimal | None = None
    release_low: Decimal | None = None
    release_high: Decimal | None = None
    normal: Span | None = None
    calm: Span | None = None


Span = tuple[Decimal, Decimal]
_ANY_LOW, _ANY_HIGH = Decimal("-Infinity"), Decimal("Infinity")


def _with_spans(limits: Limits) -> Limits:
    critical, reference = (limits.crit_low, limits.crit_high), (limits.ref_low, limits.ref_high)
    own = (limits.release_low, limits.release_high)
    window = reference if own == (None, None) else own
    normal = None if None in reference else _within(reference, critical)
    return limits._replace(normal=normal, calm=_within((limits.absurd_low, limits.absurd_high), critical, window))


def _within(*spans: tuple[Decimal | None, Decimal | None]) -> Span:
    """What all of them have inside; nothing when they do not meet."""
    low = max([low for low, _ in spans if low is not None], default=_ANY_LOW)
    return low, min([high for _, high in spans if high is not None], default=_ANY_HIGH)


def limits_for(test: CatalogueTest, sex: Sex, age_days: int) -> Limits | None:
    """The limits for a sex and an age; None when the catalogue has no interval.

    Sex other: outside the reference only when outside both intervals; critical, absurd and release limits are the
    stricter of the two, because there a false alarm is the smaller harm.
    """
    bands = test.bands
    if not bands:
        bands["edges"] = sorted({edge for i in test.intervals for edge in (i.age_min, i.age_max)})
    band = (sex, bisect_right(bands["edges"], age_days))
    if band not in bands:  # all ages between two neighbouring edges have the same limits
        bands[band] = _limits(test, sex, age_days)
    found: Limits | None = bands[band]
    return found


def _limits(test: CatalogueTest, sex: Sex, age_days: int) -> Limits | None:
    sexes = ("A", "M", "F") if sex is Sex.OTHER else ("A", sex.value)
    rows = [i for i in test.intervals if i.age_min <= age_days < i.age_max and i.sex in sexes]
    if not rows:
        return None
    found = Limits(
        ref_low=_all(rows, lambda i: i.ref_low, min),
        ref_high=_all(rows, lambda i: i.ref_high, max),
        crit_low=_any(rows, lambda i: i.crit_low, max),
        crit_high=_any(rows, lambda i: i.crit_high, min),
        absurd_low=_any(rows, lambda i: i.absurd_low, max),
        absurd_high=_any(rows, lambda i: i.absurd_high, min),
        release_low=_any(rows, lambda i: i.release_low, max),
        release_high=_any(rows, lambda i: i.release_high, min),
    )
    return _with_spans(found)


_Pick = Callable[[Interval], Decimal | None]
_Choose = Callable[[Iterable[Decimal]], Decimal]


def _all(rows: list[Interval], pick: _Pick, choose: _Choose) -> Decimal | None:
    found = [limit for row in rows if (limit := pick(row)) is not None]
    return choose(found) if len(found) == len(rows) else None


def _any(rows: list[Interval], pick: _Pick, choose: _Choose) -> Decimal | None:
    found = [limit for row in rows if (limit := pick(row)) is not None]
    return choose(found) if found else None


def is_below(value: Decimal, comparator: str, limit: Decimal | None) -> bool:
    """Surely below a low limit; the limit itself is inside."""
    if limit is None or comparator.startswith(">"):
        return False
    return value <= limit if comparator == "<" else value < limit


def is_above(value: Decimal, comparator: str, limit: Decimal | None) -> bool:
    """Surely above a high limit; the limit itself is inside."""
    if limit is None or comparator.startswith("<"):
        return False
    return value >= limit if comparator == ">" else value > limit


def maybe_below(value: Decimal, comparator: str, limit: Decimal | None) -> bool:
    """`<3.0` may be below 2.8, though it need not."""
    return limit is not None and comparator.startswith("<") and not is_below(value, comparator, limit)


def maybe_above(value: Decimal, comparator: str, limit: Decimal | None) -> bool:
    """`>6.0` may be above 6.2, though it need not."""
    return limit is not None and comparator.startswith(">") and not is_above(value, comparator, limit)


def flag(value: Decimal, comparator: str, limits: Limits | None) -> str:
    """N, L, H, LL, HH for a displayed value; "" when there is no reference interval or the value says too little."""
    if limits is None:
        return ""
    if not comparator and limits.normal is not None and limits.normal[0] <= value <= limits.normal[1]:
        return "N"  # most values
    if is_below(value, comparator, limits.crit_low):
        return "LL"
    if is_above(value, comparator, limits.crit_high):
        return "HH"
    if is_below(value, comparator, limits.ref_low):
        return "L"
    if is_above(value, comparator, limits.ref_high):
        return "H"
    if limits.ref_low is None and limits.ref_high is None:
        return ""
    return "N" if _surely_inside(value, comparator, limits) else ""


def _surely_inside(value: Decimal, comparator: str, limits: Limits) -> bool:
    """`<3.00` is normal for 0-5 where nothing can be below 0; `<3.00` for 0.4-4.5 says too little."""
    if comparator.startswith("<"):
        fits = limits.ref_high is None or value <= limits.ref_high
        return fits and (limits.ref_low is None or limits.ref_low <= (limits.absurd_low or 0))
    if comparator.startswith(">"):
        return limits.ref_high is None and (limits.ref_low is None or value >= limits.ref_low)
    return True
