"""The disk's side of a watched folder: which files are there and complete, reading them, putting them away.

Turns a folder into complete files. Law: a file that still grows is not touched; nothing is deleted or overwritten
(but the marker of a file that was taken); a file that changed while it was taken goes back for another look.
Polled, so a network share will do. Everything here may block for as long as the share does.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path

from middleware.folder_place import Place

LARGEST = 32_000_000  # bytes, as of an MLLP block
LONGEST = 255  # bytes of a file's name, on the usual disks: 80 letters of Hindi come near
EMPTY = 60.0  # seconds after which an empty file is believed to stay empty


class Changed(Exception):
    """The file is not what it was when it was found complete: look again."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells that a file was written to: bytes, and its time in nanoseconds."""

    size: int
    written: int


def found_in(place: Place) -> tuple[dict[str, Stamp], frozenset[str]]:
    """The files of the pattern, and the names of all. OSError when the folder cannot be read."""
    files: dict[str, Stamp] = {}
    names: set[str] = set()
    with os.scandir(place.folder) as entries:
        for entry in entries:
            names.add(entry.name)
            if _wanted(place, entry.name) and entry.is_file(follow_symlinks=False):
                with suppress(FileNotFoundError):  # gone since
                    files[entry.name] = _stamp(entry.stat(follow_symlinks=False))
    return files, frozenset(names)


def _wanted(place: Place, name: str) -> bool:
    if place.ready and name.endswith(place.ready):
        return False
    hidden = name.startswith(".") and not place.pattern.startswith(".")  # a copy under way
    return not hidden and fnmatchcase(name.lower(), place.pattern.lower())


class Looks:
    """Compares look with look: which files are complete?"""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._since: dict[str, tuple[Stamp, float]] = {}

    def complete(self, files: Mapping[str, Stamp], names: frozenset[str], now: float) -> list[tuple[str, Stamp]]:
        """The complete ones, oldest first; `now` in seconds of a clock that never goes back."""
        since = {
            name: known if (known := self._since.get(name)) and known[0] == stamp else (stamp, now)
            for name, stamp in files.items()
        }
        first = [name for name in since if name not in self._since]
        self._since = since
        ready = [name for name in since if self._ready(name, names, now, name in first)]
        return [(name, files[name]) for name in sorted(ready, key=lambda n: (files[n].written, n))]

    def _ready(self, name: str, names: frozenset[str], now: float, first: bool) -> bool:
        if self._place.ready:
            return bool(_markers(self._place, name) & names)
        stamp, since = self._since[name]
        return not first and now - since >= max(self._place.quiet, 0.0 if stamp.size else EMPTY) and now > since


def _markers(place: Place, name: str) -> set[str]:
    return {name + place.ready, Path(name).stem + place.ready}


def read(place: Place, name: str, stamp: Stamp) -> bytes:
    """The file's bytes. Changed when it was written to meanwhile; OSError; ValueError when it is too large."""
    if stamp.size > LARGEST:
        raise ValueError(f"the file has {stamp.size} bytes; the largest that is read has {LARGEST}")
    path = place.folder / name
    data = path.read_bytes()
    if len(data) != stamp.size or _stamp(path.stat()) != stamp:
        raise Changed(name)
    return data


def put_away(place: Place, name: str, stamp: Stamp, why: str, at: datetime) -> Path:
    """Move a file to done, or with `why` to failed and the reason beside it; where it is now.

    Changed when what was moved is not what was read: it is back in the folder then. OSError when it cannot be moved.
    """
    folder = place.failed if why else place.done
    folder.mkdir(parents=True, exist_ok=True)
    target = _free(folder, name, at)
    if why:
        target.with_name(_named(target.name, ".why.txt")).write_text(why, encoding="utf-8")
    _move(place.folder / name, target)
    if _stamp(target.stat()) != stamp:
        _move(target, _free(place.folder, name, at))
        raise Changed(name)
    if place.ready:
        for marker in _markers(place, name):
            (place.folder / marker).unlink(missing_ok=True)
    return target


def _move(source: Path, target: Path) -> None:
    try:
        source.rename(target)
    except OSError as wrong:
        if wrong.errno != errno.EXDEV:
            raise
        part = target.with_name(_named(f".{target.name}", ".part"))  # another disk: copied whole, then it appears
        shutil.copy2(source, part)
        part.rename(target)
        source.unlink()


def _free(folder: Path, name: str, at: datetime) -> Path:
    """The name itself, or with the time in it when it is taken."""
    target, path = folder / name, Path(name)
    number = 0
    while target.exists():
        more = f"-{number}" if number else ""
        target = folder / _named(path.stem, f".{at:%Y%m%d-%H%M%S}{more}{path.suffix}")
        number += 1
    return target


def _named(begin: str, end: str) -> str:
    """Both as one name, the beginning cut where it would be too long."""
    return os.fsdecode(os.fsencode(begin)[: LONGEST - len(os.fsencode(end))]) + end


def _stamp(found: os.stat_result) -> Stamp:
    return Stamp(found.st_size, found.st_mtime_ns)
