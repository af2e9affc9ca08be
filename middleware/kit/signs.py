"""Says what is wrong with a line, from the bytes it gave: speed, parity, framing, nobody who acknowledges, noise.

Turns bytes into sentences for the engineer, each with what to do. Law: pure; a sentence says what the bytes show, and
nothing is said of a line that speaks well. Source: LIS01-A2 5.2.2 and 5.2.3 (characters), 6.3 (frames, checksum), 6.5
(ENQ is repeated after 10 s without an answer, a frame at most six times); middleware/garbage for the signs of speed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from drivers.wire.lis1a import checksum
from middleware.garbage import BAUD, ENOUGH, OWN, Garbage
from middleware.kit.stream import ENQ, EOT, FRAME, HL7, NAK, STX, Shape, shape_of

REPEATED = 3  # ENQs or equal frames one after the other, from which on nobody can be answering
SPEEDS = "9600, 19200, 38400, 115200, 4800, 2400"
NOBODY = (
    "the analyzer asks {count} times (ENQ) and sends no frame: nobody acknowledges. Is this line connected to the "
    "middleware, is the cable's other wire sound, does the analyzer's setting name this host and port?"
)
REFUSED = (
    "one frame comes {count} times: it is refused or not acknowledged. Look at `labmitra trace`: a checksum or a "
    "number that the receiver does not accept, or answers that do not reach the analyzer"
)
PARITY = (
    "every byte has {parity} parity in its top bit: the analyzer sends 7 data bits with {name} parity. Set the line to "
    "bits=7&parity={letter}, or the analyzer to 8 bits without parity"
)
SIMPLE = (
    "STX is not followed by a frame number: a LIS01 line refuses such blocks. Use a driver that knows the framing "
    '(snibe_maglumi, framing = "simple"), or set the analyzer to LIS01-A2 (E1381) frames'
)
DIALECT = "STX without ENQ and without frame numbers: wrong framing for a LIS01 line, or a dialect of its own"
HALF = "half of all bytes have the top bit set and the text below it reads well: the two ends disagree about parity"


def signs(data: bytes) -> list[str]:
    """The sentences; [] for a line that speaks well, and for one that said nothing."""
    shape = shape_of(data)
    if shape is Shape.EMPTY:
        return ["the line said nothing: is the analyzer switched on, set to send, and on this port?"]
    parity = _parity(data)
    if parity:
        return [parity]
    return [*_speed(data, shape), *_unheard(data, shape), *_framing(data, shape), *_damage(data)]


def _parity(data: bytes) -> str:
    """A seven-bit line read as eight bits: the top bit is a function of the others."""
    above = sum(1 for byte in data if byte >= 0x80)
    if len(data) < ENOUGH or above < len(data) // 8:
        return ""
    below = shape_of(bytes(byte & 0x7F for byte in data))
    if below in (Shape.NOISE, Shape.EMPTY, Shape.CONTROLS):
        return ""
    ones = {byte.bit_count() % 2 for byte in data}
    if above == len(data):
        return PARITY.format(parity="mark", name="mark", letter="M")
    if ones == {0}:
        return PARITY.format(parity="even", name="even", letter="E")
    if ones == {1}:
        return PARITY.format(parity="odd", name="odd", letter="O")
    return HALF if below not in (Shape.TEXT, shape_of(data)) else ""


def _speed(data: bytes, shape: Shape) -> Iterator[str]:
    """Noise without any frame, block or segment."""
    if shape not in (Shape.NOISE, Shape.BLOCKS, Shape.TEXT):
        return
    garbage = Garbage("LIS2-A2")
    garbage.heard(data)
    if garbage.why == BAUD and (shape is Shape.NOISE or _mostly_strange(data)):
        yield f"{BAUD}. Try, one after the other: {SPEEDS}; then parity E and O with 7 bits"


def _mostly_strange(data: bytes) -> bool:
    """Most bytes are no text and no mark of any protocol: an STX and an ETX among them are chance."""
    return sum(1 for byte in data if byte >= 0x7F or (byte < 0x20 and byte not in OWN)) > len(data) // 2


def _unheard(data: bytes, shape: Shape) -> Iterator[str]:
    asked = data.count(ENQ)
    if STX not in data and b"MSH" not in data and asked >= REPEATED and not data.strip(ENQ + b"\x00\r\n"):
        yield NOBODY.format(count=asked)
    elif STX not in data and b"MSH" not in data and asked and EOT in data and not data.strip(ENQ + EOT + b"\x00\r\n"):
        yield "only ENQ and EOT: a keep-alive, or an analyzer whose ENQ nobody answers and which gives up"
    if NAK in data and shape not in (Shape.BLOCKS, Shape.NOISE):  # there it may be a check byte
        yield "the analyzer itself says NAK: it refuses what the host sends it"
    times = _most_repeated(data)
    if times >= REPEATED:
        yield REFUSED.format(count=times)


def _most_repeated(data: bytes) -> int:
    """How often one frame comes again at once."""
    most, run, before = 1, 1, b""
    for found in FRAME.finditer(data):
        run = run + 1 if found[0] == before else 1
        most, before = max(most, run), found[0]
    return most


def _framing(data: bytes, shape: Shape) -> Iterator[str]:
    if shape in HL7 and ENQ in data and STX in data:
        yield "ENQ and STX stand beside HL7: two analyzers on one line, or an analyzer whose language was changed"
    if shape is Shape.HL7:
        yield "HL7 without VT and FS: the analyzer must be set to MLLP, else nobody can say where a message ends"
    if shape is Shape.BARE_BLOCKS:
        yield SIMPLE
    if shape is Shape.HTTP:
        yield "an HTTP request: its line is http-listen://HOST:PORT/path?from=ADDRESS"
    if shape is Shape.RECORDS:
        yield "ASTM records without frames: a file or HTTP takes them, a line does not; or set E1381 on the analyzer"
    if shape is Shape.FRAMES and ENQ not in data:
        yield "frames without an ENQ before them: the recording began late, or the analyzer does not open its sessions"
    if shape is Shape.BLOCKS and ENQ not in data and re.search(rb"\x02[0-7]", data) is None:
        yield DIALECT


def _damage(data: bytes) -> Iterator[str]:
    frames = list(FRAME.finditer(data))
    wrong = sum(1 for f in frames if checksum(f[1] + f[2] + f[3]) != f[4].upper())
    if frames and wrong == len(frames):
        yield f"no checksum of {wrong} frames holds: the analyzer counts otherwise (without ETX or CR), or not at all"
    elif wrong:
        yield f"{wrong} of {len(frames)} frames are damaged (checksum): cable, grounding, ends at different speeds"
    if frames and b"\n" not in data:
        yield "frames end without CR LF after the checksum: some receivers wait for it, this one does not"
