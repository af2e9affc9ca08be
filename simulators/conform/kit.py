"""Runs the cases that fit a peer and gathers the rows.

Turns (driver, a way to the peer) into rows, several cases side by side where the peer takes several connections.
Law: a case that cannot be tried is a row that says why; the order of the rows is that of the tables, not of luck.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from threading import Event, Lock

from simulators.conform import astm_receiver, astm_sender, hl7_cases
from simulators.conform.case import Case
from simulators.conform.material import Material
from simulators.conform.report import Row, Verdict
from simulators.conform.talk import Missing, Stopped, Stuck, Talk, show, take
from simulators.framing import ACK, ENQ, EOT, NAK, STX
from simulators.line import Line

AGAIN = 30.0  # seconds in which a host tries again what it could not say
STOPPED = "stopped by Ctrl-C"
OUTSIDE = "is not seen from outside"
UNSEEN = (
    Row("LL-37", "6.5.2.6", "sender", "its store of one whole message", "", "", Verdict.NOT_APPLICABLE,
        f"what it stores {OUTSIDE}"),
    Row("stored", "project", "receiver", "every frame or block it acknowledged is on its disk, once", "", "",
        Verdict.NOT_APPLICABLE, f"that {OUTSIDE}: pull its plug after an ACK, and look"),
)  # fmt: skip


@dataclass
class Peer:
    """A way to the peer. `open` gives a new connection, or raises ConnectionError; `single`: there is only one line,
    kept from case to case. `kind`: tcp or serial."""

    open: Callable[[], Line]
    kind: str = "tcp"
    single: bool = False
    clock: Callable[[], float] = time.monotonic
    _kept: Line | None = None
    left: bytes = b""  # what has come on the kept line and no case has heard: an ENQ right behind the last EOT

    def take(self) -> Line:
        """A line for a case."""
        line, self._kept = self._kept or self.open(), None
        return line

    def give(self, line: Line, alive: bool, left: bytes = b"") -> None:
        """The case is over; `left` is for the next."""
        self.left = left if self.single and alive else b""
        if self.single and alive:
            self._kept = line
        else:
            line.close()

    def close(self) -> None:
        """The run is over."""
        if self._kept is not None:
            self._kept.close()


@dataclass
class Kit:
    """One run against one peer."""

    peer: Peer
    material: Material
    jobs: int = 1
    quick: bool = False
    clauses: tuple[str, ...] = ()
    progress: Callable[[str], None] = lambda _: None
    stop: Event = field(default_factory=Event)  # set by Ctrl-C: what is not tried by then is left out
    _done: int = 0
    _gone: str = ""  # why no case can be tried any more
    _lock: Lock = field(default_factory=Lock)

    def run(self) -> list[Row]:
        """Every case that fits, in order. ConnectionError when the peer cannot be reached at all."""
        cases = [each for each in self._cases() if self._wanted(each.clause)]
        astm = self.material.speaks != "HL7"
        unseen = [row for row in UNSEEN if self._wanted(row.clause) and (astm or row.clause == "stored")]
        unable = self._probe(cases) if cases else {}  # a clause was mistyped: nobody is called, or waited for
        with ThreadPoolExecutor(max(1, self.jobs)) as pool:
            tried = [pool.submit(self._row, each, unable.get(each.role, ""), len(cases)) for each in cases]
            try:
                wait(tried)
            except KeyboardInterrupt:
                self.stop.set()
            rows = [each.result() for each in tried]
        self.peer.close()
        return [*rows, *unseen]

    def _talk(self, line: Line) -> Talk:
        made = Talk(line, self.peer.open, self.peer.clock, self.material.host, self.stop.is_set)
        left, self.peer.left = self.peer.left, b""
        made.unhear(left)
        return made

    # ---- choosing

    def _cases(self) -> Sequence[Case]:
        if self.material.speaks == "HL7":
            return hl7_cases.CASES if self.material.host else hl7_cases.SENDER_CASES
        both = [*astm_receiver.CASES, *astm_sender.CASES]
        if not self.material.host:  # one session after the other is asked of a person: the sender's cases come first
            both = [*astm_sender.CASES, *astm_receiver.CASES]
        other = "analyzer" if self.material.host else "host"
        return [each for each in both if each.only != other]

    def _wanted(self, clause: str) -> bool:
        return not self.clauses or any(clause.lower().startswith(each.lower()) for each in self.clauses)

    # ---- before the cases

    def _probe(self, cases: Sequence[Case]) -> dict[str, str]:
        """Is anybody there? Why a role cannot be tried; and whether several connections are served at once."""
        line = self.peer.take()
        unable: dict[str, str] = {}
        alive = True
        try:
            talk = self._talk(line)
            if self.material.speaks != "HL7" and any(each.role == "receiver" for each in cases):
                unable = self._asked(talk)
            self._side_by_side()
        except ConnectionError:
            alive = False
        finally:
            self.peer.give(line, alive)
        return unable

    def _asked(self, talk: Talk) -> dict[str, str]:
        if not self.material.host:
            return {}  # whether an analyzer takes anything is seen when its turn comes
        for _ in range(2 if self.peer.single else 1):  # nobody may have the far end of a cable open yet
            talk.write(ENQ)
            answer = talk.hear(15.5)
            talk.write(EOT)  # also when there was no answer: 6.5.2.1
            if answer.data in (ACK, NAK):
                return {}
        why = f"it does not answer ENQ: {answer}"
        return {"receiver": why, "sender": why}

    def _side_by_side(self) -> None:
        """A second connection while the first stands: refused or not answered, then one case at a time."""
        if self.jobs == 1 or self.peer.single:
            self.jobs = 1
            return
        try:
            line = self.peer.open()
        except ConnectionError:
            self.jobs = 1
            self.progress("the peer takes one connection at a time: one case after the other")
            return
        try:
            talk = self._talk(line)
            if self.material.speaks != "HL7" and talk.ask(ENQ) != ACK:
                self.jobs = 1
            talk.write(EOT)
        except ConnectionError:
            self.jobs = 1
        finally:
            line.close()

    # ---- one case

    def _row(self, each: Case, unable: str, total: int) -> Row:
        start = self.peer.clock()
        verdict, text = self._verdict(each, unable)
        seen = text if verdict in (Verdict.PASS, Verdict.FAIL) else ""
        why = "" if seen else text
        spent = round(self.peer.clock() - start, 2)
        with self._lock:
            self._done += 1
            self.progress(f"{self._done}/{total} {each.clause} {verdict.value}")
        return Row(each.clause, each.section, each.role, each.done, each.expected, seen, verdict, why, spent)

    def _verdict(self, each: Case, unable: str) -> tuple[Verdict, str]:
        if self.stop.is_set():
            return Verdict.LEFT_OUT, STOPPED
        if self.quick and each.waits:
            return Verdict.LEFT_OUT, f"it waits {each.waits:.0f} s, and --quick was said"
        if each.only in ("tcp", "serial") and each.only != self.peer.kind:
            return Verdict.NOT_APPLICABLE, f"only on {each.only}"
        if unable and each.clause != "LL-15":
            return Verdict.NOT_APPLICABLE, unable
        if each.role == "sender" and self.material.mute:
            return Verdict.NOT_APPLICABLE, self.material.mute
        if self._gone:
            return Verdict.NOT_APPLICABLE, self._gone
        try:
            line = self.peer.take()
        except ConnectionError as error:
            self._gone = f"there is no connection any more: {error}"
            return (Verdict.FAIL if self.material.host else Verdict.NOT_APPLICABLE), self._gone
        return self._tried(each, self._talk(line))

    def _tried(self, each: Case, talk: Talk) -> tuple[Verdict, str]:
        alive = True
        try:
            asks = each.role == "receiver" and each.clause != "LL-15" and self.material.speaks != "HL7"
            if asks and not self.material.host and (why := self._closed_to_us(talk)):
                return Verdict.NOT_APPLICABLE, why
            good, seen = each.attempt(talk, self.material)
            return self._judged(each, talk, good, seen)
        except Stuck as wrong:
            return self._judged(each, talk, False, str(wrong))
        except Missing as why:
            return Verdict.NOT_APPLICABLE, str(why)
        except Stopped:
            alive = False
            return Verdict.LEFT_OUT, STOPPED
        except ConnectionError as error:
            alive = False
            return Verdict.FAIL, f"the line broke: {error}"
        finally:
            alive = alive and self._settled(talk, each.leaves)
            self.peer.give(talk.line, alive, talk.left)

    def _judged(self, each: Case, talk: Talk, good: bool, seen: str) -> tuple[Verdict, str]:
        """A peer that begins a session of its own while the link is neutral has done nothing wrong, whatever case it
        disturbs: an analyzer its results, a host the orders it has waiting."""
        if not good and each.role == "receiver" and talk.disturbed:
            return Verdict.NOT_APPLICABLE, f"it began a session of its own meanwhile: try again while it rests ({seen})"
        seen += ", EOT taken for ACK: it asks us to stop (6.3.4.4)" if talk.interrupted else ""
        return (Verdict.PASS if good else Verdict.FAIL), seen

    def _closed_to_us(self, talk: Talk) -> str:
        """Why an analyzer takes nothing from us: it answers NAK, as one may that cannot receive (6.2.7)."""
        reply = talk.enquire(patience=0)
        talk.disturbed = False
        if reply == ACK:
            talk.write(EOT)
            return ""
        return "" if reply != NAK else f"this analyzer takes nothing from a host: {show(reply)} to ENQ (6.2.7)"

    def _settled(self, talk: Talk, leaves: bool) -> bool:
        """On a line that is kept: end what a case may have left open, and let the peer get rid of what it has."""
        if not self.peer.single:
            return False
        try:
            if self.material.speaks != "HL7":
                talk.write(EOT)
                came = talk.until(ENQ, AGAIN if leaves and self.material.host else 1.0)
                if came.data.endswith(ENQ) or STX in came.data:  # of a session that it never gave up
                    take(talk, begun=True)
        except Stuck:
            talk.write(EOT)
        except (ConnectionError, Stopped):
            return False
        return True
