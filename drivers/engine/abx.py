"""What the Horiba ABX analyzers (Pentra, Micros, Yumizen) share: the form, unit systems, alarms, curves, queries.

Turns R-5 that is the number of a unit system into no unit (system 1, the usual one) or leaves it, so that the result is
held; alarms above the first R become comments of every row; curves in C or M records become images.
Law: verbatim; a result of another unit system is never taken as the usual one. Source: captures of the families; the
vendor's output formats for host connection as working interfaces read them.

The form is the standard's; a control has O-16 CTRL, and AUTO_SID… is the id of a tube that nobody named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from drivers.driver import ASTM
from drivers.engine.form import RowText
from drivers.engine.words import Decoded, Kind, Message, Observation
from drivers.wire import lis2a
from drivers.wire.lis2a import Record

USUAL = "1"  # the unit system: 10*3/mm3, 10*6/mm3, g/dL, %, um3, pg
CURVES, MARKS = "curve", "threshold"
PICTURES = ("HISTOGRAM", "MATRIX")
CODES = {
    "WBC": "WBC", "RBC": "RBC", "HGB": "HB", "HCT": "HCT", "MCV": "MCV", "MCH": "MCH", "MCHC": "MCHC", "PLT": "PLT",
    "RDW": "RDWCV", "RDW-CV": "RDWCV", "RDW-SD": "RDWSD",
    "RDWCV": "RDWCV", "RDWSD": "RDWSD", "MPV": "MPV", "PDW": "PDW", "PCT": "PCT", "P-LCR": "PLCR",
    "NEU#": "NEUTA", "LYM#": "LYMPHA", "MON#": "MONOA", "EOS#": "EOSA", "BAS#": "BASOA",
    "NEU%": "NEUTP", "LYM%": "LYMPHP", "MON%": "MONOP", "EOS%": "EOSP", "BAS%": "BASOP",
}  # fmt: skip
# Without a unit it is the usual one, but of PDW, whose unit none of the systems names: fL and % are in use.
UNSENT = {test: {"": "1"} for test in {*CODES.values()} - {"PDW"}}
RESEARCH = (
    "ALY#", "ALY%", "LIC#", "LIC%", "GRA#", "GRA%", "P-LCC", "IMG#", "IMG%", "IML#", "IML%", "IMM#", "IMM%",
    "MIC", "MAC",
)  # fmt: skip


def in_the_usual_units(row: Observation, _sent: RowText) -> Observation:
    """The row without a unit when R-5 is the number of the usual unit system."""
    return row._replace(unit=None) if row.unit == USUAL else row


def settled(decoded: Decoded, message: Message) -> Decoded:
    """The message with its alarms, pictures and asked samples in their places."""
    records = lis2a.parse(message.body)
    if decoded.query_raw:
        asked = sorted([(_asked(raw, records[0]), raw) for raw in decoded.query_raw], key=lambda one: not one[0])
        named = tuple([identity for identity, _ in asked if identity])
        return replace(decoded, query_sample_ids=named, query_raw=tuple([raw for _, raw in asked]))
    rows = _alarmed(decoded.observations, records)
    rows, found = _parted(rows)
    if rows:
        found += [picture for record in records if (picture := _picture(record, rows[-1]))]
    images = [row._replace(ordinal=number) for number, row in enumerate(found, len(rows) + 1)]
    return replace(decoded, observations=(*rows, *images))


def _asked(raw: str, header: Record) -> str:
    """The id in Q-3: component 2, or the first where the analyzer sends it as it sends O-3."""
    parts = [lis2a.decode(part, header.delimiters).strip() for part in raw.split(header.delimiters.component)]
    return next((part for part in parts[:2] if part and part.upper() != "ALL"), "")


def _alarmed(rows: Sequence[Observation], records: Sequence[Record]) -> list[Observation]:
    """The rows, each with the alarms that stand between its O and the first R below it."""
    told, place = list(rows), 0
    alarms: list[str] = []
    above_rows = False
    for record in records:
        if record.type in ("O", "P", "H"):
            alarms, above_rows = [], record.type == "O"
        elif record.type == "C" and above_rows:
            alarms.append(_alarm(record))
        elif record.type == "R":
            above_rows = False
            if place < len(told):  # a record that was cut is no row
                told[place] = told[place]._replace(comments=(*told[place].comments, *filter(None, alarms)))
            place += 1
    return told


def _alarm(record: Record) -> str:
    """C-4; the Micros puts its alarm in C-3 and C-4 holds only the letter I."""
    said, source = record.raw("4") or "", record.raw("3") or ""
    return source if len(source) > 1 and len(said) <= 1 else said


def _parted(rows: Sequence[Observation]) -> tuple[list[Observation], list[Observation]]:
    """The rows without curves among their comments, and the curves as images, thresholds as details."""
    kept, found = [], []
    for row in rows:
        drawn = [text for text in row.comments if text.startswith((f"{CURVES}^", f"{MARKS}^"))]
        if drawn:
            row = row._replace(comments=tuple(text for text in row.comments if text not in drawn))
            found += [_drawn(text, row) for text in drawn]
        kept.append(row)
    return kept, found


def _drawn(text: str, of: Observation) -> Observation:
    kind, code, *rest = text.split("^")
    what = Kind.IMAGE if kind == CURVES else Kind.DETAIL
    name, value = " ".join(rest[:-1]) or None, rest[-1] if rest else ""
    return Observation(of.sample_id, f"{kind} {code}", name, value, text, None, observed_at=of.observed_at, kind=what)


def _picture(record: Record, of: Observation) -> Observation | None:
    """An M record that holds a histogram or a matrix: its name, its axis, the data as sent."""
    if record.type != "M" or record.raw("3") not in PICTURES:
        return None
    code = " ".join(record.raw(number) or "" for number in ("3", "4")).strip()
    sent = record.delimiters.field.join(record.fields[5:])
    return Observation(
        of.sample_id, code, record.raw("5") or None, sent, sent, None, observed_at=of.observed_at, kind=Kind.IMAGE
    )


FORM = replace(ASTM, control=(*ASTM.control, ("O.16.1", "CTRL")), pseudo=r"AUTO_?SID\d*|0+", settles=settled)
"""What the forms of Pentra, Micros and Yumizen have in common."""
