"""What a file of an analyzer holds: its messages, to be stored, and what cannot be used, in words.

Turns bytes of one file into Messages. Law: pure; a frame that cannot be used leaves a hole, and a result after a hole
may belong to another patient: such a message is incomplete, as is one whose end cannot be seen. An id is made of
analyzer, file name, bytes and place in the file: the same file again gives the same ids.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from datetime import datetime

from drivers import decode
from drivers.driver import DecodeError, Driver, Message, WireError

BOM = b"\xef\xbb\xbf"
BATCH_ENDS = (b"BTS", b"FTS")


@dataclass(frozen=True, slots=True)
class Taken:
    """One file's messages, and every sentence about what is wrong with it."""

    messages: tuple[Message, ...]
    problems: tuple[str, ...]


def take(driver: Driver, analyzer: str, name: str, data: bytes, at: datetime, open_end: bool = False) -> Taken:
    """Everything in this file. `open_end`: a bare HL7 message may lack its last line end and is whole."""
    body = data.removeprefix(BOM)
    try:
        found = decode.found_in(driver, body)
    except WireError as wrong:
        return Taken((), (str(wrong),))
    problems = [f"{one.where}: {one.what}" for one in found if one.body is None]
    whole = [one for one in found if one.body is not None]
    hole = decode.framed(driver, body) and bool(problems)
    cut = not open_end and _may_be_cut(driver, body)
    messages = tuple(
        Message(_id(analyzer, name, data, number), analyzer, at, one.body or b"",
                one.incomplete or hole or (cut and number == len(whole)))
        for number, one in enumerate(whole, 1)
    )  # fmt: skip
    problems += [
        sentence for number, message in enumerate(messages, 1) if (sentence := _judge(driver, number, message))
    ]
    return Taken(messages, tuple(problems) if found else (decode.nothing_in(driver, body),))


def _may_be_cut(driver: Driver, body: bytes) -> bool:
    """A bare HL7 message has no end of its own but that of its last segment; half a value must not be taken for it."""
    if driver.speaks != "HL7" or b"\x0b" in body:
        return False
    ended = body.rstrip(b"\x1c\x00 ")
    last = ended.splitlines()[-1:] or [b""]
    return not ended.endswith((b"\r", b"\n")) and last[0][:3] not in BATCH_ENDS


def _judge(driver: Driver, number: int, message: Message) -> str:
    if message.incomplete:
        return f"message {number} has a hole or no end: it is kept and shown, and filed to nobody"
    try:
        driver.decode(message)
    except (DecodeError, WireError) as wrong:
        return f"message {number}: {wrong}"
    return ""


def _id(analyzer: str, name: str, data: bytes, number: int) -> str:
    said = hashlib.sha256(b"\0".join((analyzer.encode(), os.fsencode(name), data)))
    return f"{said.hexdigest()[:26]}{number:06x}"


def shown(name: str) -> str:
    """A file's name as text that can be stored: names of another charset have bytes that no text has."""
    return os.fsencode(name).decode("utf-8", "replace")


def words(name: str, taken: Taken, when: str) -> str:
    """The text beside a file that went to failed; "" when nothing is wrong with it."""
    if not taken.problems:
        return ""
    whole = sum(not message.incomplete for message in taken.messages)
    told = [f"{shown(name)}, taken {when}", "", "What is wrong:", *(f"  {problem}" for problem in taken.problems), ""]
    if taken.messages:
        told += [f"{len(taken.messages)} messages of it are stored, {whole} of them whole: see the messages page.", ""]
    told += [
        "What to do: let the analyzer write the file again. When only our reading was wrong (driver, codes), put that",
        "right and process the message again on the messages page; the same file need not come twice.",
    ]
    return "\n".join(told) + "\n"
