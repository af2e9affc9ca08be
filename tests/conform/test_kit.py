"""The kit itself: a right peer passes everything, and a broken one fails exactly where it is broken."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from drivers.wire import hl7, lis1a, mllp
from simulators import framing
from simulators.conform import astm_receiver, astm_sender, hl7_cases
from simulators.conform.kit import Kit
from simulators.conform.kit import Peer as Way
from simulators.conform.material import Material
from simulators.conform.report import Row, Verdict, as_json, exit_code, table
from tests.conform import peers
from tests.conform.peers import Clock, Hl7Host, Host, Sending, SendingHl7

MESSAGE = b"H|\\^&|||X^1\rP|1\rO|1|S1||^^^GLU\rR|1|^^^GLU|5.4|mmol/L\rL|1|N\r"
ORU = b"MSH|^~\\&|X||||20261122||ORU^R01|%d|P|2.3.1\rPID|1\rOBR|1||S1\rOBX|1|NM|GLU||5.4\r"


def tried(
    peer: peers.Peer, driver: str = "generic_astm", host: bool = True, quick: bool = False, *clauses: str
) -> list[Row]:
    """The kit's rows about a peer in this process."""
    way = Way(peer.open, single=not host, clock=peer.clock.monotonic)
    return Kit(way, Material(driver, host, wait=20.0), quick=quick, clauses=clauses).run()


def failed(rows: Sequence[Row]) -> set[tuple[str, str]]:
    return {(row.clause, row.done) for row in rows if row.verdict is Verdict.FAIL}


def clauses(rows: Sequence[Row]) -> list[str]:
    return sorted(row.clause for row in rows if row.verdict is Verdict.FAIL)


def verdicts(rows: Sequence[Row], verdict: Verdict) -> list[str]:
    return sorted(row.clause for row in rows if row.verdict is verdict)


# ---- right peers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("driver", ["generic_astm", "sysmex_xn", "roche_cobas_e411", "erba_xl"])
def test_a_right_host_passes_everything(driver: str) -> None:
    rows = tried(Host(Clock(), driver), driver)
    assert failed(rows) == set()
    assert verdicts(rows, Verdict.NOT_APPLICABLE) == ["LL-37", "stored"]
    assert exit_code(rows) == 0


def test_a_right_host_passes_on_a_single_serial_line() -> None:
    """One line, kept from case to case: what a case leaves behind does not disturb the next."""
    host = Host(Clock())
    rows = Kit(Way(host.open, "serial", True, host.clock.monotonic), Material("generic_astm")).run()
    assert failed(rows) == set()
    only_tcp = {astm_receiver.large_frame.done, astm_receiver.cable_pulled.done}
    assert {row.done for row in rows if row.why == "only on tcp"} == only_tcp


def test_a_host_that_opens_its_end_of_a_cable_later_is_waited_for() -> None:
    """As one on TCP is: what was said into a cable that nobody held is lost."""

    class Late(Host):
        def heard(self, data: bytes) -> None:
            if self.clock.now >= 1010:
                super().heard(data)

    host = Late(Clock())
    rows = Kit(Way(host.open, "serial", True, host.clock.monotonic), Material("generic_astm"), clauses=("LL-10",)).run()
    assert [row.verdict for row in rows] == [Verdict.PASS]


@pytest.mark.parametrize("driver", ["generic_hl7", "mindray_bc"])
def test_a_right_hl7_host_passes_everything(driver: str) -> None:
    rows = tried(Hl7Host(Clock()), driver)
    assert failed(rows) == set()
    assert verdicts(rows, Verdict.NOT_APPLICABLE) == ["stored"]


def test_a_right_analyzer_passes_everything_it_can_do() -> None:
    """It takes nothing from a host, and says so by NAK: LL-15 passes, what it would have to receive is not tried."""
    rows = tried(Sending(Clock(), [MESSAGE]), host=False)
    assert failed(rows) == set()
    receiving = [row for row in rows if row.role == "receiver"]
    assert verdicts(receiving, Verdict.PASS) == ["LL-15"]
    assert {row.why for row in receiving if row.clause not in ("LL-15", "stored")} == {
        "this analyzer takes nothing from a host: <NAK> to ENQ (6.2.7)"
    }
    assert {row.verdict for row in rows if row.role == "sender" and row.clause != "LL-37"} == {Verdict.PASS}


def test_an_analyzer_that_sends_all_the_time_is_given_way() -> None:
    """6.2.7.1: its ENQ against ours is its right, and no failure of the case that it disturbs."""

    class Busy(Sending):
        def seconds(self) -> float | None:
            return self.sender.timer.seconds if self.sender.timer else 0.5

    rows = tried(Busy(Clock(), [MESSAGE]), host=False, quick=True)
    assert failed(rows) == set()
    assert "LL-40" in verdicts([row for row in rows if row.role == "sender"], Verdict.PASS)


def test_a_right_hl7_analyzer_passes() -> None:
    assert {row.verdict for row in tried(SendingHl7(Clock(), ORU), "generic_hl7", host=False)[:-1]} == {Verdict.PASS}


def test_a_host_that_has_nothing_to_say_is_no_broken_sender() -> None:
    rows = tried(Host(Clock(), answers=False))
    assert failed(rows) == set()
    told = {row.why for row in rows if row.role == "sender" and row.clause != "LL-37"}
    assert told == {"this host sends no ENQ after a query (20 s)", "it had nothing to say afterwards either"}


def test_quick_leaves_out_what_waits_and_says_so() -> None:
    rows = tried(Host(Clock()), quick=True)
    left = verdicts(rows, Verdict.LEFT_OUT)
    assert left == ["LL-14", "LL-16", "LL-18", "LL-28", "LL-30", "LL-31", "LL-32", "LL-36"]
    assert all("--quick" in row.why for row in rows if row.verdict is Verdict.LEFT_OUT)


def test_only_the_clauses_asked_for_are_tried() -> None:
    assert {row.clause for row in tried(Host(Clock()), "generic_astm", True, False, "ll-24", "LL-3")} == {
        "LL-24", "LL-30", "LL-31", "LL-32", "LL-33", "LL-34", "LL-35", "LL-36", "LL-37", "LL-38",
    }  # fmt: skip


# ---- broken receivers -------------------------------------------------------------------------------------------


class AcksAll(Host):
    """Looks at no checksum and no number."""

    def one(self, event: lis1a.Event) -> None:
        super().one(event)
        if isinstance(event, lis1a.FrameRefused):
            self.out = self.out[:-1] + b"\x06"


class ReadIsFrame(Host):
    """Takes what one read brings for one thing."""

    def heard(self, data: bytes) -> None:
        made = framing.opened(data)
        if data in (b"\x05", b"\x04", b"\x06", b"\x15") or self.sender:
            super().heard(data)
        elif self.receiver.state is lis1a.State.FRAMES:
            self.out += b"\x06" if made and made.right else b"\x15"


class Deaf(Host):
    """Hears nothing."""

    def heard(self, data: bytes) -> None:
        return None


class RepeatsStored(Host):
    """Keeps a repeated frame twice: not to be seen from outside."""

    def one(self, event: lis1a.Event) -> None:
        super().one(event)
        if isinstance(event, lis1a.FrameArrived) and event.repeat:
            self.messages.append(event.text)


class NeverTired(Host):
    """Waits for the next frame for ever."""

    def new_receiver(self) -> lis1a.Receiver:
        return lis1a.Receiver(timers={**lis1a.TIMERS, "frame": lis1a.Timer("frame", 1e9, "never")})


class Polite(Host):
    """Answers EOT."""

    def one(self, event: lis1a.Event) -> None:
        super().one(event)
        if isinstance(event, lis1a.SessionEnded):
            self.out += b"\x06"


class NoRepeats(Host):
    """Refuses the repeat of a frame whose ACK was lost."""

    def one(self, event: lis1a.Event) -> None:
        super().one(event)
        if isinstance(event, lis1a.FrameArrived) and event.repeat:
            self.out = self.out[:-1] + b"\x15"


RECEIVERS = {
    AcksAll: {astm_receiver.wrong_checksum, astm_receiver.damaged, astm_receiver.wrong_number, astm_receiver.recovers},
    ReadIsFrame: {astm_receiver.two_pieces, astm_receiver.byte_by_byte, astm_receiver.glued, astm_receiver.noise,
                  astm_receiver.wrong_number},
    Deaf: {astm_receiver.answers},
    RepeatsStored: set(),
    NeverTired: {astm_receiver.gives_up},
    Polite: {astm_receiver.termination, astm_receiver.early_eot, astm_receiver.glued, astm_receiver.gives_up},
    NoRepeats: {astm_receiver.repeated},
}  # fmt: skip


@pytest.mark.parametrize("broken", RECEIVERS, ids=lambda kind: kind.__name__)
def test_a_broken_receiver_fails_where_it_is_broken(broken: type[Host]) -> None:
    rows = [row for row in tried(broken(Clock(), answers=False)) if row.role == "receiver"]
    assert failed(rows) == {(each.clause, each.done) for each in RECEIVERS[broken]}
    assert exit_code(rows) == (1 if RECEIVERS[broken] else 0)


# ---- broken senders ---------------------------------------------------------------------------------------------


class Endless(lis1a.Sender):
    """Never gives up."""

    def receive(self, data: bytes) -> list[lis1a.SenderEvent]:
        self._attempts = 0
        return super().receive(data)


class Heedless(lis1a.Sender):
    """Takes every reply for ACK."""

    def receive(self, data: bytes) -> list[lis1a.SenderEvent]:
        return super().receive(b"\x06" * len(data) if self.state is lis1a.State.REPLY else data)


class Pushing(lis1a.Sender):
    """Does not wait for the reply to its first frame."""

    def receive(self, data: bytes) -> list[lis1a.SenderEvent]:
        first = self.state is lis1a.State.ENQ_SENT
        made = super().receive(data)
        return [*made, *made] if first else made


def with_timer(name: str, seconds: float) -> type[lis1a.Sender]:
    class Other(lis1a.Sender):
        def __init__(self, frames: Sequence[bytes], role: lis1a.Role) -> None:
            super().__init__(frames, role, {**lis1a.TIMERS, name: lis1a.Timer(name, seconds, "wrong")})

    return Other


SENDERS: dict[str, tuple[type[lis1a.Sender], set[object]]] = {
    "never gives up": (Endless, {astm_sender.six_times, astm_sender.repeats_whole}),
    "ignores NAK": (Heedless, {astm_sender.repeats, astm_sender.other_reply, astm_sender.six_times,
                               astm_sender.repeats_whole}),
    "busy means nothing": (with_timer("busy", 0.5), {astm_sender.busy}),
    "waits 5 s for ENQ's answer": (with_timer("establish", 5), {astm_sender.no_answer}),
    "waits 5 s for a reply": (with_timer("reply", 5), {astm_sender.no_reply, astm_sender.late_reply}),
    "waits for ever for a reply": (with_timer("reply", 1e9), {astm_sender.no_reply}),
}  # fmt: skip


@pytest.mark.parametrize("name", SENDERS)
@pytest.mark.parametrize("side", ["host", "analyzer"])
def test_a_broken_sender_fails_where_it_is_broken(name: str, side: str) -> None:
    broken, expected = SENDERS[name]

    class BrokenHost(Host):
        def new_sender(self, frames: Sequence[bytes]) -> lis1a.Sender:
            return broken(frames, lis1a.Role.HOST)

    class BrokenAnalyzer(Sending):
        def new_sender(self, frames: Sequence[bytes]) -> lis1a.Sender:
            return broken(frames, lis1a.Role.ANALYZER)

    if (name, side) == ("ignores NAK", "analyzer"):  # it takes EOT for ACK too, and begins anew after 5 s
        expected = expected | {astm_sender.interrupted}
    peer = BrokenHost(Clock()) if side == "host" else BrokenAnalyzer(Clock(), [MESSAGE])
    rows = [row for row in tried(peer, host=side == "host") if row.role == "sender"]
    assert failed(rows) == {(each.clause, each.done) for each in expected}


def test_a_sender_that_does_not_wait_for_the_reply_fails_ll_25() -> None:
    class BrokenHost(Host):
        def new_sender(self, frames: Sequence[bytes]) -> lis1a.Sender:
            return Pushing(frames, lis1a.Role.HOST)

    assert "LL-25" in clauses(tried(BrokenHost(Clock()), "generic_astm", True, False, "LL-25"))


def test_a_host_that_insists_in_contention_fails_ll_17() -> None:
    class Insists(Host):
        def new_sender(self, frames: Sequence[bytes]) -> lis1a.Sender:
            return lis1a.Sender(frames, lis1a.Role.ANALYZER)

    assert clauses(tried(Insists(Clock()), "generic_astm", True, False, "LL-17")) == ["LL-17"]


def test_frames_that_are_wrong_in_themselves() -> None:
    class Wrong(Host):
        def new_sender(self, frames: Sequence[bytes]) -> lis1a.Sender:
            return lis1a.Sender([framing.frame(4, b"H|\x12\rL|1\rH|\r")[:-4] + b"zz\r\n"], lis1a.Role.HOST)

    wanted = ("LL-20", "LL-21", "LL-23", "LL-24", "LL-38")
    rows = [row for row in tried(Wrong(Clock()), "generic_astm", True, False, *wanted) if row.role == "sender"]
    assert clauses(rows) == ["LL-21", "LL-23", "LL-24", "LL-38"]
    assert verdicts(rows, Verdict.PASS) == ["LL-20"]


# ---- broken HL7 -------------------------------------------------------------------------------------------------


class WrongMsa2(Hl7Host):
    """Answers with a control id of its own choice."""

    def acknowledgement(self, asked: Sequence[hl7.Segment], code: str) -> bytes:
        return super().acknowledgement(asked, code).replace(b"MSA|AA|CF", b"MSA|AA|CX")


class AlwaysAa(Hl7Host):
    """One AA to everything, whatever was asked."""

    def message(self, body: bytes) -> None:
        self.say(self.acknowledgement(hl7.parse(body), "AA"))


class OneRead(Hl7Host):
    """One read is one block; the rest of it is lost."""

    def heard(self, data: bytes) -> None:
        if data.startswith(mllp.VT) and mllp.FS in data:
            self.message(data[1 : data.find(mllp.FS)])


class NoBlock(Hl7Host):
    """Answers without a block around."""

    def say(self, body: bytes) -> None:
        self.out += body


ALL_MLLP = {"ML-01", "ML-02", "ML-03", "ML-05", "ML-06", "H7-01", "H7-02", "H7-03", "H7-04", "H7-05"}
HL7_HOSTS: dict[type[Hl7Host], set[str]] = {
    WrongMsa2: {"ML-01", "ML-02", "ML-03", "ML-05", "ML-06", "H7-02", "H7-03"},
    AlwaysAa: {"H7-02", "H7-04"},
    OneRead: {"ML-01", "ML-02", "ML-03"},
    NoBlock: ALL_MLLP,
}


@pytest.mark.parametrize("broken", HL7_HOSTS, ids=lambda kind: kind.__name__)
def test_a_broken_hl7_receiver_fails_where_it_is_broken(broken: type[Hl7Host]) -> None:
    assert set(clauses(tried(broken(Clock()), "generic_hl7"))) == HL7_HOSTS[broken]


class Careless(SendingHl7):
    """Takes every answer for its own, and does not wait for it."""

    def seconds(self) -> float | None:
        return 1.0

    def heard(self, data: bytes) -> None:
        self.number += 1


def test_a_broken_hl7_sender_fails_where_it_is_broken() -> None:
    rows = tried(Careless(Clock(), ORU), "generic_hl7", host=False)
    assert failed(rows) == {(each.clause, each.done) for each in (hl7_cases.sender_waits, hl7_cases.sender_repeats)}


# ---- what is printed --------------------------------------------------------------------------------------------


def test_the_table_tells_a_failure_in_full_and_json_says_the_same() -> None:
    rows = tried(NoRepeats(Clock(), answers=False), "generic_astm", True, False, "LL-34", "LL-15", "LL-27")
    lines = table(rows).splitlines()
    assert [line.split()[0] for line in lines[:2]] == ["pass", "FAIL"]
    assert lines[2].strip() == "expected: ACK to each"
    assert lines[3].strip() == "seen:     <ACK><NAK><ACK>"
    assert lines[4].startswith("n/a ") and "sends no ENQ" in lines[4]
    assert lines[-1] == "1 pass, 1 fail, 1 not applicable"
    told = json.loads(as_json(rows, driver="generic_astm"))
    assert told["summary"] == {"pass": 1, "fail": 1, "not applicable": 1}
    assert [row["verdict"] for row in told["rows"]] == ["pass", "fail", "not applicable"]
