"""What a sender of LIS01-A2 frames must do, tried one by one; a host is made to send by a query.

Turns each rule into a conversation in which the kit is the receiver. Law: what the peer sent is judged as bytes.
Source: LIS01-A2 6.2 to 6.6 (serial), 8.2 to 8.6 (TCP); the ids are those of wire-rules.
"""

from __future__ import annotations

import re
from functools import partial

from simulators.conform.case import Case, Seen, case
from simulators.conform.material import PEER_TURN, Material
from simulators.conform.talk import Missing, Stuck, Talk, next_frame, open_frame, show, take
from simulators.framing import ACK, ENQ, EOT, NAK, checksum, opened

rule = partial(case, "sender")
FORM = re.compile(rb"\x02[0-7].*[\x03\x17][^\r\n]{2}\r\n\Z", re.DOTALL)
FORBIDDEN = re.compile(rb"[\x01-\x06\n\x10-\x17]")
MESSAGES = re.compile(rb"(?:\A|\r)L[^A-Za-z0-9][^\r]*\rH")
LATER = 60.0  # seconds; "later" in the standard


def _first(talk: Talk, material: Material) -> bytes:
    """ENQ provoked and accepted: the peer's first frame."""
    material.provoke(talk)
    talk.write(ACK)
    raw = next_frame(talk)
    open_frame(raw)
    return raw


def _rest(talk: Talk) -> None:
    """Take what the peer still has to say, so that the line is free."""
    take(talk, begun=True)


# ---- establishment ----------------------------------------------------------------------------------------------


@rule("LL-11", "6.2.4", "a query, and no EOT for 3 s", "no ENQ while the link is not neutral", only="host")
def waits_for_neutral(talk: Talk, material: Material) -> Seen:
    """A host with an answer waits its turn."""
    try:
        talk.establish()
    except Stuck as wrong:
        raise Missing(f"it did not take the query that makes it send: {wrong}") from wrong
    talk.frames(material.query)
    came = talk.silence(3.0)
    talk.write(EOT)
    if ENQ in came:
        return False, show(came)
    if not talk.until(ENQ, PEER_TURN).data.endswith(ENQ):
        raise Missing("it had nothing to say afterwards either")
    _rest(talk)
    return True, "silence; ENQ after EOT"


@rule("LL-12", "6.2.4", "its ENQ answered by x, STX and EOT, then by ACK", "silence, then its first frame")
def ignores(talk: Talk, material: Material) -> Seen:
    """After ENQ only ACK, NAK and ENQ are replies."""
    material.provoke(talk)
    talk.write(b"x\x02\x04")
    came = talk.silence(1.0)
    talk.write(ACK)
    raw = next_frame(talk)
    good = came == b"" and opened(raw) is not None
    if raw != EOT:
        _rest(talk)
    return good, f"{show(came)}, then {show(raw)}"


@rule("LL-14", "6.2.6", "its ENQ answered by NAK: busy", "no ENQ for at least 10 s, then ENQ again", waits=10)
def busy(talk: Talk, material: Material) -> Seen:
    """How long it leaves a busy receiver alone."""
    material.provoke(talk)
    talk.write(NAK)
    answer = talk.until(ENQ, LATER)
    if answer.data == ENQ:
        _rest(talk)
    return answer.data in (ENQ, EOT + ENQ) and answer.seconds >= 9.9, str(answer)


@rule("LL-16", "6.5.2.1", "no answer to its ENQ", "EOT after 15 s", waits=15, leaves=True)
def no_answer(talk: Talk, material: Material) -> Seen:
    """Then the link is neutral."""
    material.provoke(talk)
    answer = talk.hear(25)
    return answer.data == EOT and 14.5 <= answer.seconds <= 20, str(answer)


@rule("LL-17", "6.2.7.1", "its ENQ answered by ENQ, 1.1 s later ENQ again, then a whole message",
      "silence; ACK to the second ENQ and to the message: we have priority", only="host", leaves=True)  # fmt: skip
def host_yields(talk: Talk, material: Material) -> Seen:
    """The host becomes the receiver."""
    material.provoke(talk)
    talk.write(ENQ)
    came = talk.silence(1.1)
    seen = talk.ask(ENQ)
    if seen == ACK:
        seen += talk.frames(material.records)
    talk.write(EOT)
    return came == b"" and seen == ACK * (1 + len(material.records)), f"{show(came)}, then {show(seen)}"


@rule("LL-17", "6.2.7.1", "its ENQ answered by ENQ", "nothing for at least 1 s, then ENQ again: it has priority",
      only="analyzer")  # fmt: skip
def analyzer_insists(talk: Talk, material: Material) -> Seen:
    """We would stop trying; it asks again."""
    material.provoke(talk)
    talk.write(ENQ)
    answer = talk.hear(15.5)
    if answer.data == ENQ:
        _rest(talk)
    return answer.data == ENQ and answer.seconds >= 0.95, str(answer)


@rule("LL-18", "6.5.2.2", "contention, and no second ENQ for 21 s", "neutral again: ENQ of its own, or ACK to ours",
      waits=21, only="host", leaves=True)  # fmt: skip
def neutral_after_contention(talk: Talk, material: Material) -> Seen:
    """At most 20 s."""
    material.provoke(talk)
    talk.write(ENQ)
    came = talk.until(ENQ, 21)
    if ENQ in came.data:
        _rest(talk)
        return came.data == ENQ, f"its own ENQ after {came.seconds:.1f} s"
    reply = talk.ask(ENQ)
    talk.write(EOT)
    return reply in (ACK, ENQ), f"{show(came.data)}, then {show(reply)} to our ENQ"


# ---- frames: one recorded session -------------------------------------------------------------------------------


@rule("LL-20", "6.3.1.2", "one of its sessions, accepted", "each frame STX, digit, text, ETB or ETX, checksum, CR LF")
def form(talk: Talk, material: Material) -> Seen:
    """Strict out."""
    frames = material.recorded(talk)
    odd = [raw for raw in frames if not FORM.match(raw)]
    return bool(frames) and not odd, show(odd[0]) if odd else f"{len(frames)} frames, all of that form"


@rule("LL-21", "6.3.1.1", "one of its sessions, accepted", "no frame with parts of two messages; ETX ends the last")
def messages(talk: Talk, material: Material) -> Seen:
    """Each message starts a frame."""
    made = [open_frame(raw) for raw in material.recorded(talk)]
    odd = [each.text for each in made if MESSAGES.search(each.text)]
    good = bool(made) and not odd and made[-1].end == b"\x03"
    end = made[-1].end if made else b""
    return good, show(odd[0]) if odd else f"{len(made)} frames, the last ends with {show(end)}"


@rule("LL-22", "6.3.1", "one of its sessions, accepted", "no frame over 64 000 characters")
def size(talk: Talk, material: Material) -> Seen:
    """How long its frames are; those of E1381-95 are at most 247."""
    longest = max(map(len, material.recorded(talk)), default=0)
    return 0 < longest <= 64_000, f"the longest has {longest} characters"


@rule("LL-23", "6.3.2.1", "two of its sessions, accepted", "numbers 1, 2 … 7, 0, 1 … in each")
def numbering(talk: Talk, material: Material) -> Seen:
    """1 after each ENQ."""
    found: list[list[int]] = []
    try:
        for _ in range(2):
            material.provoke(talk)
            found.append([open_frame(raw).number for raw in take(talk)])
    except ConnectionError:  # it hung up after the first, as one does that connects anew for each
        if not found:
            raise
    good = any(found) and all(each == [n % 8 for n in range(1, len(each) + 1)] for each in found)
    return good, "; ".join(" ".join(map(str, each[:20])) or "none" for each in found)


@rule("LL-24", "6.3.3", "one of its sessions, accepted", "every checksum right, in capitals")
def checksums(talk: Talk, material: Material) -> Seen:
    """As the standard adds them up."""
    frames = material.recorded(talk)
    odd = [raw for raw in frames if not _summed(raw)]
    return bool(frames) and not odd, f"wrong: {show(odd[0][-8:])}" if odd else f"{len(frames)} frames, all right"


def _summed(raw: bytes) -> bool:
    """Whether the two characters after ETX or ETB are the sum; what follows them is LL-20's to judge."""
    at = len(open_frame(raw).text) + 3
    return raw[at : at + 2] == checksum(raw[1:at])


@rule("LL-38", "6.6", "one of its sessions, accepted", "no forbidden control character in a text")
def characters(talk: Talk, material: Material) -> Seen:
    """None of SOH STX ETX EOT ENQ ACK LF DLE DC1-DC4 NAK SYN ETB."""
    odd = [text for raw in material.recorded(talk) if FORBIDDEN.search(text := open_frame(raw).text)]
    return not odd, show(odd[0]) if odd else "none"


# ---- replies ----------------------------------------------------------------------------------------------------


@rule("LL-25", "6.3.4", "its first frame, and no reply for 3 s", "nothing more until the reply")
def stops(talk: Talk, material: Material) -> Seen:
    """One frame at a time."""
    _first(talk, material)
    came = talk.silence(3.0)
    if not came:
        _rest(talk)
    return came == b"", show(came)


@rule("LL-26", "6.3.4.2", "its first frame accepted by ACK", "the next number, or EOT when that was all")
def goes_on(talk: Talk, material: Material) -> Seen:
    """Not the same frame again."""
    first = _first(talk, material)
    talk.write(ACK)
    after = next_frame(talk)
    good = after == EOT or open_frame(after).number == (open_frame(first).number + 1) % 8
    if after != EOT:
        _rest(talk)
    return good, f"{show(first[:2])}, then {show(after[:2])}"


def _once_refused(talk: Talk, material: Material, reply: bytes) -> Seen:
    first = _first(talk, material)
    talk.write(reply)
    again = next_frame(talk)
    if again != EOT:
        _rest(talk)
    return again == first, "the same frame" if again == first else f"{show(first, 30)}, then {show(again, 30)}"


@rule("LL-27", "6.3.4.3", "its first frame refused by NAK, then accepted", "the same frame, the same number")
def repeats(talk: Talk, material: Material) -> Seen:
    """NAK asks for it again."""
    return _once_refused(talk, material, NAK)


@rule("LL-29", "6.5.1.2", "its first frame answered by a letter, then accepted", "the same frame: it counts as NAK")
def other_reply(talk: Talk, material: Material) -> Seen:
    """Any byte but ACK and EOT."""
    return _once_refused(talk, material, b"?")


@rule("LL-28", "6.3.4.4", "its first frame answered by EOT: accepted, please stop",
      "the next frame, or EOT and then no ENQ for 15 s", waits=15)  # fmt: skip
def interrupted(talk: Talk, material: Material) -> Seen:
    """It may go on, or stop."""
    first = _first(talk, material)
    talk.write(EOT)
    after = next_frame(talk)
    if after == EOT:
        came = talk.silence(14.5)
        return ENQ not in came, f"EOT, then {show(came)} in 14.5 s"
    _rest(talk)
    return open_frame(after).number == (open_frame(first).number + 1) % 8, f"it goes on with {show(after[:2])}"


def _six(talk: Talk, material: Material) -> tuple[int, bytes, bytes]:
    """How often the same frame comes when it is always refused, what comes instead of one more, and that frame."""
    first = _first(talk, material)
    count, after = 0, first
    while after == first and count < 12:
        count += 1
        talk.write(NAK)
        after = next_frame(talk)
    return count, after, first


@rule("LL-30", "6.5.1.2", "its first frame refused by NAK again and again", "six times the same frame, then EOT",
      leaves=True)  # fmt: skip
def six_times(talk: Talk, material: Material) -> Seen:
    """Then it gives up."""
    count, after, _ = _six(talk, material)
    return (count, after) == (6, EOT), f"{count} times the same frame, then {show(after, 30)}"


@rule("LL-30", "6.5.2.3", "after that, its next ENQ accepted",
      f"the whole message again from frame 1, within {LATER:.0f} s", waits=LATER)  # fmt: skip
def repeats_whole(talk: Talk, material: Material) -> Seen:
    """What was not accepted is kept."""
    count, after, first = _six(talk, material)
    if (count, after) != (6, EOT):
        return False, f"{count} times the same frame, then {show(after, 30)}"
    answer = talk.hear(LATER)
    if answer.data != ENQ:
        return False, str(answer)
    frames = take(talk)
    start = show(frames[0][:2]) if frames else "none"
    return frames[:1] == [first], f"ENQ after {answer.seconds:.1f} s, then {len(frames)} frames from {start}"


@rule("LL-31", "6.5.2.3", "no reply to its first frame", "EOT after 15 s", waits=15, leaves=True)
def no_reply(talk: Talk, material: Material) -> Seen:
    """Then the message is repeated whole, later."""
    _first(talk, material)
    answer = talk.hear(25)
    return answer.data == EOT and 14.5 <= answer.seconds <= 20, str(answer)


@rule("LL-32", "6.5.2.5", "its first frame accepted after 13 s", "it has waited, and goes on", waits=13)
def late_reply(talk: Talk, material: Material) -> Seen:
    """A receiver may take 15 s."""
    first = _first(talk, material)
    came = talk.silence(13)
    if came:
        return False, f"{show(came)} within 13 s"
    talk.write(ACK)
    after = next_frame(talk)
    if after == EOT:
        return True, "EOT: that was its only frame"
    _rest(talk)
    return after != first, f"it goes on with {show(after[:2])}"


@rule("LL-40", "6.4.1", "its last frame accepted", "EOT, then silence until it begins anew, or ACK or NAK to our ENQ")
def ends(talk: Talk, material: Material) -> Seen:
    """The link is neutral, for both."""
    material.provoke(talk)
    if not take(talk):
        raise Stuck("EOT without a frame")
    if not talk.ended:
        return False, "no EOT within 15.5 s, or ENQ in its place"
    came = talk.hear(2.0).data
    if came == ENQ and not material.host:
        _rest(talk)
        return True, "EOT, then a session of its own"
    reply = talk.ask(ENQ)
    if reply == ENQ and not material.host:
        talk.give_way()
        return True, "EOT, then contention: a session of its own"
    talk.write(EOT)
    return came == b"" and reply in (ACK, NAK), f"EOT, {show(came)}, then {show(reply)}"


CASES: tuple[Case, ...] = (
    waits_for_neutral, ignores, busy, no_answer, host_yields, analyzer_insists, neutral_after_contention, form,
    messages, size, numbering, checksums, stops, goes_on, repeats, interrupted, other_reply, six_times, repeats_whole,
    no_reply, late_reply, characters, ends,
)  # fmt: skip
