"""Plays a scenario: several analyzers, each on its own line, through stretches with faults, pauses and pulled cables.

Turns a TOML file into players that run side by side. Law: the same file and seed say the same messages with the same
faults; a mistake in the file is named, with the place, before anything is sent.
"""

from __future__ import annotations

import logging
import threading
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from math import inf
from pathlib import Path
from threading import Event
from typing import Any

from drivers.driver import driver_names
from simulators.any_driver import analyzer_of, made_up_ids
from simulators.day import ANALYZERS, made_up_day, plan
from simulators.faults import Chosen, Faults, chosen
from simulators.line import Stopped, checked
from simulators.run import play
from simulators.run_any import Wanted, mouth
from simulators.step import Step

log = logging.getLogger("simulators")
_FILE = frozenset({"title", "seed", "analyzer"})
_ANALYZER = frozenset({"name", "simulates", "to", "listen", "pace", "seed", "play"})
_PLAY = frozenset({"messages", "faults", "pause", "repeat", "hang_up"})


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of an analyzer's day: wait `pause` seconds, `hang_up` before it or not, then send so many messages."""

    messages: int
    faults: tuple[Chosen, ...]
    pause: float
    hang_up: bool


@dataclass(frozen=True, slots=True)
class Part:
    """What one analyzer plays, and where."""

    name: str
    simulates: str
    to: str | None
    listen: str | None
    pace: float
    seed: int
    stretches: tuple[Stretch, ...]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A scenario file, read."""

    title: str
    parts: tuple[Part, ...]


def read(path: Path) -> Scenario:
    """The scenario in a file. ValueError names what is wrong and where; OSError when it cannot be read."""
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    _only(data, _FILE, "the file")
    tables, seed = data.get("analyzer", []), int(_number(data, "seed", 1, "the file", whole=True))
    if not _are_tables(tables) or not tables:
        raise ValueError("there is no [[analyzer]] in it")
    parts = tuple(_part(table, number, seed) for number, table in enumerate(tables, 1))
    if len({part.name for part in parts}) != len(parts):
        raise ValueError("two analyzers have the same name")
    return Scenario(str(data.get("title", path.stem)), parts)


def _part(table: Mapping[str, Any], number: int, seed: int) -> Part:
    where = f"analyzer {number}"
    _only(table, _ANALYZER, where)
    simulates = str(table.get("simulates", ""))
    if simulates not in driver_names():
        raise ValueError(f"{where}: simulates = {simulates!r}; there are {', '.join(driver_names())}")
    plays = table.get("play", [])
    stretches = (
        [stretch for each in plays for stretch in _stretches(each, where, simulates)] if _are_tables(plays) else []
    )
    if not stretches:
        raise ValueError(f"{where}: there is no [[analyzer.play]] below it")
    name = _text(table, "name", where) or simulates
    to, listen = _text(table, "to", where), _text(table, "listen", where)
    if to and listen:
        raise ValueError(f"{where}: write either to or listen")
    if to or listen:
        _address(to, listen, where)
    pace = _number(table, "pace", 0, where)
    own = int(_number(table, "seed", seed * 100 + number, where, whole=True))
    return Part(name, simulates, to, listen, pace, own, tuple(stretches))


def _are_tables(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, dict) for each in value)


def _text(table: Mapping[str, Any], key: str, where: str) -> str | None:
    value = table.get(key)
    if value is not None and (not isinstance(value, str) or not value):
        raise ValueError(f"{where}: {key} = {value!r} is no text")
    return value


def _address(to: str | None, listen: str | None, where: str) -> None:
    try:
        checked(to, listen)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _stretches(table: Mapping[str, Any], where: str, simulates: str) -> Iterator[Stretch]:
    _only(table, _PLAY, f"{where}, play")
    speaks = analyzer_of(simulates).speaks
    where = f"{where}, play"
    named, hang_up = table.get("faults", []), table.get("hang_up", False)
    if not isinstance(named, list) or not all(isinstance(text, str) for text in named):
        raise ValueError(f'{where}: faults = {named!r} is no list such as ["split", "garbage"]')
    if not isinstance(hang_up, bool):
        raise ValueError(f"{where}: hang_up = {hang_up!r} is neither true nor false")
    try:
        faults = tuple(chosen(text, speaks) for text in named)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
    pause, messages = _number(table, "pause", 0, where), int(_number(table, "messages", 0, where, whole=True))
    for _ in range(int(_number(table, "repeat", 1, where, whole=True))):
        yield Stretch(messages, faults, pause, hang_up)


def _number(table: Mapping[str, Any], key: str, usual: float, where: str, whole: bool = False) -> float:
    """A number that is not below 0. ValueError says where there is none."""
    value = table.get(key, usual)
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float) or not 0 <= value < inf:
        raise ValueError(f"{where}: {key} = {value!r} is no {'whole ' if whole else ''}number from 0 on")
    return value


def _only(table: Mapping[str, Any], known: frozenset[str], where: str) -> None:
    if strange := sorted(set(table) - known):
        raise ValueError(f"{where}: there is no key {strange[0]!r}; there are {', '.join(sorted(known))}")


class Stretches:
    """Gives a player the steps of one stretch after the other, and changes the faults in between."""

    def __init__(self, part: Part, faults: Faults, now: datetime, fast: bool) -> None:
        self._part, self._faults, self._fast = part, faults, fast
        wanted = sum(stretch.messages for stretch in part.stretches)
        self._steps = _enough(part, wanted, now)
        self._left = list(part.stretches)
        self._at = 0

    def more(self) -> Sequence[Step]:
        """The next stretch that sends anything; none when the scenario is over. Raises Stopped."""
        while self._left:
            stretch = self._left.pop(0)
            self._faults.set(stretch.faults)
            if stretch.hang_up:
                self._faults.hang_up()
            if self._faults.stop.wait(0.0 if self._fast else stretch.pause):
                raise Stopped
            if stretch.messages:
                first, self._at = self._at, self._at + stretch.messages
                return self._steps[first : self._at]
        return ()


def _enough(part: Part, wanted: int, now: datetime) -> list[Step]:
    """So many steps of a made-up day, patients only; a longer scenario has a longer day. An analyzer without a day of
    its own says its captures anew."""
    steps: list[Step] = []
    if part.simulates not in ANALYZERS:
        voice = mouth(Wanted(part.simulates, seed=part.seed), lambda: now)
        return [voice.result(sample_id) for sample_id in islice(made_up_ids(now), wanted)]
    count = 20
    while len(steps) < wanted:
        day = made_up_day(part.seed, now, part.pace, count)
        steps = [step for step in plan(day, part.simulates) if step.type != "qc"]
        count *= 2
    return [replace(step, seq=number) for number, step in enumerate(steps, 1)]


def run(
    scenario: Scenario,
    stop: Event,
    *,
    lines: Mapping[str, str] | None = None,
    books: Path | None = None,
    fast: bool = False,
    retry: float | None = None,
    said: Callable[[str], None] = log.info,
) -> int:
    """Play all parts side by side until each is through; 0, or 1 when one could not go on.

    `lines` gives an analyzer (by its name in the file) another address; `books` is the log of what was acknowledged.
    """
    if lost := [part.name for part in scenario.parts if not (part.to or part.listen or part.name in (lines or {}))]:
        raise ValueError(f"{lost[0]}: write to or listen, or give it an address by --line")
    for part in scenario.parts:
        if part.name in (lines or {}):
            _address(*_line_of(part, lines or {}), f"--line {part.name}")
    if strange := sorted(set(lines or {}) - {part.name for part in scenario.parts}):
        names = ", ".join(part.name for part in scenario.parts)
        raise ValueError(f"--line {strange[0]}: there is no such analyzer in it; there are {names}")
    said(f"{scenario.title}: {', '.join(part.name for part in scenario.parts)}")
    through: list[str] = []

    def one(part: Part) -> None:
        try:
            _play(part, stop, dict(lines or {}), books, fast, retry)
            said(f"{part.name}: played" if not stop.is_set() else f"{part.name}: stopped")
            through.append(part.name)
        except (ValueError, OSError) as error:
            said(f"{part.name}: {error}")

    threads = [threading.Thread(target=one, args=(part,), name=part.name) for part in scenario.parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(0.5)
    return 0 if len(through) == len(scenario.parts) else 1


def _line_of(part: Part, lines: Mapping[str, str]) -> tuple[str | None, str | None]:
    """Where it is played: its own to or listen, or another address of that kind."""
    if part.name not in lines:
        return part.to, part.listen
    return (lines[part.name], None) if part.to or not part.listen else (None, lines[part.name])


def _play(
    part: Part, stop: Event, lines: Mapping[str, str], books: Path | None, fast: bool, retry: float | None
) -> None:
    faults = Faults(part.seed, stop)
    stretches = Stretches(part, faults, datetime.now(UTC), fast)
    to, listen = _line_of(part, lines)
    own = books.with_suffix(f".{part.name}{books.suffix}") if books else None
    try:
        steps = stretches.more()
    except Stopped:
        return
    play(part.simulates, steps, to, listen, stop, pace=part.pace, fast=fast, retry=retry, once=True, books=own,
         called=part.name, more=stretches.more, faults=faults)  # fmt: skip
