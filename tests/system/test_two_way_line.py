"""A simulated analyzer that asks or idles, against a lab of a few lines: silence, cancelling, unasked orders."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from drivers.driver import Decoded, MessageType, WorkOrder, load_driver
from drivers.wire import lis1a, mllp
from simulators import two_way
from simulators.page import Page
from simulators.run import make_plan, play
from simulators.run_any import Wanted, listener, play_any
from simulators.templates import decode
from tests.drivers.said import dimension

ENQ, ACK, EOT, NAK = b"\x05", b"\x06", b"\x04", b"\x15"
TUBE = "107632600016"
NOW = datetime(2026, 11, 25, 6, 30, tzinfo=UTC)
PATIENCE = 15.0


class Lab:
    """The far end: takes sessions and blocks, and gives them."""

    def __init__(self, connection: socket.socket) -> None:
        self.line = connection
        self.receiver, self.bodies = mllp.Receiver(), list[bytes]()
        self.frames, self.events = lis1a.Receiver(), list[lis1a.Event]()
        connection.settimeout(PATIENCE)

    def session(self) -> list[bytes]:
        """A session of the analyzer, every frame accepted; its messages. What came behind it is of the next."""
        assembler, made = lis1a.Assembler(), list[bytes]()
        while True:
            self.events += self.frames.receive(b"" if self.events else self.line.recv(4096))
            while self.events:
                event = self.events.pop(0)
                if isinstance(event, lis1a.SessionEnded):
                    self.events += self.frames.receive(b"")
                    return made
                if isinstance(event, lis1a.FrameArrived):
                    made += [part.body for part in assembler.add(event.text, event.last)]
                self.line.sendall(self.frames.accept())
                self.events += self.frames.receive(b"")

    def give(self, *messages: bytes, size: int = 240, one_record_a_frame: bool = False) -> list[bytes]:
        """A session of ours; what each frame was answered."""
        frames = lis1a.session(messages, size, one_record_a_frame)
        answers = [self.said(each) for each in (ENQ, *frames)]
        self.line.sendall(EOT)
        return answers

    def said(self, data: bytes, count: int = 1) -> bytes:
        self.line.sendall(data)
        return self.line.recv(count)

    def block(self) -> bytes:
        """The next block of MLLP; several may come at once."""
        while not self.bodies:
            events = self.receiver.receive(self.line.recv(4096))
            self.bodies += [event.body for event in events if isinstance(event, mllp.Block)]
        return self.bodies.pop(0)

    def read(self, end: bytes) -> bytes:
        """Bytes up to `end`, however they are cut."""
        heard = b""
        while not heard.endswith(end):
            heard += self.line.recv(1)
        return heard


@contextmanager
def idling(wanted: Wanted, said: list[str], books: Path) -> Iterator[Lab]:
    """The simulator in a thread, connected to a lab; ended whatever happens."""
    stop = Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        where = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        how: dict[str, Any] = {"fast": True, "retry": 0.02, "say": said.append, "books": books}
        thread = threading.Thread(target=play_any, args=(wanted, where, None, stop), kwargs=how, daemon=True)
        thread.start()
        server.settimeout(PATIENCE)
        connection, _ = server.accept()
        try:
            with connection:
                yield Lab(connection)
                stop.set()
                thread.join(PATIENCE)
        finally:
            stop.set()
            thread.join(PATIENCE)
    assert not thread.is_alive()


def until(said: list[str]) -> None:
    """Wait until the analyzer has said something."""
    end = time.monotonic() + PATIENCE
    while not said and time.monotonic() < end:
        time.sleep(0.002)


def ran(name: str, result: bytes) -> list[tuple[str | None, str | None]]:
    """What an analyzer has run: tube and code of each row."""
    return [(row.sample_id, row.code) for row in decode(load_driver(name), result).observations]


def impatient(monkeypatch: pytest.MonkeyPatch, name: str, patience: float) -> None:
    """An analyzer that waits so many seconds for an answer gives up soon."""
    family: Any = two_way.FAMILIES[name]
    assert family.patience == patience
    monkeypatch.setitem(two_way.FAMILIES, name, replace(family, patience=0.1))  # type: ignore[misc]


def order(name: str, *codes: str) -> list[bytes]:
    """What the driver sends for an order on the tube; nothing was asked."""
    nobody_asked = Decoded(MessageType.OTHER, None, query_sample_ids=(TUBE,))
    work = WorkOrder(TUBE, codes, specimen="Serum", name="Asha Devi", sex="F", patient_id="K12")
    return load_driver(name).answer(nobody_asked, [work]) or []


UNASKED = {
    "abbott_architect": ("241", "651"),
    "erba_xl": ("GLU", "CR"),
    "generic_astm": ("TSH", "CRP"),
    "mindray_bs": ("CREA", "TP"),
    "ortho_vitros": ("032", "014"),
    "roche_cobas_c311": ("690", "717"),
    "roche_cobas_e411": ("8", "3"),
    "thermo_indiko": ("ALB", "GLU"),
}


@pytest.mark.parametrize("name", UNASKED)
def test_an_order_that_comes_unasked_is_run(name: str, tmp_path: Path) -> None:
    driver, said = load_driver(name), list[str]()
    with idling(Wanted(name, ids=[]), said, tmp_path / "books") as lab:
        answers = lab.give(*order(name, *UNASKED[name]), size=driver.frame_size,
                           one_record_a_frame=driver.one_record_a_frame)  # fmt: skip
        assert set(answers) == {ACK}
        (result,) = lab.session()
    assert ran(name, result) == [(TUBE, code) for code in UNASKED[name]]
    assert said == [f"{TUBE}: {' '.join(UNASKED[name])}"]


def test_two_sessions_of_the_lab_in_one_breath(tmp_path: Path) -> None:
    """EOT and the next ENQ come in one piece."""
    said = list[str]()
    with idling(Wanted("roche_cobas_e411", ids=[]), said, tmp_path / "books") as lab:
        first, second = (lis1a.frames(order("roche_cobas_e411", code)[0], size=1000)[0] for code in ("8", "3"))
        assert [lab.said(each) for each in (ENQ, first, EOT + ENQ, second)] == [ACK] * 4
        lab.line.sendall(EOT)
        (result,) = lab.session()
    assert ran("roche_cobas_e411", result) == [(TUBE, "8"), (TUBE, "3")]


LAW = (
    "MSH|^~\\&|Host||BA400|Biosystems|20261122101500||OML^O33^OML_O33|77|P|2.5.1|||ER|AL\r"
    f"SPM|1|{TUBE}||SER^^HL70487|||||||P^^HL70369\rSAC|||{TUBE}\r"
    "ORC|NW|a1||||||||20261122101500\rTQ1|1||||||||R^^HL70485\rOBR|1|a1||GLUCOSE^GLUCOSE^A400\r"
    "ORC|NW|a2||||||||20261122101500\rTQ1|1||||||||R^^HL70485\rOBR|2|a2||CRP^CRP^A400\r"
)


def test_a_law_order_that_comes_unasked_is_answered_and_run(tmp_path: Path) -> None:
    said = list[str]()
    with idling(Wanted("biosystems_ba400", ids=[]), said, tmp_path / "books") as lab:
        lab.line.sendall(mllp.block(LAW.encode()))
        reply = Page.read(lab.block())
        result = lab.block()
        lab.line.sendall(mllp.block(b"MSH|^~\\&|||||1||ACK^R22|1|P|2.5.1\rMSA|AA|" + control(result) + b"\r"))
    assert [line.whole(1) for line in reply.lines if line.type == "ORC"] == ["OK", "OK"]
    assert reply.lines[0].whole(9) == "ORL^O34^ORL_O34"
    assert ran("biosystems_ba400", result) == [(TUBE, "GLUCOSE"), (TUBE, "CRP")]


def control(body: bytes) -> bytes:
    return (Page.read(body).lines[0].whole(10) or "").encode()


def test_a_dimension_polls_and_takes_what_there_is(tmp_path: Path) -> None:
    said = list[str]()
    with idling(Wanted("siemens_dimension", ids=[]), said, tmp_path / "books") as lab:
        assert lab.read(b"\x03").startswith(b"\x02P\x1c")
        work = dimension("D", "0", "0", "A", "ASHA DEVI", TUBE, "1", "", "0", "1", "**", "1", "2", "GLUC", "CREA")
        assert lab.said(ACK + work) == ACK
        assert lab.read(b"\x03") == dimension("M", "A", "", "A", "1", "1")
        lab.line.sendall(ACK)
        result = lab.read(b"\x03")
        lab.line.sendall(ACK + b"\x02M\x1cA\x1c\x1cE2\x03")
        assert lab.line.recv(1) == ACK, "our M is acknowledged"
    assert ran("siemens_dimension", result) == [(TUBE, "GLUC"), (TUBE, "CREA")]


def test_a_vitros_that_gets_no_answer_cancels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten seconds on a real one; Q-13 A and L|1|T."""
    impatient(monkeypatch, "ortho_vitros", 10.0)
    said = list[str]()
    with idling(Wanted("ortho_vitros", ask=[TUBE]), said, tmp_path / "books") as lab:
        (question,) = lab.session()
        (cancelled,) = lab.session()
    driver = load_driver("ortho_vitros")
    assert decode(driver, question).type is MessageType.QUERY
    assert decode(driver, cancelled).type is MessageType.QUERY_CANCEL
    assert cancelled.endswith(b"\rL|1|T\r")
    assert said == ["no answer in 0 s", f"{TUBE}: nothing is ordered"]


def test_an_au_that_gets_no_answer_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    impatient(monkeypatch, "beckman_au", 3.0)
    said = list[str]()
    with idling(Wanted("beckman_au", ask=[TUBE]), said, tmp_path / "books") as lab:
        assert TUBE.encode() in lab.read(b"\x03")
        assert lab.said(ACK) == NAK


def test_several_records_in_one_frame_are_refused_by_a_vitros(tmp_path: Path) -> None:
    """As one was seen to do; nothing is run."""
    said = list[str]()
    with idling(Wanted("ortho_vitros", ask=[TUBE]), said, tmp_path / "books") as lab:
        (question,) = lab.session()
        driver = load_driver("ortho_vitros")
        (answer,) = driver.answer(decode(driver, question), [WorkOrder(TUBE, ("032",))]) or []
        lab.give(answer)
        until(said)
    assert said == ["the answer is not taken: several records in one frame"]


def test_a_damaged_frame_of_the_lab_is_refused_and_taken_again(tmp_path: Path) -> None:
    said = list[str]()
    with idling(Wanted("roche_cobas_e411", ids=[]), said, tmp_path / "books") as lab:
        (frame,) = lis1a.frames(order("roche_cobas_e411", "8")[0], size=1000)
        assert lab.said(ENQ) == ACK
        assert lab.said(frame[:-4] + b"00\r\n") == NAK
        assert lab.said(frame) == ACK
        assert lab.said(frame) == ACK, "the lab did not hear it and repeats"
        lab.line.sendall(EOT)
        assert len(lab.session()) == 1
    assert said == [f"{TUBE}: 8"]


def test_a_question_that_was_refused_is_asked_again(tmp_path: Path) -> None:
    said = list[str]()
    with idling(Wanted("roche_cobas_e411", ask=[TUBE]), said, tmp_path / "books") as lab:
        assert lab.line.recv(1) == ENQ
        for answer in (ACK, *[NAK] * (lis1a.ATTEMPTS - 1)):
            lab.line.sendall(answer)
            assert lab.read(b"\n").startswith(b"\x021H")
        assert lab.said(NAK) == EOT
        (question,) = lab.session()
        assert decode(load_driver("roche_cobas_e411"), question).query_sample_ids == (TUBE,)
        assert said == [], "it waits for the answer"


def test_an_answer_that_is_no_message_is_not_taken_and_it_goes_on(tmp_path: Path) -> None:
    said = list[str]()
    with idling(Wanted("mindray_chem_hl7", ask=[TUBE]), said, tmp_path / "books") as lab:
        assert b"QRY^Q02" in lab.block()
        lab.line.sendall(mllp.block(b"good morning"))
        until(said)
    assert said == ["the answer is not taken: a message that begins neither with H nor with MSH"]


def test_an_analyzer_that_plays_its_own_day_runs_orders_when_it_is_told_to(tmp_path: Path) -> None:
    """`--orders`: after its plan, and numbered so that its log tells both apart."""
    day = {"samples": [{"sample_id": "107632600027", "container": "S", "tests": ["TSH"]}]}
    (tmp_path / "day.json").write_text(json.dumps(day), encoding="utf-8")
    steps = [step for step in make_plan("roche_cobas_e411", tmp_path / "day.json", 1, 0.0, NOW) if step.type != "qc"]
    said, stop = list[str](), Event()
    talks = listener("roche_cobas_e411", said.append)
    with socket.create_server(("127.0.0.1", 0)) as server:
        where = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        how: dict[str, Any] = {"fast": True, "retry": 0.02, "books": tmp_path / "books", "more": talks.more}
        how |= {"talks": talks}
        thread = threading.Thread(
            target=play, args=("roche_cobas_e411", steps, where, None, stop), kwargs=how, daemon=True
        )
        thread.start()
        server.settimeout(PATIENCE)
        connection, _ = server.accept()
        with connection:
            lab = Lab(connection)
            for _ in steps:
                assert len(lab.session()) == 1
            assert set(lab.give(*order("roche_cobas_e411", "8", "3"))) == {ACK}
            (result,) = lab.session()
            stop.set()
            thread.join(PATIENCE)
    assert ran("roche_cobas_e411", result) == [(TUBE, "8"), (TUBE, "3")]
    books = [json.loads(line) for line in (tmp_path / "books").read_text(encoding="utf-8").splitlines()]
    assert [line["note"] for line in books[len(steps) :]] == ["ordered"]
    assert books[-1]["seq"] > 1_000_000
