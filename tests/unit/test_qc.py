"""Control points: z and state, the limits themselves inside."""

from __future__ import annotations

from decimal import Decimal

import pytest

from middleware.qc import PointState, point_state, shown, z_score

D = Decimal


@pytest.mark.parametrize(
    ("value", "z", "state", "text"),
    [
        ("10.0", "0", PointState.IN, "+0.0"),
        ("14.0", "2", PointState.IN, "+2.0"),
        ("14.2", "2.1", PointState.WARNING, "+2.1"),
        ("4.0", "-3", PointState.WARNING, "-3.0"),
        ("3.9", "-3.05", PointState.OUT, "-3.1"),
    ],
)
def test_z_and_state(value: str, z: str, state: PointState, text: str) -> None:
    """Mean 10, SD 2: exactly 2 SD warns not, exactly 3 SD rejects not (domain 3.1)."""
    found = z_score(D(value), D("10"), D("2"))
    assert (found, point_state(found), shown(found)) == (D(z), state, text)


def test_without_value_or_target_there_is_no_z() -> None:
    """A point without a target is shown as such, an excluded one as excluded."""
    assert z_score(None, D(1), D(1)) is None
    assert z_score(D(1), None, None) is None
    assert z_score(D(1), D(1), D(0)) is None
    assert (point_state(None), shown(None)) == (PointState.NO_TARGET, "")
    assert point_state(D(9), excluded=True) is PointState.EXCLUDED
