"""What a receiver, and a sender, of HL7 messages over MLLP must do, tried one by one.

Turns each rule into a conversation and what was seen of it. Law: an acknowledgement is read with the plainest of means,
for the codec under test may be our own. Source: MLLP releases 1 and 2; HL7 v2.5.1 2.9; the ids are those of wire-rules.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from simulators.conform.case import Case, Seen, case
from simulators.conform.material import Material
from simulators.conform.talk import GRACE, Missing, Stuck, Talk, show
from simulators.framing import ACK, CR, FS, NAK, VT, control_id

receiver, sender = partial(case, "receiver"), partial(case, "sender")
END = FS + CR
LF = b"\n"
COMMITS = (VT + ACK + END, VT + NAK + END)
LATER = 60.0  # seconds in which a message that was not accepted comes again; the site's to agree (ML-05)
ANSWER = 15.0  # seconds; a site agreement in truth (ML-05)


class Said(NamedTuple):
    """An acknowledgement: MSA-1, MSA-2, and its MSH."""

    code: str
    of: bytes
    header: tuple[bytes, ...]

    def __str__(self) -> str:
        return f"{self.code or 'no MSA'} of {self.of.decode('latin-1') or 'nothing'}"


def block(body: bytes) -> bytes:
    """VT, message, FS CR."""
    return VT + body + END


def acknowledgement(raw: bytes) -> Said:
    """What a block acknowledges. Stuck when the bytes are no block; how it ends its lines is ML-01's to judge."""
    body = raw.rstrip(CR)
    if not (body.startswith(VT) and body.endswith(FS) and len(body) > 6):
        raise Stuck(f"instead of an answer in a block: {show(raw)}")
    segments = [line.split(raw[4:5]) for line in body[1:-1].replace(b"\n", CR).split(CR)]
    found = next((line for line in segments if line[0] == b"MSA"), [b"MSA", b"", b""])
    return Said(found[1].decode("latin-1"), found[2] if len(found) > 2 else b"", tuple(segments[0]))


def answers(talk: Talk, data: bytes, count: int = 1) -> list[Said]:
    """Say it; the acknowledgements that follow, and none too many: a second of silence comes after the last."""
    talk.write(data)
    raw = [_answer(talk, ANSWER) for _ in range(count)]
    try:
        raw.append(_answer(talk, 1.0))
    except ConnectionError:  # it closes after each answer: ML-03's to judge
        talk.hang_up()
    return [acknowledgement(each) for each in raw if each]


def _answer(talk: Talk, seconds: float) -> bytes:
    """The next block that is no commit reply of release 2 (ML-04: stored or not; it says nothing of the message)."""
    while (raw := talk.until(FS, seconds).data) + CR in COMMITS:
        talk.until(CR, GRACE)
    raw = raw.lstrip(b"\r\n")
    if not raw.endswith(FS):
        return raw
    after = talk.hear(GRACE).data
    talk.unhear(after if after not in (CR, b"\n") else b"")
    return raw + (after if after == CR else b"")


def _is(said: list[Said], codes: list[str], of: bytes) -> Seen:
    good = [each.code for each in said] == codes and all(each.of == of for each in said)
    return good, ", ".join(map(str, said)) or "nothing"


def accepted(talk: Talk, data: bytes, body: bytes) -> Seen:
    """One answer AA (or CA) to this message."""
    said = answers(talk, data)
    return _is(said, ["CA" if said and said[0].code == "CA" else "AA"], control_id(body))


# ---- a receiver: the block --------------------------------------------------------------------------------------


@receiver("ML-01", "MLLP", "a message in a block", "an answer in a block: VT, MSH, segments ended by CR, FS CR")
def in_a_block(talk: Talk, material: Material) -> Seen:
    """Strict out."""
    talk.write(block(material.hl7()))
    raw = _answer(talk, ANSWER)
    good = raw.startswith(VT + b"MSH") and raw.endswith(CR + END) and LF not in raw
    return good, f"{show(raw[:8])} … {show(raw[-6:])}, {raw.count(LF)} LF"


@receiver("ML-01", "MLLP", "a block byte by byte around its marks, and cut in two", "one answer each")
def in_pieces(talk: Talk, material: Material) -> Seen:
    """A read is not a block."""
    body = material.hl7()
    whole = block(body)
    for piece in (whole[:1], whole[1:2], whole[2:90], whole[90:-2], whole[-2:-1]):
        talk.write(piece)
        talk.pause(0.05)  # it may answer at FS already
    return accepted(talk, whole[-1:], body)


@receiver("ML-02", "MLLP", "keep-alives and noise between blocks", "ignored; one answer to the message")
def noise(talk: Talk, material: Material) -> Seen:
    """Bytes outside blocks mean nothing."""
    body = material.hl7()
    return accepted(talk, b"\x02\x02\r\nnoise" + block(body) + b"\x02\r\n", body)


@receiver("ML-02", "MLLP", "a block cut by the VT of the next", "no AA to the cut one; AA to the next")
def cut(talk: Talk, material: Material) -> Seen:
    """The earlier message was cut."""
    first, second = material.hl7(), material.hl7()
    return accepted(talk, (VT + first)[:-20] + block(second), second)


@receiver("ML-03", "MLLP", "two messages, one after the other's answer", "each answered on the same connection")
def in_turn(talk: Talk, material: Material) -> Seen:
    """Synchronous."""
    found = [accepted(talk, block(body), body) for body in (material.hl7(), material.hl7())]
    kept = talk.lines == 1
    return kept and all(good for good, _ in found), "; ".join([seen for _, seen in found] + ["closed"] * (not kept))


@receiver("ML-03", "MLLP", "two blocks in one write", "two answers, in order")
def two_at_once(talk: Talk, material: Material) -> Seen:
    """A read may hold more than one block."""
    first, second = material.hl7(), material.hl7()
    said = answers(talk, block(first) + block(second), 2)
    good = [each.of for each in said] == [control_id(first), control_id(second)]
    good = good and {each.code for each in said} <= {"AA", "CA"}
    return good, ", ".join(map(str, said)) or "nothing"


@receiver("ML-05", "MLLP", "the line goes down inside a block; the message again on a new one", "AA", only="tcp")
def reconnect(talk: Talk, material: Material) -> Seen:
    """Nothing of the old connection counts."""
    body = material.hl7()
    talk.write(block(body)[:60])
    talk.hang_up()
    return accepted(talk, block(body), body)


@receiver("ML-05", "MLLP", "the same message twice, as after a lost answer", "AA both times")
def twice(talk: Talk, material: Material) -> Seen:
    """A duplicate is known by MSH-10; that it is kept once cannot be seen from outside."""
    body = material.hl7()
    found = [accepted(talk, block(body), body) for _ in range(2)]
    return all(good for good, _ in found), "; ".join(seen for _, seen in found)


def _tolerant(done: str, how: str) -> Case:
    def attempt(talk: Talk, material: Material) -> Seen:
        body = material.hl7()
        said = {
            "fs": block(body)[:-1], "crlf": block(body.replace(CR, b"\r\n")), "lf": block(body.replace(CR, b"\n")),
            "bare": block(body.rstrip(CR)),
        }[how]  # fmt: skip
        return accepted(talk, said, body)

    return receiver("ML-06", "practice", done, "AA all the same")(attempt)


@receiver("ML-06", "practice", "three messages whose answers are not waited for", "three answers, in order")
def not_waiting(talk: Talk, material: Material) -> Seen:
    """Some analyzers never read the answer."""
    bodies = [material.hl7() for _ in range(3)]
    for body in bodies[:2]:
        talk.write(block(body))
    said = answers(talk, block(bodies[2]), 3)
    return [each.of for each in said] == [control_id(body) for body in bodies], ", ".join(map(str, said))


# ---- a receiver: the acknowledgement ----------------------------------------------------------------------------


@receiver("H7-01", "2.9.2", "a message with MSH-15 and MSH-16 empty", "one answer: AA, AE or AR")
def original_mode(talk: Talk, material: Material) -> Seen:
    """Original mode."""
    body = material.hl7(msh15=b"", msh16=b"")
    said = answers(talk, block(body))
    return len(said) == 1 and said[0].code in ("AA", "AE", "AR"), ", ".join(map(str, said)) or "nothing"


def _enhanced(accept: bytes, application: bytes, codes: list[str]) -> Case:
    def attempt(talk: Talk, material: Material) -> Seen:
        body = material.hl7(msh15=accept, msh16=application)
        said = answers(talk, block(body), max(1, len(codes))) if codes else _nothing(talk, block(body))
        return _is(said, codes, control_id(body))

    done = f"a good message with MSH-15 {accept.decode()} and MSH-16 {application.decode()}"
    return receiver("H7-02", "2.9.3", done, ", then ".join(codes) or "no answer")(attempt)


def _nothing(talk: Talk, data: bytes) -> list[Said]:
    talk.write(data)
    came = _answer(talk, 2.0)
    return [acknowledgement(came)] if came else []


@receiver("H7-03", "2.9", "a control id of twenty odd characters", "MSA-2 repeats it; its own MSH-10 differs each time")
def control_ids(talk: Talk, material: Material) -> Seen:
    """Which message was answered."""
    own = []
    for odd in (b"CF-7/a b.C_9#xyz", b"000000000000000000017"[:20]):
        said = answers(talk, block(material.hl7(msh10=odd)))
        if [each.of for each in said] != [odd]:
            return False, ", ".join(map(str, said)) or "nothing"
        own.append(said[0].header[9] if len(said[0].header) > 9 else b"")
    return all(own) and len(set(own)) == len(own), f"both repeated; its own {show(own[0])} and {show(own[1])}"


@receiver("H7-04", "2.9.2", "a message of a type that does not exist, ZZZ^Z99", "AE or AR, not AA, not silence")
def unknown_type(talk: Talk, material: Material) -> Seen:
    """Rejected is said."""
    body = material.hl7(msh9=b"ZZZ^Z99", msh15=b"", msh16=b"")
    said = answers(talk, block(body))
    return [each.code for each in said] in (["AE"], ["AR"]), ", ".join(map(str, said)) or "nothing"


@receiver("H7-05", "2.9.2", "the header of an answer", "ACK with the message's event; version and character set echoed")
def header(talk: Talk, material: Material) -> Seen:
    """ACK^R01 for ORU^R01; MSH-12, MSH-18."""
    body = material.hl7(msh15=b"", msh16=b"")
    asked = body.split(CR)[0].split(b"|")
    said = answers(talk, block(body))
    told = [*said[0].header, *[b""] * 20] if said else [b""] * 20
    kind, event = told[8].split(b"^"), asked[8].split(b"^")[1]
    charset = asked[17] if len(asked) > 17 else b""
    good = kind[0] == b"ACK" and kind[1:2] in ([event], []) and (told[11], told[17]) == (asked[11], charset)
    return good, f"{show(told[8])}, version {show(told[11])}, charset {show(told[17]) if told[17] else 'empty'}"


# ---- a sender ---------------------------------------------------------------------------------------------------


def _next(talk: Talk, material: Material) -> bytes:
    """The peer's next block. Missing when none comes."""
    if material.mute:
        raise Missing(material.mute)
    material.tell(f"waiting for the analyzer's message (at most {material.wait:.0f} s)")
    raw = talk.until(END, material.wait).data
    if not raw:
        material.mute = f"the analyzer sent nothing within {material.wait:.0f} s"
        raise Missing(material.mute)
    return raw[max(raw.rfind(VT), 0) :]


def _acknowledge(talk: Talk, raw: bytes, code: bytes = b"AA", of: bytes = b"") -> None:
    first = raw[max(raw.find(b"MSH"), 0) :].split(CR)[0]
    version = (first.split(first[3:4] or b"|") + [b""] * 12)[11] or b"2.3.1"
    head = b"MSH|^~\\&|Conform||||||ACK|C" + control_id(raw)[:19] + b"|P|" + version
    talk.write(block(head + b"\rMSA|" + code + b"|" + (of or control_id(raw)) + CR))


@sender("ML-01", "MLLP", "its message", "a block: VT, MSH, segments ended by CR, FS CR; MSH-10 filled")
def sends_a_block(talk: Talk, material: Material) -> Seen:
    """Strict out."""
    raw = _next(talk, material)
    _acknowledge(talk, raw)
    good = raw.startswith(VT + b"MSH") and raw.endswith(CR + END) and b"\n" not in raw and control_id(raw) != b""
    return good, f"{show(raw[:8])} … {show(raw[-6:])}, MSH-10 {show(control_id(raw))}"


@sender("ML-03", "MLLP", "its message, answered only after 3 s", "nothing more until the answer")
def sender_waits(talk: Talk, material: Material) -> Seen:
    """Synchronous."""
    raw = _next(talk, material)
    came = talk.silence(3.0)
    _acknowledge(talk, raw)
    return VT not in came, show(came)


@sender("ML-05", "MLLP", "its message, answered with the MSA-2 of another", "not taken for its own: the message again")
def sender_repeats(talk: Talk, material: Material) -> Seen:
    """Or not answered at all: it must come again."""
    raw = _next(talk, material)
    _acknowledge(talk, raw, of=b"ANOTHER")
    seconds = max(material.wait, LATER)
    again = talk.until(END, seconds).data
    _acknowledge(talk, again or raw)
    if not again:
        return False, f"nothing more within {seconds:.0f} s"
    same = control_id(again) == control_id(raw)
    return same, "the same message" if same else f"{show(control_id(raw))}, then {show(control_id(again))}"


@sender("H7-03", "2.9", "two of its messages", "MSH-10 differs")
def sender_ids(talk: Talk, material: Material) -> Seen:
    """Unique for this sender."""
    found = []
    for _ in range(2):
        raw = _next(talk, material)
        _acknowledge(talk, raw)
        found.append(control_id(raw))
    return found[0] != found[1] and all(found), " and ".join(map(show, found))


CASES: tuple[Case, ...] = (
    in_a_block, in_pieces, noise, cut, in_turn, two_at_once, reconnect, twice,
    _tolerant("a block that ends with FS alone", "fs"), _tolerant("segments ended by CR LF", "crlf"),
    _tolerant("segments ended by LF", "lf"), _tolerant("no CR after the last segment", "bare"),
    not_waiting, original_mode,
    _enhanced(b"AL", b"NE", ["CA"]), _enhanced(b"NE", b"AL", ["AA"]), _enhanced(b"AL", b"AL", ["CA", "AA"]),
    _enhanced(b"NE", b"NE", []), _enhanced(b"ER", b"NE", []),
    control_ids, unknown_type, header,
)  # fmt: skip
SENDER_CASES: tuple[Case, ...] = (sends_a_block, sender_waits, sender_repeats, sender_ids)
