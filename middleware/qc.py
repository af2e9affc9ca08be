"""Control results against their targets: how far off is a point?

Turns value, mean and SD into a z score and a state for the chart. Law: pure; "exceeds" is strictly greater; an
excluded point enters no rule. Source: domain 3.1. Westgard's rules over several points come later, one function each.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum


class PointState(StrEnum):
    """What one point says by itself."""

    NO_TARGET = "no target"  # no mean and SD were in force
    IN = "in"
    WARNING = "warning"  # 1-2s: beyond 2 SD, look at the others
    OUT = "out"  # 1-3s: beyond 3 SD, reject the run
    EXCLUDED = "excluded"  # a person excluded it with a reason


def z_score(value: Decimal | None, mean: Decimal | None, sd: Decimal | None) -> Decimal | None:
    """(value - mean) / SD; None without value or target, or with an SD that is not above 0."""
    if value is None or mean is None or sd is None or sd <= 0:
        return None
    return (value - mean) / sd


def shown(z: Decimal | None) -> str:
    """A z score as people read it: "+2.1", "" when there is none."""
    return "" if z is None else f"{z.quantize(Decimal('0.1'), rounding=ROUND_HALF_UP):+}"


def point_state(z: Decimal | None, excluded: bool = False) -> PointState:
    """The state of a point; exactly 2 or 3 SD is still inside."""
    if excluded:
        return PointState.EXCLUDED
    if z is None:
        return PointState.NO_TARGET
    if abs(z) > 3:
        return PointState.OUT
    return PointState.WARNING if abs(z) > 2 else PointState.IN
