"""bioMérieux mini VIDAS, VIDAS and VIDAS PC, immunoassay. Tagged text STX … GS checksum ETX over RS-232.

Manual  bioMérieux, VIDAS PC user's manual, chapter on the bidirectional computer interface (BCI)
Proof   capture: one result of a mini VIDAS; not yet run beside a lab's own analyzer

Where things sit, by tag: mt the kind, rsl a result · sample ci · code rt, the assay's, its name rn · value qn, the
number with its unit, `274.0 IU/ml`, decimals by comma or point; ql the interpretation, in the language of the analyzer:
both come, and qn alone or ql alone · unit behind the number, or y3 · no range · qd the dilution, a comment · flag nc,
the state of calibration and controls when it is not `valid`, so that a person decides; the interpretation beside a
number is a flag too · time td and tt, in the order that the analyzer is set to · control: samples C1, C2, C3; S1, S2
are calibrators.
Quirks: A message is fields of a two-letter tag and its text, each ended by `|`, with an RS before fields or lines (a
mini VIDAS begins every field with one, a VIDAS PC cuts lines anywhere, even in a tag). The two hexadecimal digits
behind GS, of either case, are the sum of all bytes from after STX to GS. ENQ is answered by ACK, and so is each
message. One message may hold several assays: what stands behind an rt is of that assay alone, what stands before the
first of all; of several ci the one before an assay is its sample. A competitive assay is positive when its number is
low: the interpretation is what counts for tests with words.
Cannot: order (`mpr` of a VIDAS PC); say which century a two-digit year is of, or which of two numbers is the month.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from drivers.driver import Decoded, Driver, Grade, Message, MessageType, known
from drivers.engine.form import Form
from drivers.engine.immuno import assays, markers
from drivers.engine.text import Sheet, other, texts_of
from drivers.wire import blocks
from drivers.wire.blocks import ACK, ENQ, Framing

CONTROL, CALIBRATOR = re.compile(r"C[1-3]"), re.compile(r"S[1-3]")
NUMBER = re.compile(r"([<>]?=?\s*\d[\d.,]*)\s*(.*)", re.DOTALL)
REACTIVE = {
    **dict.fromkeys(("positive", "positif", "pos", "reactive", "positivo"), "Reactive"),
    **dict.fromkeys(
        ("negative", "negatif", "négatif", "neg", "non-reactive", "non reactive", "negativo"), "Non-reactive"
    ),
}

TESTS = {
    **assays(
        {"TSH": "TSH TSH3", "T3": "T3", "T4": "T4", "FT3": "FT3", "FT4": "FT4 FT4N", "FERR": "FER", "VITD": "VITD"}
    ),
    **markers(REACTIVE, {"HCV": "HCV", "HBSAG": "HBS HBSG HBL", "HIV": "HIV HIV5 HIV6"}),
    **dict.fromkeys(("HBCT", "HBCM", "HCG", "FSH", "LH", "PRL", "ATPO", "PSA", "TPSA", "TXG", "TXM"), known()),
}


def undamaged(text: bytes, _trailer: bytes) -> bool:
    """The sum in the text is right; line ends of a recorder behind it are nothing."""
    return blocks.ends_with_sum(text.rstrip(b"\r\n "), b"")


def fields(text: str) -> Iterator[tuple[str, str]]:
    """Tag and text of each field, in order."""
    for field in text.partition("\x1d")[0].replace("\x1e", "").replace("\r", "").replace("\n", "").split("|"):
        if field.strip():
            yield field[:2], field[2:].strip()


def read(form: Form, message: Message) -> Decoded:
    """A message rsl: each rt begins an assay's row; what stands before the first is of all of them."""
    said = list(fields("".join(texts_of(form, message.body))))
    kind = dict(reversed(said)).get("mt", "")
    if kind != "rsl":
        return other(MessageType.OTHER, f"a message {kind!r} that is no result")
    starts = [number for number, (tag, _) in enumerate(said) if tag == "rt"]
    head = dict(reversed(said[: starts[0]])) if starts else {}  # of a tag that comes again the first
    named = [(number, text) for number, (tag, text) in enumerate(said) if tag == "ci" and text]
    sheet = Sheet(form, named[0][1] if named else None)
    for begin, end in zip(starts, [*starts[1:], len(said)], strict=True):
        if len({text for _, text in named}) > 1:
            sheet.sample_id = next((text for number, text in reversed(named) if number < begin), None)
        _assay(sheet, head | dict(said[begin:end]))
    return sheet.decoded(_type(sheet))


def _type(sheet: Sheet) -> MessageType:
    """Controls and calibrators by the names of their samples; a message that has a patient's too is no control."""
    if sheet.rows and all(CONTROL.fullmatch(row.sample_id or "") or row.code == "QCV" for row in sheet.rows):
        return MessageType.QC
    if sheet.rows and all(CALIBRATOR.fullmatch(row.sample_id or "") for row in sheet.rows):
        return MessageType.CALIBRATION
    return MessageType.RESULT


def _assay(sheet: Sheet, said: dict[str, str]) -> None:
    number, words, state, dilution = (said.get(tag, "") for tag in ("qn", "ql", "nc", "qd"))
    split = NUMBER.fullmatch(number)
    value, unit = (split[1], split[2]) if split else (number, "")
    flags = [words] if words and number else []
    flags += [state] if state not in ("", "valid") else []
    sheet.add(
        said["rt"], value or words, unit or (said.get("y3") if number else None), flags, name=said.get("rn"),
        raw=number or words, coded=words or None, time=f"{said.get('td', '')} {said.get('tt', '')}".strip() or None,
        comments=() if dilution in ("", "1", "1:1") else (f"dilution {dilution}",),
    )  # fmt: skip


DRIVER = Driver(
    name="biomerieux_mini_vidas",
    title="bioMérieux mini VIDAS",
    grade=Grade.CAPTURE,
    speaks="blocks",
    framing=Framing(check=undamaged, answers={ENQ: ACK}),
    reads=read,
    tests=TESTS,
)
