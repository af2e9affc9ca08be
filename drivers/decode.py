"""Turns a file of an analyzer's bytes into what its driver reads there: the JSON of `labmitra decode`.

The file may hold the bytes of a whole line (ENQ … EOT, several sessions), records without frames, MLLP blocks or a
bare HL7 message. Law: no I/O; what is read here is what the middleware would read: the same receivers, the same driver.
Texts whose marks a recorder dropped are read where the driver recognises them.
A message that never ends is given as incomplete: in ASTM with what it holds but for the record it was cut in, in HL7
with nothing.
Source: LIS01-A2 6.3 and 6.5, HL7 MLLP; keys as the expected files of tests/captures have them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple

from drivers.driver import Decoded, DecodeError, Driver, Message, MessageType, Observation, WireError, load_driver
from drivers.wire import blocks, hl7, lis1a, lis2a, mllp

ENQ, EOT, STX = b"\x05", b"\x04", b"\x02"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)  # no clock here, and no rule reads it


class Found(NamedTuple):
    """A message's text, or a problem (body None)."""

    body: bytes | None
    incomplete: bool = False
    where: str = ""
    what: str = ""


def decode_file(data: bytes, driver_name: str) -> dict[str, object]:
    """All that the driver reads in these bytes. DecodeError, one clear line, when nothing can be read."""
    try:
        driver = load_driver(driver_name)
    except KeyError as unknown:
        raise DecodeError(str(unknown.args[0])) from unknown
    return decode_with(driver, data)


def decode_with(driver: Driver, data: bytes) -> dict[str, object]:
    """The same with a driver in hand, as for one that is not among the files of this package yet."""
    messages: list[dict[str, object]] = []
    problems: list[dict[str, str]] = []
    for found in _found(driver, data):
        if found.body is None:
            problems.append({"where": found.where, "what": found.what})
        else:
            _one(driver, found, messages, problems)
    if not messages and not problems:
        raise DecodeError(nothing_in(driver, data))
    return {"driver": driver.name, "messages": messages, "problems": problems}


def found_in(driver: Driver, data: bytes) -> list[Found]:
    """The messages a file's bytes hold, whole or cut, and what in between cannot be used; no message is decoded."""
    return list(_found(driver, data))


def framed(driver: Driver, data: bytes) -> bool:
    """Do frames carry the records? Then one that cannot be used leaves a hole in the message around it."""
    return driver.speaks != "HL7" and STX in data


def _found(driver: Driver, data: bytes) -> Iterator[Found]:
    return iter(_recognised(driver, data)) if len(driver.framings) > 1 else _in_framing(driver, data)


def _recognised(driver: Driver, data: bytes) -> list[Found]:
    """The file in the first of the driver's framings in which more of it can be read than not; else the usual one."""
    for framing in driver.framings.values():
        found = list(_in_framing(replace(driver, framing=framing), data))
        if sum(_worth(driver, one) for one in found) > 0:
            return found
    return list(_in_framing(driver, data))


def _worth(driver: Driver, found: Found) -> int:
    """1 for a whole message that the driver can read, -1 for a problem and for a message it cannot read."""
    if found.body is None or found.incomplete:
        return -(found.body is None)
    try:
        return 1 if driver.decode(Message("", "", _EPOCH, found.body)) else 0
    except DecodeError:
        return -1


def _in_framing(driver: Driver, data: bytes) -> Iterator[Found]:
    if driver.framing is not None:
        framing = driver.framing
        marked = not framing.start or framing.start in data or framing.trailer or driver.framings
        return _framed(framing, data) if marked else iter(_unmarked(driver, framing, data))
    if driver.speaks == "HL7":
        return _blocks(data) if mllp.VT in data else _bare(data)
    return _sessions(driver, data) if framed(driver, data) else _records(data)


def _one(driver: Driver, found: Found, messages: list[dict[str, object]], problems: list[dict[str, str]]) -> None:
    """Decode one message into `messages`, what is odd about it into `problems`."""
    where = f"message {len(messages) + 1}"
    try:
        decoded = driver.decode(Message("", "", _EPOCH, found.body or b"", found.incomplete))
    except DecodeError as wrong:
        problems.append({"where": where, "what": str(wrong)})
        return
    messages.append(message_json(decoded))
    problems.extend({"where": where, "what": what} for what in decoded.problems)


def nothing_in(driver: Driver, data: bytes) -> str:
    """Why nothing was found in these bytes, in words."""
    if not data.strip():
        return "the file is empty"
    sought = {"HL7": "an MLLP block or a segment MSH", "LIS2-A2": "a frame or a record H"}
    missing = sought.get(driver.speaks, "one whole block")
    return f"nothing in it can be read: {driver.title} speaks {driver.speaks}, and there is not {missing}"


# ---- HL7 --------------------------------------------------------------------------------------------------------


def _blocks(data: bytes) -> Iterator[Found]:
    receiver = mllp.Receiver()
    number = 0
    for event in [*receiver.receive(data), *receiver.close()]:
        if isinstance(event, mllp.Problem):
            if event.raw.strip(b"\x00\x02\r\n\x1c"):  # keep-alives and line ends between blocks are nothing
                began = "block" if event.raw[:1] == mllp.VT else "before block"
                yield Found(None, where=f"{began} {number + 1}", what=event.what)
            if event.raw[:1] == mllp.VT and _begins(event.raw[1:]):
                yield Found(event.raw[1:], incomplete=True)
            continue
        number += 1
        if event.commit is None:
            yield from map(Found, hl7.split(event.body))


def _begins(body: bytes) -> bool:
    """Is this the beginning of a message, so that it can be said whose it was?"""
    try:
        return bool(hl7.marked(body))
    except WireError:
        return False


def _bare(data: bytes) -> Iterator[Found]:
    start = data.find(b"MSH")
    if start >= 0:
        yield from map(Found, hl7.split(data[start:].rstrip(b"\x1c\r\n\x00 ")))


# ---- dialects of blocks ------------------------------------------------------------------------------------------


def _framed(framing: blocks.Framing, data: bytes) -> Iterator[Found]:
    """The messages that a line of this framing would store, and what it would refuse."""
    receiver = blocks.Receiver(framing)
    held: list[blocks.Block] = []
    number = 0
    for event in [*receiver.receive(data), *receiver.expire()]:
        if isinstance(event, blocks.Damaged):
            yield Found(None, where=f"after block {number}", what=f"{event.reason}: the block is not used")
            continue
        if isinstance(event, blocks.Block):
            number += 1
            held.append(event)
        ended = isinstance(event, blocks.Control) and event.raw == framing.message_end
        if held and (ended or (not framing.message_end and framing.whole([block.text for block in held]))):
            yield Found(b"".join(block.raw for block in held))
            held = []
    if held:
        yield Found(b"".join(block.raw for block in held), incomplete=True)


def _unmarked(driver: Driver, framing: blocks.Framing, data: bytes) -> list[Found]:
    """A recorder kept the texts and dropped the marks of the blocks: what an end mark ends is one, else each line."""
    for texts in (data.split(framing.end), data.splitlines()):
        bare = [text.strip(b"\r\n\x00" + ENQ + EOT + framing.end) for text in texts]
        found = [Found(framing.start + text + framing.end) for text in bare if text.strip()]
        if any(_says(driver, one.body or b"") for one in found):
            return found
    return []


def _says(driver: Driver, body: bytes) -> bool:
    try:
        return driver.decode(Message("", "", _EPOCH, body)).type is not MessageType.OTHER
    except DecodeError:
        return False


# ---- ASTM -------------------------------------------------------------------------------------------------------


def _records(data: bytes) -> Iterator[Found]:
    """Records without frames. What does not begin with H is nobody's: a problem when there is an H elsewhere."""
    parts = lis2a.split(_without_numbers(data.translate(None, b"\x04\x05\x06\x15")))
    headed = [part.body[:1] in (b"H", b"h") and not part.body[1:2].isalnum() for part in parts]
    if not any(headed):
        return
    for part, begins in zip(parts, headed, strict=True):
        if begins:
            yield Found(part.body, incomplete=not part.complete)
        else:
            yield Found(None, where="between messages", what="records that belong to no message: no H before them")


def _without_numbers(data: bytes) -> bytes:
    """A recorder that took the frames away and left their numbers (`1H|`) and checksums (a line of two digits)."""
    lines = data.splitlines(keepends=True)
    if not any(re.match(rb"[0-7][Hh][^\w\s]", line) for line in lines):
        return data
    kept = [line for line in lines if not re.fullmatch(rb"[0-9A-Fa-f]{2}\s*", line)]
    return b"".join(line[1:] if re.match(rb"[0-7][Hh][^\w\s]", line) else line for line in kept)


def _sessions(driver: Driver, data: bytes) -> Iterator[Found]:
    """Each run up to an EOT is a session, whether or not the file kept its ENQ."""
    *ended, last = data.split(EOT)
    runs = [run + EOT for run in ended] + [last]
    for number, run in enumerate(filter(lambda run: STX in run, runs), 1):
        yield from _session(driver, _with_enq(run), f"session {number}")


def _with_enq(run: bytes) -> bytes:
    return run if 0 <= run.find(ENQ) < run.find(STX) else ENQ + run


def _session(driver: Driver, data: bytes, where: str) -> Iterator[Found]:
    """A file may begin anywhere in a session, so the first good frame may have any number; from there they count on."""
    assembler = lis1a.Assembler()
    frames, expected = 0, None
    for event in _events(lis1a.Receiver(free_numbering=True), data):
        if isinstance(event, lis1a.FrameArrived):
            frames += 1
            problem = None if driver.free_numbering or event.repeat else _out_of_order(event.number, expected)
            if problem:
                yield Found(None, where=f"{where}, frame {frames}", what=problem)
            if not event.repeat and not (problem and problem.endswith("not used")):
                expected = (event.number + 1) % 8
                yield from _assembled(assembler.add(event.text, event.last))
        elif isinstance(event, lis1a.FrameRefused):
            frames += 1
            expected = 1 if expected is None else expected
            if frames > 1 or event.raw[1:2].isdigit():
                yield Found(None, where=f"{where}, frame {frames}", what=f"{event.reason}: the frame is not used")
        elif isinstance(event, lis1a.Junk):
            yield from _cut(assembler, event.raw, f"{where}, after frame {frames}")
        elif isinstance(event, lis1a.SessionEnded):
            yield from _rest(assembler)
            expected = None
    yield from _rest(assembler)


def _out_of_order(number: int, expected: int | None) -> str | None:
    """What a frame's number says against it (LL-33, LL-34): the last number again is used, a gap is not."""
    if expected is None or number == expected:
        return None
    if number == (expected - 1) % 8:
        return f"frame number {number} again with other text"
    return f"frame number {number}, expected {expected}: the frame is not used"


def _events(receiver: lis1a.Receiver, data: bytes) -> Iterator[lis1a.Event]:
    """The receiver's events for a file: every good frame accepted, every other refused, then silence."""
    events = receiver.receive(data)
    while events:
        for event in events:
            yield event
            if isinstance(event, lis1a.SessionBegan | lis1a.FrameArrived):
                receiver.accept()
            elif isinstance(event, lis1a.FrameRefused):
                receiver.refuse()
        events = receiver.receive(b"") or receiver.expire()


def _assembled(found: Sequence[lis1a.Assembled]) -> Iterator[Found]:
    for message in found:
        yield Found(message.body, incomplete=not message.complete)


def _rest(assembler: lis1a.Assembler) -> Iterator[Found]:
    rest = assembler.rest()
    if rest:
        yield Found(rest, incomplete=True)


def _cut(assembler: lis1a.Assembler, raw: bytes, where: str) -> Iterator[Found]:
    """A frame that the file breaks off in: its records are shown, in a message that is never taken as whole."""
    if raw[:1] != STX or not raw[1:2].isdigit():
        return
    yield Found(None, where=where, what="the line ends inside a frame")
    text = raw[2:].partition(b"\x03")[0].partition(b"\x17")[0]
    for message in assembler.add(text, last=False):
        yield Found(message.body, incomplete=True)


# ---- JSON -------------------------------------------------------------------------------------------------------


def message_json(decoded: Decoded) -> dict[str, object]:
    """One message as `labmitra decode` prints it."""
    return {
        "type": decoded.type.value,
        "sender": decoded.sender,
        "query_sample_ids": list(decoded.query_sample_ids),
        "observations": [observation_json(row) for row in decoded.observations],
    }


def observation_json(row: Observation) -> dict[str, object]:
    """One row as `labmitra decode` prints it: not sent is null, sent empty is ""."""
    return {
        "sample_id": row.sample_id,
        "code": row.code,
        "name": row.name,
        "value": row.value,
        "raw": row.raw,
        "unit": row.unit,
        "flags": list(row.flags),
        "range": row.range,
        "status": row.status,
        "aspect": row.aspect,
        "comments": list(row.comments),
        "masked": row.masked,
        "observed_at": row.observed_at,
        "kind": row.kind.value,
    }
