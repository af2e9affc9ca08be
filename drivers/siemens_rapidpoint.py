"""Siemens RAPIDPoint 400/500 and RAPIDLab 800/1200, blood gas. The RAPID protocol over TCP or RS-232.

Manual  Siemens, RAPID series LIS interface (LIS3); the vendor's text is not public
Proof   capture: a RAPIDPoint 500 says that a sample is ready; its data are known from working interfaces [S] only

Where things sit in SMP_NEW_DATA and SMP_EDIT_DATA (a correction: status C): sample iPID, else iACC · time rDATE and
rTIME (21Jul03 12:20) · code the key, m… measured, c… calculated · value, unit and flag behind the key: key GS value GS
unit GS qualifier GS flag · no range · control: QC_NEW_DATA, its id the lot iQLOT and level iQLEV; keys s… are its
limits.
Quirks: A block is STX name FS RS, its items each ended by FS, then RS ETX, two hex digits of the sum of all bytes from
STX to ETX, EOT. We send that sum, as working interfaces do; the capture's leaves STX out, so both are taken. Each block
is answered by a block that holds ACK alone (NAK when damaged). The analyzer only announces (SMP_NEW_AV, QC_NEW_AV,
CAL_NEW_AV with aMOD model, iIID serial number, rSEQ running number): we fetch with SMP_REQ, QC_REQ, CAL_REQ and the
same three items. ID_REQ asks who we are: ID_DATA. Gases and calculated values are not the catalogue's tests:
config/analyzers.toml may map them.
Cannot: fetch again what it announced while we were away; answer PAT_DEMOG_REQ (who is this patient?).
"""

from __future__ import annotations

from collections.abc import Sequence

from drivers.driver import Decoded, DecodeError, Driver, Grade, Message, MessageType, WorkOrder
from drivers.engine.form import Form
from drivers.engine.gas import beyond, ions
from drivers.engine.text import Sheet, asks, other, texts_of
from drivers.wire.blocks import ACK, EOT, ETX, NAK, STX, Framing, sum_hex

FS, GS, RS = "\x1c", "\x1d", "\x1e"
SAYS = ("aMOD", "iIID", "rSEQ")  # what a request repeats of the announcement
ASPECTS = {"m": "measured", "c": "calculated"}
DATA = {"NEW": "", "EDIT": "C"}  # NEW_DATA, EDIT_DATA → the status of its rows
OURSELVES = (("aMOD", "LIS"), ("iIID", "LABMITRA"))

TESTS = {
    **ions("mNa+", "mK+", "mCl-", "mCa++"),
    **ions("mNa", "mK", "mCl", "mCa"),
    **beyond(
        "mpH", "mPCO2", "mpCO2", "mPO2", "mpO2", "mBP", "mGlu", "mLac", "mHct", "mtHb", "mO2Hb", "mCOHb", "mMetHb",
        "mHHb", "msO2", "cHCO3", "cHCO3act", "cHCO3std", "cBE(vt)", "cBE(vv)", "ctCO2", "cO2SAT", "cO2(CT)", "cHct",
        "cO2CAP", "ctO2(a)", "ctHb(est)", "cpH(T)", "cPCO2(T)", "cPO2(T)", "cAnGap", "cCa++(7.4)",
    ),
}  # fmt: skip


def signed(text: bytes) -> bytes:
    """The two hex digits that follow ETX."""
    return sum_hex(STX + text + ETX)


def checked(text: bytes, trailer: bytes) -> bool:
    """Do the digits fit, in either case, with STX counted or without?"""
    return trailer.upper() in (signed(text), sum_hex(text + ETX))


def items(text: str) -> tuple[str, list[list[str]]]:
    """The name of a message, and its items, each key, value, unit and what follows."""
    name, *parts = text.split(FS)
    found = [part.strip(RS).split(GS) for part in parts]
    return name, [item for item in found if item[0] and len(item) > 1]


def block(name: str, said: Sequence[tuple[str, str]]) -> bytes:
    """The text of a block of ours."""
    return f"{name}{FS}{RS}{''.join(f'{key}{GS}{value}{GS * 3}{FS}' for key, value in said)}{RS}".encode("latin-1")


def read(form: Form, message: Message) -> Decoded:
    """An announcement, a request, results, or a state of the analyzer."""
    text = "".join(texts_of(form, message.body))
    if FS not in text:
        raise DecodeError("a block that is no RAPID message: it holds no FS")
    name, said = items(text)
    value = {item[0]: item[1].strip() for item in reversed(said)}
    sender = value.get("aMOD")
    kind, _, what = name.partition("_")
    if what == "NEW_AV" or name == "ID_REQ":
        return Decoded(MessageType.POLL, sender, query_raw=(text,))
    if name == "PAT_DEMOG_REQ":
        return asks([value.get("iPID", "")], [text], sender)
    if not what.endswith("_DATA") or what[:-5] not in DATA:
        return other(MessageType.OTHER, sender=sender)
    lot = "-".join(filter(None, (value.get("iQLOT"), value.get("iQLEV"))))
    sample_id = (lot or value.get("iQID")) if kind == "QC" else value.get("iPID") or value.get("iACC")
    when = f"{value.get('rDATE', '')} {value.get('rTIME', '')}".strip()
    sheet = Sheet(form, sample_id, when or None)
    for key, result, *rest in said:
        if key[0] in ASPECTS:
            flags = tuple(word for word in rest[1:] if word.strip())
            sheet.add(
                key, result, "".join(rest[:1]), flags, status=DATA[what[:-5]] or None, aspect=ASPECTS[key[0]]
            )  # fmt: skip
    types = {"SMP": MessageType.RESULT, "QC": MessageType.QC, "CAL": MessageType.CALIBRATION}
    return sheet.decoded(types.get(kind, MessageType.OTHER), sender)


def answer(query: Decoded, _orders: Sequence[WorkOrder]) -> list[bytes] | None:
    """What we fetch when the analyzer announces it, and who we are when it asks."""
    if query.type is not MessageType.POLL or not query.query_raw:
        return None
    name, said = items(query.query_raw[0])
    if name == "ID_REQ":
        return [block("ID_DATA", OURSELVES)]
    return [block(name.removesuffix("NEW_AV") + "REQ", [(key, value) for key, value, *_ in said if key in SAYS])]


DRIVER = Driver(
    name="siemens_rapidpoint",
    title="Siemens RAPIDPoint",
    grade=Grade.CAPTURE,
    speaks="blocks",
    framing=Framing(
        trailer=2, closing=EOT, check=checked, sign=signed, receipts=frozenset({ACK, NAK}),
        ack=STX + ACK + ETX + signed(ACK) + EOT, nak=STX + NAK + ETX + signed(NAK) + EOT,
    ),
    reads=read,
    pseudo=r"0+",
    tests=TESTS,
    answers=answer,
)  # fmt: skip
