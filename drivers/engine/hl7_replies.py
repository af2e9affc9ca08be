"""Answers to host queries in HL7: what every dialect of them needs of the question.

Turns a query message into the header that answers it. Law: a driver has no clock, so MSH-7 is the question's own time;
MSH-10 follows from the question's, so an answer given twice is the same message; what is echoed is as it was sent.
Source: HL7 v2.3.1 to 2.5.1, chapters 2 and 5.
"""

from __future__ import annotations

from dataclasses import replace

from drivers.engine.replies import HOST
from drivers.engine.words import Decoded, Message, MessageType, Stamp
from drivers.wire import hl7
from drivers.wire.hl7 import Delimiters, Segment, Value

LONGEST = 20  # characters of MSH-10 up to version 2.5.1


def keep_question(said: Decoded, message: Message) -> Decoded:
    """The query with the whole message as `query_raw`, once for each tube: an answer echoes more than the id."""
    if said.type is not MessageType.QUERY:
        return said
    return replace(said, query_raw=(hl7.text(message.body),) * max(1, len(said.query_sample_ids)))


def question(query: Decoded) -> list[Segment]:
    """The segments of a query that was kept whole; [] when there is none, or none that could be answered: without an
    escape character a text might not be sayable."""
    if not query.query_raw or not query.query_raw[0].startswith("MSH"):
        return []
    segments = hl7.parse(query.query_raw[0])
    return segments if segments[0].delimiters.escape else []


def header(asked: Segment, kind: tuple[str, ...], own: str | None, profile: str = "") -> list[Value]:
    """The MSH of an answer: sender and receiver change places; `own` is put to the question's MSH-10, None repeats it;
    version and character set are echoed. `profile` is MSH-21; a profile's request asks for acknowledgement."""
    control = asked["10"] or "1"
    if own is not None:
        control = control.replace("-", "")[-(LONGEST - len(own)) :] + own
    sent = [asked.raw(address) or "" for address in ("5", "6", "3", "4")]
    marks = asked.delimiters
    people: list[Value] = [_parts(text, marks) for text in sent]
    tail: list[Value] = [asked["7"], None, kind, control, asked["11"] or "P", asked["12"] or "2.5.1"]
    demand: list[Value] = ["ER", "AL"] if kind[0] == "OML" else [None, None]
    profiled: list[Value] = [None, None, tuple(profile.split("^"))] if profile else []
    return ["MSH", None, None, *people, *tail, None, None, *demand, None, asked["18"], *profiled]


def unasked(kind: tuple[str, ...], stamp: Stamp, number: int, profile: str) -> list[Value]:
    """The MSH of a message that answers nothing (2.5.1, UTF-8); `number` tells several with one stamp apart. Whom it is
    for is the line's business: MSH-5 stays empty. It asks for an application acknowledgement."""
    control = f"{stamp.number}{number}"[-LONGEST:]
    tail: list[Value] = [stamp.at, None, kind, control, "P", "2.5.1", None, None, "ER", "AL", None, "UNICODE UTF-8"]
    return ["MSH", None, None, HOST, None, None, None, *tail, None, None, tuple(profile.split("^"))]


def _parts(text: str, marks: Delimiters) -> tuple[str, ...]:
    return tuple(hl7.decode(part, marks) for part in text.split(marks.component)) if text else ()


def echo(segment: Segment) -> bytes:
    """A segment as it was sent, control characters escaped: no block carries them."""
    marks = segment.delimiters
    sent = marks.field.join(segment.fields)
    table = {code: f"{marks.escape}X{code:02X}{marks.escape}" for code in (*range(32), 127)}
    return (sent.translate(table) + "\r").encode("utf-8")


def find(segments: list[Segment], name: str) -> Segment | None:
    """The first segment of that name."""
    return next((segment for segment in segments if segment.type == name), None)
