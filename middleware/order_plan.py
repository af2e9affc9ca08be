"""What an analyzer should know of a tube, beside what it was told: is there anything to send?

Turns wanted and told tests into the next state of a download, and into the codes to add and to cancel. Law: pure; what
it knows already is not sent again; a test that got its result is no business of the analyzer any more.
Source: LIS02-A2 8.4.12 (A adds to what was ordered, C cancels).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

Known = Mapping[str, list[object]]
"""Catalogue test → [the analyzer's code, the last result that is to be measured again or 0]."""

PENDING, SENT, REFUSED, DONE, LAPSED = "pending", "sent", "refused", "done", "lapsed"


class Standing(NamedTuple):
    """A download as it stands in the lab database."""

    state: str
    wanted: Known
    told: Known


NOTHING = Standing(DONE, {}, {})


def plan(now: Standing, wanted: Known, measured: Collection[str]) -> Standing:
    """How it should stand: equal to `now` when nothing is to be written.

    `wanted`: the tests to be measured. `measured`: tests of the tube that are neither wanted nor cancelled: they have
    their result, or are not this analyzer's any more; nobody needs to tell it.
    """
    told = {test: said for test, said in now.told.items() if test in wanted or test not in measured}
    if told == wanted:
        return Standing(SENT if wanted else DONE, wanted, told)
    refused = now.state == REFUSED and now.wanted == wanted
    return Standing(REFUSED if refused else PENDING, wanted, told)


def changes(wanted: Known, told: Known) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The codes to add and the codes to cancel, so that who was told `told` knows `wanted`."""
    same = {str(said[0]) for test, said in wanted.items() if told.get(test) == said}
    adds = dict.fromkeys(str(said[0]) for test, said in wanted.items() if told.get(test) != said)
    kept = same | set(adds)
    cancels = dict.fromkeys(str(said[0]) for said in told.values())
    return tuple(code for code in adds if code not in same), tuple(code for code in cancels if code not in kept)


def runs(wanted: Known, told: Known) -> tuple[tuple[str, int], ...]:
    """A number for each code that is measured again, as it is told now or was told before."""
    numbers = {str(code): again for code, again in (*told.values(), *wanted.values()) if isinstance(again, int)}
    return tuple((code, again) for code, again in numbers.items() if again)
