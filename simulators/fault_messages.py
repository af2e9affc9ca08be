"""Faults of the message and of its frames or blocks: what the analyzer says wrongly, before the line has its say.

Turns a Step into a Step, or the bytes of one frame or block into others. Law: the results in the message stay what the
step's books say; only their dress is wrong. Source: LIS01-A2 6.3, LIS02-A2 5.4, 5.6.2, HL7 2.8, MLLP.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from simulators.fault_rig import Rig
from simulators.framing import CR, FS, STX, VT, checksum, control_id, frame, is_block, is_frame, opened
from simulators.step import Step

LETTERS = "Größe µg Ω नाम 葡萄糖"  # what one charset can say and another cannot
TIMES: Mapping[bytes, tuple[int, ...]] = {  # fields that hold a time, as the standards number them
    b"H": (14,), b"O": (7, 8, 15, 23), b"R": (12, 13), b"MSH": (7,), b"OBR": (7, 8, 14, 22), b"OBX": (14, 19),
}  # fmt: skip
_STAMP = re.compile(rb"\A\d{14}\Z")


# ---- the message ------------------------------------------------------------------------------------------------


def wrong_charset(step: Step, rig: Rig) -> Step:
    """A comment whose bytes are in a charset that the message does not name."""
    text = LETTERS.encode(rig.options["charset"], "replace")
    return _with(step, _commented(step.said.body, text.translate(None, b"\r\n|\\^&~`" + bytes(range(32)))))


def oversize(step: Step, rig: Rig) -> Step:
    """A comment so long that the frame, or the block, is over the limit."""
    body = _commented(step.said.body, b"x" * int(rig.number("size")))
    return replace(step, said=replace(step.said, body=body, frame=len(body)))


def wrong_clock(step: Step, rig: Rig) -> Step:
    """Every time in the message is off by `days`."""
    off = timedelta(days=rig.number("days"))
    return _with(step, b"".join(_clocked(line, off) for line in step.said.body.splitlines(keepends=True)))


def lf_ends(step: Step, rig: Rig) -> Step:
    """Segments end with LF, or CR LF with `crlf=1`."""
    return _with(step, step.said.body.replace(b"\r", b"\r\n" if rig.number("crlf") else b"\n"))


def several_messages(step: Step, rig: Rig) -> Step:
    """The message and copies of it, each with a control id of its own, in one block."""
    body, own = step.said.body, control_id(step.said.body)
    mark = body[3:4]
    copies = [body.replace(mark + own + mark, mark + own + b"-%d" % number + mark, 1)
              for number in range(2, 2 + int(rig.number("copies")))]  # fmt: skip
    return _with(step, body + b"".join(copies))


def _with(step: Step, body: bytes) -> Step:
    return replace(step, said=replace(step.said, body=body))


def _commented(body: bytes, text: bytes) -> bytes:
    """With a comment record before L, or an NTE at the end."""
    if body.startswith(b"MSH"):
        mark = body[3:4]
        return body + mark.join((b"NTE", b"1", b"", text)) + CR
    mark, at = body[1:2], body.rfind(b"\rL") + 1
    return body[:at] + mark.join((b"C", b"1", b"I", text, b"I")) + CR + body[at:]


def _clocked(line: bytes, off: timedelta) -> bytes:
    mark = b"|"
    fields = line.split(mark)
    shift = 0 if fields[0] in (b"OBR", b"OBX") else 1  # MSH-1 is the delimiter itself, ASTM counts the type
    for number in TIMES.get(fields[0], ()):
        if number - shift < len(fields):
            fields[number - shift] = _moved(fields[number - shift], off)
    return mark.join(fields)


def _moved(field: bytes, off: timedelta) -> bytes:
    text = field.rstrip(CR)
    if not _STAMP.match(text):
        return field
    try:
        return (datetime.strptime(text.decode(), "%Y%m%d%H%M%S") + off).strftime("%Y%m%d%H%M%S").encode() + field[14:]  # noqa: DTZ007
    except (ValueError, OverflowError):
        return field


# ---- its frames and blocks --------------------------------------------------------------------------------------


def bad_checksum(data: bytes, rig: Rig) -> bytes:
    """Another checksum than the right one."""
    made = opened(data)
    if made is None:
        return data
    wrong = frame(made.number + rig.random.randrange(1, 8), made.text, made.end)[-4:]  # that of another number
    return data[:-4] + wrong


def wrong_number(data: bytes, rig: Rig) -> bytes:
    """A number that is neither the last nor the next, with the checksum that fits it."""
    made = opened(data)
    return data if made is None else frame(made.number + rig.random.randrange(1, 7), made.text, made.end)


def no_cr(data: bytes, _rig: Rig) -> bytes:
    """The last record of a frame without the CR that ends it, as Snibe sends."""
    made = opened(data)
    if made is None or data[-5:-4] != b"\x03" or not made.text.endswith(CR):
        return data
    return frame(made.number, made.text[:-1], made.end)


def lower_checksum(data: bytes, _rig: Rig) -> bytes:
    """The checksum in small letters."""
    return STX + data[1:-4] + checksum(data[1:-4]).lower() + data[-2:] if is_frame(data) else data


def fs_without_cr(data: bytes, _rig: Rig) -> bytes:
    """The block ends with FS alone."""
    return data[:-1] if is_block(data) and data.endswith(FS + CR) else data


def vt_inside(data: bytes, rig: Rig) -> bytes:
    """The block begins, and before its end it begins again."""
    if not is_block(data):
        return data
    start, end = data.find(VT), data.rfind(FS)
    return data[: rig.random.randrange(start + 1, end)] + data[start:]
