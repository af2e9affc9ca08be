"""Builds HL7 v2 messages with the `hl7` package (python-hl7), and has them checked by `hl7apy`.

Turns lists of fields into the text of a message. Law: neither builder nor checker is ours, so the receiver meets code
that is not its own. Source: HL7 v2.3.1 chapter 2; the traps of both packages are named where they are stepped around.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import hl7

# a field is text, or its components, or (inside a list of lists) its repeats; a segment is its name and its fields
Field = str | Sequence[str]
Fields = list[Field]

REPEATED = frozenset({("OBX", 8)})  # fields whose list means repeats; every other list means components


def escaped(text: str) -> str:
    """Delimiters as escapes. Our own ten lines: the package's escape() writes non-ASCII in a form HL7 does not know."""
    marks = {"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\", "\r": "\\X0D\\", "\n": "\\X0A\\"}
    return "".join(marks.get(letter, letter) for letter in text)


def header(delimiters: str, fields: Mapping[int, Field]) -> Fields:
    """An MSH segment from numbered fields (3 is the sending application)."""
    return ["MSH", "|", delimiters, *[fields.get(number, "") for number in range(3, max(fields) + 1)]]


def text(segments: Sequence[Sequence[Field]]) -> str:
    """The message, each segment ended by CR. MSH names the delimiters in field 2."""
    marks = str(segments[0][2])
    message = hl7.Message("\r", separators="\r|~^&")
    for segment in segments:
        message.append(_segment(message, list(segment), marks))
    return str(message) + ("" if str(message).endswith("\r") else "\r")


def _segment(message: hl7.Message, fields: Fields, marks: str) -> hl7.Segment:
    name = str(fields[0])
    segment = message.create_segment([message.create_field([name])])
    first = 1
    if name == "MSH":  # MSH-1 and MSH-2 are the delimiters themselves: never escaped
        segment.append(message.create_field(["|"]))
        segment.append(message.create_field([marks]))
        first = 3
    for number, field in enumerate(fields[first:], first):
        segment.append(_field(message, field, (name, number) in REPEATED))
    return segment


def _field(message: hl7.Message, field: Field, repeats: bool) -> hl7.Field:
    if isinstance(field, str):
        return message.create_field([escaped(field)])
    parts = [escaped(part) for part in field]
    if repeats:
        return message.create_field(parts)
    return message.create_field([message.create_repetition([message.create_component([part]) for part in parts])])


def deviations(message: str) -> list[str]:
    """What hl7apy finds wrong with it: one line each, empty when it is a valid message of its version."""
    from hl7apy.consts import VALIDATION_LEVEL
    from hl7apy.exceptions import HL7apyException
    from hl7apy.parser import parse_message

    parsed = parse_message(message, validation_level=VALIDATION_LEVEL.TOLERANT)
    with TemporaryDirectory() as folder:
        report = Path(folder) / "report"
        try:
            parsed.validate(report_file=str(report))
        except (HL7apyException, AttributeError, KeyError, TypeError, ValueError) as error:
            return sorted(set(report.read_text().splitlines())) or [repr(error)]
        return sorted(set(report.read_text().splitlines())) if report.exists() else []
