"""Pretends to be any analyzer that has a driver and a capture: says its recorded messages anew.

Turns templates and sample ids into steps: one message for each tube, the templates in turn, with new numbers and the
time of now. Law: nothing is said that was not said once in that shape; what a step contains is what the driver reads
there: these simulators try the line and the lab, not the driver, whose captures try it.
Source: tests/captures; the drivers' forms.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from random import Random

from drivers.driver import Decoded, Driver, load_driver
from simulators import marks, retell, retell_text
from simulators.day import ANALYZERS, INDIA, damm
from simulators.page import Page
from simulators.step import Analyzer, Day, Note, Row, Said, Step, Task
from simulators.templates import Cut, Template, Templates

SPEAKS = {"LIS2-A2": "ASTM", "HL7": "HL7", "blocks": "blocks"}


def speaks(driver: Driver) -> str:
    """How its line is played: ASTM, HL7, or turn by turn."""
    return "blocks" if driver.framing is not None else SPEAKS[driver.speaks]


def as_analyzer(driver: Driver) -> Analyzer:
    """What a player wants to know of an analyzer without a menu of its own."""
    return Analyzer(driver.name, speaks(driver), "", {}, _says_nothing, (), {}, "")


def analyzer_of(name: str) -> Analyzer:
    """The analyzer that a driver reads: with its own day where it has one. KeyError for a name that is no driver's."""
    return ANALYZERS.get(name) or as_analyzer(load_driver(name))


def _says_nothing(_task: Task) -> Said:
    raise NotImplementedError("an analyzer of captures makes its steps of templates, not of tasks")


class Mouth:
    """Makes the steps of one analyzer. `clock` is asked for the time of each message, `spare` for further tubes where
    a message names several; steps are numbered from `first`."""

    def __init__(
        self, found: Templates, seed: int, clock: Callable[[], datetime], spare: Iterator[str], first: int = 1
    ) -> None:
        self.templates, self.driver = found, found.driver
        self.rng, self._clock, self._spare = Random(f"{seed}/{found.driver.name}"), clock, spare
        self._numbers, self._turn = itertools.count(first), itertools.cycle(found.results)

    @property
    def now(self) -> datetime:
        """The local time, as analyzers print it."""
        return self._clock().astimezone(INDIA)

    def result(self, sample_id: str) -> Step:
        """A result of this tube, from the next template that can be used. Raises ValueError when none can."""
        for template in itertools.islice(self._turn, len(self.templates.results)):
            ids = itertools.chain([sample_id], self._spare)
            try:
                made = retell_any(template, partial(_next, ids), self.now, self.rng)
            except retell.Unusable:
                continue
            return self.step(made.parts, made.decoded, template.cut, Note.NORMAL)
        raise ValueError(f"no recorded result of {self.driver.title} can be told anew")

    def step(self, parts: Sequence[str], said: Decoded, cut: Cut, note: Note) -> Step:
        """A message as a step of the plan, ready for its line."""
        number = next(self._numbers)
        rows = tuple(Row(row.sample_id or "", row.code or "", row.value or "", row.kind) for row in said.observations)
        kind = "query" if note is Note.QUERY else "result"
        return Step(self.driver.name, number, note, kind, self._dressed(parts, rows, cut, number))

    def _dressed(self, parts: Sequence[str], rows: tuple[Row, ...], cut: Cut, number: int) -> Said:
        driver = self.driver
        if driver.framing is not None:
            texts = parts if driver.speaks == "blocks" else ["".join(parts)]
            return Said(marks.body(driver, texts), rows, turns=marks.turns(driver, texts))
        text = "".join(parts)
        if driver.speaks != "HL7":
            return Said(text.encode("latin-1"), rows, cut.frame, bare=driver.bare_frames, etb=cut.etb)
        control_id = f"{self.now:%y%m%d%H%M%S}{number:05d}"
        page = Page.read(text.encode("latin-1"))
        page.lines[0].put("10", control_id)
        return Said(page.bytes(), rows, control_id=control_id)


def _next(ids: Iterator[str], _old: str) -> str:
    return next(ids)


def retell_any(template: Template, new_id: retell.NewId, now: datetime, rng: Random | None) -> retell.Made:
    """A template told anew, in whatever language it is. Raises Unusable."""
    tell = retell_text.retold if template.driver.speaks == "blocks" else retell.retold
    return tell(template, new_id, now, rng)


def made_up_ids(now: datetime, first: int = 1, step: int = 1) -> Iterator[str]:
    """Numbers that look registered and are nobody's: a site 999, the day, a serial, the right check digit."""
    local = now.astimezone(INDIA)
    for serial in range(first, 10_000 if step > 0 else 0, step):
        digits = f"999{local.year % 10}{local:%j}{serial:04d}"
        yield digits + damm(digits)


def ids_for(driver: Driver, day: Day) -> list[str]:
    """The tubes of a day that this analyzer could measure anything in: all of them where it does not name its tests."""
    known = {test for meaning in driver.tests.values() if meaning.test for test in meaning.test.split("|")}
    return [sample.sample_id for sample in day.samples if not known or known & set(sample.tests)]


def plan(mouth: Mouth, ids: Sequence[str]) -> list[Step]:
    """A result of each tube, in order."""
    return [mouth.result(sample_id) for sample_id in ids]
