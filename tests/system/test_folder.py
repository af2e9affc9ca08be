"""A watched folder as a line: complete files only, stored before they are moved, the same file twice is one result."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import sqlite3
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from drivers.driver import load_driver
from drivers.wire import lis1a, mllp
from middleware import folder_files, folder_place, folder_wire
from middleware.folder_files import EMPTY, Looks, Stamp
from middleware.folder_take import take
from tests.system.line_kit import EOT, ORU, PATIENCE, Running, analyzer, quick, running

ASTM = b"H|\\^&|||X^1\rP|1\rO|1|S1||^^^GLU\rR|1|^^^GLU|5.4|mmol/L\rR|2|^^^UREA|30|mg/dL\rL|1|N\r"
FRAMES = lis1a.frames(ASTM, one_record_a_frame=True)
AT = datetime(2026, 1, 30, 4, 45, tzinfo=UTC)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)
    monkeypatch.setattr(folder_wire, "POLL", 0.005)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "from analyzer"
    made.mkdir()
    return made


def watch(tmp_path: Path, folder: Path, options: str = "quiet=0", driver: str = "generic_astm"):
    """The running line of this folder."""
    url = f"folder:{str(folder).replace(' ', '%20')}?{options}"
    return running(tmp_path / "journal.sqlite3", analyzer("files", url, driver))


def write(folder: Path, name: str, data: bytes) -> None:
    """As a careful program does: under another name, then renamed into place."""
    (folder / ".tmp").write_bytes(data)
    (folder / ".tmp").rename(folder / name)


def in_(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir()) if folder.exists() else []


def trouble(lines: Running) -> str:
    return lines.states["files"].trouble if "files" in lines.states else ""


async def gone(lines: Running, folder: Path, name: str) -> None:
    await lines.until(lambda: not (folder / name).exists())


SESSION = b"\x05" + b"".join(FRAMES) + EOT
FORMS = {
    "frames, two sessions": ("generic_astm", SESSION * 2, [ASTM, ASTM]),
    "frames as cut from a line, no ENQ": ("generic_astm", b"".join(FRAMES), [ASTM]),
    "records": ("generic_astm", ASTM + ASTM.replace(b"S1", b"S2"), [ASTM, ASTM.replace(b"S1", b"S2")]),
    "records of Windows after a byte order mark": (
        "generic_astm", b"\xef\xbb\xbf" + ASTM.replace(b"\r", b"\r\n"), [ASTM.replace(b"\r", b"\r\n")],
    ),
    "blocks": ("generic_hl7", mllp.block(ORU) * 2, [ORU, ORU]),
    "a bare HL7 message": ("generic_hl7", ORU, [ORU]),
    "a batch": ("generic_hl7", b"FHS|^~\\&\rBHS|^~\\&\r" + ORU + ORU + b"BTS|2\rFTS|1", [ORU, ORU]),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
async def test_every_form_is_stored_then_moved(tmp_path: Path, folder: Path, form: str) -> None:
    driver, data, bodies = FORMS[form]
    async with watch(tmp_path, folder, driver=driver) as lines:
        write(folder, "result.txt", data)
        await gone(lines, folder, "result.txt")
        state = lines.states["files"]
    assert [(m.body, m.incomplete) for m in lines.messages] == [(body, False) for body in bodies]
    assert lines.reader.unprocessed() == lines.messages
    assert (folder / "done" / "result.txt").read_bytes() == data and in_(folder) == ["done"]
    assert [(c.direction, c.data, c.note) for c in lines.reader.chunks(lines.messages[0].id)] == [("in", data, "file")]
    assert state.connected and state.address == str(folder) and state.trouble == ""


async def test_committed_before_it_is_moved(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, seen = folder_files.put_away, []

    def put_away(*values: object) -> Path:
        seen.append(len(lines.reader.messages()))
        return real(*values)

    monkeypatch.setattr(folder_files, "put_away", put_away)
    async with watch(tmp_path, folder) as lines:
        write(folder, "r.txt", ASTM)
        await gone(lines, folder, "r.txt")
    assert seen == [1]


async def test_a_crash_between_store_and_move_neither_loses_nor_doubles(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_values: object) -> Path:
        raise OSError(errno.EIO, "power cut")

    write(folder, "r.txt", ASTM * 3)
    with monkeypatch.context() as cut:
        cut.setattr(folder_files, "put_away", crash)
        async with watch(tmp_path, folder) as lines:
            await lines.until(lambda: "moved" in trouble(lines))
        assert len(lines.messages) == 3 and in_(folder) == ["r.txt"]
    async with watch(tmp_path, folder) as again:
        await gone(again, folder, "r.txt")
    assert again.messages == [], "known: the pipeline finds them in the journal"
    assert again.reader.unprocessed() == lines.messages and in_(folder / "done") == ["r.txt"]


async def test_the_same_file_again_is_a_repeat(tmp_path: Path, folder: Path) -> None:
    async with watch(tmp_path, folder) as lines:
        for _ in range(2):
            write(folder, "r.txt", ASTM)
            await gone(lines, folder, "r.txt")
        write(folder, "r.txt", ASTM.replace(b"5.4", b"5.5"))
        await gone(lines, folder, "r.txt")
    assert [m.body for m in lines.messages] == [ASTM, ASTM.replace(b"5.4", b"5.5")]
    kept = in_(folder / "done")
    assert len(kept) == 3 and kept[-1] == "r.txt" and all(name.startswith("r.2") for name in kept[:2])


# ---- what cannot be used ----------------------------------------------------------------------------------------


async def test_a_hole_between_frames_is_never_filed_to_a_patient(tmp_path: Path, folder: Path) -> None:
    """The damaged frame held the O record: what follows may be another patient's."""
    data = SESSION.replace(b"O|1|S1", b"O|1|S2")
    async with watch(tmp_path, folder) as lines:
        write(folder, "r.txt", data)
        await gone(lines, folder, "r.txt")
    assert [m.incomplete for m in lines.messages] == [True]
    assert in_(folder / "failed") == ["r.txt", "r.txt.why.txt"] and not (folder / "done").exists()
    why = (folder / "failed" / "r.txt.why.txt").read_text()
    assert "session 1, frame 3: wrong checksum: the frame is not used" in why
    assert "1 messages of it are stored, 0 of them whole" in why
    assert lines.states["files"].refused == 1


BAD = {
    "nothing of an analyzer": ("generic_astm", b"PK\x03\x04 something else", "there is not a frame or a record H"),
    "no HL7": ("generic_hl7", b"hello", "there is not an MLLP block or a segment MSH"),
    "another language": ("generic_hl7", b"MSHX\r", "message 1: "),
}


@pytest.mark.parametrize("case", BAD)
async def test_what_cannot_be_read_is_kept_and_says_why(tmp_path: Path, folder: Path, case: str) -> None:
    driver, data, why = BAD[case]
    async with watch(tmp_path, folder, driver=driver) as lines:
        write(folder, "r.txt", data)
        await gone(lines, folder, "r.txt")
    assert (folder / "failed" / "r.txt").read_bytes() == data
    assert why in (folder / "failed" / "r.txt.why.txt").read_text()
    (chunk,) = lines.reader.chunks(1)
    assert chunk.data == data and chunk.note.startswith("file: ")


def cut_after(data: bytes, options: str) -> list[bool]:
    taken = take(load_driver("generic_hl7"), "a", "f", data, AT, folder_place.place(f"folder:/x?{options}").open_end)
    return [message.incomplete for message in taken.messages]


def test_half_a_value_is_not_taken_for_a_value() -> None:
    assert cut_after(ORU + ORU[:-2], "") == [False, True]
    assert cut_after(ORU[:-1], "open_end=yes") == [False]
    assert cut_after(mllp.block(ORU)[:-1], "") == [False]


@pytest.mark.parametrize(("wrong", "told"), [(PermissionError(13, "Permission denied"), "Permission denied"),
                                             (OSError(5, "Input/output error"), "Input/output error")])  # fmt: skip
async def test_a_file_that_is_held_is_waited_for_then_told(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, wrong: OSError, told: str
) -> None:
    def read(*_values: object) -> bytes:
        raise wrong

    monkeypatch.setattr(folder_files, "read", read)
    async with watch(tmp_path, folder) as lines:
        write(folder, "r.txt", ASTM)
        await lines.until(lambda: told in trouble(lines))
        assert in_(folder) == ["r.txt"], "the program that writes it may still hold it"
        monkeypatch.setattr(folder_wire, "PATIENCE", 0.0)
        await gone(lines, folder, "r.txt")
        await lines.until(lambda: lines.states["files"].trouble == "")
    assert told in (folder / "failed" / "r.txt.why.txt").read_text()


async def test_a_file_too_large_is_told(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_files, "LARGEST", 10)
    async with watch(tmp_path, folder) as lines:
        write(folder, "r.txt", ASTM)
        await gone(lines, folder, "r.txt")
    assert "the largest that is read has 10" in (folder / "failed" / "r.txt.why.txt").read_text()
    assert lines.messages == []


async def test_a_name_of_another_charset(tmp_path: Path, folder: Path) -> None:
    name = os.fsdecode(b"caf\xe9.txt")
    async with watch(tmp_path, folder) as lines:
        write(folder, name, ASTM + b"O|1|no H before\r")
        await gone(lines, folder, name)
    assert [m.body for m in lines.messages] == [ASTM], "what is whole is used; the rest is told"
    assert "records that belong to no message" in (folder / "failed" / f"{name}.why.txt").read_text()


# ---- complete files only ----------------------------------------------------------------------------------------


def stamps(**sizes: int) -> tuple[dict[str, Stamp], frozenset[str]]:
    return {name: Stamp(size, 1) for name, size in sizes.items()}, frozenset(sizes)


def test_a_file_that_grows_is_left_alone() -> None:
    looks = Looks(folder_place.place("folder:/x?quiet=2"))

    def names(now: float, **sizes: int) -> list[str]:
        return [name for name, _ in looks.complete(*stamps(**sizes), now)]

    assert names(0, a=10) == []
    assert names(1.5, a=20) == []
    assert names(3, a=20) == [], "quiet for one and a half seconds only"
    assert names(3.5, a=20, b=5) == ["a"]
    assert names(5.5, a=20, b=5) == ["a", "b"]
    assert names(6, b=5) == ["b"]
    assert names(7, b=5, c=0) == ["b"]
    assert names(7 + EMPTY - 1, c=0) == []
    assert names(7 + EMPTY, c=0) == ["c"], "an empty file is waited for longer, then told"


def test_a_marker_says_that_it_is_complete() -> None:
    looks = Looks(folder_place.place("folder:/x?ready=.ok"))
    files = {"a.txt": Stamp(1, 1), "b.txt": Stamp(1, 2), "c.txt": Stamp(1, 3)}
    found = looks.complete(files, frozenset({*files, "a.ok", "b.txt.ok"}), 0)
    assert [name for name, _ in found] == ["a.txt", "b.txt"]


async def test_a_marker_goes_with_its_file(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    complete = Looks.complete

    def noted(looks: Looks, files: dict[str, Stamp], *more: Any) -> list[tuple[str, Stamp]]:
        seen.extend(files)
        return complete(looks, files, *more)

    monkeypatch.setattr(Looks, "complete", noted)
    async with watch(tmp_path, folder, "pattern=*.dat&ready=.ok&done=../stored") as lines:
        (folder / "r.DAT").write_bytes(ASTM[:30])
        (folder / "other.txt").write_bytes(ASTM)
        await lines.until(lambda: "files" in lines.states and lines.states["files"].connected)
        await lines.until(lambda: seen.count("r.DAT") > 2)  # what one look takes is stored before the next
        assert lines.messages == []
        (folder / "r.DAT").write_bytes(ASTM)
        (folder / "r.ok").touch()
        await gone(lines, folder, "r.ok")
    assert in_(folder) == ["other.txt"] and in_(tmp_path / "stored") == ["r.DAT"]
    assert [(m.body, m.incomplete) for m in lines.messages] == [(ASTM, False)]


async def test_written_to_while_it_was_taken_it_comes_again(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The analyzer's program writes the next result under the same name between our read and our move."""
    real: Callable[..., Path] = folder_files.put_away
    later = ASTM.replace(b"5.4", b"15.4")

    def put_away(*values: object) -> Path:
        if lines.reader.messages()[0].size == len(ASTM):
            (folder / "r.txt").write_bytes(later)
        return real(*values)

    monkeypatch.setattr(folder_files, "put_away", put_away)
    async with watch(tmp_path, folder) as lines:
        write(folder, "r.txt", ASTM)
        await lines.until(lambda: len(lines.messages) == 2)
        await gone(lines, folder, "r.txt")
    assert [m.body for m in lines.messages] == [ASTM, later]
    assert (folder / "done" / "r.txt").read_bytes() == later


def test_to_another_disk(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder, "r.txt", ASTM)
    place = folder_place.place(f"folder:{folder}")
    stamp = folder_files.found_in(place)[0]["r.txt"]
    real = Path.rename

    def rename(self: Path, target: Path) -> Path:
        if self.parent == folder:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    assert folder_files.put_away(place, "r.txt", stamp, "", AT) == folder / "done" / "r.txt"
    assert in_(folder) == ["done"] and in_(folder / "done") == ["r.txt"]


@pytest.mark.parametrize("letter", ["x", "\u0930"])
def test_a_name_as_long_as_the_disk_allows(letter: str, folder: Path) -> None:
    """It has no room for what is added: the file would never leave the folder."""
    name = letter * (251 // len(letter.encode())) + ".txt"
    place = folder_place.place(f"folder:{folder}")
    for _again in range(2):
        write(folder, name, ASTM)
        stamp = folder_files.found_in(place)[0][name]
        assert folder_files.put_away(place, name, stamp, "why", AT).read_bytes() == ASTM
    assert in_(folder) == ["failed"] and len(in_(folder / "failed")) == 4


# ---- the folder and the disk fail -------------------------------------------------------------------------------


async def test_a_folder_that_is_gone_and_back(tmp_path: Path, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One line when it goes, one when it is back, and nothing needs a restart."""
    caplog.set_level(logging.INFO, "labmitra.line")
    async with watch(tmp_path, folder) as lines:
        await lines.until(lambda: "files" in lines.states and lines.states["files"].connected)
        folder.rename(tmp_path / "away")
        await lines.until(lambda: not lines.states["files"].connected)
        assert lines.states["files"].trouble == f"folder {folder} cannot be read: No such file or directory"
        (tmp_path / "away").rename(folder)
        write(folder, "r.txt", ASTM)
        await gone(lines, folder, "r.txt")
        assert lines.states["files"].connected and lines.states["files"].trouble == ""
    said = [r.getMessage().split(": ")[1] for r in caplog.records]
    assert said == ["line is down", "line is back"]


async def test_files_wait_while_the_journal_cannot_be_written(tmp_path: Path, folder: Path) -> None:
    async with watch(tmp_path, folder) as lines:
        other = sqlite3.connect(lines.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        write(folder, "r.txt", ASTM)
        await lines.until(lambda: "files wait" in trouble(lines))
        assert in_(folder) == ["r.txt"]
        other.execute("ROLLBACK")
        other.close()
        await gone(lines, folder, "r.txt")
    assert [m.body for m in lines.messages] == [ASTM]


async def test_a_share_that_hangs_hangs_this_line_alone(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the event loop nor the end of the process waits for it; it is told, and goes on by itself."""
    real, free = folder_files.found_in, threading.Event()

    def found_in(place: folder_place.Place) -> object:
        assert free.wait(PATIENCE)
        return real(place)

    monkeypatch.setattr(folder_files, "found_in", found_in)
    monkeypatch.setattr(folder_wire, "HUNG", 0.01)
    async with watch(tmp_path, folder) as lines:
        await lines.until(lambda: "does not answer" in trouble(lines))
        free.set()
        await lines.until(lambda: lines.states["files"].connected and not lines.states["files"].trouble)
        free.clear()
    free.set()
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("folder:", "no path"),
        ("folder:/x?patern=*", "patern is not one of pattern, done, failed, ready, quiet, open_end"),
        ("folder:/x?done=.", "three different folders"),
        ("folder:/x?done=bad&failed=bad", "three different folders"),
        ("folder:/x?quiet=long", "quiet=long is not a number of seconds from 0 to 3600"),
        ("folder:/x?pattern=a/*", "pattern and ready are parts of file names"),
        ("folder:/x?open_end=maybe", "open_end=maybe is neither yes nor no"),
        ("tcp://h:1", ""),
        ("folder:/x?pattern=??.txt&failed=/y", ""),
    ],
)
def test_a_url_that_makes_no_sense(url: str, why: str) -> None:
    told = folder_place.bad_folder(url)
    assert why in told and bool(told) == bool(why)


def test_two_lines_on_one_folder() -> None:
    lines = [("a", "folder:/x?pattern=*.txt"), ("b", "folder:/x/?pattern=*.TXT&quiet=9"), ("c", "folder:/x"),
             ("d", "folder:/x?quiet=bad"), ("e", "tcp://h:1")]  # fmt: skip
    assert folder_place.taken_twice(lines) == [("b", "a")]
