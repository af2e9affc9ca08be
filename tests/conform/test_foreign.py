"""The kit over real sockets: against our own running lines, and against peers that no one here wrote (astm-2025)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import astm
import pytest
from astm import asynclib

from simulators.conform import astm_receiver, astm_sender, material
from simulators.conform.cli import Wanted
from simulators.conform.cli import run as run_cli
from simulators.faults import Faults, chosen
from simulators.run import play
from tests.conform.test_faults import STEPS, kinds
from tests.system.line_kit import analyzer, running


def silent(_text: str) -> None:
    """Nobody reads it here."""


def rows_of(wanted: Wanted) -> tuple[int, dict[str, str]]:
    """Exit code, and verdict by what was done."""
    code = run_cli(wanted, silent, silent)
    assert wanted.json is not None
    return code, {row["done"]: row["verdict"] for row in json.loads(wanted.json.read_text())["rows"]}


# ---- our own lines ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("driver", "tried"),
    [
        ("generic_astm", ("LL-10", "LL-22", "LL-24", "LL-33", "LL-34", "LL-23", "LL-27")),
        ("generic_hl7", ("ML-05", "H7-03", "H7-05")),
    ],
)
async def test_our_own_lines_pass(driver: str, tried: tuple[str, ...], tmp_path: Path) -> None:
    async with running(tmp_path / "journal", analyzer("conform", "tcp-listen://127.0.0.1:0", driver)) as lines:
        host, port = await lines.address("conform")
        wanted = Wanted(driver, f"tcp://{host}:{port}", clauses=tried, json=tmp_path / "rows.json", quick=True)
        code, verdicts = await asyncio.to_thread(rows_of, wanted)
    assert code == 0
    assert set(verdicts.values()) <= {"pass", "left out"}


@pytest.mark.parametrize("name", ["sysmex_xn", "generic_hl7"])
async def test_many_faults_at_once_on_a_running_line(name: str, tmp_path: Path) -> None:
    """Over a real socket: what the simulator has booked is in the journal, and nothing else but its repeats."""
    speaks = "HL7" if name == "generic_hl7" else "ASTM"
    wanted = ["split:pause=0", "garbage", "lost_ack:rate=0.1", "disconnect:rate=0.2,times=2", "wrong_clock"]
    wanted += ["bad_checksum", "wrong_number:rate=0.1", "no_cr"] if speaks == "ASTM" else ["lf_ends", "vt_inside"]
    stop, faults = threading.Event(), Faults(4)
    faults.set([chosen(text, speaks) for text in wanted])
    assert {text.partition(":")[0] for text in wanted} <= set(kinds(speaks))
    async with running(tmp_path / "journal", analyzer("line", "tcp-listen://127.0.0.1:0", name)) as lines:
        host, port = await lines.address("line")
        books = tmp_path / "books.jsonl"

        def all_day() -> None:
            play(name, STEPS[name], f"tcp://{host}:{port}", None, stop, fast=True, once=True, retry=0.02, books=books,
                 faults=faults)  # fmt: skip

        await asyncio.to_thread(all_day)
        await lines.until(lambda: len({m.body for m in lines.messages if not m.incomplete}) >= len(STEPS[name]))
    assert [json.loads(line)["seq"] for line in books.read_text().splitlines()] == [s.seq for s in STEPS[name]]
    whole = [message.body for message in lines.messages if not message.incomplete]
    assert len(set(whole)) == len(STEPS[name])
    assert len(whole) == len(STEPS[name]) or speaks == "HL7", "nothing twice; HL7 repeats carry their control id"


# ---- astm-2025: its server --------------------------------------------------------------------------------------


@pytest.fixture
def quiet_astm() -> Iterator[None]:
    """It logs every error with a traceback, and keeps its sockets in a map of the module."""
    logging.disable(logging.CRITICAL)
    yield
    for each in list(asynclib._SOCKET_MAP.values()):
        each.close()
    asynclib._SOCKET_MAP.clear()
    logging.disable(logging.NOTSET)


@pytest.fixture
def astm_server(quiet_astm: None) -> Iterator[int]:
    server, over = astm.server.Server("127.0.0.1", 0), threading.Event()

    def serve() -> None:
        while not over.is_set():
            asynclib.poll(0.01)

    thread = threading.Thread(target=serve)
    thread.start()
    yield server.socket.getsockname()[1]
    over.set()
    thread.join()


def test_a_foreign_receiver_fails_where_it_is_known_to(
    astm_server: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends the connection when a frame comes in two pieces or with noise, and looks at no frame number."""
    monkeypatch.setattr(material, "PEER_TURN", 0.3)
    monkeypatch.setattr(astm_receiver, "MOMENT", 0.3)
    clauses = ("LL-10", "LL-13", "LL-15", "LL-20", "LL-22", "LL-24", "LL-27", "LL-33", "LL-34", "LL-35")
    wanted = Wanted("generic_astm", f"tcp://127.0.0.1:{astm_server}", clauses=clauses, json=tmp_path / "rows.json")
    code, verdicts = rows_of(wanted)
    wrong = {astm_receiver.neutral, astm_receiver.two_pieces, astm_receiver.byte_by_byte, astm_receiver.large_frame,
             astm_receiver.wrong_number, astm_receiver.noise}  # fmt: skip
    assert code == 1
    assert {done for done, verdict in verdicts.items() if verdict == "fail"} == {each.done for each in wrong}
    assert verdicts[astm_sender.repeats.done] == "not applicable", "it never sends ENQ"
    assert verdicts[astm_receiver.wrong_checksum.done] == "pass"


# ---- astm-2025: its client --------------------------------------------------------------------------------------


def emitter() -> Iterator[list[object]]:
    yield ["H", "\\^&", None, None, "X", None, None, None, None, None, None, "P", "1"]
    yield ["P", "1"]
    yield ["O", "1", "S1", None, [None, None, None, "GLU"]]
    yield ["R", "1", [None, None, None, "GLU"], "5.4", "mmol/L"]
    yield ["L", "1", "N"]


@pytest.fixture
def astm_client(port: int, quiet_astm: None) -> Iterator[str]:
    """An analyzer that connects anew for each session, as this client does."""
    over = threading.Event()

    def send() -> None:
        while not over.wait(0.02):
            with contextlib.suppress(Exception, astm.exceptions.NotAccepted):
                client = astm.client.Client(emitter, host="127.0.0.1", port=port, timeout=None, chunk_size=240)
                while client in asynclib._SOCKET_MAP.values() and not over.is_set():
                    asynclib.poll(0.01)
            for each in list(asynclib._SOCKET_MAP.values()):
                each.close()
            asynclib._SOCKET_MAP.clear()

    thread = threading.Thread(target=send)
    thread.start()
    yield f"tcp://127.0.0.1:{port}"
    over.set()
    thread.join()


def test_a_foreign_sender_fails_where_it_is_known_to(astm_client: str, tmp_path: Path) -> None:
    """It never sends a refused frame again; its contention and its other replies end in an exception of its own."""
    clauses = ("LL-17", "LL-20", "LL-23", "LL-24", "LL-26", "LL-27", "LL-29")
    wanted = Wanted("generic_astm", None, astm_client, clauses, tmp_path / "rows.json", wait=10)
    code, verdicts = rows_of(wanted)
    sender = {each.done for each in astm_sender.CASES}
    wrong = {astm_sender.analyzer_insists, astm_sender.repeats, astm_sender.other_reply}
    assert code == 1
    failed = {done for done, verdict in verdicts.items() if verdict == "fail"}
    assert failed & sender == {each.done for each in wrong}
    assert verdicts[astm_sender.goes_on.done] == verdicts[astm_sender.form.done] == "pass"
