"""Tells a recorded message of a block dialect anew, where no address says what stands where: columns, printer text.

Turns the texts of a template into texts of the same columns with another tube, other numbers, another time. Law: the
driver is the judge of each single step: a text is replaced where, and only where, the driver then reads that one row
otherwise and all others as before; columns keep their widths. Source: the captures; times as each driver names them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from random import Random

from drivers.driver import Decoded, Driver, Kind, Observation
from simulators import marks, vary
from simulators.retell import Made, NewId, proved
from simulators.templates import Template, decode

Write = str | Callable[[datetime], str]
WIDEST = 26  # columns that an id may take from the blanks beside it
TRIES = 16  # places tried for one number


def _milliseconds(now: datetime) -> str:
    return str(int(now.timestamp() * 1000))


TIMES: Mapping[str, tuple[tuple[str, Write], ...]] = {  # where the driver gives a time otherwise than it was sent
    "beckman_au": ((r"    E(?:0 *)?(20\d{12})", "%Y%m%d%H%M%S"),),
    "biomerieux_mini_vidas": ((r"tt(\d\d:\d\d)", "%H:%M"), (r"td(\d\d/\d\d/\d\d)", "%m/%d/%y")),
    "diamond_smartlyte": ((r"&dt=(\d{13})", _milliseconds),),
    "fujifilm_drichem": ((r",(\d\d-\d\d-\d{4},\d\d:\d\d)", "%d-%m-%Y,%H:%M"),),
    "siemens_dimension": ((r"^R\x1c(?:[^\x1c]*\x1c){6}(\d{12})", "%S%M%H%d%m%y"),),
    "siemens_rapidlab": ((r"(\d\d:\d\d    \d\d [A-Z][a-z]{2} \d{4})", "%H:%M    %d %b %Y"),),
    "siemens_rapidpoint": (
        ("rDATE\x1d(\\d\\d[A-Z][a-z]{2}\\d\\d)", "%d%b%y"),
        ("rTIME\x1d(\\d\\d:\\d\\d)", "%H:%M"),
    ),
    "sysmex_ca": ((r"^[DR].{8}(\d{10})", "%d%m%y%H%M"),),
    "sysmex_uc1000": ((r",(\d{4}/\d\d/\d\d,\d\d:\d\d:\d\d)", "%Y/%m/%d,%H:%M:%S"),),
    "tosoh_hlc723": ((r"^2(\d{4})\d{4}$", "%m%d"),),
    "urit_50": (
        (r"Date:(\d{4}-\d\d-\d\d \d\d:\d\d)", "%Y-%m-%d %H:%M"),
        (r"NO\.\d+ (\d{4}-\d\d-\d\d)", "%Y-%m-%d"),
        (r"\s(\d\d:\d\d:\d\d)", "%H:%M:%S"),
    ),
}
PRINTED = (  # as analyzers print a time, tried in this order on what the driver says was sent
    "%Y%m%d%H%M%S", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d  %H:%M:%S", "%Y-%m-%d %H:%M:%S", "%d-%m-%Y %H:%M:%S",
    "%d/%m/%Y %H:%M:%S", "%d/%m/%y %Hh%Mmn%Ss", "%Y/%m/%d %H:%M", "%Y-%m-%d %H:%M", "%d-%m-%Y %H:%M", "%y/%m/%d %H:%M",
    "%d/%m/%y %H:%M",
)  # fmt: skip


def retold(template: Template, new_id: NewId, now: datetime, rng: Random | None) -> Made:
    """A message of blocks, told anew; without `rng` with the numbers it has. Raises Unusable."""
    text = _Text(template.driver, template.parts)
    for at, row in enumerate(text.rows if rng else ()):
        if rng and row.kind is Kind.MEASUREMENT and row.value and vary.NUMBER.search(row.value):
            text.vary(at, rng)
    for pattern, write in TIMES.get(template.driver.name) or _printed(template):
        text.date(pattern, write(now) if callable(write) else now.strftime(write))
    ids = {old: text.rename(old, new_id(old)) for old in template.ids}
    return proved(template, tuple(text.parts), ids)


def _printed(template: Template) -> Iterator[tuple[str, Write]]:
    """The times that the driver read, each with the shape it was printed in."""
    said = template.decoded
    for sent in dict.fromkeys(filter(None, (said.sent_at, *(row.observed_at for row in said.observations)))):
        shape = next((shape for shape in PRINTED if _is(sent, shape)), None)
        if shape:
            yield f"({re.escape(sent)})", shape


def _is(sent: str, shape: str) -> bool:
    try:
        moment = datetime.strptime(sent, shape)  # noqa: DTZ007 - as printed
    except ValueError:
        return False
    return moment.strftime(shape) == sent


class _Text:
    """The texts of one message, and what the driver reads of them now."""

    def __init__(self, driver: Driver, parts: tuple[str, ...]) -> None:
        self.driver, self.parts = driver, list(parts)
        self.said = self._read(self.parts)
        self._part, self._at = 0, 0  # behind the number that was replaced last

    @property
    def rows(self) -> tuple[Observation, ...]:
        """What the driver reads of the texts now."""
        return self.said.observations

    def _read(self, parts: list[str]) -> Decoded:
        return decode(self.driver, marks.body(self.driver, parts))

    # ---- one number

    def vary(self, at: int, rng: Random) -> None:
        """Another number for the row `at`, where it can be found."""
        for tried, (part, begin, end) in enumerate(self._spots(self.rows[at])):
            if tried >= TRIES:
                return
            text = self.parts[part]
            changed = [*self.parts]
            changed[part] = text[:begin] + vary.number(text[begin:end], rng) + text[end:]
            said = self._read(changed)
            if _only_differs(self.rows, said.observations, at):
                self.parts, self.said, self._part, self._at = changed, said, part, end
                return

    def _spots(self, row: Observation) -> Iterator[tuple[int, int, int]]:
        """Where the number of a row may stand, the likeliest first: in its raw text, behind the last one."""
        value = vary.NUMBER.search(row.value or "")
        for needle in dict.fromkeys(filter(None, ((row.raw or "").strip(), row.value))):
            for part, begin in self._places(needle):
                inside = [
                    (begin + found.start(), begin + found.end(), found[0])
                    for found in vary.NUMBER.finditer(self.parts[part][begin : begin + len(needle)])
                ]
                likely = [spot for spot in reversed(inside) if value and spot[2] == value[0]]
                for start, end, digits in likely or inside:
                    yield part, start, end
                    if digits.isdigit() and len(digits) > 1:
                        yield part, start, end - 1  # the last digit is a flag

    def _places(self, needle: str) -> Iterator[tuple[int, int]]:
        found = [
            (part, match.start())
            for part, text in enumerate(self.parts)
            for match in re.finditer(re.escape(needle), text)
        ]
        yield from sorted(found, key=lambda place: (place < (self._part, self._at), place))

    # ---- id and time

    def rename(self, old: str, new: str) -> str:
        """Put `new` for `old` wherever it stands, in its own columns: right- or left-justified, or as wide as it comes;
        where the columns are too narrow its last characters. The id as it then is."""
        for wanted, parts in self._renamed(old, new):
            said = self._read(parts)
            rows = [row._replace(sample_id=wanted) if row.sample_id == old else row for row in self.rows]
            asked = tuple(wanted if identity == old else identity for identity in self.said.query_sample_ids)
            if rows == list(said.observations) and asked == said.query_sample_ids:
                self.parts, self.said = parts, said
                return wanted
        return old

    def _renamed(self, old: str, new: str) -> Iterator[tuple[str, list[str]]]:
        more = max(0, len(new) - len(old))
        patterns = [rf" {{{more}}}{re.escape(old)}", rf"{re.escape(old)} {{{more}}}"] if more < WIDEST else []
        for pattern, justify in zip(patterns, (str.rjust, str.ljust), strict=False):
            text = justify(new, len(old) + more)
            yield new, [re.sub(pattern, lambda _, text=text: text, part) for part in self.parts]  # type: ignore[misc]
        yield new, [part.replace(old, new) for part in self.parts]
        for width in range(len(new) - 1, 5, -1):
            short = new[-width:]
            for pattern in (rf"{re.escape(old)} {{{max(0, width - len(old))}}}", re.escape(old)):
                yield short, [re.sub(pattern, short, part) for part in self.parts]

    def date(self, pattern: str, text: str) -> None:
        """The time that the pattern's group finds becomes this text; the rows stay what they are but for their time."""

        def put(found: re.Match[str]) -> str:
            begin, end = found.start(1) - found.start(), found.end(1) - found.start()
            return found[0][:begin] + text + found[0][end:]

        parts = [re.sub(pattern, put, part) for part in self.parts]
        said = self._read(parts)
        if _undated(said.observations) == _undated(self.rows) and said.query_sample_ids == self.said.query_sample_ids:
            self.parts, self.said = parts, said


def _undated(rows: tuple[Observation, ...]) -> list[Observation]:
    return [row._replace(observed_at=None) for row in rows]


def _only_differs(before: tuple[Observation, ...], after: tuple[Observation, ...], at: int) -> bool:
    """The value of row `at` is another one, and nothing else is."""
    if len(before) != len(after) or before[at].value == after[at].value:
        return False
    kept = before[at]._replace(value=after[at].value, raw=after[at].raw)
    return after[at] == kept and before[:at] == after[:at] and before[at + 1 :] == after[at + 1 :]
