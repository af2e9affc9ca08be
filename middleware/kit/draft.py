"""Drafts a driver from the bytes of a capture: a filled-in form, each line with the evidence for it.

Turns bytes into a Draft. Law: pure; a draft is of grade "manual" and answers nothing; what the bytes do not show is
the standard's own place, and said to be so; no id and no name of the capture stands in the evidence.
Source: what the capture shows; LIS02-A2 and HL7 v2 for what it does not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from middleware.kit import Misuse, words
from middleware.kit.meanings import Meaning, meanings
from middleware.kit.places import Place, Row, proposed, records_of, rows_of
from middleware.kit.stream import ETX, FRAME, Shape, Stream
from middleware.model import CatalogueTest

SMALL = 64  # characters; a frame that ETB ends below this was not cut by its size
NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)+")


class NoDraft(Misuse):
    """Nothing can be drafted from this capture; the text says why and what to do instead."""


@dataclass(frozen=True, slots=True)
class Line:
    """One further line of the form, as Python, and why."""

    python: str
    why: str


@dataclass(frozen=True, slots=True)
class Draft:
    """A driver to be corrected. `places` by their names in the form; `remarks` are what the engineer must know."""

    name: str
    title: str
    speaks: str
    shape: Shape
    marks: str
    places: Mapping[str, Place]
    lines: tuple[Line, ...]
    tests: tuple[Meaning, ...]
    remarks: tuple[str, ...]
    messages: int
    rows: int


def draft(stream: Stream, name: str, catalogue: Mapping[str, CatalogueTest]) -> Draft:
    """The draft. NoDraft when the bytes are neither ASTM nor HL7, hold no message, or the name will not do."""
    if not NAME.fullmatch(name):
        raise NoDraft(f'"{name}" is no name for a driver: write maker_model in small letters, such as sysmex_xn')
    if not stream.speaks:
        raise NoDraft(
            f"the capture is {stream.shape}: only ASTM records and HL7 can be drafted. A dialect of its own needs a "
            "reader by hand: drivers/sysmex_ca.py (columns) and drivers/siemens_rapidlab.py (print) are such"
        )
    if not stream.bodies:
        raise NoDraft(f"the capture is {stream.shape}, and no message in it begins with H or MSH")
    messages = rows_of(stream)
    rows = [row for message in messages for row in message]
    places = proposed(stream)
    title, sender = _sender(stream)
    lines = [*sender, *_controls(stream, rows), *_queries(stream), *_link(stream)]
    found = meanings(rows, places, catalogue)
    return Draft(
        name, title or name.replace("_", " "), stream.speaks, stream.shape, stream.marks, places, tuple(lines), found,
        tuple(_remarks(stream, rows, places)), len(stream.bodies), len(rows),
    )  # fmt: skip


def _sender(stream: Stream) -> tuple[str, list[Line]]:
    """What H-5 or MSH-3 says: the analyzer's name where it holds letters; a serial number names no family."""
    records = records_of(stream, stream.bodies[0])
    said = (records[0].raw("5" if stream.speaks == "LIS2-A2" else "3") or "").strip()
    where = "H-5" if stream.speaks == "LIS2-A2" else "MSH-3"
    mark = records[0].delimiters.component
    name = (said.split(mark)[0] if mark else said).strip()
    if not re.search(r"[A-Za-z]{2}", name):
        return "", []
    pattern = "".join(char if char.isalnum() or char in " -_/" else "." for char in name)  # no quote gets into Python
    return name, [Line(f'sender=r"{pattern}"', f"{where} says it")]


def _controls(stream: Stream, rows: Sequence[Row]) -> list[Line]:
    """The standard's marks of quality control, and which of them the capture shows."""
    marks = {"LIS2-A2": (("O.12", "Q"), ("H.12", "Q")), "HL7": (("MSH.11", "Q"), ("SPM.11.1", "Q"))}[stream.speaks]
    seen = [f"{at} {mark}" for at, mark in marks if any((row.at(at) or "").strip().upper() == mark for row in rows)]
    why = f"the capture has {', '.join(seen)}" if seen else "the standard's marks: the capture shows no control"
    shown = ", ".join(f'("{at}", "{mark}")' for at, mark in marks)
    return [Line(f"control=({shown})", why)]


def _queries(stream: Stream) -> list[Line]:
    """Where a query names its tube."""
    fields = {"LIS2-A2": ("Q.3",), "HL7": ("QPD.3", "QRD.8", "ORC.3")}[stream.speaks]
    kinds = ("QRY", "QBP", "ORM")
    best, worth = "", 0.0
    for body in stream.bodies:
        records = records_of(stream, body)
        if stream.speaks == "HL7" and (records[0].raw("9.1") or "") not in kinds:
            continue
        for record in records:
            for field in fields:
                kind, _, number = field.partition(".")
                for part in range(1, 13) if record.type == kind else ():
                    found = words.id_like(record.raw(f"{number}.{part}") or "")
                    if found > worth:
                        best, worth = f"{field}.{part}", found
    if not best:
        return []
    lines = [Line(f'query_id="{best}"', "a query of the capture has a tube's number there")]
    if stream.speaks == "LIS2-A2":
        lines.append(Line('query_cancel=("Q.13", "A")', "LIS02-A2 11.13"))
    return lines


def _link(stream: Stream) -> list[Line]:
    """What the frames show of the sender's habits."""
    if stream.shape is Shape.BARE_BLOCKS:
        return [
            Line("framing=SIMPLE", "records stand in STX … ETX without number and checksum"),
            Line('framings={"simple": SIMPLE}', "so that stored blocks can be read without their marks"),
        ]
    if stream.shape is not Shape.FRAMES:
        return []
    frames = [(int(f[1]), f[2], f[3] == ETX) for f in FRAME.finditer(stream.data)]
    lines = []
    cut = {len(text) for _, text, last in frames if not last and len(text) >= SMALL}
    if len(cut) == 1 and cut != {240}:
        lines.append(Line(f"frame_size={cut.pop()}", "every frame that ETB ends is so long"))
    if len(frames) > 2 and all(text.rstrip(b"\r").count(b"\r") == 0 for _, text, _ in frames) and not cut:
        lines.append(Line("one_record_a_frame=True", "no frame of the capture holds more"))
    ended = [text for _, text, last in frames if last]
    if len(ended) > 1 and not any(text.endswith(b"\r") for text in ended):
        lines.append(Line("bare_frames=True", "no frame ends with CR before ETX"))
    if any(two not in ((one + 1) % 8, one, 1) for (one, *_), (two, *_) in pairwise(frames)):
        lines.append(Line("free_numbering=True", "frame numbers do not count on by one"))
    return lines


def _remarks(stream: Stream, rows: Sequence[Row], places: Mapping[str, Place]) -> list[str]:
    """What the engineer must look at first."""
    remarks = []
    if not rows:
        remarks.append("the capture holds no result row: every place of a row is the standard's own, not yet seen")
    values = [row.at(places["value"].first) for row in rows]
    odd = sorted({v.strip()[:16] for v in values if v and v.strip() and not words.is_number(v.strip())})
    if odd:
        remarks.append(f"values that are no numbers: {', '.join(map(repr, odd[:6]))}{' …' if len(odd) > 6 else ''}")
    if any("," in (value or "") for value in values):
        remarks.append("a decimal comma: it is never taken as a number by itself, see drivers/dymind_dh.py")
    codes = [(row.at(places["sample_id"].first), row.at(places["code"].first)) for row in rows]
    if len(set(codes)) < len(codes):
        remarks.append("a test comes more than once for one tube: which row is THE result? see `reports` and `aspect`")
    if any(byte >= 0x80 for body in stream.bodies for byte in body):
        remarks.append("bytes above 127: is it UTF-8, Latin-1 or another? see `charset`")
    return remarks
