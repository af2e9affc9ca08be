"""A watched folder's URL: `folder:PATH?pattern=*.txt&done=done&failed=failed&ready=.ok&quiet=2`.

Turns the text of config/analyzers.toml into a Place. Law: pure; a URL that makes no sense is a ValueError in words.
"""

from __future__ import annotations

import os.path
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

SCHEME = "folder:"
OPTIONS: Mapping[str, str] = {
    "pattern": "*", "done": "done", "failed": "failed", "ready": "", "quiet": "2", "open_end": "no",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """Where files come, which of them are messages (`pattern`, whatever its capitals), where they go afterwards.

    `quiet`: seconds without a change that make a file complete. `ready`: the ending of a marker file that says so
    instead, "" for none. `open_end`: a bare HL7 message may end without its last line end (else it counts as cut).
    """

    folder: Path
    pattern: str
    done: Path
    failed: Path
    ready: str
    quiet: float
    open_end: bool


def place(url: str) -> Place:
    """The place this URL names."""
    parts = urlsplit(url, allow_fragments=False)
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = sorted(set(given) - set(OPTIONS))
    path = unquote(parts.netloc + parts.path)
    if not path:
        raise ValueError("no path")
    if unknown:
        raise ValueError(f"{', '.join(unknown)} is not one of {', '.join(OPTIONS)}")
    options = {**OPTIONS, **given}
    folder = Path(path)
    found = Place(
        folder, options["pattern"], folder / options["done"], folder / options["failed"], options["ready"],
        _seconds(options["quiet"]), _flag(options["open_end"]),
    )  # fmt: skip
    if len({os.path.normpath(p) for p in (found.folder, found.done, found.failed)}) < 3:
        raise ValueError("the folder, done and failed are three different folders")
    if not found.pattern or "/" in found.pattern + found.ready:
        raise ValueError("pattern and ready are parts of file names: pattern=*.txt, ready=.ok")
    return found


def bad_folder(url: str) -> str:
    """Why a line that begins with folder: names no place; "" when it does, or is another kind of line."""
    if url.startswith(SCHEME):
        try:
            place(url)
        except ValueError as wrong:
            return str(wrong)
    return ""


def taken_twice(lines: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Of (analyzer, URL): who watches the same files as another before, and who that is. Bad URLs are passed over."""
    watched: dict[tuple[str, str], str] = {}
    found: list[tuple[str, str]] = []
    for analyzer, url in lines:
        if url.startswith(SCHEME) and not bad_folder(url):
            one = place(url)
            key = os.path.normpath(one.folder), one.pattern.lower()
            if key in watched:
                found.append((analyzer, watched[key]))
            watched.setdefault(key, analyzer)
    return found


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 3600:
        raise ValueError(f"quiet={text} is not a number of seconds from 0 to 3600")
    return seconds


def _flag(text: str) -> bool:
    if text not in ("yes", "no"):
        raise ValueError(f"open_end={text} is neither yes nor no")
    return text == "yes"
