"""What can go wrong between an analyzer and the lab: every kind of fault, and the layer that brings some of them about.

Turns `--fault KIND[:option=value,...]` into changed messages, frames and lines. Law: faults combine in any order they
are named: message, then frame, then exchange, then wire; the same seed and the same traffic give the same faults.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from threading import Event

from simulators import fault_lines as lines
from simulators import fault_messages as messages
from simulators import fault_wire as wire
from simulators.fault_rig import Layer, Rig
from simulators.framing import is_block, is_frame
from simulators.line import Line, Opener
from simulators.step import Step

OnMessage = Callable[[Step, Rig], Step]
OnUnit = Callable[[bytes, Rig], bytes]
OnLine = Callable[[Line, Rig], Line]
ALWAYS: Mapping[str, str] = {"rate": "1", "times": "0"}
OFTEN: Mapping[str, str] = {"rate": "0.2", "times": "0"}
ONCE: Mapping[str, str] = {"rate": "1", "times": "1"}


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind: what it is in one line, for which languages, its options with what they are when nothing is said.

    `rate` is the share of frames, blocks or messages it strikes, `times` how often at most (0: no end).
    """

    kind: str
    line: str
    options: Mapping[str, str]
    message: OnMessage | None = None
    unit: OnUnit | None = None
    exchange: OnLine | None = None
    wire: OnLine | None = None
    speaks: tuple[str, ...] = ("ASTM", "HL7")

    @property
    def text(self) -> str:
        """The line that `--list-faults` prints."""
        options = ",".join(f"{name}={value}" for name, value in self.options.items())
        only = "" if len(self.speaks) > 1 else f" ({self.speaks[0]} only)"
        return f"{self.kind:17} {self.line}{only} [{options}]"


A, H, ALL = ("ASTM",), ("HL7",), ("ASTM", "HL7", "blocks")
KINDS: Mapping[str, Fault] = {
    fault.kind: fault
    for fault in (  # in their order, from the line outwards where several are of one sort
        Fault("bad_checksum", "a frame with a wrong checksum", OFTEN, unit=messages.bad_checksum, speaks=A),
        Fault("lower_checksum", "the checksum in small letters", ALWAYS, unit=messages.lower_checksum, speaks=A),
        Fault("wrong_number", "a frame number that is neither the last nor the next", OFTEN,
              unit=messages.wrong_number, speaks=A),
        Fault("no_cr", "no CR before ETX", ALWAYS, unit=messages.no_cr, speaks=A),
        Fault("fs_without_cr", "the block ends with FS, no CR follows", ALWAYS, unit=messages.fs_without_cr, speaks=H),
        Fault("vt_inside", "a block begins, and begins again before its end", OFTEN, unit=messages.vt_inside, speaks=H),
        Fault("wrong_charset", "a comment in a charset that the message does not name",
              {**ALWAYS, "charset": "gbk"}, message=messages.wrong_charset),
        Fault("wrong_clock", "every time in the message is off by so many days", {**ALWAYS, "days": "-3650"},
              message=messages.wrong_clock),
        Fault("oversize", "a comment of so many characters in one frame or block", {**OFTEN, "size": "70000"},
              message=messages.oversize),
        Fault("lf_ends", "segments end with LF, or with CR LF by crlf=1", {**ALWAYS, "crlf": "0"},
              message=messages.lf_ends, speaks=H),
        Fault("several_messages", "several messages in one block, copies with control ids of their own",
              {**OFTEN, "copies": "1"}, message=messages.several_messages, speaks=H),
        Fault("lost_ack", "the analyzer did not see the reply and repeats", OFTEN, exchange=lines.LostAck),
        Fault("repeated_frame", "a frame or block goes out twice at once", OFTEN, exchange=lines.Repeated),
        Fault("merged", "two frames in one write, without waiting for the reply; EOT and ENQ in one", OFTEN,
              exchange=lines.Merged, speaks=A),
        Fault("contention", "asks a query, and its ENQ meets that of the lab's answer",
              {**ONCE, "sample": "0", "wait": "5"}, exchange=lines.Contention, speaks=A),
        Fault("endless_nak", "asks a query, and refuses every frame of the lab's answer",
              {**ONCE, "sample": "0", "wait": "5"}, exchange=lines.EndlessNak, speaks=A),
        Fault("eot_without_l", "EOT where the L record should come; the message is repeated", OFTEN,
              exchange=lines.EotWithoutL, speaks=A),
        Fault("no_fs", "a block without its end; the message is repeated", OFTEN, exchange=lines.NoFs, speaks=H),
        Fault("never_reads", "never reads an acknowledgement, takes everything for accepted", ALWAYS,
              exchange=lines.NeverReads, speaks=H),
        Fault("slow", "bytes arrive at 300 baud", {**ALWAYS, "baud": "300"}, wire=wire.Slow, speaks=ALL),
        Fault("split", "bytes arrive in random pieces", {**ALWAYS, "pieces": "8", "pause": "0.002"}, wire=wire.Split,
              speaks=ALL),
        Fault("garbage", "bytes that mean nothing before and after what is sent", OFTEN, wire=wire.Garbage),
        Fault("noise", "one bit of a frame arrives as the other", OFTEN, wire=wire.Noise, speaks=A),
        Fault("silence", "silence in the middle of a frame or block", {**ONCE, "seconds": "32"}, wire=wire.Silence),
        Fault("disconnect", "the cable is pulled in the middle of a frame or block", ONCE, wire=wire.Disconnect),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Chosen:
    """A kind of fault with all its options."""

    fault: Fault
    options: Mapping[str, str]


def chosen(text: str, speaks: str) -> Chosen:
    """From `KIND[:option=value,...]`. ValueError that says what is wrong with it, or that it is of another language."""
    kind, _, given = text.partition(":")
    fault = KINDS.get(kind)
    if fault is None:
        raise ValueError(f"there is no fault {kind!r}; there are: {', '.join(KINDS)}")
    if speaks not in fault.speaks:
        said = "its dialect in blocks" if speaks == "blocks" else speaks
        raise ValueError(f"{kind} is a fault of {' and '.join(fault.speaks)}, this analyzer speaks {said}")
    options = dict(fault.options)
    for pair in filter(None, given.split(",")):
        name, _, value = pair.partition("=")
        if name not in options:
            raise ValueError(f"{kind} has no option {name!r}; it has: {', '.join(options)}")
        options[name] = _proved(kind, name, value, options[name])
    return Chosen(fault, options)


def _proved(kind: str, name: str, value: str, usual: str) -> str:
    try:
        if name == "charset":
            codecs.lookup(value)
        if name in ("charset", "sample"):
            return value
        number = int(value) if name == "times" else float(value)
        least = -inf if name == "days" else name in ("baud", "pieces")
        good = least <= number <= 1 if name == "rate" else least <= number < inf
    except (ValueError, LookupError):
        good = False
    if not good:
        raise ValueError(f"{kind} cannot use {name}={value!r}; usual is {usual}")
    return value


@dataclass
class Faults:
    """The faults of one analyzer on its line; `set` changes them while the line stands."""

    seed: int = 1
    stop: Event = field(default_factory=Event)
    _rigs: list[tuple[Fault, Rig]] = field(default_factory=list)
    _all: list[Rig] = field(default_factory=list)
    _version: int = 0
    _hung_up: int = 0

    def hang_up(self) -> None:
        """The line that stands now ends before the next word."""
        self._hung_up += 1

    @property
    def hung_up(self) -> int:
        """How often it was."""
        return self._hung_up

    def set(self, picked: Sequence[Chosen]) -> None:
        """From now on these, with fresh dice."""
        self._version += 1
        seed = self.seed + 1000 * self._version
        order = sorted(picked, key=lambda each: list(KINDS).index(each.fault.kind))
        self._rigs = [(each.fault, Rig(each.fault.kind, each.options, seed, self.stop)) for each in order]
        self._all += [rig for _, rig in self._rigs]

    @property
    def struck(self) -> str:
        """Every fault that was set, and how often it struck: "garbage 12 times, contention never"."""
        counted: dict[str, int] = {}
        for rig in self._all:
            counted[rig.kind] = counted.get(rig.kind, 0) + rig.struck
        words = {0: "never", 1: "once"}
        return ", ".join(f"{kind} {words.get(count, f'{count} times')}" for kind, count in counted.items())

    def said(self, step: Step) -> Step:
        """The step as this attempt says it."""
        for fault, rig in self._rigs:
            if fault.message and rig.strikes():
                before, step = step, fault.message(step, rig)
                if step == before:
                    rig.missed()
        for _, rig in self._rigs:
            rig.body = step.said.body
        return step

    def on(self, opener: Opener) -> Opener:
        """The opener's lines, with the faults of the moment."""
        return _Opened(opener, self)

    def stack(self, line: Line) -> Line:
        """The layers over a line: the wire's nearest to it, then the exchange's, then those of frames and blocks."""
        for make, rig in [(fault.wire, rig) for fault, rig in self._rigs if fault.wire]:
            line = make(line, rig)
        for make, rig in [(fault.exchange, rig) for fault, rig in self._rigs if fault.exchange]:
            line = make(line, rig)
        for unit, rig in reversed([(fault.unit, rig) for fault, rig in self._rigs if fault.unit]):
            line = _Units(line, rig, unit)
        return line

    @property
    def version(self) -> int:
        """Another number after each `set`."""
        return self._version


class _Opened:
    def __init__(self, opener: Opener, faults: Faults) -> None:
        self._opener, self._faults = opener, faults
        self.close = opener.close

    def open(self) -> Line:
        return _Faulty(self._opener.open(), self._faults)


class _Faulty:
    """A line under the faults of the moment: the layers are built anew when these change."""

    def __init__(self, line: Line, faults: Faults) -> None:
        self._line, self._faults = line, faults
        self._version, self._stack = faults.version, faults.stack(line)
        self._hung_up = faults.hung_up

    def _top(self) -> Line:
        if self._hung_up != self._faults.hung_up:
            raise ConnectionError("hung up by the scenario")
        if self._version != self._faults.version:
            self._version, self._stack = self._faults.version, self._faults.stack(self._line)
        return self._stack

    def read(self, seconds: float) -> bytes:
        return self._top().read(seconds)

    def write(self, data: bytes) -> None:
        self._top().write(data)

    def close(self) -> None:
        self._stack.close()


class _Units(Layer):
    """Each write of the session, changed."""

    def __init__(self, line: Line, rig: Rig, unit: OnUnit) -> None:
        super().__init__(line, rig)
        self._unit = unit

    def write(self, data: bytes) -> None:
        said = data
        if (is_frame(data) or is_block(data)) and self.rig.strikes():
            said = self._unit(data, self.rig)
            if said == data:
                self.rig.missed()
        self.line.write(said)
