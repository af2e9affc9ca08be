"""Simulators on real sockets and a real pty: what they do when the lab accepts, refuses, is silent, or goes away."""

import json
import signal
import socket
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

import pytest
import serial

from drivers.wire import lis1a, mllp
from simulators.day import made_up_day, plan
from simulators.line import Dial, Listen, Stopped, Waiting, opener
from simulators.pty_pair import PtyPair
from simulators.run import play
from simulators.step import Step

DAY = made_up_day(3, datetime(2026, 11, 22, 3, 30, tzinfo=UTC), count=6)
Read = Callable[[int], bytes]
Write = Callable[[bytes], object]


def steps(name: str, count: int = 3) -> tuple[Step, ...]:
    return plan(DAY, name)[-count:]


def booked(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@contextmanager
def playing(name: str, sent: tuple[Step, ...], books: Path, once: bool = True, **where: str) -> Iterator[Event]:
    """The simulator in a thread of its own; ended and joined whatever happens."""
    stop = Event()
    kept = {"fast": True, "once": once, "books": books, "retry": 0.02}
    args = (name, sent, where.get("to"), where.get("listen"), stop)
    thread = threading.Thread(target=play, args=args, kwargs=kept)
    thread.start()
    try:
        yield stop
        if once:
            thread.join(10)
    finally:
        stop.set()
        thread.join(10)
    assert not thread.is_alive()


def sessions(read: Read, write: Write, count: int, answers: list[bytes]) -> list[bytes]:
    """The lab's end: the accepted text of `count` sessions; `answers` are given first, ACK when they run out."""
    receiver, texts, text = lis1a.Receiver(), [], b""
    while len(texts) < count:
        events = receiver.receive(read(4096))
        while events:
            for event in events:
                if isinstance(event, lis1a.SessionEnded):
                    texts, text = [*texts, text], b""
                elif isinstance(event, lis1a.SessionBegan | lis1a.FrameArrived):
                    refuse = bool(answers) and answers.pop(0) == b"\x15"
                    write(receiver.refuse() if refuse else receiver.accept())
                    text += b"" if refuse or isinstance(event, lis1a.SessionBegan) else event.text
            events = receiver.receive(b"")
    return texts


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        made.settimeout(10)
        yield made


def address(server: socket.socket) -> str:
    return f"tcp://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("name", ["sysmex_xn", "roche_cobas_e411", "generic_astm"])
def test_every_message_arrives_and_is_booked_once(name: str, server: socket.socket, tmp_path: Path) -> None:
    sent = steps(name, 4)
    with playing(name, sent, tmp_path / "books", to=address(server)):
        connection, _ = server.accept()
        with connection:
            connection.settimeout(10)
            got = sessions(connection.recv, connection.sendall, len(sent), [])
    assert got == [step.said.body for step in sent]
    books = booked(tmp_path / "books")
    for line in books:
        assert line.pop("at")
    assert books == [{"analyzer": name, "seq": step.seq, **step.books(), "tries": 1} for step in sent]


def test_6_2_6_a_busy_lab_is_asked_again_in_the_same_try(server: socket.socket, tmp_path: Path) -> None:
    sent = steps("generic_astm", 1)
    with playing("generic_astm", sent, tmp_path / "books", to=address(server)):
        connection, _ = server.accept()
        with connection:
            connection.settimeout(10)
            texts = sessions(connection.recv, connection.sendall, 1, [b"\x15", b"\x15"])
    assert texts == [sent[0].said.body]
    assert [line["tries"] for line in booked(tmp_path / "books")] == [1]


def test_6_5_1_2_a_message_refused_six_times_is_repeated_whole(server: socket.socket, tmp_path: Path) -> None:
    sent = steps("generic_astm", 1)
    with playing("generic_astm", sent, tmp_path / "books", to=address(server)):
        connection, _ = server.accept()
        with connection:
            connection.settimeout(10)
            texts = sessions(connection.recv, connection.sendall, 2, [b"\x06", *[b"\x15"] * 6])
    assert texts == [b"", sent[0].said.body]
    assert [line["tries"] for line in booked(tmp_path / "books")] == [2]


def test_a_lab_that_dies_in_the_middle_gets_the_message_again(server: socket.socket, tmp_path: Path) -> None:
    sent = steps("sysmex_xn", 1)
    with playing("sysmex_xn", sent, tmp_path / "books", to=address(server)):
        connection, _ = server.accept()
        with connection:
            connection.settimeout(10)
            assert connection.recv(1) == b"\x05"
            connection.sendall(b"\x06")
            assert connection.recv(4096)
        again, _ = server.accept()
        with again:
            again.settimeout(10)
            texts = sessions(again.recv, again.sendall, 1, [])
    assert texts == [sent[0].said.body]
    assert [line["tries"] for line in booked(tmp_path / "books")] == [2]


def test_what_is_in_the_books_is_not_sent_again(server: socket.socket, tmp_path: Path) -> None:
    sent = steps("generic_astm", 2)
    line = {"analyzer": "generic_astm", "seq": sent[0].seq}
    (tmp_path / "books").write_text(json.dumps(line) + "\n" + '{"analyzer": "generic_astm", "seq": 9', encoding="utf-8")
    with playing("generic_astm", sent, tmp_path / "books", to=address(server)):
        connection, _ = server.accept()
        with connection:
            connection.settimeout(10)
            texts = sessions(connection.recv, connection.sendall, 1, [])
    assert texts == [sent[1].said.body]


def test_after_the_plan_it_stays_and_refuses_what_the_lab_wants_to_send(server: socket.socket, tmp_path: Path) -> None:
    sent = steps("generic_astm", 1)
    with playing("generic_astm", sent, tmp_path / "books", once=False, to=address(server)):
        connection, _ = server.accept()
        with connection:
            connection.settimeout(10)
            assert sessions(connection.recv, connection.sendall, 1, []) == [sent[0].said.body]
            connection.sendall(b"\x05")
            assert connection.recv(1) == b"\x15"


# ---- MLLP ---------------------------------------------------------------------------------------------------------


def dial(port: int) -> socket.socket:
    """A connection, as soon as the simulator listens."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=10)
        except ConnectionRefusedError:
            time.sleep(0.01)
    raise AssertionError("the simulator does not listen")


def ack(code: str, body: bytes) -> bytes:
    control = body.split(b"\r")[0].split(b"|")[9].decode()
    return mllp.block(f"MSH|^~\\&|||||20261122||ACK^R01|1|P|2.3.1\rMSA|{code}|{control}\r".encode())


def test_mindray_waits_for_aa_and_repeats_after_ae(port: int, tmp_path: Path) -> None:
    sent = steps("mindray_bc", 2)
    raw, bodies, answers = b"", [], ["AE", "AA", "AA"]
    with playing("mindray_bc", sent, tmp_path / "books", listen=f"tcp://127.0.0.1:{port}"), dial(port) as connection:
        receiver = mllp.Receiver()
        while answers:
            data = connection.recv(65536)
            raw += data
            for event in receiver.receive(data):
                if isinstance(event, mllp.Block):
                    bodies.append(event.body)
                    connection.sendall(ack(answers.pop(0), event.body))
    assert bodies == [sent[0].said.body, sent[0].said.body, sent[1].said.body]
    assert raw.count(b"\x02" * 14 + b"\x0bMSH") == 3
    assert [line["tries"] for line in booked(tmp_path / "books")] == [2, 1]


def test_an_answer_to_another_message_is_no_answer(port: int, tmp_path: Path) -> None:
    sent = steps("generic_hl7", 1)
    with playing("generic_hl7", sent, tmp_path / "books", listen=f"tcp://127.0.0.1:{port}"), dial(port) as connection:
        assert connection.recv(65536)
        connection.sendall(mllp.block(b"MSH|^~\\&|||||20261122||ACK^R01|1|P|2.3.1\rMSA|AA|other\r"))
        connection.sendall(ack("AA", sent[0].said.body))
    assert len(booked(tmp_path / "books")) == 1


# ---- the cable ----------------------------------------------------------------------------------------------------


def test_the_pair_is_raw_and_carries_every_byte(tmp_path: Path) -> None:
    with PtyPair(tmp_path / "cable") as pair:
        assert not pair.connected
        with serial.Serial(str(tmp_path / "cable"), 9600, timeout=5) as port:
            assert pair.connected
            every = bytes(range(256))
            pair.write(every)
            assert port.read(256) == every
            port.write(every)
            got = b""
            while len(got) < 256:
                got += pair.read(5)
            assert got == every
            assert not termios.tcgetattr(port.fd)[3] & termios.ECHO
    assert not (tmp_path / "cable").is_symlink()


def test_the_pair_survives_that_the_lab_closes_and_opens_again(tmp_path: Path) -> None:
    with PtyPair(tmp_path / "cable") as pair:
        for word in (b"first", b"again"):
            with pytest.raises(ConnectionError):
                pair.read(0)
            with pytest.raises(ConnectionError):
                pair.write(b"into the void")
            with serial.Serial(str(tmp_path / "cable"), 9600, timeout=5) as port:
                pair.write(word)
                assert port.read(5) == word


def test_what_was_written_last_is_read_before_the_pair_ends(tmp_path: Path) -> None:
    pair = PtyPair(tmp_path / "cable")
    with serial.Serial(str(tmp_path / "cable"), 9600, timeout=5) as port:
        pair.write(b"EOT")
        ending = threading.Thread(target=pair.close)
        ending.start()
        assert port.read(3) == b"EOT"
        ending.join()


def test_an_old_symlink_is_replaced_but_a_file_is_not(tmp_path: Path) -> None:
    (tmp_path / "cable").symlink_to("/dev/pts/none")
    with PtyPair(tmp_path / "cable") as pair:
        assert str((tmp_path / "cable").readlink()) == pair.name
    (tmp_path / "file").write_text("keep me", encoding="utf-8")
    with pytest.raises(FileExistsError):
        PtyPair(tmp_path / "file")
    assert (tmp_path / "file").read_text(encoding="utf-8") == "keep me"


def test_erba_over_the_cable_with_the_lab_opening_late_and_twice(tmp_path: Path) -> None:
    sent, cable = steps("erba_xl", 3), tmp_path / "cable"
    with playing("erba_xl", sent, tmp_path / "books", to=f"pty:{cable}"):
        while not cable.is_symlink():
            time.sleep(0.01)
        got = []
        for count in (1, 2):
            with serial.Serial(str(cable), 9600, timeout=10) as port:
                got += sessions(lambda _, port=port: port.read(1), port.write, count, [])
            time.sleep(0.05)  # the cable is out long enough to be noticed
    assert got == [step.said.body for step in sent]
    assert [line["seq"] for line in booked(tmp_path / "books")] == [step.seq for step in sent]


# ---- the command --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ended_by", [signal.SIGTERM, signal.SIGINT])
def test_the_command_plays_a_day_stays_and_ends_cleanly(ended_by: int, server: socket.socket, tmp_path: Path) -> None:
    sample = {"sample_id": "107632600424", "container": "S", "tests": ["TSH", "HBSAG"], "sex": "F", "age_days": 12000}
    (tmp_path / "day.json").write_text(json.dumps({"seed": 2, "samples": [sample]}), encoding="utf-8")
    command = [
        sys.executable,
        "-c",
        "from simulators.cli import app; app()",
        "roche_cobas_e411",
        "--to",
        address(server),
    ]
    options = ["--day", str(tmp_path / "day.json"), "--log", str(tmp_path / "books"), "--fast", "--name", "e411"]
    with subprocess.Popen([*command, *options], stderr=subprocess.PIPE, text=True) as process:
        server.settimeout(30)
        connection, _ = server.accept()
        with connection:
            connection.settimeout(30)
            texts = sessions(connection.recv, connection.sendall, 26, [])
            while len(booked(tmp_path / "books")) < 26:
                time.sleep(0.01)
            process.send_signal(ended_by)
            assert process.wait(10) == 0
        assert process.stderr is not None
        said = process.stderr.read()
    books = booked(tmp_path / "books")
    assert [(line["analyzer"], line["type"]) for line in books] == [("e411", "qc")] * 24 + [("e411", "result")] * 2
    assert [line["sample_ids"] for line in books[24:]] == [["107632600424"], ["107632690033"]]
    assert texts[24].count(b"107632600424") == 1
    assert "107632600424" not in said  # no sample numbers in logs


@pytest.mark.parametrize("ended_by", [signal.SIGTERM, signal.SIGINT])
def test_the_gateway_is_served_and_ends_cleanly(ended_by: int, port: int) -> None:
    command = [sys.executable, "-c", "from simulators.cli import app; app()", "sms", "--listen", f"127.0.0.1:{port}"]
    with subprocess.Popen(command) as process:
        with dial(port) as connection:
            connection.sendall(b"GET /inbox.json HTTP/1.0\r\n\r\n")
            answer = connection.recv(4096)
        process.send_signal(ended_by)
        assert process.wait(10) == 0
    assert answer.startswith(b"HTTP/1.1 200")


# ---- addresses ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("to", "listen"),
    [(None, None), ("tcp://a:1", "tcp://b:2"), ("tcp://nohost", None), ("com3", None), (None, "pty:/x")],
)
def test_a_wrong_address_is_named(to: str | None, listen: str | None) -> None:
    with pytest.raises(ValueError, match=r"tcp://HOST:PORT|either --to"):
        opener(to, listen)


def test_a_line_that_cannot_be_had_is_a_connection_error(port: int) -> None:
    with pytest.raises(ConnectionError):
        Dial("127.0.0.1", port).open()
    waiting = Listen("127.0.0.1", 0)
    with pytest.raises(ConnectionError):
        waiting.open()
    waiting.close()
    with pytest.raises(ConnectionError):
        opener("serial:/dev/none", None).open()


def test_a_waiting_read_ends_when_the_simulator_is_stopped(server: socket.socket) -> None:
    stop = Event()
    line = Dial("127.0.0.1", server.getsockname()[1]).open()
    with Waiting(line, stop) as waiting:
        assert waiting.read(0.01) == b""
        stop.set()
        with pytest.raises(Stopped):
            waiting.read(60)
