"""Every fault against our own receiver: nothing is lost, nothing is kept twice, and what is refused is sent again."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from drivers.driver import Message, MessageType, load_driver
from drivers.wire import hl7, lis1a
from simulators import framing
from simulators import line as line_module
from simulators.day import ANALYZERS, made_up_day, plan
from simulators.faults import KINDS, Faults, chosen
from simulators.play import Books, Manner, Player
from simulators.step import Step
from tests.conform.peers import Clock, Hl7Host, Host, Peer, Stop

DAY = made_up_day(3, datetime(2026, 11, 22, 3, 30, tzinfo=UTC), count=6)
STEPS = {name: plan(DAY, name)[-5:] for name in ("generic_astm", "sysmex_xn", "roche_cobas_e411", "generic_hl7")}


class Played:
    """One analyzer's steps played to a host, with faults, on a clock that jumps."""

    def __init__(self, name: str, faults: list[str], seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps = STEPS[name]
        clock = Clock()
        monkeypatch.setattr(line_module, "time", clock)
        speaks = ANALYZERS[name].speaks
        self.host: Host | Hl7Host = Host(clock) if speaks == "ASTM" else Hl7Host(clock)
        stop = Stop(clock, lambda: self.host.until(clock.now))
        self.faults = Faults(seed, stop)
        self.faults.set([chosen(text, speaks) for text in faults])
        self.said: list[Step] = []
        self.wrote: list[bytes] = []
        manner = Manner(retry=1.0, once=True)
        opener = self.faults.on(Noted(self.host, self.wrote))
        Player(ANALYZERS[name], self.steps, opener, stop, manner, Books(None, ""), said=self._said).run()

    def _said(self, step: Step) -> Step:
        self.said.append(self.faults.said(step))
        return self.said[-1]

    @property
    def told(self) -> list[bytes]:
        """What the host should hold: each step as its last attempt said it."""
        return list({step.seq: step.said.body for step in self.said}.values())


class Noted:
    """The host's line, with a note of every write on the wire."""

    def __init__(self, peer: Peer, wrote: list[bytes]) -> None:
        self._peer, self._wrote = peer, wrote

    def open(self) -> Noted:
        self._peer.open()
        return self

    def write(self, data: bytes) -> None:
        self._wrote.append(data)
        self._peer.write(data)

    def read(self, seconds: float) -> bytes:
        return self._peer.read(seconds)

    def close(self) -> None:
        self._peer.close()


def kinds(speaks: str) -> list[str]:
    return [kind for kind, fault in KINDS.items() if speaks in fault.speaks]


def often(kind: str) -> str:
    """So often that five messages are enough."""
    return kind if KINDS[kind].options["rate"] == "1" else f"{kind}:rate=0.6"


def queries(messages: list[bytes]) -> int:
    return sum(b"\rQ|" in body for body in messages)


@pytest.mark.parametrize("kind", kinds("ASTM"))
@pytest.mark.parametrize("name", ["generic_astm", "roche_cobas_e411"])
def test_astm_nothing_is_lost_and_nothing_comes_twice(name: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(3):
        played = Played(name, [often(kind)], seed, monkeypatch)
        results = [body for body in played.host.messages if b"\rQ|" not in body]
        assert results == played.told
        assert played.wrote != Played(name, [], seed, monkeypatch).wrote, "the fault has struck"


@pytest.mark.parametrize("kind", kinds("HL7"))
def test_hl7_nothing_is_lost_and_what_comes_twice_says_so(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repeat carries the control id it had: H7-03 tells it from a new message."""
    for seed in range(3):
        played = Played("generic_hl7", [often(kind)], seed, monkeypatch)
        came = [line for body in played.host.messages for line in [read_hl7(body)]]
        assert list(dict.fromkeys(came)) == [line for body in played.told for line in map(read_hl7, hl7.split(body))]
        struck = played.wrote != Played("generic_hl7", [], seed, monkeypatch).wrote
        assert played.host.out if kind == "never_reads" else struck


def read_hl7(body: bytes) -> tuple[str, ...]:
    return tuple(hl7.lines(hl7.text(body)))


@pytest.mark.parametrize("seed", range(4))
def test_faults_combine(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = ["split", "bad_checksum", "lost_ack", "noise:rate=0.05", "disconnect:rate=0.1,times=3", "garbage"]
    played = Played("sysmex_xn", wanted, seed, monkeypatch)
    assert played.host.messages == played.told


@pytest.mark.parametrize("name", ["sysmex_xn", "generic_hl7"])
def test_the_same_seed_gives_the_same_bytes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = ["split", "lost_ack", "oversize:size=100", "garbage", "disconnect:rate=0.1,times=2"]
    first, again, other = (Played(name, wanted, seed, monkeypatch).wrote for seed in (7, 7, 8))
    assert first == again
    assert first != other


@pytest.mark.parametrize("order", [1, -1])
def test_the_order_in_which_faults_are_named_is_all_one(order: int, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = ["split", "merged:rate=0.5", "no_cr", "garbage"][::order]
    played = Played("sysmex_xn", wanted, 1, monkeypatch)
    assert played.host.messages == played.told
    assert Counter(played.wrote) == Counter(Played("sysmex_xn", wanted[::-1], 1, monkeypatch).wrote)


# ---- what each of them puts on the wire -------------------------------------------------------------------------


def frames_written(played: Played) -> list[bytes]:
    return [data for data in played.wrote if data.startswith(b"\x02")]


def test_a_bad_checksum_is_refused_and_the_frame_comes_again_with_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = frames_written(Played("sysmex_xn", ["bad_checksum:times=1,rate=1"], 1, monkeypatch))
    assert frames[0][:-4] == frames[1][:-4]
    assert frames[0][-4:-2] != frames[1][-4:-2]


def test_a_wrong_number_has_a_checksum_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = frames_written(Played("sysmex_xn", ["wrong_number:times=1,rate=1"], 1, monkeypatch))
    assert frames[0][1:2] not in (b"0", b"1")
    assert frames[0][-4:-2] == b"%02X" % (sum(frames[0][1:-4]) % 256)
    assert frames[1][1:2] == b"1" and frames[0][2:-4] == frames[1][2:-4]


def test_an_unseen_ack_brings_the_frame_again(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = frames_written(Played("generic_astm", ["lost_ack:times=1,rate=1"], 1, monkeypatch))
    assert frames[0] == frames[1] != frames[2]


def test_merged_writes_hold_two_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    written = Played("generic_astm", ["merged:rate=1"], 1, monkeypatch).wrote
    assert any(data.count(b"\x02") == 2 for data in written)
    assert b"\x04\x05" in written


def test_silence_outlasts_the_receiver_and_leaves_an_incomplete_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """LL-36: 30 s, then what came is no message; the analyzer gets no reply and says it all again."""
    played = Played("sysmex_xn", ["lost_ack:rate=0", "silence:rate=0.2"], 5, monkeypatch)
    assert played.host.messages == played.told
    assert len(played.said) == len(played.steps) + 1


def test_a_pulled_cable_leaves_what_was_accepted_as_incomplete(monkeypatch: pytest.MonkeyPatch) -> None:
    played = Played("generic_astm", ["disconnect:rate=0.3"], 2, monkeypatch)
    assert played.host.messages == played.told
    assert len(played.host.incomplete) == 1
    assert any(body.startswith(played.host.incomplete[0]) for body in played.told)


def test_eot_without_l_leaves_an_incomplete_message_and_the_whole_one(monkeypatch: pytest.MonkeyPatch) -> None:
    played = Played("roche_cobas_e411", ["eot_without_l:rate=1,times=1"], 1, monkeypatch)
    assert played.host.incomplete == [re.sub(rb"L\|[^\r]*\r\Z", b"", played.told[0])]
    assert played.host.messages == played.told


def test_contention_is_won_by_the_analyzer_after_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """LL-17: the lab's answer waits; ENQ is said again."""
    played = Played("generic_astm", ["contention"], 1, monkeypatch)
    assert queries(played.host.messages) == 1
    enquiries = [at for at, data in enumerate(played.wrote) if data == b"\x05"]
    assert enquiries[2] == enquiries[1] + 1, "asked twice in a row"


def test_endless_nak_makes_the_lab_give_up_after_six(monkeypatch: pytest.MonkeyPatch) -> None:
    """LL-30, and our own results pass all the same."""
    played = Played("generic_astm", ["endless_nak"], 1, monkeypatch)
    assert played.wrote.count(b"\x15") == 6
    assert played.host.messages[1:] == played.told


@pytest.mark.parametrize("kind", ["contention", "endless_nak"])
@pytest.mark.parametrize("name", ["generic_astm", "sysmex_xn", "roche_cobas_e411"])
def test_a_fault_that_asks_asks_as_its_analyzer(name: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its driver finds the name that it is configured for, and nothing odd."""
    played = Played(name, [kind], 1, monkeypatch)
    (body,) = [body for body in played.host.messages if b"\rQ|" in body]
    said = load_driver(name).decode(Message("1", name, DAY.start, body))
    assert (said.type, said.problems) == (MessageType.QUERY, ())
    assert body.partition(b"\r")[0] == played.told[0].partition(b"\r")[0]


def test_a_wrong_clock_moves_times_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("generic_astm", "generic_hl7"):
        played = Played(name, ["wrong_clock:days=-3650"], 1, monkeypatch)
        for told, step in zip(played.told, played.steps, strict=True):
            assert b"20161124" in told and b"20261122" not in told
            blind = [re.sub(rb"(?<=\|)20\d{12}(?=[|\r])", b"time", body) for body in (told, step.said.body)]
            assert blind[0] == blind[1]


def test_a_wrong_charset_touches_a_comment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    played = Played("roche_cobas_e411", ["wrong_charset:charset=utf-8"], 1, monkeypatch)
    for told, step in zip(played.told, played.steps, strict=True):
        added = [line for line in told.split(b"\r") if line not in step.said.body.split(b"\r")]
        assert len(added) == 1 and added[0].startswith(b"C|1|I|Gr\xc3\xb6")


def test_an_oversize_frame_is_over_the_limit_of_the_standard(monkeypatch: pytest.MonkeyPatch) -> None:
    played = Played("sysmex_xn", ["oversize:rate=1,times=1"], 1, monkeypatch)
    assert len(frames_written(played)[0]) > 64_000
    assert played.host.messages == played.told, "larger than we may send, and still read"


def test_a_frame_over_our_own_limit_is_refused_and_comes_in_small(monkeypatch: pytest.MonkeyPatch) -> None:
    played = Played("sysmex_xn", ["oversize:rate=1,times=1,size=300000", "split:pieces=200"], 1, monkeypatch)
    assert played.host.messages == [step.said.body for step in played.steps]


def test_a_frame_over_our_own_limit_is_refused_in_one_piece_too() -> None:
    """The same bytes, whole or in pieces, must give the same result."""
    host = Host(Clock())
    host.write(b"\x05")
    host.write(framing.frame(1, b"H|\\^&\rC|1|I|" + b"x" * 300_000 + b"\r"))
    assert host.read(0) == b"\x06\x15"


def test_ll_14_6_2_6_sender_only_an_analyzer_in_a_hurry_asks_a_busy_lab_before_its_ten_seconds() -> None:
    assert [Manner(retry=retry).timers["busy"].seconds for retry in (5.0, 60.0, 1.0, 0.0)] == [10, 10, 1.0, 0.05]
    assert Manner().timers == lis1a.TIMERS


# ---- what is told at the end ------------------------------------------------------------------------------------


def test_how_often_each_fault_struck_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was named and never came to pass has not been tried: that has to be seen."""
    wanted = ["bad_checksum:rate=1,times=2", "disconnect:rate=0", "no_cr:times=1", "slow:baud=9600,times=3"]
    faults = Played("sysmex_xn", wanted, 1, monkeypatch).faults
    assert faults.struck == "bad_checksum 2 times, no_cr once, slow 3 times, disconnect never"
    assert Played("sysmex_xn", [], 1, monkeypatch).faults.struck == ""


def test_a_strike_that_changes_nothing_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checksum of digits alone is the same in small letters: the next one that is not is it."""
    played = Played("generic_astm", ["lower_checksum:times=1"], 1, monkeypatch)
    assert played.faults.struck == "lower_checksum once"
    assert sum(frame[-4:-2] != frame[-4:-2].upper() for frame in frames_written(played)) == 1


def test_a_question_that_the_lab_does_not_answer_is_no_contention(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Host, "message", lambda self, made: self.messages.append(made.body))
    assert Played("generic_astm", ["contention"], 1, monkeypatch).faults.struck == "contention never"


def test_an_analyzer_that_seldom_reads_reads_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    played = Played("generic_hl7", ["never_reads:rate=1,times=2"], 1, monkeypatch)
    assert played.faults.struck == "never_reads 2 times"
    assert not played.host.out, "the last answer was read"


# ---- naming them ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "speaks", "why"),
    [
        ("smoke", "ASTM", "there is no fault 'smoke'"),
        ("no_fs", "ASTM", "no_fs is a fault of HL7"),
        ("split:size=3", "ASTM", "has no option 'size'"),
        ("split:pieces=many", "ASTM", "cannot use pieces='many'"),
        ("slow:baud=0", "HL7", "cannot use baud='0'"),
        ("garbage:rate=2", "ASTM", "cannot use rate='2'"),
        ("garbage:times=0.5", "ASTM", "cannot use times='0.5'"),
        ("silence:seconds=inf", "ASTM", "cannot use seconds='inf'"),
        ("wrong_charset:charset=klingon", "HL7", "cannot use charset='klingon'"),
    ],
)
def test_a_fault_that_cannot_be_is_named(text: str, speaks: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        chosen(text, speaks)


def test_every_fault_has_its_line_in_the_list() -> None:
    from typer.testing import CliRunner

    from simulators.cli import app

    shown = CliRunner().invoke(app, ["--list-faults"])
    assert shown.exit_code == 0
    assert [line.split()[0] for line in shown.stdout.splitlines()] == list(KINDS)


def test_no_fault_named_in_vain(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from simulators.cli import app

    shown = CliRunner().invoke(app, ["generic_astm", "--to", "tcp://127.0.0.1:9", "--fault", "smoke"])
    assert shown.exit_code == 2
    assert "there is no fault 'smoke'" in shown.stderr
