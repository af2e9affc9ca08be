"""What the commands do: make a plan, have it checked, play it.

Turns names and paths into the parts that work. Law: the one place that wires plan, line and player together.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

from simulators import erba_xl, hl7_text
from simulators.any_driver import analyzer_of
from simulators.day import ANALYZERS, made_up_day, plan, read_day
from simulators.faults import Faults, chosen
from simulators.line import Opener, Paced, opener
from simulators.play import RETRY, Books, Manner, Player, Talks, frames_of, nothing_more
from simulators.step import Step

log = logging.getLogger("simulators")
CHUNK_SECONDS = erba_xl.BAUD_CHUNK * 10 / 9600  # ten bits a byte at 9600 baud 8N1
FAST_CHUNK_SECONDS = 0.0005
FAST_RETRY = 0.3


class Days:
    """The day files of a folder, played one after the other: day-001.json, day-002.json and whatever comes later.

    When a file is played out, `<books>.played-NNN` says so: whoever writes the files sees that more is wanted.
    """

    def __init__(self, name: str, folder: Path, pace: float, books: Path | None) -> None:
        """`folder` need not hold the next file yet."""
        self._name, self._folder, self._pace, self._books = name, folder, pace, books
        self._number, self._seq = 0, 0

    def more(self) -> Sequence[Step]:
        """The steps of the next file, numbered on from the last; none while there is no next file."""
        if self._number and self._books is not None:
            self._books.with_suffix(f".played-{self._number:03d}").touch()
        path = self._folder / f"day-{self._number + 1:03d}.json"
        if not path.exists():
            return ()
        plan = make_plan(self._name, path, 1, self._pace, datetime.now(UTC))
        steps = [step for step in plan if not self._number or step.type != "qc"]  # controls belong to the morning
        numbered = [replace(step, seq=self._seq + place) for place, step in enumerate(steps, 1)]
        self._number, self._seq = self._number + 1, self._seq + len(steps)
        return numbered


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
    more: Callable[[], Sequence[Step]] = nothing_more,
    faults: Faults | None = None,
    talks: Talks | None = None,
) -> None:
    """Play the steps over the line that `to` or `listen` names, until done (once) or stopped.

    ValueError when the address is none. `fast` leaves out what only looks real: the pace and most of the baud rate.
    `called` is the analyzer's name in the books (that of config/analyzers.toml), if not the simulator's own.
    `faults` come between the analyzer's session and the wire; `talks` hears what the lab says.
    """
    pause = retry if retry is not None else FAST_RETRY if fast else RETRY
    manner = Manner(pace=0.0 if fast else pace, retry=pause, once=once)
    amiss = faults or Faults(stop=stop)
    line = amiss.on(_as_wired(name, opener(to, listen), fast))
    try:
        Player(analyzer_of(name), steps, line, stop, manner, Books(books, called or name), more, amiss.said,
               talks).run()  # fmt: skip
    finally:
        line.close()
        tell(called or name, amiss)


def tell(name: str, faults: Faults) -> None:
    """How often the faults struck: what was named and never came is not tried yet."""
    if faults.struck:
        log.info("%s: faults: %s", name, faults.struck)


def make_faults(name: str, wanted: Sequence[str], seed: int, stop: Event) -> Faults:
    """The faults a command line or a scenario names. KeyError for an unknown simulator, ValueError for a fault."""
    faults = Faults(seed, stop)
    faults.set([chosen(text, analyzer_of(name).speaks) for text in wanted])
    return faults


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
