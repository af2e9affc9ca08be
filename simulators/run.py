"""What the commands do: make a plan, have it checked, play it.

Turns names and paths into the parts that work. Law: the one place that wires plan, line and player together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from threading import Event

from simulators import erba_xl, hl7_text
from simulators.day import ANALYZERS, made_up_day, plan, read_day
from simulators.line import Opener, Paced, opener
from simulators.play import Books, Manner, Player, frames_of
from simulators.step import Step

CHUNK_SECONDS = erba_xl.BAUD_CHUNK * 10 / 9600  # ten bits a byte at 9600 baud 8N1
FAST_CHUNK_SECONDS = 0.0005
FAST_RETRY = 0.3


def make_plan(name: str, day: Path | None, seed: int, pace: float, now: datetime) -> tuple[Step, ...]:
    """The steps of one analyzer. Raises KeyError for an unknown name, ValueError or OSError for a bad day file."""
    if name not in ANALYZERS:
        raise KeyError(f"no such simulator; there are {', '.join(ANALYZERS)}")
    made = read_day(day, now, pace) if day else made_up_day(seed, now, pace)
    return plan(made, name)


def play(
    name: str,
    steps: Sequence[Step],
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
) -> None:
    """Play the steps over the line that `to` or `listen` names, until done (once) or stopped.

    ValueError when the address is none. `fast` leaves out what only looks real: the pace and most of the baud rate.
    `called` is the analyzer's name in the books (that of config/analyzers.toml), if not the simulator's own.
    """
    pause = retry if retry is not None else FAST_RETRY if fast else 5.0
    manner = Manner(pace=0.0 if fast else pace, retry=pause, once=once)
    line = _as_wired(name, opener(to, listen), fast)
    try:
        Player(ANALYZERS[name], steps, line, stop, manner, Books(books, called or name)).run()
    finally:
        line.close()


def _as_wired(name: str, line: Opener, fast: bool) -> Opener:
    """The Erba hangs on 9600 baud: 16 bytes, a pause, 16 bytes."""
    if name != erba_xl.NAME:
        return line
    return Paced(line, erba_xl.BAUD_CHUNK, FAST_CHUNK_SECONDS if fast else CHUNK_SECONDS)


def check_plan(name: str, steps: Sequence[Step], say: Callable[[str], None]) -> int:
    """Have every message of a plan checked; 0 when nothing was found. HL7 by hl7apy, ASTM by its own frames."""
    found: dict[str, int] = {}
    for step in steps:
        if ANALYZERS[name].speaks == "HL7":
            for deviation in hl7_text.deviations(step.said.body.decode("utf-8")):
                found[deviation] = found.get(deviation, 0) + 1
        else:
            frames_of(step)
    for deviation, times in sorted(found.items()):
        say(f"{times} messages: {deviation}")
    say(f"{name}: {len(steps)} messages, {len(found)} kinds of deviation")
    return 1 if found else 0
