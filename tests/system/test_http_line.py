"""An analyzer that posts forms: stored before 200, refused with a reason, 503 while nothing can be stored."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import httpx2
import pytest

from drivers.driver import load_driver
from middleware import http_wire
from middleware.http_place import bad_place
from middleware.journal_trace import TraceReader
from tests.system.line_kit import Running, analyzer, quick, running

FORM = (Path(__file__).parents[1] / "captures/diamond_smartlyte/typed_tube_high_potassium.raw").read_bytes()


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)


def line(tmp_path: Path, end: str = "/smartlyte", driver: str = "diamond_smartlyte"):
    """The running line of an analyzer that posts."""
    return running(tmp_path / "journal.sqlite3", analyzer("ions", f"http-listen://127.0.0.1:0{end}", driver))


async def raw(lines: Running, *pieces: bytes) -> bytes:
    """What is answered to these bytes, until we are hung up on."""
    reader, writer = await asyncio.open_connection(*await lines.address("ions"))
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
    answer = await reader.read()
    writer.close()
    return answer


def post(body: bytes, path: bytes = b"/smartlyte", more: bytes = b"") -> bytes:
    head = b"POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" % path
    return head + more + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


async def test_a_form_is_stored_before_it_is_acknowledged_and_decodes(tmp_path: Path) -> None:
    async with line(tmp_path) as lines:
        host, port = await lines.address("ions")
        async with httpx2.AsyncClient() as client:
            for number in (1, 2):  # on one connection
                answer = await client.post(f"http://{host}:{port}/smartlyte?unit=1", content=FORM)
                assert (answer.status_code, answer.text) == (200, "stored\n")
                stored = lines.reader.unprocessed()
                assert [message.body for message in stored] == [FORM] * number
        said = load_driver("diamond_smartlyte").decode(stored[0])
        assert [(row.sample_id, row.code, row.value) for row in said.observations][:2] == [
            ("107632600741", "Na", "141.20"), ("107632600741", "K", "6.02"),
        ]  # fmt: skip
        await lines.until(lambda: len(lines.messages) == 2)
        assert lines.states["ions"].connected  # also between two posts


async def test_every_byte_of_both_directions_is_journaled(tmp_path: Path) -> None:
    asked = post(FORM)
    async with line(tmp_path) as lines:
        answer = await raw(lines, *(asked[at : at + 1] for at in range(len(asked))))
        await lines.until(lambda: len(lines.messages) == 1)
    trace = TraceReader(lines.path)
    chunks = [chunk for one in trace.walk("ions", 1, trace.newest()) for chunk in one.chunks]
    assert b"".join(chunk.data for chunk in chunks if chunk.direction == "in") == asked
    assert b"".join(chunk.data for chunk in chunks if chunk.direction == "out") == answer
    assert answer.startswith(b"HTTP/1.1 200")


async def test_not_stored_is_503_and_the_analyzer_may_try_again(tmp_path: Path) -> None:
    async with line(tmp_path) as lines:
        await lines.address("ions")
        other = sqlite3.connect(lines.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        answer = await raw(lines, post(FORM))
        assert answer.startswith(b"HTTP/1.1 503") and b"Retry-After: 10" in answer
        assert lines.messages == []
        other.execute("ROLLBACK")
        other.close()
        assert (await raw(lines, post(FORM))).startswith(b"HTTP/1.1 200")
        assert [message.body for message in lines.reader.unprocessed()] == [FORM]


REFUSED = {
    "another method": (b"GET /smartlyte HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 405),
    "another path": (post(FORM, b"/other"), 404),
    "nothing in it": (post(b" \r\n"), 400),
    "a packed body": (post(FORM, more=b"Content-Encoding: gzip\r\n"), 415),
    "too long, and says so": (post(b"x=1", more=b"")[:-1].replace(b": 3", b": 1048577"), 413),
    "too long, in pieces": (
        b"POST /smartlyte HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n800\r\n" + b"x" * 2048, 413,
    ),
    "a header without end": (b"POST /smartlyte HTTP/1.1\r\nX: " + b"y" * 20_000, 431),
    "no HTTP": (b"\x051H|\\^&\r\n\r\n", 400),
}  # fmt: skip


async def test_what_is_not_taken_is_told_why_and_stored_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with line(tmp_path) as lines:
        for case, (asked, status) in REFUSED.items():
            with monkeypatch.context() as small:
                if case == "too long, in pieces":
                    small.setattr(http_wire, "MOST_BODY", 1024)
                assert (await raw(lines, asked)).startswith(b"HTTP/1.1 %d" % status), case
        _, writer = await asyncio.open_connection(*await lines.address("ions"))
        writer.write(post(FORM)[:-20])
        writer.close()  # the body is cut
        assert lines.reader.unprocessed() == []
        await lines.until(lambda: lines.states["ions"].refused == len(REFUSED) + 1)


async def test_forms_are_taken_from_the_named_address_alone(tmp_path: Path) -> None:
    async with line(tmp_path, "/smartlyte?from=192.168.1.40") as lines:
        assert (await raw(lines, post(FORM))).startswith(b"HTTP/1.1 403")
        assert lines.reader.unprocessed() == []
    (tmp_path / "again").mkdir()
    async with line(tmp_path / "again", "/smartlyte?from=127.0.0.1") as lines:
        assert (await raw(lines, post(FORM))).startswith(b"HTTP/1.1 200")


async def test_a_silent_connection_is_ended_and_a_slow_request_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_wire, "IDLE", 0.02)
    async with line(tmp_path) as lines:
        reader, writer = await asyncio.open_connection(*await lines.address("ions"))
        assert await reader.read() == b""
        writer.close()
        monkeypatch.setattr(http_wire, "IDLE", 60.0)
        monkeypatch.setattr(http_wire, "WHOLE", 0.02)
        reader, writer = await asyncio.open_connection(*await lines.address("ions"))
        writer.write(post(FORM)[:40])
        assert (await reader.read()).startswith(b"HTTP/1.1 408")
        writer.close()


async def test_what_nobody_can_read_is_stored_and_told_so_once(tmp_path: Path) -> None:
    async with line(tmp_path, "", "generic_hl7") as lines:
        reader, writer = await asyncio.open_connection(*await lines.address("ions"))
        writer.write(post(b"hello", b"/", b"Expect: 100-continue\r\n")[:-5])
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 Continue")
        writer.write(b"hello")
        assert (await reader.read()).startswith(b"HTTP/1.1 200 OK")
        writer.close()
        assert [message.body for message in lines.reader.unprocessed()] == [b"hello"]


async def test_a_port_that_is_taken_is_a_line_that_is_down(tmp_path: Path) -> None:
    async with line(tmp_path) as lines:
        _, port = await lines.address("ions")
        (tmp_path / "second").mkdir()
        url = f"http-listen://127.0.0.1:{port}/smartlyte"
        async with running(tmp_path / "second/journal.sqlite3", analyzer("ions", url)) as second:
            await second.until(lambda: "ions" in second.states and second.states["ions"].trouble != "")
            assert not second.states["ions"].connected


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http-listen://0.0.0.0:9110/smartlyte?from=192.168.1.40", ""),
        ("http-listen://0.0.0.0:9110", ""),
        ("http-listen://0.0.0.0:9110/?form=x", "form is not from"),
        ("tcp-listen://0.0.0.0:9110?form=x", ""),
    ],
)
def test_a_url_that_makes_no_sense_is_said_in_words(url: str, told: str) -> None:
    assert bad_place(url) == told
