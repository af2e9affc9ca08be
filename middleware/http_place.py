"""Where an analyzer posts to: `http-listen://HOST:PORT/path?from=ADDRESS`.

Turns the text of config/analyzers.toml into a Place. Law: pure; a URL that makes no sense is a ValueError in words.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

SCHEME = "http-listen:"


@dataclass(frozen=True, slots=True)
class Place:
    """Where forms are taken: the path, and the only address they may come from ("" for any)."""

    path: str
    sender: str


def place(url: str) -> Place:
    """The place this URL names. ValueError when an option makes no sense."""
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = sorted(set(options) - {"from"})
    if unknown:
        raise ValueError(f"{', '.join(unknown)} is not from")
    return Place(parts.path or "/", options.get("from", "").strip("[]"))


def bad_place(url: str) -> str:
    """Why a line that begins with http-listen: names no place; "" when it does, or is another kind of line."""
    if url.startswith(SCHEME):
        try:
            place(url)
        except ValueError as wrong:
            return str(wrong)
    return ""
