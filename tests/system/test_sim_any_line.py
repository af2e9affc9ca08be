"""A simulator of every driver against the middleware's own line of that driver: byte for byte in the journal.

Over the wire the analyzer really uses: frames, blocks of each dialect, MLLP, a posted form, a file in a folder.
"""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from drivers.decode import found_in
from drivers.driver import Message, driver_names, load_driver
from middleware.settings import AnalyzerSettings
from simulators import scenario
from simulators.line import opener
from simulators.run_any import Wanted, play_any
from simulators.templates import decode
from tests.system.line_kit import PATIENCE, Running, analyzer, running

LISTEN = "tcp-listen://127.0.0.1:0"
POSTS = {"diamond_smartlyte"}
KINDS = ("measurements", "suspects", "images", "details")
IDS = ["999632900017", "999632900029"]


def ends(message: Message) -> bool:
    """It names the second tube."""
    return IDS[1][-10:].encode() in message.body


async def play(wanted: Wanted, to: str, books: Path, **how: Any) -> list[dict[str, Any]]:
    """The simulator in a thread until it has sent all; its books."""
    options: dict[str, Any] = {"fast": True, "once": True, "retry": 0.02, "books": books, **how}
    thread = threading.Thread(target=play_any, args=(wanted, to, None, Event()), kwargs=options, daemon=True)
    thread.start()
    async with asyncio.timeout(PATIENCE):
        while thread.is_alive():
            await asyncio.sleep(0.002)
    return [json.loads(line) for line in books.read_text(encoding="utf-8").splitlines()]


def unit(name: str) -> AnalyzerSettings:
    return analyzer(name, "http-listen://127.0.0.1:0/ions" if name in POSTS else LISTEN, name)


async def where(lines: Running, name: str) -> str:
    if name in POSTS:
        await lines.until(lambda: name in lines.states and bool(lines.states[name].address))
        return f"http://{lines.states[name].address.removeprefix('http://').partition('/')[0]}/ions"
    return f"tcp://127.0.0.1:{(await lines.address(name))[1]}"


async def test_two_messages_of_every_driver_reach_the_journal(tmp_path: Path) -> None:
    async with running(tmp_path / "journal", *map(unit, driver_names())) as lines:
        books = {
            name: await play(Wanted(name, ids=IDS), await where(lines, name), tmp_path / f"{name}.books")
            for name in driver_names()
        }
        await lines.until(lambda: {message.analyzer for message in lines.messages if ends(message)} == set(books))
    for name, told in books.items():
        driver = load_driver(name)
        got = [row for message in lines.messages if message.analyzer == name
               for row in driver.decode(message).observations]  # fmt: skip
        assert len(got) == sum(step[kind] for step in told for kind in KINDS), name
        found = {row.sample_id for row in got if row.sample_id}
        assert found >= set(IDS) or name == "arkray_spotchem_el", name
        assert [step["tries"] for step in told] == [1, 1], name


FRAMINGS = [("snibe_maglumi", "simple"), ("beckman_au", "stx_bcc"), ("beckman_au", "enq")]


@pytest.mark.parametrize(("name", "framing"), FRAMINGS)
async def test_another_framing_of_the_driver(name: str, framing: str, tmp_path: Path) -> None:
    line = replace(unit(name), framing=framing)
    async with running(tmp_path / "journal", line) as lines:
        await play(Wanted(name, ids=IDS, framing=framing), await where(lines, name), tmp_path / "books")
        await lines.until(lambda: len(lines.messages) >= 2)
    driver = load_driver(name).at_site(framing=framing)
    said = [driver.decode(message).observations[0].sample_id for message in lines.messages]
    assert said == IDS


async def test_a_printers_text_as_files_in_a_folder(tmp_path: Path) -> None:
    await play(Wanted("siemens_rapidlab", ids=IDS), f"folder:{tmp_path / 'in'}", tmp_path / "books")
    driver = load_driver("siemens_rapidlab")
    files = sorted((tmp_path / "in").iterdir())
    assert [file.suffix for file in files] == [".txt"] * 2
    found = [each for file in files for each in found_in(driver, file.read_bytes())]
    assert [decode(driver, each.body or b"").observations[0].sample_id for each in found] == IDS


def test_who_waits_for_answers_leaves_no_files(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="waits for answers"):
        play_any(Wanted("sysmex_ca", ids=IDS), f"folder:{tmp_path}", None, Event())


async def test_a_form_that_is_not_taken_is_posted_again(tmp_path: Path) -> None:
    async with running(tmp_path / "journal", unit("diamond_smartlyte")) as lines:
        right = await where(lines, "diamond_smartlyte")
        posts = opener(right.replace("/ions", "/wrong"), None).open()
        with pytest.raises(ConnectionError, match="404"):
            await asyncio.to_thread(posts.write, b"test=1")
    with pytest.raises(ConnectionError):
        opener("http://127.0.0.1:9/ions", None).open().write(b"x")


async def test_a_refused_block_is_sent_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal is full for a moment: NAK, then the whole message again."""
    from middleware.journal import JournalError
    from middleware.recorder import Recorder

    real, failures = Recorder.append, iter([True])

    async def once_full(self: Recorder, *values: Any, **named: Any) -> Any:
        if next(failures, False):
            raise JournalError("full")
        return await real(self, *values, **named)

    monkeypatch.setattr(Recorder, "append", once_full)
    async with running(tmp_path / "journal", unit("sysmex_ca")) as lines:
        books = await play(Wanted("sysmex_ca", ids=IDS[:1]), await where(lines, "sysmex_ca"), tmp_path / "books")
        await lines.until(lambda: len(lines.messages) == 1)
    assert [step["tries"] for step in books] == [2]


@pytest.mark.parametrize(("name", "fault"), [("sysmex_ca", "split"), ("biorad_d10", "bad_checksum:times=1,rate=1")])
async def test_faults_strike_these_lines_too(name: str, fault: str, tmp_path: Path) -> None:
    async with running(tmp_path / "journal", unit(name)) as lines:
        how = {"fault": [fault]}
        books = await play(Wanted(name, ids=IDS), await where(lines, name), tmp_path / "books", **how)
        await lines.until(lambda: len(lines.messages) == 2)
    assert [step["tries"] for step in books] == [1, 1]


def test_a_fault_of_another_language_is_named() -> None:
    with pytest.raises(ValueError, match="no_fs is a fault of HL7, this analyzer speaks its dialect in blocks"):
        play_any(Wanted("sysmex_ca", ids=IDS), "tcp://127.0.0.1:9", None, Event(), fault=["no_fs"])




async def test_a_scenario_plays_any_driver(tmp_path: Path) -> None:
    async with running(tmp_path / "journal", unit("sysmex_ca")) as lines:
        text = f"[[analyzer]]\nsimulates = 'sysmex_ca'\nto = '{await where(lines, 'sysmex_ca')}'\n"
        plays = "[[analyzer.play]]\nmessages = 2\n[[analyzer.play]]\nhang_up = true\nmessages = 2\nfaults = ['split']\n"
        (tmp_path / "two.toml").write_text(text + plays, encoding="utf-8")
        read = scenario.read(tmp_path / "two.toml")
        done = await asyncio.to_thread(scenario.run, read, Event(), fast=True, retry=0.02)
        await lines.until(lambda: len(lines.messages) == 4)
    assert done == 0
