"""What an analyzer is told unasked: only what it does not know, and what is cancelled; never twice without need."""

from __future__ import annotations

import pytest

from middleware.order_plan import DONE, NOTHING, PENDING, REFUSED, SENT, Known, Standing, changes, plan, runs

GLU: Known = {"GLUF": ["GLU", 0]}
BOTH: Known = {"GLUF": ["GLU", 0], "UREA": ["UREA", 0]}
AGAIN: Known = {"GLUF": ["GLU", 7]}


@pytest.mark.parametrize(
    ("now", "wanted", "measured", "then"),
    [
        (NOTHING, {}, (), NOTHING),
        (NOTHING, GLU, (), Standing(PENDING, GLU, {})),
        (Standing(PENDING, GLU, {}), {}, (), Standing(DONE, {}, {})),
        (Standing(SENT, GLU, GLU), GLU, (), Standing(SENT, GLU, GLU)),
        (Standing(SENT, GLU, GLU), BOTH, (), Standing(PENDING, BOTH, GLU)),
        (Standing(SENT, BOTH, BOTH), GLU, ("UREA",), Standing(SENT, GLU, GLU)),
        (Standing(SENT, BOTH, BOTH), GLU, (), Standing(PENDING, GLU, BOTH)),
        (Standing(SENT, GLU, GLU), {}, ("GLUF",), Standing(DONE, {}, {})),
        (Standing(SENT, GLU, GLU), {}, (), Standing(PENDING, {}, GLU)),
        (Standing(DONE, {}, {}), AGAIN, (), Standing(PENDING, AGAIN, {})),
        (Standing(SENT, GLU, GLU), AGAIN, (), Standing(PENDING, AGAIN, GLU)),
        (Standing(REFUSED, GLU, {}), GLU, (), Standing(REFUSED, GLU, {})),
        (Standing(REFUSED, GLU, {}), BOTH, (), Standing(PENDING, BOTH, {})),
        (Standing(REFUSED, GLU, {}), {}, (), Standing(DONE, {}, {})),
    ],
)
def test_how_a_download_stands_after_a_look(
    now: Standing, wanted: Known, measured: tuple[str, ...], then: Standing
) -> None:
    assert plan(now, wanted, measured) == then
    assert plan(then, wanted, measured) == then, "a second look changes nothing"


@pytest.mark.parametrize(
    ("wanted", "told", "adds", "cancels"),
    [
        (BOTH, {}, ("GLU", "UREA"), ()),
        (BOTH, GLU, ("UREA",), ()),
        (GLU, BOTH, (), ("UREA",)),
        (AGAIN, GLU, ("GLU",), ()),
        ({}, BOTH, (), ("GLU", "UREA")),
        ({"GLUF": ["GLU2", 0]}, GLU, ("GLU2",), ("GLU",)),  # the site gave it another code
        ({"GLUF": ["GLU", 0], "GLUR": ["GLU", 0]}, GLU, (), ()),  # one measurement serves both
        ({"GLUR": ["GLU", 0]}, GLU, ("GLU",), ()),
    ],
)
def test_what_is_said_is_the_difference(
    wanted: Known, told: Known, adds: tuple[str, ...], cancels: tuple[str, ...]
) -> None:
    assert changes(wanted, told) == (adds, cancels)


def test_what_is_measured_again_has_a_number_of_its_own() -> None:
    assert (runs(GLU, {}), runs(AGAIN, GLU), runs({}, AGAIN)) == ((), (("GLU", 7),), (("GLU", 7),))
