"""LIS01-A2 / E1381: streams, and what a receiver makes of each; every case is fed whole, byte by byte and in pieces.

A case is named by its rule of the rule list, its clause and its role.
"""

from __future__ import annotations

import pytest

from drivers.wire import lis1a
from drivers.wire.lis1a import frame, frames, session
from tests.wire.line_kit import ACK, ENQ, EOT, NAK, STX, Said, arrived, damaged, hear

MESSAGE = b"H|\\^&|||X^1\rP|1\rO|1|S1||^^^GLU\rR|1|^^^GLU|5.4|mmol/L||N||F||||20260130101500\rL|1|N\r"
GOOD = frame(1, b"H|\\^&\r", True)
CRLF = b"H|\\^&\r\nP|1\r\nL|1\r\n"


def raw_frame(number: bytes, text: bytes) -> bytes:
    """A frame whose text holds what 6.6 forbids: others do send it."""
    body = number + text + b"\x03"
    return STX + body + lis1a.checksum(body) + b"\r\n"


FORTY = [
    arrived(n, MESSAGE[at : at + 40], at + 40 >= len(MESSAGE)) for n, at in enumerate(range(0, len(MESSAGE), 40), 1)
]

CASES: dict[str, tuple[bytes, list[Said], bytes, list[bytes]]] = {
    "LL-13 6.2.5 receiver: noise in neutral is ignored": (b"\x00abc\x06\x15" + GOOD, [], b"", []),
    "LL-13 6.2.5 receiver: ENQ is answered by ACK": (b"zz" + ENQ, [("began",)], ACK, []),
    "LL-20 6.3.1.2 receiver: one frame": (
        ENQ + frame(1, MESSAGE, True) + EOT,
        [("began",), arrived(1, MESSAGE), ("ended", "eot")],
        ACK * 2,
        [MESSAGE],
    ),
    "LL-22 6.3.1 receiver: ETB inside a record": (
        ENQ + b"".join(frames(MESSAGE, size=70)) + EOT,
        [("began",), arrived(1, MESSAGE[:70], False), arrived(2, MESSAGE[70:]), ("ended", "eot")],
        ACK * 3,
        [MESSAGE],
    ),
    "LL-21 6.3.1.1 receiver: two messages in one session": (
        ENQ + b"".join(session([MESSAGE, MESSAGE])) + EOT,
        [("began",), arrived(1, MESSAGE), arrived(2, MESSAGE), ("ended", "eot")],
        ACK * 3,
        [MESSAGE, MESSAGE],
    ),
    "LL-23 6.3.2.1 receiver: seven is followed by zero": (
        ENQ + b"".join(frame(n, b"C|%d\r" % n, True) for n in range(1, 11)),
        [("began",), *(arrived(n % 8, b"C|%d\r" % n) for n in range(1, 11))],
        ACK * 11,
        [],
    ),
    "LL-23 6.3.2.1 receiver: each session begins with one": (
        (ENQ + frame(1, MESSAGE, True) + EOT) * 2,
        [("began",), arrived(1, MESSAGE), ("ended", "eot")] * 2,
        ACK * 4,
        [MESSAGE, MESSAGE],
    ),
    "LL-24 6.3.3 receiver: a lower case checksum is read": (
        ENQ + GOOD[:-4] + GOOD[-4:].lower() + frame(2, b"L|1\r", True).lower().replace(b"l|", b"L|"),
        [("began",), arrived(1, b"H|\\^&\r"), arrived(2, b"L|1\r")],
        ACK * 3,
        [b"H|\\^&\rL|1\r"],
    ),
    "LL-27 6.3.4.3 receiver: a refused frame comes again with its number": (
        ENQ + damaged(GOOD) + GOOD,
        [("began",), ("refused", "wrong checksum"), arrived(1, b"H|\\^&\r")],
        ACK + NAK + ACK,
        [],
    ),
    "LL-33 6.5.1.1 receiver: a bad checksum is refused": (
        ENQ + damaged(frame(1, b"R|1|^^^HGB|8.0\r", True), 12),
        [("began",), ("refused", "wrong checksum")],
        ACK + NAK,
        [],
    ),
    "LL-33 6.5.1.1 receiver: a number that is neither the last nor the next is refused": (
        ENQ + GOOD + frame(3, b"P|1\r", True) + frame(0, b"P|1\r", True) + frame(2, b"P|1\r", True),
        [
            ("began",), arrived(1, b"H|\\^&\r"), ("refused", "frame number 3, expected 2"),
            ("refused", "frame number 0, expected 2"), arrived(2, b"P|1\r"),
        ],
        ACK * 2 + NAK * 2 + ACK,
        [],
    ),
    "LL-33 6.5.1.1 receiver: no number is refused": (
        ENQ + b"\x02H|1\x03" + lis1a.checksum(b"H|1\x03") + b"\r\n",
        [("began",), ("refused", "no frame number")],
        ACK + NAK,
        [],
    ),
    "LL-33 6.5.1.1 receiver: eight is no number": (
        ENQ + b"\x028H|1\x03" + lis1a.checksum(b"8H|1\x03") + b"\r\n",
        [("began",), ("refused", "frame number 8, expected 1")],
        ACK + NAK,
        [],
    ),
    "LL-34 6.3.2 receiver: a repeat is acknowledged and not stored twice": (
        ENQ + frame(1, MESSAGE, True) * 2 + EOT,
        [("began",), arrived(1, MESSAGE), arrived(1, MESSAGE, repeat=True), ("ended", "eot")],
        ACK * 3,
        [MESSAGE],
    ),
    "LL-34 6.3.2 receiver: the same number with another text is stored and reported": (
        ENQ + GOOD + frame(1, b"L|1\r", True),
        [
            ("began",), arrived(1, b"H|\\^&\r"),
            arrived(1, b"L|1\r", problem="frame number 1 again with other text"),
        ],
        ACK * 3,
        [b"H|\\^&\rL|1\r"],
    ),
    "LL-34 6.3.2 receiver: ETB where ETX was makes another frame of the same text": (
        # 6.3.4.3 sends "the same frame" again, and its end is part of it (6.3.1.2). Taken for a repeat, a record that
        # goes on would be cut where it was ended first: `5` for `5.4`.
        ENQ + frame(1, b"H|\\^&\rR|1|^^^GLU|5", True) + frame(1, b"H|\\^&\rR|1|^^^GLU|5", False)
        + frame(2, b".4|mmol/L\rL|1\r", True) + EOT,
        [
            ("began",), arrived(1, b"H|\\^&\rR|1|^^^GLU|5"),
            arrived(1, b"H|\\^&\rR|1|^^^GLU|5", last=False, problem="frame number 1 again with another end"),
            arrived(2, b".4|mmol/L\rL|1\r"), ("ended", "eot"),
        ],
        ACK * 4,
        [b"H|\\^&\rR|1|^^^GLU|5.4|mmol/L\rL|1\r"],
    ),
    "LL-34 6.3.2 receiver: ETX where ETB was makes another frame of the same text": (
        ENQ + frame(1, b"H|\\^&\r", False) + frame(1, b"H|\\^&\r", True) + frame(2, b"L|1\r", True) + EOT,
        [
            ("began",), arrived(1, b"H|\\^&\r", last=False),
            arrived(1, b"H|\\^&\r", problem="frame number 1 again with another end"), arrived(2, b"L|1\r"),
            ("ended", "eot"),
        ],
        ACK * 4,
        [b"H|\\^&\rL|1\r"],
    ),
    "LL-23 6.3.2.1 receiver: a session that begins with zero is read and reported": (
        ENQ + frame(0, MESSAGE, True) + EOT,
        [("began",), arrived(0, MESSAGE, problem="first frame has number 0"), ("ended", "eot")],
        ACK * 2,
        [MESSAGE],
    ),
    "LL-35 6.5.1.1 receiver: bytes before STX and after the checksum are ignored": (
        ENQ + b"xy\x00" + frame(1, MESSAGE, True) + b"\r\nzz" + EOT,
        [("began",), arrived(1, MESSAGE), ("ended", "eot")],
        ACK * 2,
        [MESSAGE],
    ),
    "LL-20 6.3.1.2 receiver: LF missing": (
        ENQ + GOOD[:-1] + frame(2, b"L|1\r", True)[:-1] + EOT,
        [("began",), arrived(1, b"H|\\^&\r"), arrived(2, b"L|1\r"), ("ended", "eot")],
        ACK * 3,
        [b"H|\\^&\rL|1\r"],
    ),
    "LL-20 6.3.1.2 receiver: CR and LF missing": (
        ENQ + GOOD[:-2] + frame(2, b"L|1\r", True)[:-2] + EOT,
        [("began",), arrived(1, b"H|\\^&\r"), arrived(2, b"L|1\r"), ("ended", "eot")],
        ACK * 3,
        [b"H|\\^&\rL|1\r"],
    ),
    "LL-20 6.3.1.2 receiver: CR missing before ETX": (
        ENQ + frame(1, b"H|\\^&\rP|1", True) + frame(2, b"L|1|N", True) + EOT,
        [("began",), arrived(1, b"H|\\^&\rP|1"), arrived(2, b"L|1|N"), ("ended", "eot")],
        ACK * 3,
        [b"H|\\^&\rP|1\rL|1|N\r"],
    ),
    "LL-20 6.3.1.2 receiver: empty text": (
        ENQ + frame(1, b"", True) + EOT,
        [("began",), arrived(1, b""), ("ended", "eot")],
        ACK * 2,
        [],
    ),
    "LL-20 6.3.1.2 receiver: STX twice counts once": (
        ENQ + STX + GOOD,
        [("began",), arrived(1, b"H|\\^&\r")],
        ACK * 2,
        [],
    ),
    "LL-22 6.3.1 receiver: a frame of 64 000 characters": (
        ENQ + frame(1, b"H|" + b"x" * 63_991, True),
        [("began",), arrived(1, b"H|" + b"x" * 63_991)],
        ACK * 2,
        [],
    ),
    "LL-40 6.4.1 receiver: EOT is answered by nothing": (
        ENQ + EOT + EOT, [("began",), ("ended", "eot")], ACK, [],
    ),
    "LL-13 6.2.5 receiver: an ENQ that comes twice is answered once": (
        ENQ + ENQ + GOOD, [("began",), arrived(1, b"H|\\^&\r")], ACK * 2, [],
    ),
    "LL-40 6.4.1 receiver: a keep-alive of ENQ and EOT": (
        (ENQ + EOT) * 3, [("began",), ("ended", "eot")] * 3, ACK * 3, [],
    ),
    "LL-40 6.4.1 receiver: a frame cut off, then EOT and a new session": (
        ENQ + GOOD[:5] + EOT + ENQ + frame(1, MESSAGE, True) + EOT,
        [("began",), ("ended", "eot"), ("began",), arrived(1, MESSAGE), ("ended", "eot")],
        ACK * 3,
        [MESSAGE],
    ),
    "LL-33 6.5.1.1 receiver: a byte damaged into ENQ inside a frame is a damaged frame": (
        ENQ + GOOD[:3] + ENQ + GOOD[4:] + GOOD,
        [("began",), ("refused", "wrong checksum"), arrived(1, b"H|\\^&\r")],
        ACK + NAK + ACK,
        [],
    ),
    "LL-33 6.5.1.1 receiver: an STX damaged into ENQ is a damaged frame": (
        ENQ + ENQ + GOOD[1:] + GOOD,
        [("began",), ("refused", "begins with ENQ"), arrived(1, b"H|\\^&\r")],
        ACK + NAK + ACK,
        [],
    ),
    "LL-12 6.2.4 receiver: ACK and NAK out of place are ignored": (
        ENQ + ACK + NAK + GOOD, [("began",), arrived(1, b"H|\\^&\r")], ACK * 2, [],
    ),
    "LL-15 6.2.7 receiver: data without ENQ is never acknowledged": (GOOD * 3 + EOT, [], b"", []),
    "LL-21 6.3.1.1 receiver: a careless analyzer puts two messages into one frame": (
        ENQ + frame(1, MESSAGE + MESSAGE, True) + EOT,
        [("began",), arrived(1, MESSAGE * 2), ("ended", "eot")],
        ACK * 2,
        [MESSAGE, MESSAGE],
    ),
    "LL-22 6.3.1 receiver: one record over frames of one character": (
        ENQ + b"".join(frames(b"H|\\^&\rL|1\r", size=1)) + EOT,
        [
            ("began",), *(arrived(n % 8, b"H|\\^&\rL|1\r"[n - 1 : n], n == 10) for n in range(1, 11)), ("ended", "eot"),
        ],
        ACK * 11,
        [b"H|\\^&\rL|1\r"],
    ),
    "LL-24 6.3.3 receiver: a checksum that is no number is refused": (
        ENQ + GOOD[:-4] + b"G!\r\n", [("began",), ("refused", "wrong checksum")], ACK + NAK, [],
    ),
    "LL-26 6.3.4.2 receiver: each good frame is answered by one ACK": (
        ENQ + b"".join(session([MESSAGE], 40)), [("began",), *FORTY], ACK * (len(FORTY) + 1), [MESSAGE],
    ),
    "LL-35 6.5.1.1 receiver: CR LF segment ends inside the text are no ends of frames": (
        ENQ + raw_frame(b"1", CRLF) + EOT,
        [("began",), arrived(1, CRLF), ("ended", "eot")],
        ACK * 2,
        [CRLF],
    ),
    "LL-38 6.6 receiver: XON and XOFF between frames are ignored, inside a text they are part of it": (
        ENQ + b"\x11\x13" + raw_frame(b"1", b"H|\\^&\x11\r") + b"\x11" + frame(2, b"L|1\r", True) + EOT,
        [("began",), arrived(1, b"H|\\^&\x11\r"), arrived(2, b"L|1\r"), ("ended", "eot")],
        ACK * 3,
        [b"H|\\^&\x11\rL|1\r"],
    ),
    "LL-33 6.5.1.1 receiver: a lost ETX makes one bad frame of two, and both come again": (
        ENQ + GOOD[:-5] + GOOD[-4:] + frame(2, b"L|1\r", True) + GOOD + frame(2, b"L|1\r", True) + EOT,
        [("began",), ("refused", "wrong checksum"), arrived(1, b"H|\\^&\r"), arrived(2, b"L|1\r"), ("ended", "eot")],
        ACK + NAK + ACK * 2,
        [b"H|\\^&\rL|1\r"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_receiver_case(case: str) -> None:
    stream, said, replies, messages = CASES[case]
    heard = hear(stream)
    assert (heard.said, heard.replies, heard.messages) == (said, replies, messages)
    assert hear(stream + EOT, expire=1).raw == stream + EOT, "every byte comes back in an event"


@pytest.mark.parametrize("one_record_a_frame", [False, True])
def test_ll_22_6_3_1_receiver_etb_may_fall_anywhere(one_record_a_frame: bool) -> None:
    """Between any two characters: inside ids, dates, units and the L record."""
    for size in range(1, len(MESSAGE) + 1):
        stream = ENQ + b"".join(frames(MESSAGE, size, one_record_a_frame)) + EOT
        assert hear(stream).messages == [MESSAGE]


def test_ll_34_6_3_2_receiver_free_numbering_takes_any_number_and_still_knows_a_repeat() -> None:
    """Yumizen counts 5, 1, 1, 1, 4; a driver says so."""
    numbers = (5, 1, 1, 1, 4)
    stream = ENQ + b"".join(frame(n, b"C|%d\r" % i, True) for i, n in enumerate(numbers)) + frame(4, b"C|4\r", True)
    heard = hear(stream, free_numbering=True)
    said = [arrived(n, b"C|%d\r" % i) for i, n in enumerate(numbers)] + [arrived(4, b"C|4\r", repeat=True)]
    assert heard.said == [("began",), *said]
    assert [kind for kind, *_ in hear(stream).said] == ["began", "refused", *["frame"] * 3, "refused", "refused"]
