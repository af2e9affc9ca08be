"""Makes a capture of a conversation: byte for byte as it was, with other names and numbers, ready for tests/captures.

Turns chunks (who spoke, when, what) into a Captured. Law: pure but for the salt; each chunk keeps its length, so times
and boundaries stay true; the checksum of a frame is as right or as wrong as it was; values of results stay. The driver
must read the capture as it read the line, but for ids and remarks: where it does not, that is told.
Source: LIS01-A2 6.3.3 (checksum); `scrub` and `scrub_text` say what is replaced.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from drivers.decode import decode_with, found_in
from drivers.driver import Decoded, DecodeError, Driver, Kind, Message, MessageType, Observation, WireError
from drivers.wire import mllp
from middleware.kit import words
from middleware.kit.pseudonym import Pseudonyms, tokens
from middleware.kit.scrub import LONG, Fields, left_of, scrub, secrets_of
from middleware.kit.scrub_text import labelled, rechecked, scrub_text, words_left
from middleware.kit.stream import EOT, FRAME

SURE = 0.6  # how much a part of an unread id must look like a number on a tube to be taken for one
WORDS = 40  # shown of those that stay
_QUALITY = (MessageType.QC, MessageType.CALIBRATION)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SIGNALS = "\x00\x02\x03\x04\x05\x06\x0b\x15\x17\x1c\r\n"


@dataclass(frozen=True, slots=True)
class Said:
    """What went over the line at once: milliseconds from the first, and whether the analyzer said it (or the host)."""

    ms: int
    by_analyzer: bool
    data: bytes


@dataclass(frozen=True, slots=True)
class Captured:
    """A capture. `raw` is all that the analyzer said; `replaced` counts names and numbers; `doubts` are sentences."""

    driver: str
    said: tuple[Said, ...]
    read: dict[str, object]
    replaced: int
    doubts: tuple[str, ...]

    @property
    def raw(self) -> bytes:
        """The analyzer's bytes, as a file of tests/captures holds them."""
        return b"".join(one.data for one in self.said if one.by_analyzer)

    def talk(self) -> dict[str, object]:
        """Both sides with their times, for <case>.talk.json."""
        return {
            "driver": self.driver,
            "chunks": [
                {"ms": one.ms, "from": "analyzer" if one.by_analyzer else "host", "hex": one.data.hex()}
                for one in self.said
            ],
        }


def capture(driver: Driver, said: Sequence[Said], salt: bytes) -> Captured:
    """The capture of these chunks. DecodeError when the driver reads nothing at all in them."""
    before = b"".join(one.data for one in said if one.by_analyzer)
    others = b"".join(one.data for one in said if not one.by_analyzer)
    decode_with(driver, before)  # raises when this is the wrong driver
    messages = _decoded(driver, before)
    scrubber = _Scrubber(driver, _charset(driver, before + others), salt, _controls(messages), messages)
    scrubber.meet(before)
    scrubber.meet(others)
    made = {True: scrubber.stream(before), False: scrubber.stream(others)}
    at = {True: 0, False: 0}
    chunks = []
    for one in said:
        begin = at[one.by_analyzer]
        at[one.by_analyzer] = end = begin + len(one.data)
        chunks.append(replace(one, data=made[one.by_analyzer][begin:end]))
    after = made[True]
    doubts = (*scrubber.doubts(before + others, after + made[False]), *_differences(messages, _decoded(driver, after)))
    return Captured(driver.name, tuple(chunks), decode_with(driver, after), scrubber.names.count, doubts)


def _decoded(driver: Driver, data: bytes) -> list[Decoded]:
    found = []
    for one in found_in(driver, data):
        if one.body is not None:
            try:
                found.append(driver.decode(Message("", "", _EPOCH, one.body, one.incomplete)))
            except (DecodeError, WireError):
                continue
    return found


def _charset(driver: Driver, data: bytes) -> str:
    """In which these bytes can be read, as the driver would: its own, UTF-8, else ISO 8859-1. One damaged byte does
    not make Latin of Hindi letters: then their halves would stay."""
    for charset in filter(None, (driver.charset, "utf-8")):
        try:
            data.decode(charset)
        except (UnicodeDecodeError, LookupError):
            continue
        return charset
    return "utf-8" if re.search(rb"[\xe0-\xef][\x80-\xbf]{2}", data) else "latin-1"


def _controls(messages: Sequence[Decoded]) -> frozenset[str]:
    """Ids that stand on controls and calibrators alone: lots, nobody's."""
    ids: dict[bool, set[str]] = {True: set(), False: set()}
    for message in messages:
        quality = message.type in _QUALITY
        ids[quality] |= {row.sample_id.strip() for row in message.observations if row.sample_id}
    return frozenset(ids[True] - ids[False])


def _differences(before: Sequence[Decoded], after: Sequence[Decoded]) -> list[str]:
    """Where the driver reads the capture otherwise than the line, ids and remarks apart."""
    if len(before) != len(after):
        return [f"the driver reads {len(after)} messages in the capture and {len(before)} on the line"]
    told = []
    for number, (one, other) in enumerate(zip(before, after, strict=True), 1):
        if one.type is not other.type or len(one.observations) != len(other.observations):
            told.append(f"message {number} is read otherwise: {other.type} with {len(other.observations)} rows")
            continue
        rows = sum(1 for a, b in zip(one.observations, other.observations, strict=True) if _plain(a) != _plain(b))
        if rows:
            told.append(f"{rows} rows of message {number} are read otherwise: a name or a number stood in them")
    return told


def _plain(row: Observation) -> Observation:
    """A row without what may differ: the id, remarks, and the name of a picture's file, which often holds the id."""
    row = row._replace(sample_id="", comments=())
    return row._replace(value="", raw="", masked=False) if row.kind in (Kind.IMAGE, Kind.DETAIL) else row


class _Scrubber:
    """Replaces in the bytes of one direction; what it met in both is replaced in both."""

    def __init__(
        self, driver: Driver, charset: str, salt: bytes, controls: frozenset[str], messages: Sequence[Decoded]
    ) -> None:
        self.driver = driver
        self.structured = driver.speaks in ("LIS2-A2", "HL7")
        self.charset = charset
        self._of_control = re.compile(driver.control_id) if driver.control_id else None
        self._controls = controls
        self.names = Pseudonyms(salt, self.charset, self.nobody)
        self.ids = {text.strip() for message in messages for text in
                    (*message.query_sample_ids, *(row.sample_id or "" for row in message.observations))}  # fmt: skip
        self.fields = Fields(driver, frozenset(self.ids - {""}))
        self.secrets: set[str] = set()

    def nobody(self, text: str) -> bool:
        """An id that names no patient's tube."""
        if text in self._controls:
            return True
        if self.driver.unread(text):  # but "107632600512 dil" is a tube's number all the same
            return not any(words.id_like(text[begin:end]) >= SURE for begin, end in tokens(text))
        return self._of_control is not None and self._of_control.match(text) is not None

    def meet(self, data: bytes) -> None:
        """Learn the names and numbers of these bytes before any is replaced."""
        text = self._text(data)
        self.names.avoid({text[begin:end] for begin, end in tokens(text)})
        ids = {one for one in self.ids if not self.nobody(one)}
        self.secrets |= {one[a:b].lower() for one in ids for a, b in tokens(one) if b - a >= LONG}
        if not self.structured:
            self.secrets |= {one.lower() for one in ids if len(one) > 1} | labelled(text)
            return
        for logical, _ in self._logical(data):
            self.secrets |= secrets_of(self.fields, self._text(logical), self.names)

    def stream(self, data: bytes) -> bytes:
        """The bytes with names and numbers replaced."""
        if not self.structured:
            new = self._bytes(scrub_text(self._text(data), self.names, self.secrets))
            framings = (self.driver.framing, *self.driver.framings.values())
            made = rechecked([framing for framing in framings if framing], data, new)
        else:
            made = self._structured(data)
        return made

    def doubts(self, before: bytes, after: bytes) -> list[str]:
        """What is left of the names and numbers, and what nobody can tell by itself."""
        left = left_of(self._text(after), self.secrets)
        told = [f"{left} names or numbers still stand in it, as values or codes: look"] if left else []
        if not self.structured:
            stay = words_left(self._text(after), self.driver.tests)
            shown = f"{', '.join(stay[:WORDS])}{' …' if len(stay) > WORDS else ''}" if stay else "none"
            told.append(
                "a dialect of its own: only the ids that the driver reads and what is labelled were replaced; "
                f"words that stay: {shown}"
            )
        return told if len(before) == len(after) else [*told, "the length changed"]

    def _text(self, data: bytes) -> str:
        return data.decode(self.charset, "surrogateescape")  # a chunk may begin inside a letter

    def _bytes(self, text: str) -> bytes:
        return text.encode(self.charset, "surrogateescape")

    # ---- ASTM and HL7

    def _logical(self, data: bytes) -> Iterator[tuple[bytes, list[tuple[int, int]]]]:
        """The texts of records or segments in these bytes, and the stretches of bytes that each is made of."""
        if self.driver.speaks == "HL7":
            blocks = list(re.finditer(rb"\x0b([^\x0b\x1c]*)", data)) if mllp.VT in data else []
            for found in blocks:
                yield found[1], [found.span(1)]
            if not blocks:
                yield data, [(0, len(data))]
            return
        frames = [found for found in FRAME.finditer(data) if _right(found)]
        if not frames:
            yield data, [(0, len(data))]
            return
        group: list[tuple[int, int]] = []
        before: bytes | None = None
        end = 0
        for found in frames:
            if group and EOT in data[end : found.start()]:
                yield b"".join(data[a:b] for a, b in group), group
                group, before = [], None
            if found[0] != before:
                group.append(found.span(2))
            before, end = found[0], found.end()
        yield b"".join(data[a:b] for a, b in group), group

    def _structured(self, data: bytes) -> bytes:
        made, covered = bytearray(data), bytearray(len(data))
        for logical, stretches in self._logical(data):
            control = self._is_control(logical)
            new = self._bytes(scrub(self.fields, self._text(logical), self.names, self.secrets, control))
            at = 0
            for begin, end in stretches:
                made[begin:end] = new[at : at + end - begin]
                covered[begin:end] = b"\x01" * (end - begin)
                at += end - begin
        if FRAME.search(data) and self.driver.speaks != "HL7":
            self._repeats(data, made, covered)
            self._checksums(data, made, covered)
        self._rest(made, covered)
        return bytes(made)

    def _is_control(self, logical: bytes) -> bool:
        """A control's or a calibrator's message, of which only HL7 has one in a block."""
        if self.driver.speaks != "HL7":
            return False
        try:
            return self.driver.decode(Message("", "", _EPOCH, logical)).type in _QUALITY
        except (DecodeError, WireError):
            return False

    def _repeats(self, data: bytes, made: bytearray, covered: bytearray) -> None:
        """A frame that came again holds what the first one holds now; one that was damaged keeps no name."""
        known = {found[2]: found.span(2) for found in reversed(list(FRAME.finditer(data))) if covered[found.start(2)]}
        for found in FRAME.finditer(data):
            begin, end = found.span(2)
            if begin == end or covered[begin]:
                continue
            if found[2] in known:
                first, last = known[found[2]]
                made[begin:end] = made[first:last]
            else:
                made[begin:end] = self._bytes(self.names.text(self._text(data[begin:end])))
            covered[begin:end] = b"\x01" * (end - begin)

    def _checksums(self, data: bytes, made: bytearray, covered: bytearray) -> None:
        """The checksum of each frame: right where it was right, wrong by as much where it was wrong."""
        for found in FRAME.finditer(data):
            begin, end = found.start(1), found.end(3)
            off = int(found[4], 16) - sum(data[begin:end])
            digits = b"%02X" % ((sum(made[begin:end]) + off) & 0xFF)
            made[found.start(4) : found.end(4)] = digits.lower() if found[4].islower() else digits
            covered[found.start() : found.end()] = b"\x01" * (found.end() - found.start())

    def _rest(self, made: bytearray, covered: bytearray) -> None:
        """Bytes in no frame and no block: noise, a cut frame, a mark of the link. Names in them are replaced."""
        for found in re.finditer(rb"\x00+", bytes(covered)):
            begin, end = found.span()
            text = self._text(bytes(made[begin:end]))
            if text.strip(_SIGNALS):
                made[begin:end] = self._bytes(self.names.text(text))


def _right(found: re.Match[bytes]) -> bool:
    return int(found[4], 16) == sum(found[1] + found[2] + found[3]) & 0xFF


