"""What the commands do for an analyzer that has no day of its own: play what was recorded, ask, run what is ordered.

Turns names, ids and addresses into a mouth, a line and a player. Law: the place that wires them together, beside `run`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

from simulators.any_driver import Mouth, as_analyzer, ids_for, made_up_ids, plan, speaks
from simulators.day import read_day
from simulators.faults import Faults, chosen
from simulators.line import opener
from simulators.play import RETRY, Books, Manner, Player
from simulators.run import FAST_RETRY, tell
from simulators.step import Step
from simulators.templates import templates
from simulators.two_way import FAMILIES, TwoWay

MADE_UP = 12  # tubes when none are named
AFTER_THE_DAY = 1_000_001


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be said: by which driver, of which tubes (`ids`, else those of the day, else made up) or `ask` about
    which; from which captures, in which of the driver's framings."""

    name: str
    ids: Sequence[str] | None = None
    ask: Sequence[str] | None = None
    captures: Sequence[Path] = ()
    framing: str = ""
    day: Path | None = None
    seed: int = 1


def _utc_now() -> datetime:
    return datetime.now(UTC)


def mouth(wanted: Wanted, clock: Callable[[], datetime] = _utc_now, first: int = 1) -> Mouth:
    """What makes this analyzer's messages. KeyError: no such driver or framing; ValueError: nothing was recorded."""
    return Mouth(
        templates(wanted.name, wanted.captures, wanted.framing), wanted.seed, clock,
        made_up_ids(clock(), 9999, -1), first,
    )  # fmt: skip


def listener(name: str, say: Callable[[str], None]) -> TwoWay:
    """For an analyzer that plays its own day: what hears the orders of the lab and runs them, numbered after the day's
    own messages. KeyError for a family that is told nothing."""
    return TwoWay(mouth(Wanted(name), first=AFTER_THE_DAY), say)


def tubes(wanted: Wanted, voice: Mouth) -> list[str]:
    """The tubes whose results are to be said. ValueError, OSError for a bad day file."""
    if wanted.ids is not None:
        return list(wanted.ids)
    if wanted.ask is not None:
        return []
    if wanted.day is not None:
        return ids_for(voice.driver, read_day(wanted.day, voice.now))
    return [number for number, _ in zip(made_up_ids(voice.now), range(MADE_UP), strict=False)]


def check(wanted: Wanted, say: Callable[[str], None]) -> int:
    """Make every message and send none; 0: each is read back by the driver as it was meant."""
    voice = mouth(wanted)
    steps = plan(voice, tubes(wanted, voice))
    say(f"{wanted.name}: {len(steps)} messages, {sum(len(step.said.rows) for step in steps)} rows, all read back")
    return 0


def play_any(
    wanted: Wanted,
    to: str | None,
    listen: str | None,
    stop: Event,
    *,
    pace: float = 2.0,
    fast: bool = False,
    retry: float | None = None,
    once: bool = False,
    books: Path | None = None,
    called: str = "",
    fault: Sequence[str] = (),
    say: Callable[[str], None] = print,
) -> None:
    """Play it until done (once) or stopped; `say` is told what was ordered. ValueError, KeyError: see `Wanted`."""
    voice = mouth(wanted)
    name = voice.driver.name
    talks = TwoWay(voice, say) if name in FAMILIES or wanted.ask is not None else None
    steps: list[Step] = plan(voice, tubes(wanted, voice))
    steps += talks.questions(wanted.ask or ()) if talks else []
    pause = retry if retry is not None else FAST_RETRY if fast else RETRY
    manner = Manner(pace=0.0 if fast else pace, retry=pause, once=once)
    amiss = Faults(wanted.seed, stop)
    amiss.set([chosen(text, speaks(voice.driver)) for text in fault])
    if to and to.startswith("folder:") and any(wait for step in steps for _, wait in step.said.turns or ((b"", b"x"),)):
        raise ValueError(f"{voice.driver.title} waits for answers: a folder gives none")
    line = amiss.on(opener(to, listen))
    more = talks.more if talks else _nothing_more
    kept = Books(books, called or name)
    try:
        Player(as_analyzer(voice.driver), steps, line, stop, manner, kept, more, amiss.said, talks).run()
    finally:
        line.close()
        tell(called or name, amiss)


def _nothing_more() -> Sequence[Step]:
    return ()
