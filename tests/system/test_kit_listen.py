"""`labmitra identify --listen`: what is not on disk is never acknowledged; by itself the listener says nothing."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

import labmitra
from drivers.wire import lis1a, mllp
from middleware.kit import listen as module
from middleware.kit.listen import Busy, Cannot, Heard, Keeping, Silent, line_of, listen

FIRST, LAST = (lis1a.frame(1, b"H|\\^&|||XN-550\r", last=True), lis1a.frame(2, b"L|1|N\r", last=True))
ORU = b"MSH|^~\\&|X||||20261122||ORU^R01|77|P|2.3.1\rOBX|1|NM|A||1\r"


def now() -> datetime:
    return datetime(2026, 11, 22, 4, 30, tzinfo=UTC)


@pytest.fixture
def keeping(tmp_path: Path):
    made = Keeping(tmp_path / "kept.raw", now)
    yield made
    made.close()


def test_a_frame_is_on_disk_before_it_is_acknowledged(keeping: Keeping) -> None:
    assert keeping.heard(b"\x05", 0) == b"\x06"
    assert keeping.heard(FIRST[:9], 0) == b"" and keeping.path.read_bytes() == b"\x05"
    assert keeping.heard(FIRST[9:], 0) == b"\x06" and keeping.path.read_bytes() == b"\x05" + FIRST
    assert keeping.heard(LAST.replace(b"N\r", b"M\r"), 0) == b"\x15", "damaged: refused, kept by the analyzer"
    assert keeping.heard(LAST + b"\x04", 0) == b"\x06"
    assert keeping.path.read_bytes().endswith(LAST + b"\x04") and keeping.kept == 2


def test_each_acknowledgement_follows_a_sync(keeping: Keeping, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[bytes] = []
    monkeypatch.setattr(os, "fsync", lambda _file: synced.append(keeping.path.read_bytes()))
    keeping.heard(b"\x05", 0)
    keeping.heard(FIRST, 0)
    assert synced == [b"\x05", b"\x05" + FIRST]


def test_a_full_disk_acknowledges_nothing(keeping: Keeping, monkeypatch: pytest.MonkeyPatch) -> None:
    keeping.heard(b"\x05", 0)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    assert keeping.heard(FIRST, 0) == b"\x15"
    keeping.begins()
    assert keeping.heard(mllp.block(ORU), 0) == b"" and keeping.kept == 0


def test_hl7_is_acknowledged_as_its_header_asks_and_a_query_is_not(keeping: Keeping) -> None:
    answer = keeping.heard(mllp.block(ORU), 0)
    assert b"MSA|AA|77" in answer and keeping.path.read_bytes() == mllp.block(ORU)
    assert keeping.heard(mllp.block(ORU.replace(b"ORU^R01", b"QRY^Q02")), 0) == b""


def test_a_frame_whose_end_never_comes_is_not_acknowledged(keeping: Keeping) -> None:
    keeping.heard(b"\x05", 0)
    keeping.heard(FIRST[:12], 0)
    assert [keeping.heard(None, 10.0) for _ in range(4)] == [b""] * 4
    assert keeping.kept == 0


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "kept.raw").write_bytes(b"yesterday's")
    with pytest.raises(FileExistsError):
        Keeping(tmp_path / "kept.raw", now)


def test_busy_and_silent() -> None:
    assert [Busy().heard(data, 0) for data in (b"\x05", FIRST, None)] == [b"\x15", b"", b""]
    assert [Silent().heard(data, 0) for data in (b"\x05", FIRST, None)] == [b"", b"", b""]


# ---- on a line --------------------------------------------------------------------------------------------------


class Analyzer(threading.Thread):
    """Dials when the listener is ready, says its pieces, each when the one before was answered (or not at all)."""

    def __init__(self, pieces: tuple[bytes, ...], waits: bool) -> None:
        super().__init__(daemon=True)
        self.pieces, self.waits, self.answers = pieces, waits, b""
        self.address = ("", 0)

    def told(self, text: str) -> None:
        kind, _, address = text.partition(": ")
        if kind == "listening":
            host, _, port = address.rpartition(":")
            self.address = (host, int(port))
            self.start()

    def run(self) -> None:
        with socket.create_connection(self.address, 5) as line:
            line.settimeout(5)
            for piece in self.pieces:
                line.sendall(piece)
                if self.waits:
                    self.answers += line.recv(100)


@pytest.fixture
def on_a_line(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Heard]:
    def hear(analyzer: Analyzer, answers: Busy | Silent | Keeping) -> Heard:
        monkeypatch.setattr(module, "MOST", sum(map(len, analyzer.pieces)))  # then it has heard enough
        heard = listen(line_of("tcp://127.0.0.1:0", dials=False), 30.0, answers, analyzer.told)
        analyzer.join(5)
        return heard

    return hear


def test_what_comes_is_heard_and_nothing_is_said(on_a_line: Callable[..., Heard]) -> None:
    analyzer = Analyzer((b"\x05", FIRST, LAST, b"\x04"), waits=False)
    heard = on_a_line(analyzer, Silent())
    assert bytes(heard.data) == b"\x05" + FIRST + LAST + b"\x04" and analyzer.answers == b""
    assert len(heard.peers) == 1


def test_acknowledged_and_kept(keeping: Keeping, on_a_line: Callable[..., Heard]) -> None:
    analyzer = Analyzer((b"\x05", FIRST, LAST), waits=True)
    on_a_line(analyzer, keeping)
    assert analyzer.answers == b"\x06\x06\x06" and keeping.path.read_bytes() == b"\x05" + FIRST + LAST


def test_a_port_that_is_taken_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(Cannot, match="Does the middleware hold it"):
            listen(line_of(url, dials=False), 1.0, Silent())
        done = CliRunner().invoke(labmitra.app, ["identify", "--listen", url, "--seconds", "1"])
    assert done.exit_code == 2 and "cannot be had" in done.output


def test_the_command_saves_what_it_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hear(*_: object) -> Heard:
        return Heard(bytearray(b"\x05" + FIRST + LAST + b"\x04"))

    monkeypatch.setattr(module, "listen", hear)
    words = ["identify", "--listen", "tcp://127.0.0.1:0", "--save", str(tmp_path / "heard.raw")]
    done = CliRunner().invoke(labmitra.app, words)
    assert done.exit_code == 0 and "sysmex_xn" in done.output
    assert (tmp_path / "heard.raw").read_bytes() == b"\x05" + FIRST + LAST + b"\x04"
    done = CliRunner().invoke(labmitra.app, words)
    assert done.exit_code == 2 and "is there already" in done.output


def test_an_analyzer_that_waits_for_an_answer_is_no_broken_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "listen", lambda *_: Heard(bytearray(b"\x05\x05\x05\x05")))
    done = CliRunner().invoke(labmitra.app, ["identify", "--listen", "tcp://127.0.0.1:0", "--driver", "erba_xl"])
    assert done.exit_code == 1 and "the line is sound" in done.output and "nobody acknowledges" not in done.output
