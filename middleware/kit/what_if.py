"""Compares what is recorded of a message with what today's driver and configuration would make of it.

Turns held rows and a Matched into Changes. Law: pure; a row that only found or lost its tube since then (registered,
rejected, cancelled later) is no change by the driver and counted apart; rules' verdicts are not compared, they depend
on what else was in the laboratory that day. Source: `match` (identities), `store.record` (what a replay would do).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from drivers.driver import Kind, Observation
from middleware.model import Matched, SampleFacts
from middleware.store.what_if_view import BY_HAND, CONTROL, RESULT, TRAY, Held

# Rules by which a row lies in the tray for its tube's sake, whatever the driver reads.
TUBE = frozenset({"unknown_sample", "damaged_id", "sample_rejected"})
LONGEST = 40  # characters of a value that are shown
VALUE, UNIT, TEST, PLACE, APPEARS, VANISHES = "value", "unit", "test", "place", "appears", "vanishes"
FAILS, READ = "cannot be read any more", "can be read now"
KINDS = (VALUE, UNIT, TEST, PLACE, APPEARS, VANISHES, FAILS, READ)


@dataclass(frozen=True, slots=True)
class Change:
    """One row that would come out otherwise. `kinds` say how; `before` or `after` is None where there is no row."""

    message_id: str
    kinds: tuple[str, ...]
    test: str
    before: Held | None
    after: Held | None
    why: str = ""

    @property
    def out(self) -> bool:
        """The recorded row has been released."""
        return self.before is not None and self.before.out

    @property
    def tube(self) -> str:
        """The last four characters of the tube's number; "" for a message as a whole."""
        held = self.before or self.after
        return masked(held.sample_id) if held else ""

    def sentence(self) -> str:
        """One line: the tube's last four characters, the test, before and after."""
        words = f"{_shown(self.before)} → {_shown(self.after)}" if self.tube else self.why
        return f"{self.tube} {self.test}: {words}{'   RELEASED' if self.out else ''}".strip()


@dataclass(slots=True)
class WhatIf:
    """What would change in all that was looked at."""

    messages: int = 0
    changed: int = 0  # messages with a change
    rows: int = 0
    registered: int = 0  # rows of the tray that would now find their tube
    gone: int = 0  # results whose tube was rejected, or test cancelled, since
    waiting: int = 0  # messages that are not in the lab database yet
    foreign: Counter[str] = field(default_factory=Counter)  # messages of analyzers that are not configured
    changes: list[Change] = field(default_factory=list)

    def by_test(self) -> dict[str, Counter[str]]:
        """How many rows of each test change, and how; "released" counts those that are out."""
        found: dict[str, Counter[str]] = defaultdict(Counter)
        for change in self.changes:
            found[change.test].update(change.kinds)
            found[change.test]["rows"] += 1
            found[change.test]["released"] += change.out
        return dict(sorted(found.items()))


def masked(sample_id: str) -> str:
    """The last four characters of an id."""
    return f"…{sample_id[-4:]}" if sample_id else "…"


def _shown(held: Held | None) -> str:
    if held is None:
        return "nothing"
    value = " ".join(part for part in (held.value[:LONGEST], held.unit, held.flag if held.flag != "N" else "") if part)
    where = {TRAY: f" (tray: {held.rule})", CONTROL: " (control)", BY_HAND: " (linked by hand)"}.get(held.place, "")
    return f"{value or '–'}{where}"


def stands(matched: Matched, samples: Mapping[int, SampleFacts]) -> list[Held]:
    """The rows that match() found, in the words of what is held."""
    found = [
        Held(
            row.ordinal, row.identity, RESULT, samples[row.sample_pk].sample_id, row.code, row.test,
            row.display if row.value is not None or row.coded else f"none ({row.verbatim})", row.unit, row.flag,
        )
        for row in matched.results
    ]  # fmt: skip
    for control in matched.controls:
        value = control.verbatim if control.value is None else f"{control.value:f}"
        found.append(Held(control.ordinal, control.identity, CONTROL, control.lot, control.code, control.test or "",
                          value, control.unit or ""))  # fmt: skip
    for row in matched.unmatched:
        found.append(Held(row.ordinal, row.identity, TRAY, row.sample_id or "", row.code or "", "", row.value or "",
                          row.unit or "", rule=row.reason.rule))  # fmt: skip
    return sorted(found, key=lambda held: held.ordinal)


def compare(
    message_id: str, before: Sequence[Held], after: Sequence[Held], same_test: Callable[[Held], bool], found: WhatIf
) -> list[Change]:
    """The changes of one message; what the tubes' own fate explains is counted in `found`. `same_test` says of a
    recorded result whether its code still means its test."""
    changes = []
    for old, new in _pairs(before, after):
        kinds = _kinds(old, new)
        if not kinds:
            continue
        if old is not None and new is not None and old.identity == new.identity:
            if old.place == TRAY and new.place == RESULT and old.rule in TUBE:
                found.registered += 1
                continue
            lost = new.rule == "sample_rejected" or (new.rule == "not_ordered" and same_test(old))
            if old.place == RESULT and new.place == TRAY and lost:
                found.gone += 1
                continue
        held = [one for one in (new, old) if one is not None]
        test = next((one.test for one in held if one.test), "") or next((one.code for one in held if one.code), "?")
        changes.append(Change(message_id, kinds, test, old, new))
    return sorted(changes, key=lambda change: min(one.ordinal for one in (change.before, change.after) if one))


def _pairs(before: Sequence[Held], after: Sequence[Held]) -> Iterable[tuple[Held | None, Held | None]]:
    """Each recorded row with its counterpart: the same observation, else the same code on the same tube and place in
    the message, else the same code, else the same place."""
    olds, news = list(before), list(after)
    keys: tuple[Callable[[Held], object], ...] = (
        lambda held: held.identity,
        lambda held: (held.ordinal, held.code, held.sample_id),
        lambda held: (held.code, held.sample_id),
        lambda held: (held.code, held.ordinal),
        lambda held: held.ordinal,
    )
    for key in keys:
        waiting: dict[object, list[Held]] = defaultdict(list)
        for new in news:
            waiting[key(new)].append(new)
        for old in list(olds):
            if waiting.get(key(old)):
                new = waiting[key(old)].pop(0)
                olds.remove(old)
                news.remove(new)
                yield old, new
    yield from ((old, None) for old in olds)
    yield from ((None, new) for new in news)


def _kinds(old: Held | None, new: Held | None) -> tuple[str, ...]:
    if old is None:
        return (APPEARS,)
    if new is None:
        return (VANISHES,)
    if old.place == BY_HAND:  # a person decided; only another reading is news
        return () if old.identity == new.identity else (VALUE,)
    kinds = [PLACE] if (old.place, old.rule) != (new.place, new.rule) else []
    kinds += [TEST] if old.test != new.test and old.place == new.place else []
    kinds += [VALUE] if (old.value, old.flag) != (new.value, new.flag) and old.place == new.place else []
    kinds += [UNIT] if old.unit != new.unit and old.place == new.place else []
    kinds += [VALUE] if not kinds and old.sample_id.strip() != new.sample_id.strip() else []
    return tuple(kinds)


def measured(rows: Iterable[Observation]) -> int:
    """How many rows are measurements."""
    return sum(1 for row in rows if row.kind is Kind.MEASUREMENT)
