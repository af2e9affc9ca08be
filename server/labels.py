"""Turns a tube into its label: a 50 x 25 mm PDF page, or the text a ZPL printer prints.

Law: the barcode holds the 12 digits and nothing of the patient; a name can never become a printer command.
Source: Code 128 (ISO/IEC 15417) for the symbol; domain 8.2 and 8.4 for what stands on a tube and how large.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from server.latin import latin
from server.render import pdf
from server.sheet import IST, pretty_id

START_C, STOP, MODULO = 105, 106, 103
# Widths of bar, space, bar, space, bar, space for each symbol value; the stop has one bar more.
WIDTHS = re.findall(
    "[0-9]+",
    """
212222 222122 222221 121223 121322 131222 122213 122312 132212 221213 221312 231212 112232 122132 122231 113222 123122
123221 223211 221132 221231 213212 223112 312131 311222 321122 321221 312212 322112 322211 212123 212321 232121 111323
131123 131321 112313 132113 132311 211313 231113 231311 112133 112331 132131 113123 113321 133121 313121 211331 231131
213113 213311 213131 311123 311321 331121 312113 312311 332111 314111 221411 431111 111224 111422 121124 121421 141122
141221 112214 112412 122114 122411 142112 142211 241211 221114 413111 241112 134111 111242 121142 121241 114212 124112
124211 411212 421112 421211 212141 214121 412121 111143 111341 131141 114113 114311 411113 411311 113141 114131 311141
411131 211412 211214 211232 2331112
""",
)
DOTS = 3  # of 203 dpi to a module: 0.375 mm


@dataclass(frozen=True, slots=True)
class Label:
    """One tube. `container` is the letter of the cap (E lavender, S red …), `group` what it is for ("CBC")."""

    sample_id: str  # 12 digits
    name: str
    age_sex: str  # "45 F"
    container: str
    group: str
    at: datetime
    site: str
    serial: str  # read across a bench: the day's number in big digits


def symbols(digits: str) -> tuple[int, ...]:
    """Code 128 C: start, one symbol for two digits, check, stop. ValueError unless it is pairs of ASCII digits."""
    if re.fullmatch(r"([0-9][0-9])+", digits) is None:
        raise ValueError(f"Code 128 C takes pairs of digits, not {digits!r}")
    pairs = [int(digits[i : i + 2]) for i in range(0, len(digits), 2)]
    check = (START_C + sum(place * value for place, value in enumerate(pairs, 1))) % MODULO
    return (START_C, *pairs, check, STOP)


def bars(digits: str) -> tuple[tuple[int, int], ...]:
    """The bars as (first module, modules wide); 12 digits fill 101 modules, the quiet zone is the caller's."""
    return tuple(_bars("".join(WIDTHS[value] for value in symbols(digits))))


def _bars(widths: str) -> Iterator[tuple[int, int]]:
    at = 0
    for place, width in enumerate(map(int, widths)):
        if place % 2 == 0:
            yield at, width
        at += width


def label_pdf(labels: Sequence[Label]) -> bytes:
    """One page of 50 x 25 mm for each label. ValueError for a sample id that is not pairs of digits, or no label."""
    if not labels:
        raise ValueError("no label to print")
    return pdf("label", {"labels": [_words(label) | {"bars": bars(label.sample_id)} for label in labels]})


def _words(label: Label) -> dict[str, object]:
    return asdict(label) | {"pretty": pretty_id(label.sample_id), "at": _when(label.at)}


def _when(at: datetime) -> str:
    return at.astimezone(IST).strftime("%d-%m-%y %H:%M")


def label_zpl(labels: Sequence[Label]) -> str:
    """The labels for a Zebra-speaking printer of 203 dpi. Its font is Latin, so Hindi names are spelled in Latin."""
    return "".join(_zpl(label) for label in labels)


def _zpl(label: Label) -> str:
    symbols(label.sample_id)  # refuses what is not pairs of digits
    fields = (
        _field(16, 10, 24, label.name, 24),
        _field(16, 36, 20, f"{label.age_sex}  {_when(label.at)}", 28),
        _field(310, 8, 48, label.serial, 4),
        f"^FO48,62^BY{DOTS}^BCN,84,N,N,N^FD>;{label.sample_id}^FS",  # >; begins in subset C
        _field(16, 150, 24, pretty_id(label.sample_id), 15),
        _field(214, 150, 26, f"{label.container} {label.group}", 13),
        _field(16, 178, 18, label.site, 34),
    )
    return "^XA^CI28^PW400^LL200^LH0,0\n" + "\n".join(fields) + "\n^XZ\n"


def _field(x: int, y: int, height: int, text: str, longest: int) -> str:
    """One line of text. What begins a printer command (^ and ~) or ends a line is not printed."""
    safe = re.sub(r"[\^~\\_]|[^\x20-\x7e]", " ", latin(text))
    return f"^FO{x},{y}^A0N,{height},{height}^FD{' '.join(safe.split())[:longest]}^FS"
