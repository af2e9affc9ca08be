"""Plays a plan over a line: sends each message until the lab has acknowledged it, and writes the books.

Turns steps into bytes on a line and log lines on disk. Law: a step is logged only when every frame of it was accepted
(or its HL7 message answered AA); what was refused or not answered is sent again whole, as an analyzer does, for ever.
Source: LIS01-A2 6.5.1.2, 6.5.2.3 (keep and repeat), HL7 v2.3.1 2.9.2 (AA, AE, AR), MLLP.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Protocol

import hl7

from drivers.wire import lis1a, mllp
from simulators import framing, mindray_bc
from simulators.fault_rig import Spoilt
from simulators.line import Opener, Stopped, Waiting
from simulators.step import Analyzer, Step

log = logging.getLogger("simulators")
IDLE = 5.0  # seconds between two keep-alives, and between two looks for more to send
RETRY = 5.0  # seconds, usually, before a message that was not accepted is repeated


@dataclass(frozen=True, slots=True)
class Manner:
    """How a plan is played: seconds between messages, before a repeat, and for an HL7 answer."""

    pace: float = 0.0
    retry: float = RETRY
    reply: float = 15.0
    once: bool = False

    @property
    def timers(self) -> Mapping[str, lis1a.Timer]:
        """The standard's timers; only who is to hurry (a shorter `retry` than usual) leaves a busy lab alone for no
        longer than that, not for its 10 s (6.2.6)."""
        if self.retry >= RETRY:
            return lis1a.TIMERS
        return {**lis1a.TIMERS, "busy": replace(lis1a.TIMERS["busy"], seconds=max(self.retry, 0.05))}


@dataclass(frozen=True, slots=True)
class Books:
    """The log of what was acknowledged, one JSON object a line; `analyzer` is the name it is kept under."""

    path: Path | None
    analyzer: str

    def done(self) -> set[int]:
        """The numbers of the steps this analyzer has already delivered. A line that a crash cut off does not count.
        ValueError where nothing can be kept: before anything is sent."""
        if self.path is None:
            return set()
        if not self.path.parent.is_dir():
            raise ValueError(f"{self.path} cannot be written: there is no folder {self.path.parent}")
        if not self.path.exists():
            return set()
        lines = [json.loads(line) for line in self.path.read_text(encoding="utf-8").splitlines() if line.endswith("}")]
        return {int(line["seq"]) for line in lines if line["analyzer"] == self.analyzer}

    def add(self, step: Step, tries: int, replies: int = 0) -> None:
        """This step was acknowledged, at the `tries`-th attempt; `replies`: messages by which the analyzer answered."""
        if self.path is None:
            return
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = {"analyzer": self.analyzer, "seq": step.seq, "at": at, **step.books(), "tries": tries}
        line |= {"replies": replies} if replies else {}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


class Talks(Protocol):
    """An analyzer that also listens: it sends its steps itself, and hears what the lab says while it is idle."""

    def send(self, line: Waiting, step: Step, manner: Manner) -> bool:
        """One step, with what the lab answers; True when it is done."""
        ...

    def idle(self, line: Waiting, manner: Manner) -> None:
        """A while without a step of its own."""
        ...

    def replies(self) -> int:
        """How many messages it answered with since this was last asked."""
        ...


def nothing_more() -> Sequence[Step]:
    """For a plan that nothing comes after."""
    return ()


def as_it_is(step: Step) -> Step:
    """For an analyzer without faults."""
    return step


class Player:
    """Sends the steps that the log does not have yet. `more` is asked for further steps when all are sent; `said` is
    asked how each attempt says its step. `talks` is what an analyzer that also listens brings."""

    def __init__(
        self,
        analyzer: Analyzer,
        steps: Sequence[Step],
        opener: Opener,
        stop: Event,
        manner: Manner,
        books: Books,
        more: Callable[[], Sequence[Step]] = nothing_more,
        said: Callable[[Step], Step] = as_it_is,
        talks: Talks | None = None,
    ) -> None:
        self._analyzer, self._opener, self._stop, self._manner, self._books = analyzer, opener, stop, manner, books
        self._steps, self._more, self._said = list(steps), more, said
        self._line: Waiting | None = None
        self._send: Send = talks.send if talks else SENDS[analyzer.speaks]
        self._talks = talks
        self._down = False

    def run(self) -> None:
        """Play the plan; then, unless it is to be played once, stay on the line until stopped."""
        try:
            while self._steps:
                self._play()
                self._steps = list(self._more())
            while not self._manner.once:
                self._idle()
                self._steps = list(self._more())
                self._play()
        except Stopped:
            log.info("%s: stopped", self._analyzer.name)
        finally:
            self._drop()

    def _play(self) -> None:
        done = self._books.done() if self._steps else set()
        left = [step for step in self._steps if step.seq not in done]
        for number, step in enumerate(left):
            if number and not step.burst:
                self._pause(self._manner.pace)
            self._deliver(step)
        if self._steps:
            log.info("%s: all %d messages are sent", self._analyzer.name, len(left))

    def _deliver(self, step: Step) -> None:
        tries = 0
        while True:
            line = self._connected()
            tries += 1
            try:
                if self._send(line, self._said(step), self._manner):
                    self._books.add(step, tries, self._talks.replies() if self._talks else 0)
                    return
                log.warning("%s: message %d not accepted, will be repeated", step.analyzer, step.seq)
            except Spoilt as fault:
                log.info("%s: message %d spoilt on purpose: %s", step.analyzer, step.seq, fault)
            except ConnectionError as error:
                self._lost(error)
            self._pause(self._manner.retry)

    def _connected(self) -> Waiting:
        while self._line is None:
            try:
                self._line = Waiting(self._opener.open(), self._stop)
                log.info("%s: connected", self._analyzer.name)
                self._down = False
            except ConnectionError as error:
                self._lost(error)
                self._pause(min(self._manner.retry, 1.0))
        return self._line

    def _lost(self, error: ConnectionError) -> None:
        if not self._down:
            log.info("%s: no line: %s", self._analyzer.name, error)
        self._down = True
        self._drop()

    def _drop(self) -> None:
        if self._line is not None:
            self._line.line.close()
            self._line = None

    def _pause(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise Stopped

    def _idle(self) -> None:
        """Keep the line, refuse what the lab wants to send (LIS01-A2 6.2.7), show that we are alive."""
        line = self._connected()
        try:
            if self._talks is not None:
                self._talks.idle(line, self._manner)
                return
            came = line.read(IDLE)
            if self._analyzer.speaks == "ASTM" and came.endswith(b"\x05"):
                line.line.write(b"\x15")
            elif not came and self._analyzer.name == mindray_bc.NAME:
                line.line.write(mindray_bc.KEEP_ALIVE)
        except ConnectionError as error:
            self._lost(error)


def frames_of(step: Step) -> list[bytes]:
    """The frames of one ASTM message as this analyzer cuts it."""
    said = step.said
    if said.frame > lis1a.MAX_FRAME - 7:
        return [framing.frame(1, said.body)]  # a fault: over what any sender may say
    if said.etb:
        records = said.body.splitlines(keepends=True)
        ends = [said.etb == 1 and number == len(records) for number in range(1, len(records) + 1)]
        return [lis1a.frame(number, *each) for number, each in enumerate(zip(records, ends, strict=True), 1)]
    if said.frame == 0:
        return lis1a.frames(said.body, size=lis1a.MAX_FRAME - 7, one_record_a_frame=True, bare=said.bare)
    return lis1a.frames(said.body, size=said.frame, bare=said.bare)


def send_astm(line: Waiting, step: Step, manner: Manner) -> bool:
    """One session with one message; True when every frame was accepted."""
    left = line.read(0)  # what was left on the line answers nothing of ours, but an ENQ of the lab still stands
    sender = lis1a.Sender(frames_of(step), lis1a.Role.ANALYZER, manner.timers)
    line.line.write(sender.start())
    if left.endswith(framing.ENQ):
        sender.receive(framing.ENQ)  # contention is ours (6.2.7.1): we wait and ask again
    while True:
        timer = sender.timer
        if timer is None:
            return False
        came = line.read(timer.seconds)
        events = sender.receive(came) if came else sender.expire()
        outcome = _act(line, events)
        if outcome is not None:
            return outcome


def _act(line: Waiting, events: Sequence[lis1a.SenderEvent]) -> bool | None:
    """Write what is to be written; True or False when the session is over."""
    outcome = None
    for event in events:
        if isinstance(event, lis1a.Send):
            line.line.write(event.data)
        elif isinstance(event, lis1a.Sent):
            outcome = True
        elif isinstance(event, lis1a.Failed | lis1a.Yielded):
            outcome = False
    return outcome


def send_hl7(line: Waiting, step: Step, manner: Manner) -> bool:
    """One block; True when it was answered AA (or CA) with our own control id."""
    head = mindray_bc.KEEP_ALIVE if step.analyzer == mindray_bc.NAME else b""
    line.line.write(head + mllp.block(step.said.body))
    if wants_no_answer(step.said.body):
        return True
    receiver = mllp.Receiver()
    while came := line.read(manner.reply):
        for body in blocks(receiver, came):
            verdict = acknowledgement(body)
            if verdict[1] == step.said.control_id:
                return verdict[0] in ("AA", "CA")
    return False


def wants_no_answer(body: bytes) -> bool:
    """MSH-15 and MSH-16 say NE: never an acknowledgement (HL7 v2.5.1 2.9.3, table 0155)."""
    fields = body.split(b"\r", 1)[0].split(body[3:4])
    return [field.strip() for field in fields[14:16]] == [b"NE", b"NE"]


def blocks(receiver: mllp.Receiver, data: bytes) -> list[bytes]:
    """The bodies of whole blocks."""
    return [event.body for event in receiver.receive(data) if isinstance(event, mllp.Block)]


def acknowledgement(body: bytes) -> tuple[str, str]:
    """MSA-1 and MSA-2, read by python-hl7; ("", "") when there is no MSA."""
    text = body.decode("utf-8", "replace").replace("\r\n", "\r").replace("\n", "\r")  # its parser knows only CR
    try:
        segment = hl7.parse(text).segment("MSA")
    except (KeyError, hl7.HL7Exception):
        return "", ""
    return str(segment[1]), str(segment[2])


def send_turns(line: Waiting, step: Step, manner: Manner) -> bool:
    """One message of a block dialect, turn by turn; True when the lab said what it must after each."""
    return talk(line, step.said.turns, manner.reply) is not None


def talk(line: Waiting, turns: Sequence[tuple[bytes, bytes]], seconds: float) -> bytes | None:
    """Write each turn and wait for what must be heard after it; what came behind the last, None when one failed."""
    line.read(0)  # what was left on the line answers nothing of ours
    heard = b""
    for data, wanted in turns:
        if data:
            line.line.write(data)
        while wanted and wanted not in heard:
            came = line.read(seconds)
            heard += came
            if not came or (wanted not in heard and heard.endswith(framing.NAK)):
                return None
        heard = heard.partition(wanted)[2] if wanted else heard
    return heard


Send = Callable[[Waiting, Step, Manner], bool]
SENDS: Mapping[str, Send] = {"ASTM": send_astm, "HL7": send_hl7, "blocks": send_turns}
