"""The same for dialects of columns, tags and print, which have no fields that a standard names.

Turns bytes into bytes of the same length, and makes the checks of their blocks right again. Law: pure; replaced are the
ids that the driver reads, wherever they stand, and what follows a word like "Name"; nothing else can be told apart, so
the engineer must look at every letter that is left. Source: the dialects' drivers and their framings.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

from drivers.wire.blocks import Block, Damaged, Event, Framing, Receiver, unchecked
from middleware.kit.pseudonym import Pseudonyms, tokens
from middleware.kit.scrub import known_elsewhere

LABEL = re.compile(
    r"(?i)(?<![A-Za-z\]])(?:(?:first|last|full|patient|pat\.?|mother|doctor|hospital)[ _]*)?"
    r"(?:name|birth(?:day| date)?|d\.?o\.?b\.?|physician|doctor|operator(?: id)?|phone|mobile|address|ward|department"
    r"|location|room|bed|remarks?|comments?|pName|pAge)[ \t]*[:=][ \t]*([^\r\n\x00-\x1f&]+)"
)
TAGGED = re.compile(
    r"(?:(?<=\|)|(?<=\x1e))p[nbdlh]([^|\x1e\x1d\x03]+)"  # mini VIDAS: name, birth, doctor, location, hospital
    r"|(?<=\x1c)[ir](?:[A-Z]*NAME|BIRTH|DOB|PHYS|OPID|LOC)\x1d([^\x1d\x1c\x1e]+)"  # RAPID: keys of people
    r"|\x02R\x1c[^\x1c]*\x1c([^\x1c\x03]+)"  # Dimension: the name in a result and in an order
    r"|\x02D\x1c[^\x1c]*\x1c[^\x1c]*\x1c[^\x1c]*\x1c([^\x1c\x03]+)"
    r"|\x02D1U.{68}(.{16})"  # XS series: the patient's number
    # AU: patient information between the E and the results
    r"|[DRS][A-Za-z ]\d{6}[^\x03\x04]{4,60}?    E[^\x03\x04]*?([A-Za-z]{3,}(?: +[A-Za-z]+)*)"
)


def spans(text: str) -> Iterator[tuple[int, int]]:
    """Where something stands behind a word that says it is a person's."""
    for pattern in (LABEL, TAGGED):
        for found in pattern.finditer(text):
            group = next(number for number, one in enumerate(found.groups(), 1) if one is not None)
            yield found.span(group)


def words_left(text: str, known: Collection[str]) -> list[str]:
    """Runs of letters that are no code of the analyzer: a name may be among them."""
    met = dict.fromkeys(re.findall(r"[^\W\d_]{3,}", text))
    return [word for word in met if not any(word.lower() in one.lower() for one in known)]


def labelled(text: str) -> set[str]:
    """The names and numbers that stand there, in lower case."""
    return {
        text[begin:end][a:b].lower() for begin, end in spans(text) for a, b in tokens(text[begin:end]) if b - a > 3
    }


def scrub_text(text: str, names: Pseudonyms, secrets: set[str]) -> str:
    """The text with the known ids and what is labelled replaced."""
    made, before = [], 0
    for begin, end in sorted(spans(text)):
        if begin >= before:
            made += [known_elsewhere(text[before:begin], names, secrets), names.text(text[begin:end])]
            before = end
    return "".join([*made, known_elsewhere(text[before:], names, secrets)])


def rechecked(framings: Sequence[Framing], old: bytes, new: bytes) -> bytes:
    """`new`, which differs from `old` in texts alone, with the check of each good block right again: by the one of the
    framings with a check that finds most good blocks in `old`, and more of them than damaged ones."""
    tried = [(_events(framing, old), framing) for framing in framings if framing.check is not unchecked]
    worths = [sum(map(_worth, events)) for events, _ in tried]
    if max(worths, default=0) <= 0:
        return new
    events, framing = tried[worths.index(max(worths))]
    return _checked(framing, events, new)


def _worth(event: Event) -> int:
    return 1 if isinstance(event, Block) else -1 if isinstance(event, Damaged) else 0


def _events(framing: Framing, data: bytes) -> list[Event]:
    receiver = Receiver(framing)
    return [*receiver.receive(data), *receiver.expire()]


def _checked(framing: Framing, events: Sequence[Event], new: bytes) -> bytes:
    at, made = 0, bytearray(new)
    for event in events:
        if isinstance(event, Block) and event.raw.startswith(framing.start):
            size = len(framing.start) + len(event.text) + len(framing.end) + framing.trailer
            made[at : at + size] = _mended(framing, bytes(made[at : at + size]))
        at += len(event.raw)
    return bytes(made)


def _mended(framing: Framing, block: bytes) -> bytes:
    """The block with its check counted anew, where it stands: behind the end mark, or last in the text."""
    begin, end = len(framing.start), len(block) - framing.trailer - len(framing.end)
    text, trailer = block[begin:end], block[len(block) - framing.trailer :] if framing.trailer else b""
    if framing.check(text, trailer):
        return block
    if framing.trailer:
        signed = framing.sign(text) if framing.sign else b""
        for tried in (signed, *_checks(framing.trailer)):
            if len(tried) == framing.trailer and framing.check(text, tried):
                return block[: len(block) - framing.trailer] + tried
        return block
    for tried in _checks(2):
        if framing.check(text[:-2] + tried, b""):
            return block[: end - 2] + tried + block[end:]
    return block


def _checks(size: int) -> Iterator[bytes]:
    for value in range(256):
        yield from ([bytes([value])] if size == 1 else [b"%02X" % value, b"%02x" % value])
