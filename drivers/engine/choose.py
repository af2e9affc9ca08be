"""Which of several rows of one test is the one to report, for families that send more than one.

Turns the rows of a message into "this one, not that one". Law: pure; every row stays stored and shown; of each test of
a sample one row is chosen, the latest that has a value, and rows that are no measurements never.
Source: the drivers say why, each from its manual.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from drivers.engine.words import Kind, Observation

Rank = Callable[[Observation], int]
"""How much a row counts against others of its test: the highest is reported, below 0 never."""


def best_of_each_test(observations: Sequence[Observation], rank: Rank) -> tuple[bool, ...]:
    """For each row: is it the one to report? Of equals the latest with a value, then the later in the message.

    Rows of tubes without an id are not compared: two of them may be two patients'.
    """
    best: dict[tuple[str | None, str | None], Observation] = {}
    for row in observations:
        if row.kind is Kind.MEASUREMENT and row.code is not None and rank(row) >= 0:
            key = (row.sample_id, row.code)
            best[key] = max(best.get(key, row), row, key=lambda one: (rank(one), *_latest(one)))
    chosen = {id(row) for row in best.values()}
    return tuple(id(row) in chosen or _nobodys(row, rank) for row in observations)


def _nobodys(row: Observation, rank: Rank) -> bool:
    """A measurement that cannot be compared with others: it has no code, or its tube no id."""
    unnamed = not (row.sample_id or "").strip("0") or (row.sample_id or "").startswith("@")
    return row.kind is Kind.MEASUREMENT and (row.code is None or (unnamed and rank(row) >= 0))


def _latest(row: Observation) -> tuple[bool, str, int]:
    return (bool(row.value) and not row.masked, row.observed_at or "", row.ordinal)
