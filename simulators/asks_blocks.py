"""How the families of analyzers with a dialect of blocks ask what to run, and read what they are told.

Turns the lab's block into tubes and codes. Law: as in `asks`: columns that do not mirror the question are refused.
Source: AU online specifications (R, S), Sysmex CA (R1, S1), Dimension (I, P → D or N, M), as the drivers name them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from simulators.asks import Orders, Refused

HEAD = 13  # columns of an AU block before the sample id
ASSAYS: Mapping[str, tuple[str, ...]] = {"040": ("041", "043", "044"), "050": ("051",)}  # CA: assay → its parameters
NOTHING = "000"
FIELD = "\x1c"


@dataclass(frozen=True, slots=True)
class AsksBlocks:
    """One family. `orders` reads a block of the lab, given the question ("" when it was not asked); `took` is the block
    that says so, `poll` the one that asks for anything there is; "" for none. `complains`: NAK when no answer came."""

    orders: Callable[[str, str], Orders]
    patience: float = 15.0
    took: str = ""
    poll: str = ""
    complains: bool = False


def _au(text: str, question: str) -> Orders:
    """S with the question's own columns, four blanks and E, then the numbers of the tests, three digits each."""
    mirrored = "S " + question[2:8] + (" " if question[8:9] == "N" else question[8:9]) + question[9:]
    if not question or not text.startswith(mirrored + "    E"):
        raise Refused("the columns are not those of the request")
    numbers = text[len(mirrored) + 5 :].strip()
    if len(numbers) % 3 or not numbers.isdigit():
        raise Refused("behind the E there are not test numbers of three digits")
    return {question[HEAD:].strip(): tuple(numbers[at : at + 3] for at in range(0, len(numbers), 3))}


def _ca(text: str, question: str) -> Orders:
    """S1 with the header of the question, then an assay in every nine columns; 000 is nothing."""
    rack, sample, name = (6, 13, 11) if question[38:39] in ("B", "M", "A", "C") else (8, 15, 15)
    begin, end = 19 + rack, 19 + rack + sample + 1 + name
    if not question or not text.startswith("S" + question[1:end]):
        raise Refused("the header is not that of the question")
    assays = [text[at : at + 9].strip() for at in range(end, len(text), 9)]
    known = [parameter for assay in assays if assay != NOTHING for parameter in ASSAYS.get(assay, (f"{assay[:2]}1",))]
    return {question[begin : begin + sample].strip(): tuple(known)} if known else {}


def _dimension(text: str, _question: str) -> Orders:
    """D: counted from 1 the tube in field 6, how many tests in 13, then their names; N is nothing."""
    fields = text.split(FIELD)
    if fields[0] != "D":
        return {}
    if len(fields) < 14 or fields[3] != "A" or not fields[12].isdigit():
        raise Refused("a D block that adds no order")
    return {fields[5].strip(): tuple(fields[13 : 13 + int(fields[12])])}


ASKS_BLOCKS: Mapping[str, AsksBlocks] = {
    "beckman_au": AsksBlocks(_au, patience=3.0, complains=True),
    "siemens_dimension": AsksBlocks(
        _dimension, took=FIELD.join(["M", "A", "", "A", "1", "1", ""]), poll=FIELD.join(["P", "1", "1", "1", "0", ""])
    ),
    "sysmex_ca": AsksBlocks(_ca),
}
