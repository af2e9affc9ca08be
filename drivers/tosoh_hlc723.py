"""Tosoh HLC-723 (G8 by its records; G7, GX alike), HbA1c by HPLC. A dialect of its own over RS-232, 9600 8N1.

Manual  Tosoh, HLC-723 host communication, raw data format (not public); a government medical college's interface
Proof   capture: three samples of a G8 in variant mode; not yet run beside a lab's own analyzer

Where things sit: sample in record 1, the id of 20 after mode and sampler · code and value in record 5, one for each
peak: the name (SA1C is the HbA1c) and the per cent · unit per cent · no range; flag: those of record 3 that are not 00
are set beside every peak · no time: record 2 has no year and no hour · control: an id that begins QC.
Quirks: Records STX text ETX and one raw byte, the exclusive or of text and ETX, which may itself be STX, ETX or EOT.
EOT ends the message, which may hold several samples. The host answers each record by ACK. First character, then
columns: 1 mode (0 standard, 1 variant, 2 thalassaemia), sampler, the id of 20 · 2 month, day and run · 3 flags of 2,
then values of 5: total, A1a, A1b, F, LA1c, SA1c, A0, variants V0 to V3, area · 4 start 4, interval 1, peaks 2, points 4
· 5 one peak: number 2, name 5, kind 1, base start and end 4 and 4, start, top and end 4 each, area 8, per cent 5 · 6
the end of the peaks · 7 number 3, ten points of 9 of the chromatogram · 8 calibration, the end of the sample. What is
sent is final: status F is our word for it. `0001 - 11` is a rack and a position: no tube's. No peaks: no row, and a
sentence. A peak record that is missing or of another width is said, never guessed.
Cannot: give the time; tell controls (give them ids that begin QC); name the flags; read the ASTM mode that some sites
set (use generic_astm).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from drivers.driver import Decoded, Driver, Grade, Kind, Message, known, measurement
from drivers.engine.form import Form
from drivers.engine.text import Sheet, groups, texts_of
from drivers.wire import blocks
from drivers.wire.blocks import Framing

PEAK = re.compile(r"(.{2})(.{5})(.)((?:.{4}){5})(.{8})(.{5})")
POINTS = re.compile(r"(.{3})((?:.{9})+)")
PERCENT = "%"
TESTS = {
    "SA1C": measurement("HBA1C", PERCENT),
    **dict.fromkeys(("FP", "A1A", "A1B", "F", "LA1C+", "A0", "A2", "H-V0", "H-V1", "H-V2", "H-V3"), known()),
    **dict.fromkeys((f"P{n:02}" for n in range(10)), known()),
}


def undamaged(text: bytes, sent: bytes) -> bool:
    """The byte after ETX is the exclusive or of the text and ETX."""
    return blocks.xor_byte(text + blocks.ETX) == sent


class Sample:
    """The records of one sample, from record 1 to the next."""

    def __init__(self, first: str) -> None:
        self.sample_id = first[3:23].strip()
        self.records: dict[str, list[str]] = {}

    def add(self, record: str) -> None:
        """One more record, by its first character."""
        self.records.setdefault(record[:1], []).append(record[1:])

    def ends_before(self, record: str) -> bool:
        """True when the record is of another sample: this one has its end, or its head says something else."""
        kind, said = record[:1], record[1:]
        return "8" in self.records or (kind in "234" and kind in self.records and said not in self.records[kind])

    def of(self, kind: str) -> list[str]:
        """The records of a kind, as sent, without their first character."""
        return self.records.get(kind, [])


def samples(records: Iterable[str]) -> tuple[list[Sample], list[str]]:
    """The samples of a message, and what is odd: records whose record 1 did not come are a sample without an id."""
    found: list[Sample] = []
    odd: list[str] = []
    for record in records:
        if record[:1] == "1":
            found.append(Sample(record))
            continue
        if not found or found[-1].ends_before(record):
            odd.append("records before the first sample" if not found else "records of a sample that is not named")
            found.append(Sample(""))
        found[-1].add(record)
    return found, odd


def peaks(sheet: Sheet, sample: Sample) -> list[str]:
    """Add a row for each peak of a sample; what is odd about them."""
    flags = "".join(sample.of("3")[:1])[:2]
    said = (f"record 3 flags {flags}",) if flags.strip("0 ") else ()
    odd = []
    for record in sample.of("5"):
        peak = PEAK.fullmatch(record)
        if peak is None:
            odd.append("a peak whose columns are unknown: its row is left out")
            continue
        sheet.add(peak[2], peak[6], PERCENT, status="F", raw=record, comments=said)
    announced = "".join(sample.of("4")[:1])[5:7].strip()
    if announced.isdigit() and int(announced) != len(sample.of("5")):
        odd.append(f"{announced} peaks announced, {len(sample.of('5'))} came")
    if not sample.of("5"):
        odd.append(f"a sample without a result: record 3 flags {flags or 'missing'}")
    return odd


def chromatogram(sheet: Sheet, sample: Sample) -> None:
    """Add the curve as one picture: its points, of as many as record 4 announces."""
    lines = [found[2] for record in sample.of("7") if (found := POINTS.fullmatch(record))]
    points = [point.strip() for line in lines for point in groups(line, 9)]
    announced = "".join(sample.of("4")[:1])[7:11].strip()
    if points:
        kept = points[: int(announced)] if announced.isdigit() else points
        sheet.add(None, " ".join(kept), name="chromatogram", kind=Kind.IMAGE)


def read(form: Form, message: Message) -> Decoded:
    """The peaks of every sample of a message, each with its curve."""
    found, odd = samples(texts_of(form, message.body))
    sheet = Sheet(form, None)
    for sample in found:
        sheet.sample_id = sample.sample_id or None
        odd += peaks(sheet, sample)
        chromatogram(sheet, sample)
    return sheet.decoded(problems=odd)


DRIVER = Driver(
    name="tosoh_hlc723",
    title="Tosoh HLC-723",
    grade=Grade.CAPTURE,
    speaks="blocks",
    framing=Framing(trailer=1, check=undamaged, message_end=blocks.EOT),
    reads=read,
    pseudo=r"\d+ +- +\d+|0+",
    control_id=r"QC",
    tests=TESTS,
)
