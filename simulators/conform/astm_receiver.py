"""What a receiver of LIS01-A2 frames must do, tried one by one.

Turns each rule into a conversation and what was seen of it. Law: the kit says only what a sender may say, but where
the case is that it does not. Source: LIS01-A2 6.2 to 6.5 (serial), 8.2 to 8.5 (TCP); the ids are those of wire-rules.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise

from simulators.conform.case import Case, Seen, case
from simulators.conform.material import Material
from simulators.conform.talk import Stuck, Talk, show
from simulators.framing import ACK, ENQ, EOT, ETB, ETX, NAK, frame

rule = partial(case, "receiver")
MOMENT = 2.0  # seconds of silence that count as silence
JUNK = b"\x00U~ noise\r\n\xff"


def _ends(talk: Talk, good: bool, seen: str) -> Seen:
    """The session ends, whatever was seen."""
    talk.write(EOT)
    return good, seen


def _again(talk: Talk) -> bytes:
    """Is the link neutral? The answer to a new ENQ; a session begun by it is ended."""
    reply = talk.ask(ENQ)
    if reply == ACK:
        talk.write(EOT)
    return reply


@rule("LL-10", "6.1.3", "a whole session, frame by frame, and another after it", "ACK to ENQ and to every frame, twice")
def sessions(talk: Talk, material: Material) -> Seen:
    """Neutral, establishment, transfer, termination, neutral."""
    for _ in range(2):
        talk.session(material.records)
    return True, f"2 sessions of {len(material.records)} frames, every byte answered ACK"


@rule("LL-13", "6.2.5", "EOT, ACK, NAK, letters and a whole frame while neutral, then ENQ", "silence, then ACK")
def neutral(talk: Talk, material: Material) -> Seen:
    """Everything but ENQ is ignored."""
    talk.write(EOT + ACK + NAK + b"abc\r\n" + frame(1, material.records[0]))
    came = talk.silence(MOMENT)
    reply = _again(talk)
    return came == b"" and reply == ACK, f"{show(came)}, then {show(reply)}"


@rule("LL-15", "6.2.7", "ENQ", "an answer within 15 s: ACK, or NAK from one that cannot receive")
def answers(talk: Talk, _material: Material) -> Seen:
    """A system answers ENQ, always."""
    talk.write(ENQ)
    answer = talk.hear(15.5)
    return _ends(talk, answer.data in (ACK, NAK), str(answer))


@rule("LL-20", "6.3.1.2", "a frame in two pieces, cut in its text, and one cut before its checksum", "one ACK for each")
def two_pieces(talk: Talk, material: Material) -> Seen:
    """A read is not a frame."""
    talk.establish()
    seen = b""
    for number, text in enumerate(material.records[:2], 1):
        whole = frame(number, text)
        cut = len(whole) // 2 if number == 1 else len(whole) - 4
        talk.write(whole[:cut])
        early = talk.silence(0.3)
        talk.write(whole[cut:])
        seen += early + talk.reply()
    return _ends(talk, seen == ACK * 2, show(seen))


@rule("LL-20", "6.3.1.2", "a frame byte by byte", "one ACK")
def byte_by_byte(talk: Talk, material: Material) -> Seen:
    """As a slow serial line delivers it."""
    talk.establish()
    for byte in frame(1, material.records[0]):
        talk.write(bytes([byte]))
        talk.pause(0.005)
    reply = talk.reply() + talk.silence(0.5)
    return _ends(talk, reply == ACK, show(reply))


@rule("LL-20", "6.3.1.2", "EOT and the next ENQ in one write", "one ACK, to the ENQ")
def glued(talk: Talk, material: Material) -> Seen:
    """A read may hold more than one thing."""
    talk.establish()
    talk.frames(material.records)
    reply = talk.ask(EOT + ENQ) + talk.silence(0.5)
    return _ends(talk, reply == ACK, show(reply))


@rule("LL-20", "6.3.1.2", "a record cut by ETB inside, the rest of the message after it", "ACK to each frame")
def cut_by_etb(talk: Talk, material: Material) -> Seen:
    """ETB may stand anywhere, in the L record too."""
    talk.establish()
    body = material.records[0] + _long(material, 60) + material.records[-1]
    cuts = (0, len(material.records[0]) // 2, len(body) - 2, len(body))
    replies = b""
    for number, (start, end) in enumerate(pairwise(cuts), 1):
        replies += talk.ask(frame(number, body[start:end], ETX if end == len(body) else ETB))
    return _ends(talk, replies == ACK * 3, show(replies))


@rule("LL-21", "6.3.1.1", "two messages in one session, each beginning a frame", "ACK to each frame")
def two_messages(talk: Talk, material: Material) -> Seen:
    """A session carries as many messages as the sender has."""
    talk.establish()
    replies = talk.frames(material.records * 2)
    wanted = len(material.records) * 2
    return _ends(
        talk, replies == ACK * wanted, f"{replies.count(ACK)} ACK to {wanted} frames, last {show(replies[-1:])}"
    )


def _long(material: Material, size: int) -> bytes:
    """A comment record that makes the text so long."""
    mark = material.records[0][1:2]
    head = mark.join((b"C", b"1", b"I", b""))
    return head + b"x" * (size - len(head) - 1) + b"\r"


@rule("LL-22", "6.3.1", "a frame of 240 characters of text (E1381-95)", "ACK")
def small_frame(talk: Talk, material: Material) -> Seen:
    """What every receiver must take."""
    return _sized(talk, material, 240)


@rule("LL-22", "8.3.1", "a frame of 63 993 characters of text (LIS01-A2; E1381-95 stopped at 240)", "ACK", only="tcp")
def large_frame(talk: Talk, material: Material) -> Seen:
    """What a receiver on TCP must take."""
    return _sized(talk, material, 63_993)


def _sized(talk: Talk, material: Material, size: int) -> Seen:
    talk.establish()
    replies = talk.frames([material.records[0], _long(material, size), material.records[-1]])
    return _ends(talk, replies == ACK * 3, show(replies))


@rule("LL-23", "6.3.2.1", "eleven frames numbered 1 to 7, 0, 1, 2, 3", "ACK to each")
def numbers(talk: Talk, material: Material) -> Seen:
    """7 is followed by 0."""
    talk.establish()
    comments = [_long(material, 40)] * 9
    replies = talk.frames([material.records[0], *comments, material.records[-1]])
    return _ends(talk, replies == ACK * 11, show(replies))


@rule("LL-24", "6.3.3", "a frame with a wrong checksum, then the right one", "NAK, then ACK")
def wrong_checksum(talk: Talk, material: Material) -> Seen:
    """The checksum is looked at, and a refused frame may come again with its number (LL-27)."""
    talk.establish()
    right = frame(1, material.records[0])
    wrong = right[:-4] + frame(2, material.records[0])[-4:]
    seen = talk.ask(wrong) + talk.ask(right)
    return _ends(talk, seen == NAK + ACK, show(seen))


@rule("LL-24", "6.3.3", "damaged bytes under an untouched checksum: wrong in its low digit, then in its high one",
      "NAK, NAK")  # fmt: skip
def damaged(talk: Talk, material: Material) -> Seen:
    """Not a checksum that the receiver worked out of what came; both digits are looked at."""
    talk.establish()
    right = frame(1, material.records[0])
    seen = b"".join(talk.ask(right[:6] + bytes([right[6] ^ bit]) + right[7:]) for bit in (1, 16))
    return _ends(talk, seen == NAK * 2, show(seen))


@rule("LL-24", "6.3.3", "a frame with bytes above 127, the sum over 255 many times", "ACK")
def high_bytes(talk: Talk, material: Material) -> Seen:
    """Eight bits are kept, all of them: an odd number of such bytes, or seven bits would give the same sum."""
    talk.establish()
    mark = material.records[0][1:2]
    text = mark.join((b"C", b"1", b"I", bytes(range(0xA0, 0xFF)))) + b"\r"
    replies = talk.frames([material.records[0], text, material.records[-1]])
    return _ends(talk, replies == ACK * 3, show(replies))


@rule("LL-26", "6.3.4", "one frame, then silence", "one reply, nothing more")
def one_reply(talk: Talk, material: Material) -> Seen:
    """A second ACK would be taken for the next frame's."""
    talk.establish()
    seen = talk.ask(frame(1, material.records[0])) + talk.silence(MOMENT)
    return _ends(talk, seen == ACK, show(seen))


@rule("LL-32", "6.5.2.5", "a whole session, every reply timed", "each within 15 s")
def in_time(talk: Talk, material: Material) -> Seen:
    """How long this receiver takes at most."""
    talk.session(material.records)
    return talk.slowest <= 15, f"the slowest reply after {talk.slowest:.3f} s"


@rule("LL-33", "6.5.1.1", "the second frame numbered 5, then rightly 2", "NAK, then ACK")
def wrong_number(talk: Talk, material: Material) -> Seen:
    """Neither the last accepted nor the next."""
    talk.establish()
    seen = talk.frames(material.records[:1])
    seen += talk.ask(frame(5, material.records[1])) + talk.ask(frame(2, material.records[1]))
    return _ends(talk, seen == ACK + NAK + ACK, show(seen))


@rule("LL-33", "6.5.1.2", "one frame refused six times, EOT, then a whole session", "six NAK, then all ACK")
def recovers(talk: Talk, material: Material) -> Seen:
    """An aborted session leaves nothing behind."""
    talk.establish()
    wrong = frame(1, material.records[0])[:-4] + frame(2, material.records[0])[-4:]
    seen = b"".join(talk.ask(wrong) for _ in range(6))
    talk.write(EOT)
    if seen != NAK * 6:
        return False, show(seen)
    talk.session(material.records)
    return True, f"{show(seen)}, then a whole session accepted"


@rule("LL-34", "6.3.2", "an accepted frame again, as after a lost ACK, then the next", "ACK to each")
def repeated(talk: Talk, material: Material) -> Seen:
    """That it is not stored twice cannot be seen from outside."""
    talk.establish()
    first = frame(1, material.records[0])
    seen = talk.ask(first) + talk.ask(first) + talk.ask(frame(2, material.records[1]))
    return _ends(talk, seen == ACK * 3, show(seen))


@rule("LL-35", "6.5.1.1", "noise before STX, and after the checksum's CR LF", "one ACK for each frame, no more")
def noise(talk: Talk, material: Material) -> Seen:
    """Ignored."""
    talk.establish()
    seen = b""
    for number, text in enumerate(material.records[:2], 1):
        seen += talk.ask(JUNK + frame(number, text) + JUNK) + talk.silence(1.0)
    return _ends(talk, seen == ACK * 2, show(seen))


@rule("LL-36", "6.5.2.4", "one frame, 31 s of silence, the next frame; then ENQ and frame 1",
      "no reply to the frame; ACK, ACK", waits=33)  # fmt: skip
def gives_up(talk: Talk, material: Material) -> Seen:
    """After 30 s the link is neutral."""
    talk.establish()
    talk.frames(material.records[:1])
    talk.neutral = True  # soon: after 30 s it may begin a session of its own
    early = talk.silence(31)
    talk.write(frame(2, material.records[1]))
    late = talk.silence(MOMENT)
    seen = talk.ask(ENQ) + talk.frames(material.records[:1])
    return _ends(talk, (early + late, seen) == (b"", ACK * 2), f"{show(early + late)}, then {show(seen)}")


@rule("LL-36", "6.5.2.4", "the line goes down in the middle of a frame; a new connection", "ACK to ENQ and frame 1",
      only="tcp")  # fmt: skip
def cable_pulled(talk: Talk, material: Material) -> Seen:
    """Nothing of the old connection counts on the new one."""
    talk.establish()
    talk.frames(material.records[:1])
    talk.write(frame(2, material.records[1])[:9])
    talk.hang_up()
    talk.session(material.records)
    return True, "a whole session accepted"


@rule("LL-40", "6.4.1", "EOT after the last frame, one frame more without an ENQ, then ENQ", "silence, then ACK")
def termination(talk: Talk, material: Material) -> Seen:
    """EOT is not answered, and ends the session: what follows it is not taken."""
    talk.session(material.records)
    came = talk.silence(MOMENT)
    talk.write(frame(len(material.records) + 1, material.records[0]))
    came += talk.silence(MOMENT)
    reply = _again(talk)
    return came == b"" and reply == ACK, f"{show(came)}, then {show(reply)}"


@rule("LL-40", "6.4.1", "EOT in the middle of a message, then a whole session", "silence, then all ACK")
def early_eot(talk: Talk, material: Material) -> Seen:
    """EOT ends the session wherever it comes."""
    talk.establish()
    talk.frames(material.records[:1])
    talk.write(EOT)
    if came := talk.silence(MOMENT):
        raise Stuck(f"after EOT: {show(came)}")
    talk.session(material.records)
    return True, "silence, then a whole session accepted"


CASES: tuple[Case, ...] = (
    sessions, neutral, answers, two_pieces, byte_by_byte, glued, cut_by_etb, two_messages, small_frame, large_frame,
    numbers, wrong_checksum, damaged, high_bytes, one_reply, in_time, wrong_number, recovers, repeated, noise, gives_up,
    cable_pulled, termination, early_eot,
)  # fmt: skip
