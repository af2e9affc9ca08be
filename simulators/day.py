"""Turns a day file into the plan of each analyzer: which messages it sends, in which order, and why.

Law: pure and deterministic; the same file gives the same bytes. Most samples are plain and normal; each analyzer's
special stories are dealt to single samples, and what rides on top (controls, a duplicate, an amended value) is added.
Source: the bad-input list of a real laboratory's day.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from random import Random
from typing import Any

from simulators import erba_xl, generic_astm, generic_hl7, mindray_bc, roche_cobas_e411, sysmex_xn, values
from simulators.step import Analyzer, Day, DaySample, Note, Step, Task

ANALYZERS: Mapping[str, Analyzer] = {
    module.NAME: module.ANALYZER
    for module in (sysmex_xn, erba_xl, mindray_bc, roche_cobas_e411, generic_astm, generic_hl7)
}

INDIA = timezone(timedelta(hours=5, minutes=30))
HISTORY_DAYS = 11  # with today's run a Levey-Jennings chart has twelve points a level
OUTLIERS = {(4, 2): 2.6, (8, 1): -3.4}  # (days ago, level) → standard deviations off

# Damm's quasigroup of order 10 (H. M. Damm, 2004): the check digit of our sample numbers
DAMM = (
    "0317598642", "7092154863", "4206871359", "1750983426", "6123045978", "3674209581", "5869720134", "8945362017",
    "9438617205", "2581436790",
)  # fmt: skip


def damm(digits: str) -> str:
    """The Damm check digit. Written here once more on purpose: a simulator must not trust the code it tries."""
    interim = 0
    for digit in digits:
        interim = int(DAMM[interim][int(digit)])
    return str(interim)


# ---- reading ----------------------------------------------------------------------------------------------------


def read_day(path: Path, now: datetime, pace: float = 0.0) -> Day:
    """The day file. `start` in the file (ISO, with offset) anchors the times; without it they begin `now`. ValueError
    says what is wrong with it."""
    try:
        return _read(json.loads(path.read_text(encoding="utf-8")), now, pace)
    except KeyError as error:
        raise ValueError(f"{path} is no day file: {error} is missing in it") from error
    except (ValueError, TypeError, AttributeError, LookupError) as error:
        raise ValueError(f"{path} is no day file: {error}") from error


def _read(data: Mapping[str, Any], now: datetime, pace: float) -> Day:
    start = datetime.fromisoformat(data["start"]) if data.get("start") else now
    return Day(
        int(data.get("seed", 1)), tuple(_sample(item) for item in data["samples"]), start.astimezone(INDIA), pace
    )


def _sample(item: Mapping[str, object]) -> DaySample:
    known = {key: item[key] for key in ("sample_id", "container", "sex", "age_days", "name", "story") if key in item}
    tests, previous, intervals = item["tests"], item.get("previous") or {}, item.get("intervals") or {}
    if not (isinstance(tests, list) and isinstance(previous, dict) and isinstance(intervals, dict)):
        raise ValueError("tests is a list, previous and intervals are tables")
    pairs = {code: (limits[0], limits[1]) for code, limits in intervals.items()}
    return DaySample(**known, tests=tuple(tests), previous=previous, intervals=pairs)  # type: ignore[arg-type]


def made_up_day(seed: int, now: datetime, pace: float = 0.0, count: int = 20) -> Day:
    """A day of samples nobody registered: for trying a line without a laboratory behind it."""
    local = now.astimezone(INDIA)
    made = []
    for serial in range(1, count + 1):
        for offset, (container, tests) in enumerate(MADE_UP.items()):
            digits = f"999{local:%y}"[:3] + f"{local:%y}"[1] + f"{local:%j}" + f"{serial * 10 + offset:04d}"
            sex = "MF"[serial % 2]
            made.append(DaySample(digits + damm(digits), container, tests, sex=sex, age_days=9000 + serial * 400))
    return Day(seed, tuple(made), local, pace)


MADE_UP: Mapping[str, tuple[str, ...]] = {
    "E": tuple(sysmex_xn.MENU),
    "S": (
        "UREA", "CREAT", "NA", "K", "CL", "CA", "TBIL", "DBIL", "AST", "ALT", "ALP", "TP", "ALB", "CHOL", "TG", "HDL",
        "TSH", "FT4", "FERR", "HBSAG",
    ),
    "F": ("GLUR",),
}  # fmt: skip


# ---- dealing ----------------------------------------------------------------------------------------------------


def deal(day: Day, analyzer: Analyzer) -> list[tuple[DaySample, Note]]:
    """Each sample this analyzer gets, with its story, in the order it will run them."""
    rng = _rng(day, analyzer, "deal")
    fitting = [sample for sample in day.samples if menu_of(analyzer, sample)]
    mine = [sample for number, sample in enumerate(fitting) if number % 5 in analyzer.share]
    rng.shuffle(mine)
    free = [sample for sample in mine if sample.story is None]
    told = {sample.sample_id: Note(sample.story) for sample in mine if sample.story is not None}
    for note in analyzer.stories[: (len(mine) + 1) // 2]:
        able = [sample for sample in free if _fits(analyzer, sample, note)]
        if able:
            told[able[0].sample_id] = note
            free.remove(able[0])
    rng.shuffle(mine)  # the stories are strewn over the day
    return [(sample, told.get(sample.sample_id, Note.NORMAL)) for sample in mine]


def menu_of(analyzer: Analyzer, sample: DaySample) -> list[str]:
    """The ordered tests this analyzer can do in this tube, in the order of its menu."""
    if sample.container not in analyzer.containers:
        return []
    return [test for test in analyzer.menu if test in sample.tests]


def _fits(analyzer: Analyzer, sample: DaySample, note: Note) -> bool:
    tests = menu_of(analyzer, sample)
    if note is Note.DELTA:
        return any(test in tests and (test not in values.BLOOD or test in values.CBC) for test in sample.previous)
    if note is Note.CRITICAL:
        return not sample.previous and any(test in values.CRITICAL for test in tests)
    if note is Note.MASKED or note is Note.SUSPECT:
        return "PLT" in tests
    if note is Note.BELOW_RANGE:
        return tests[0] not in values.QUALITATIVE
    return not sample.previous


# ---- the plan ---------------------------------------------------------------------------------------------------


def plan(day: Day, name: str) -> tuple[Step, ...]:
    """Everything the analyzer `name` sends on this day, in order. Raises KeyError for a name nobody simulates."""
    analyzer = ANALYZERS[name]
    tasks = [*_controls(day, analyzer), *_patients(day, analyzer)]
    steps = [_step(analyzer, day, number, task) for number, task in enumerate(tasks, 1)]
    if Note.DUPLICATE in analyzer.extras:
        first = next((index for index, step in enumerate(steps) if step.note is Note.NORMAL), None)
        if first is not None:
            steps.insert(first + 3, replace(steps[first], note=Note.DUPLICATE))
    return tuple(replace(step, seq=number) for number, step in enumerate(steps, 1))


def _step(analyzer: Analyzer, day: Day, number: int, task: Task) -> Step:
    moment = task.at if task.note is Note.QC_HISTORY else day.start + timedelta(seconds=number * max(day.pace, 0.1))
    said = analyzer.say(replace(task, number=number, at=moment))
    kind = "qc" if task.control else "result"
    return Step(analyzer.name, number, task.note, kind, said, burst=task.control)


def _controls(day: Day, analyzer: Analyzer) -> Iterator[Task]:
    rng = _rng(day, analyzer, "controls")
    for ago in range(HISTORY_DAYS, -1, -1):
        for level in (1, 2):
            off = OUTLIERS.get((ago, level), 0.0)
            run = {
                code: values.control_value(rng, code, means[level - 1], off)
                for code, means in analyzer.controls.items()
            }
            moment = (day.start - timedelta(days=ago)).replace(hour=8, minute=level * 5, second=0, microsecond=0)
            note = Note.QC_HISTORY if ago else Note.QC
            yield Task(note, analyzer.lot.format(level=level), run, moment, 0, level=level)


def _patients(day: Day, analyzer: Analyzer) -> Iterator[Task]:
    rng = _rng(day, analyzer, "values")
    dealt = deal(day, analyzer)
    said: list[Note] = []
    for sample, note in dealt:
        yield _task(rng, analyzer, sample, note, said.count(note), day.start)
        said.append(note)
    normal = [sample for sample, note in dealt if note is Note.NORMAL and not sample.previous]
    if Note.UNREGISTERED in analyzer.extras and dealt:
        yield _task(rng, analyzer, _nobody(day, analyzer, dealt[0][0]), Note.UNREGISTERED, 0, day.start)
    if Note.SECOND_ANALYZER in analyzer.extras:
        yield from _second(day, analyzer, rng)
    if Note.AMENDED in analyzer.extras and normal:
        yield _amended(rng, analyzer, normal[0], day.start)


def _task(rng: Random, analyzer: Analyzer, sample: DaySample, note: Note, nth: int, at: datetime) -> Task:
    drawn = values.draw(rng, sample, menu_of(analyzer, sample), note, nth)
    sample_id = sample.sample_id
    if note is Note.MIS_SCANNED:
        sample_id = mis_scanned(sample_id)
    elif note is Note.UNREADABLE:
        sample_id = roche_cobas_e411.UNREADABLE
    return Task(note, sample_id, drawn, at, 0, sample)


def mis_scanned(sample_id: str) -> str:
    """The number with its tenth digit one higher: a single wrong digit, which Damm always catches."""
    return sample_id[:9] + str((int(sample_id[9]) + 1) % 10) + sample_id[10:]


def _nobody(day: Day, analyzer: Analyzer, like: DaySample) -> DaySample:
    """A well-formed number of the same day that no sample of the file has."""
    taken = {sample.sample_id for sample in day.samples}
    serial = 9000 + list(ANALYZERS).index(analyzer.name)
    while (digits := like.sample_id[:7] + f"{serial:04d}") + damm(digits) in taken:
        serial += len(ANALYZERS)
    return replace(like, sample_id=digits + damm(digits), name="", previous={}, story=None)


def _second(day: Day, analyzer: Analyzer, rng: Random) -> Iterator[Task]:
    others = deal(day, ANALYZERS[analyzer.rival])
    plain = [sample for sample, note in others if note is Note.NORMAL and not sample.previous]
    for sample in plain[-1:]:
        yield _task(rng, analyzer, sample, Note.SECOND_ANALYZER, 0, day.start)


def _amended(rng: Random, analyzer: Analyzer, sample: DaySample, at: datetime) -> Task:
    """One test of a sample that was reported before, with another value."""
    test = menu_of(analyzer, sample)[0]
    low, high = values.window(sample, test)
    value = values.printed(low + (high - low) * rng.randint(80, 95) / 100, values.decimals_of(test))
    return Task(Note.AMENDED, sample.sample_id, {test: value}, at, 0, sample)


def _rng(day: Day, analyzer: Analyzer, what: str) -> Random:
    return Random(f"{day.seed}/{analyzer.name}/{what}")
