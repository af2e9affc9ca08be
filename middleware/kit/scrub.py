"""Replaces what says who a patient is in ASTM records and HL7 segments; every other byte stays, and so does the length.

Turns the text of messages into the text of messages. Law: pure; the fields that people's names, numbers, addresses and
remarks stand in by the standard are replaced whole, whatever they hold; results, codes, units, ranges, states and times
stay; a name or number that was replaced once is replaced wherever else it stands.
Source: LIS02-A2 6 to 12 (P, O, R-11, C-4, Q-3), HL7 v2 chapters 2, 3, 4 and 7 (PID, PV1, ORC, OBR, SPM, SAC, NTE).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from drivers.driver import Driver, WireError
from drivers.wire import hl7, lis2a
from drivers.wire.fields import place
from middleware.kit import words
from middleware.kit.pseudonym import Pseudonyms, tokens

LONG = 4  # characters of a name or number from which on it is also sought where it should not stand
NUMBER_LONG = 6  # and inside longer words
EVERYTHING = frozenset(range(1, 100))


class Rule(NamedTuple):
    """Of one record: `people` fields say who somebody is: replaced whole, and sought everywhere else. `remarks` may say
    it: replaced whole. In `ids` what looks like a number on a tube or card is treated as people's."""

    people: frozenset[int] = frozenset()
    remarks: frozenset[int] = frozenset()
    ids: frozenset[int] = frozenset()


ASTM = {
    "H": Rule(remarks=frozenset({4})),  # a password
    "P": Rule(frozenset({3, 4, 5, 6, 7, 8, 11, 13, 14}), EVERYTHING - {1, 2, 9}),
    "O": Rule(frozenset({17, 18}), frozenset({11, 14, 19, 20, 21, 22}), ids=frozenset({3, 4})),
    "R": Rule(remarks=frozenset({11})),  # the operator
    "C": Rule(remarks=frozenset({4})),
    "Q": Rule(ids=frozenset({3, 4})),
    "M": Rule(),
    "S": Rule(),
    "L": Rule(),
}
HL7 = {
    "MSH": Rule(remarks=frozenset({8})),
    "PID": Rule(frozenset({2, 3, 4, 5, 6, 7, 9, 11, 13, 14, 18, 19}), EVERYTHING - {1, 8}),
    "PV1": Rule(frozenset({7, 8, 9, 17, 19}), EVERYTHING - {1, 2}),
    "EVN": Rule(remarks=frozenset({5})),
    "ORC": Rule(frozenset({12}), frozenset({10, 11, 13, 14, 17, 18, 19, 21, 22, 23, 24}), frozenset({2, 3, 4})),
    "OBR": Rule(
        frozenset({16}), frozenset({10, 13, 17, 18, 19, 20, 21, 28, 31, 32, 33, 34, 35, 39, 43, 46}), frozenset({2, 3})
    ),
    "OBX": Rule(remarks=frozenset({16, 25})),
    "SPM": Rule(remarks=frozenset({14}), ids=frozenset({2, 3})),
    "SAC": Rule(ids=frozenset({1, 2, 3, 4})),
    "NTE": Rule(remarks=frozenset({3})),
    "QRD": Rule(ids=frozenset({8})),
    "QPD": Rule(ids=frozenset(range(3, 12))),
    "DSP": Rule(remarks=frozenset({3})),  # a line of text for the analyzer's screen: name, age, doctor
    **dict.fromkeys(("MSA", "ERR", "QAK", "QRF", "TQ1", "INV", "EQU", "DSC", "FHS", "BHS", "BTS", "FTS"), Rule()),
}
TECHNICAL = frozenset({"curve", "threshold", "alarm"})  # what stands in remarks beside a curve (Horiba ABX)
UNKNOWN = Rule(remarks=EVERYTHING)  # a record that no standard knows, Z segments, PD1, NK1, GT1, IN1 …
ANALYSIS = frozenset({"O", "OBR", "ORC", "SPM", "SAC"})  # of a control nobody's, so they stay
# Marks of the link, and the frame's number where a recorder took the marks away.
_LEAD = re.compile("[\x00\x02-\x06\x0b\x1c \ufeff]*(?:[0-7](?=[A-Za-z][^\\w\\s]))?")
_SEGMENT = re.compile(r"[A-Z][A-Z0-9]{2}(?![A-Za-z0-9 ])")


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a text: whose address it has, and what it is: "people", "remark", "id", a place that is "read" or
    a "value", or "": only what is known to be people's from elsewhere is replaced there."""

    begin: int
    end: int
    record: str
    field: int
    component: int
    what: str


class Fields:
    """Which addresses a driver reads, so that they stay, and where it reads ids."""

    def __init__(self, driver: Driver, ids: frozenset[str] = frozenset()) -> None:
        """Of this driver's form; `ids` are those that it reads in the capture, however short they are."""
        read = (driver.code, driver.code_name, driver.value, driver.coded, driver.unit, driver.flag, driver.range,
                driver.status, driver.aspect, driver.observed_at, tuple(at for at, _ in driver.control))  # fmt: skip
        self.hl7 = driver.speaks == "HL7"
        self.rules = HL7 if self.hl7 else ASTM
        self._read = {_key(at) for at in _flat(read)}
        self._ids = {_key(at) for at in _flat((driver.sample_id, driver.query_id))}
        self._words = TECHNICAL | {code.lower() for code in driver.tests}
        self.row = "OBX" if self.hl7 else "R"
        self._met = ids
        self._values = {key[1] for key in (_key(at) for at in _flat((driver.value,)))}

    def what(self, record: str, field: int, component: int, text: str) -> str:
        """What a component is."""
        rule = self.rules.get(record, UNKNOWN)
        key = (record, field)
        if any((*key, n) in self._ids for n in (component, 0)) and text.strip():
            return "id"
        if any((*key, n) in self._read for n in (component, 0)):
            return "value" if record == self.row and field in self._values else "read"
        if field in rule.people:
            return "people"
        if field in rule.remarks:
            return "" if self._technical(text) else "remark"
        if field in rule.ids:
            return "id" if text.strip() in self._met or words.id_like(text) >= 0.3 else ""
        return ""

    def _technical(self, text: str) -> bool:
        """A whole component of a remark that is no person's: a small number, a curve in hex, a test, a known word."""
        sent = text.strip().lower()
        return sent in self._words or re.fullmatch(r"\d{1,3}|[0-9a-f]{24,}", sent) is not None


def _flat(addresses: Iterable[str | tuple[str, ...]]) -> Iterator[str]:
    for one in addresses:
        yield from ((one,) if isinstance(one, str) else one) if one else ()


def _key(address: str) -> tuple[str, int, int]:
    record, _, inside = address.partition(".")
    where = place(inside or "1")
    return record, where.field, where.component


def parts(fields: Fields, text: str) -> Iterator[Part]:
    """Every component of every record of a text that may hold several messages, whole or cut."""
    marks: lis2a.Delimiters | hl7.Delimiters = hl7.STANDARD if fields.hl7 else lis2a.STANDARD
    above = ""
    for found in re.finditer(r"[^\r\n]+", text):
        line = found[0]
        begins = _LEAD.match(line)
        lead = begins.end() if begins else 0
        marks = _marks(fields, line[lead:], marks)
        if fields.hl7 and above == "OBX" and not _SEGMENT.match(line[lead:]):
            yield Part(found.start(), found.end(), "OBX", 5, 0, "")  # a value that goes on in the next line
            continue
        above = line[lead : lead + 3]
        yield from _line(fields, line[lead:], found.start() + lead, marks)


def _marks(
    fields: Fields, line: str, now: lis2a.Delimiters | hl7.Delimiters
) -> lis2a.Delimiters | hl7.Delimiters:
    try:
        return hl7.delimiters(line) if fields.hl7 else lis2a.delimiters(line)
    except WireError:
        return now


def _line(fields: Fields, line: str, offset: int, marks: lis2a.Delimiters | hl7.Delimiters) -> Iterator[Part]:
    sent = line.split(marks.field)
    record = sent[0].strip() if fields.hl7 else sent[0].strip().upper()
    header = record in ("MSH", "FHS", "BHS")
    begin = offset
    for number, text in enumerate(sent):
        field = number if fields.hl7 else number + 1
        field += header and number > 0
        if number and not (number == 1 and (header or record == "H")):
            yield from _components(fields, record, field, text, begin, marks)
        begin += len(text) + len(marks.field)


def _components(
    fields: Fields, record: str, field: int, text: str, begin: int, marks: lis2a.Delimiters | hl7.Delimiters
) -> Iterator[Part]:
    """The components of each repeat of a field; a component's number counts anew in each repeat."""
    for repeat in text.split(marks.repeat) if marks.repeat else [text]:
        for number, component in enumerate(repeat.split(marks.component), 1):
            what = fields.what(record, field, number, component)
            yield Part(begin, begin + len(component), record, field, number, what)
            begin += len(component) + len(marks.component)
        begin += len(marks.repeat) - len(marks.component)


def secrets_of(fields: Fields, text: str, kept: Pseudonyms) -> set[str]:
    """The names and numbers that stand where people's stand, in lower case and long enough to be sought elsewhere."""
    found: set[str] = set()
    for part in parts(fields, text):
        sent = text[part.begin : part.end]
        if part.what == "people" or (part.what == "id" and not kept.kept(sent.strip())):
            found |= {sent[begin:end].lower() for begin, end in tokens(sent)}
    return {token for token in found if len(token) >= LONG and token.strip("0")}


def scrub(fields: Fields, text: str, names: Pseudonyms, secrets: set[str], control: bool = False) -> str:
    """The text with people's names and numbers replaced: as long as it was. Of a `control` the order is nobody's."""
    made, before = [], 0
    for part in parts(fields, text):
        if control and part.record in ANALYSIS:
            continue
        sent = text[part.begin : part.end]
        new = _replaced(part, sent, names, secrets)
        if new != sent:
            made += [text[before : part.begin], new]
            before = part.end
    return "".join([*made, text[before:]])


def _replaced(part: Part, sent: str, names: Pseudonyms, secrets: set[str]) -> str:
    if part.what in ("people", "remark"):
        return names.text(sent)
    if part.what == "id":
        return names.identity(sent)
    if part.what == "read" or (part.what == "value" and words.is_number(sent.strip())):
        return sent
    return known_elsewhere(sent, names, secrets)


def known_elsewhere(sent: str, names: Pseudonyms, secrets: set[str]) -> str:
    """The text with the names and numbers that are known to be people's replaced; numbers also inside longer words."""
    made, before = [], 0
    for begin, end in tokens(sent) if secrets else ():
        token = sent[begin:end].lower()
        inside = [] if token in secrets else _inside(token, secrets)
        for first, last in [(0, end - begin)] if token in secrets else inside:
            made += [sent[before : begin + first], names.token(sent[begin + first : begin + last])]
            before = begin + last
    return "".join([*made, sent[before:]])


def _inside(token: str, secrets: set[str]) -> list[tuple[int, int]]:
    """Where a longer word holds a known number, such as the name of a picture's file."""
    if len(token) <= NUMBER_LONG:
        return []
    for secret in secrets:
        at = token.find(secret) if len(secret) >= NUMBER_LONG and any(map(str.isdigit, secret)) else -1
        if at >= 0:
            return [(at, at + len(secret))]
    return []


def left_of(text: str, secrets: set[str]) -> int:
    """How many of the known names and numbers stand in a text."""
    lowered = text.lower()
    said = {lowered[begin:end] for begin, end in tokens(lowered)}
    numbers = [one for one in secrets if len(one) >= NUMBER_LONG and any(map(str.isdigit, one))]
    return len(said & secrets) + sum(1 for one in numbers if one not in said and one in lowered)
