"""The number on a tube: SSS Y DDD NNNN C, twelve digits with a Damm check digit.

Turns (site, day, serial) into a sample id and what an analyzer sends back into the same id. Law: pure; a damaged
number is never mended. Source: domain 8.2 and 8.3 (one number per container; Damm catches every single wrong digit
and every swap of neighbours).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

LENGTH = 12

# The totally anti-symmetric quasigroup of order 10 from H. Michael Damm's thesis (2004); row: interim, column: digit.
_DAMM = (
    "0317598642",
    "7092154863",
    "4206871359",
    "1750983426",
    "6123045978",
    "3674209581",
    "5869720134",
    "8945362017",
    "9438617205",
    "2581436790",
)


@dataclass(frozen=True, slots=True)
class Parts:
    """What a sample id says: the site, the last digit of the year, the day of the year, the serial of that day."""

    site: int
    year_digit: int
    day: int
    serial: int


def damm(digits: str) -> str:
    """The Damm check digit of a string of digits: damm("572") is "4". ValueError for anything but digits."""
    if not (digits.isascii() and digits.isdigit()):
        raise ValueError(f"not digits: {digits!r}")
    interim = 0
    for digit in digits:
        interim = int(_DAMM[interim][int(digit)])
    return str(interim)


def make(site: int, on: date, serial: int) -> str:
    """The sample id of the `serial`-th container that `site` registered on a day; ValueError outside the scheme."""
    if not 100 <= site <= 999:
        raise ValueError(f"site {site} is not 100-999")
    if not 1 <= serial <= 9999:
        raise ValueError(f"serial {serial} is not 1-9999: this site has used up its numbers of the day")
    body = f"{site}{on.year % 10}{on.timetuple().tm_yday:03}{serial:04}"
    return body + damm(body)


def valid(sample_id: str) -> bool:
    """True when the text is one of our numbers: twelve digits, a real day, a serial, the right check digit."""
    parts = parse(sample_id)
    return parts is not None and damm(sample_id[:-1]) == sample_id[-1]


def parse(sample_id: str) -> Parts | None:
    """The parts of a number of our shape, whatever its check digit; None for any other text."""
    if len(sample_id) != LENGTH or not (sample_id.isascii() and sample_id.isdigit()):
        return None
    parts = Parts(int(sample_id[:3]), int(sample_id[3]), int(sample_id[4:7]), int(sample_id[7:11]))
    in_range = parts.site >= 100 and 1 <= parts.day <= 366 and parts.serial >= 1
    return parts if in_range else None


def normalise(text: str) -> str | None:
    """Our number in what an analyzer sent: outer blanks and added leading zeros off; None when it cannot be ours.

    The check digit is not looked at: a damaged number of our shape comes back, so that the tray can say so.
    """
    bare = text.strip().lstrip("0")
    return bare if parse(bare) else None


def pretty(sample_id: str) -> str:
    """As people read it: 107-6326-0042-4. Text of another length is given back as it is."""
    if len(sample_id) != LENGTH:
        return sample_id
    return f"{sample_id[:3]}-{sample_id[3:7]}-{sample_id[7:11]}-{sample_id[11]}"
