"""Where sample id, code, value, unit, flag, range, status and time seem to sit in the records of a capture.

Turns messages of ASTM records or HL7 segments into Places, each with its evidence in words. Law: pure; a place is a
proposal for the engineer, who compares it with the vendor's manual; the standard's own place wins where nothing speaks
against it. Source: LIS02-A2 8 and 9, HL7 v2 chapters 4 and 7; the quirk catalogue (shifted records, ids in O-3, O-4,
P-3, P-4, SPM-2, OBR-2, OBR-3, PID-3; codes in component 1, 4 or 5; times in R-13, R-12, O-23).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from drivers.wire import hl7, lis2a
from drivers.wire.fields import place
from middleware.kit import words
from middleware.kit.stream import Stream

Sent = lis2a.Record | hl7.Segment
COMPONENTS = 12  # looked at, of a field


class Place(NamedTuple):
    """One address of a form (several: the first that was sent counts), and why it is proposed; "" for none."""

    address: str | tuple[str, ...]
    why: str

    @property
    def first(self) -> str:
        """The address that is read first."""
        return self.address if isinstance(self.address, str) else self.address[0]


@dataclass(frozen=True, slots=True)
class Row:
    """One result row and the latest record of each type above it, as the driver's reader sees them."""

    row: Sent
    above: Mapping[str, Sent]

    def at(self, address: str) -> str | None:
        """The text at an address of the row or above it, as sent."""
        record, _, inside = address.partition(".")
        source = self.row if record == self.row.type else self.above.get(record)
        return None if source is None else source.raw(inside)


@dataclass(frozen=True, slots=True)
class Language:
    """What differs between ASTM and HL7: the row's record, the standard's places, where else ids have been seen."""

    row: str
    code: str
    value: str
    unit: tuple[str, ...]
    flag: tuple[str, ...]
    range: tuple[str, ...]
    status: tuple[str, ...]
    times: tuple[str, ...]
    ids: tuple[tuple[str, float], ...]  # field, and what speaks for it beforehand


ASTM = Language(
    "R", "R.3", "R.4", ("R.5", "R.6"), ("R.7", "R.8"), ("R.6", "R.7"), ("R.9", "R.10"),
    ("R.13", "R.12", "R.14", "O.23", "O.8", "O.7", "H.14"),
    (("O.3", 0.25), ("O.4", 0.15), ("P.3", 0.05), ("P.4", 0.05), ("P.5", 0.0)),
)  # fmt: skip
HL7 = Language(
    "OBX", "OBX.3", "OBX.5", ("OBX.6",), ("OBX.8",), ("OBX.7",), ("OBX.11",),
    ("OBX.14", "OBX.19", "OBR.7", "OBR.22", "MSH.7"),
    (("SPM.2", 0.3), ("OBR.3", 0.25), ("OBR.2", 0.2), ("SAC.3", 0.2), ("ORC.2", 0.0), ("PID.3", 0.05), ("PID.2", 0.0),
     ("PID.1", 0.0)),
)  # fmt: skip


def language_of(stream: Stream) -> Language:
    """ASTM or HL7."""
    return HL7 if stream.speaks == "HL7" else ASTM


def rows_of(stream: Stream) -> list[list[Row]]:
    """The rows of each message with what stands above them; messages without rows are []."""
    language = language_of(stream)
    return [list(_walk(records_of(stream, body), language.row)) for body in stream.bodies]


def records_of(stream: Stream, body: bytes) -> Sequence[Sent]:
    """A message's records or segments."""
    return hl7.parse(body) if stream.speaks == "HL7" else lis2a.parse(body)


def _walk(records: Sequence[Sent], row: str) -> Iterator[Row]:
    above: dict[str, Sent] = {}
    for record in records:
        if record.type == row:
            yield Row(record, dict(above))
        else:
            if record.type in ("P", "PID"):  # the next patient's order is not this one's
                above = {name: above[name] for name in above if name in ("H", "MSH")}
            above[record.type] = record


def proposed(stream: Stream) -> dict[str, Place]:
    """The places by their names in a form: sample_id, code, code_name, value, unit, flag, range, status, observed_at.

    Of a capture without result rows the standard's own places.
    """
    language, messages = language_of(stream), rows_of(stream)
    rows = [row for message in messages for row in message]
    code = _code(language, messages)
    found = {
        "sample_id": _sample_id(language, rows),
        "code": code,
        "code_name": _name(code, rows),
        "value": _value(language, rows),
    }
    for role, test in (("unit", words.is_unit), ("range", words.is_range), ("status", words.is_state)):
        found[role] = _field(getattr(language, role), rows, test)
    found["flag"] = _flag(language, rows, found["range"].first)
    found["observed_at"] = _time(language, rows)
    return found


def _texts(rows: Sequence[Row], address: str) -> list[str | None]:
    return [row.at(address) for row in rows]


def _parts(rows: Sequence[Row], field: str) -> list[str]:
    """The field itself when it never has components, else each of its components."""
    record, _, number = field.partition(".")
    widest = 0
    for row in rows:
        source = row.row if record == row.row.type else row.above.get(record)
        text = None if source is None else source.raw(number)
        if text and source is not None and source.delimiters.component:
            first = text.split(source.delimiters.repeat)[0] if source.delimiters.repeat else text
            widest = max(widest, first.count(source.delimiters.component))
    return [field] if not widest else [f"{field}.{n}" for n in range(1, min(widest + 1, COMPONENTS) + 1)]


def _shown(texts: Sequence[str | None], count: int = 3) -> str:
    """Some of the texts, for a comment."""
    sent = list(dict.fromkeys(text.strip()[:24] for text in texts if text and text.strip()))
    return ", ".join(repr(text) for text in sent[:count]) + (" …" if len(sent) > count else "")


def _percent(part: float) -> str:
    return f"{part:.0%}"


# ---- whose ------------------------------------------------------------------------------------------------------


def _sample_id(language: Language, rows: Sequence[Row]) -> Place:
    """The part that looks most like a tube's number. Names of patients never stand in the evidence, nor do ids."""
    best, worth = language.ids[1 if language.row == "OBX" else 0][0], 0.0
    for field, prior in language.ids:
        for address in _parts(rows, field):
            sent = [text for text in _texts(rows, address) if text and text.strip()]
            if not sent:
                continue
            padded = 0.2 if any(text != text.strip() for text in sent) else 0.0
            found = sum(map(words.id_like, sent)) / len(sent)
            if found > 0.04 and found + prior + padded > worth:
                best, worth = address, found + prior + padded
    if not worth:
        return Place(best, "the standard's place: no id was seen")
    sent = [text.strip() for text in _texts(rows, best) if text and text.strip()]
    own = all(words.id_like(text) >= 1 for text in sent)
    shape = "numbers of this house's own kind" if own else f"{len(set(sent))} different, {max(map(len, sent))} long"
    return Place(best, f"looks most like a tube's number: {shape}")


# ---- which test -------------------------------------------------------------------------------------------------


def _code(language: Language, messages: Sequence[Sequence[Row]]) -> Place:
    rows = [row for message in messages for row in message]
    usual = {"R": "R.3.4", "OBX": "OBX.3.1"}[language.row]
    best, worth = usual, 0.0
    for address in [*_parts(rows, language.code), *(["OBX.4"] if language.row == "OBX" else [])]:
        texts = _texts(rows, address)
        told = words.sent_share(texts)
        differ = max((words.distinct(_texts(m, address)) for m in messages if m), default=0.0)
        known = words.share(texts, words.known_code)
        loinc = words.share(texts, lambda text: words.LOINC.fullmatch(text) is not None)
        prior = 0.3 if address == usual else 0.1 if address.endswith((".1", ".5")) else 0.0
        prior -= 1.0 if address == "OBX.4" else 0.0  # nearly always the name of what OBX-3 says
        value = told * (0.4 + 0.5 * differ + known) + prior - (0.5 * loinc if language.row == "R" else 0.0)
        if told and value > worth:
            best, worth = address, value
    if not worth:
        return Place(best, "the standard's place: no code was seen")
    texts = _texts(rows, best)
    known = words.share(texts, words.known_code)
    why = f"{len({text for text in texts if text})} different, {_percent(known)} known to some driver: {_shown(texts)}"
    return Place(best, why)


def _name(code: Place, rows: Sequence[Row]) -> Place:
    """A second text beside the code, in the same field."""
    record, field, own = (*code.first.split("."), "")[:3]
    for address in _parts(rows, f"{record}.{field}") if own else []:
        texts = _texts(rows, address)
        lettered = words.share(texts, lambda text: any(map(str.isalpha, text)) and len(text) > 1)
        differ = words.distinct(texts)
        same = all(a == b for a, b in zip(texts, _texts(rows, code.first), strict=True))
        if address != code.first and not same and words.sent_share(texts) * lettered * differ > 0.5:
            return Place(address, f"beside the code: {_shown(texts)}")
    return Place("", "no second text beside the code")


# ---- what it says -----------------------------------------------------------------------------------------------


def _value(language: Language, rows: Sequence[Row]) -> Place:
    parts = _parts(rows, language.value)
    if len(parts) == 1:
        texts = _texts(rows, language.value)
        if not words.sent_share(texts):
            return Place(language.value, "the standard's place: no value was seen")
        return Place(language.value, f"{_percent(words.share(texts, words.is_number))} numbers: {_shown(texts)}")
    best, worth = parts[0], 0.0
    for address in parts:
        texts = _texts(rows, address)
        number = words.share(texts, words.is_number) * words.sent_share(texts)
        pointed = words.share(texts, lambda text: words.is_number(text) and "." in text)
        if number + 0.3 * pointed > worth + 0.01:
            best, worth = address, number + 0.3 * pointed
    why = f"the component with most numbers: {_shown(_texts(rows, best))}"
    return Place(best if best.endswith(".1") else (best, language.value), why)


def _field(fields: Sequence[str], rows: Sequence[Row], test: words.Test) -> Place:
    """The field of the standard, or its neighbour when that one fits and the standard's does not."""
    best, worth = fields[0], 0.0
    for field in fields:
        found = words.share(_texts(rows, field), test)
        if found > worth + 0.25:
            best, worth = field, found
    parts = _parts(rows, best)
    if len(parts) > 1 and words.share(_texts(rows, parts[0]), test) > max(worth, 0.5):
        best, worth = parts[0], words.share(_texts(rows, parts[0]), test)
    if not worth:
        return Place(best, "the standard's place: nothing in it speaks for or against")
    return Place(best, f"{_percent(worth)} fit: {_shown(_texts(rows, best))}")


def _flag(language: Language, rows: Sequence[Row], range_at: str) -> Place:
    """R-7; where the range took R-7 the record is shifted."""
    fields = [field for field in language.flag if not range_at.startswith(field)]
    return _field(fields, rows, words.is_flag)


def _time(language: Language, rows: Sequence[Row]) -> Place:
    """The result's own time, else the order's; where only some rows have one, both."""
    found: list[tuple[str, float]] = []
    for address in language.times:
        texts = _texts(rows, address)
        told = words.sent_share([text if text and text.strip("0 ") else "" for text in texts])  # all zeros is none
        fits = words.share(texts, words.is_time) * told
        if fits:
            found.append((address, fits))
    if not found:
        return Place(language.times[0], "the standard's place: no time was seen")
    (first, fits), *others = found
    why = f"{_percent(fits)} of the rows have a time there"
    if fits > 0.99 or not others:
        return Place(first, why)
    return Place((first, others[0][0]), f"{why}, the others in {others[0][0]}")


def same_place(one: str, other: str) -> bool:
    """Do two addresses name the same text in a field without further components? OBR.3 is OBR.3.1."""
    return _plain(one) == _plain(other)


def _plain(address: str) -> tuple[str, int, int]:
    record, _, inside = address.partition(".")
    where = place(inside or "1")
    return record, where.field, where.component or 1
