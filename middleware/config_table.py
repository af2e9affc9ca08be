"""One table of a TOML file, read key by key with types, ranges and remedies.

Turns untyped TOML (and texts from the environment) into typed values; every mistake becomes a Problem and the
reading goes on with the default. Law: never raises for what stands in a file; a key nobody asked for is a Problem.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import SplitResult, urlsplit

from middleware.problems import Problem, nearest
from middleware.serial_place import bad_serial

LISTEN_SCHEMES = frozenset({"tcp-listen", "http-listen"})
HOST_SCHEMES = LISTEN_SCHEMES | {"tcp", "rfc2217", "socket", "http", "https"}


class Table:
    """The keys of one table: ask for each by type, then `finish()` tells which were not asked for."""

    def __init__(self, file: str, name: str, values: object, problems: list[Problem]) -> None:
        self.file, self.name, self.problems = file, name, problems
        self._asked: set[str] = set()
        self.values: Mapping[str, Any] = values if isinstance(values, Mapping) else {}
        if not isinstance(values, Mapping):
            self.problem("", "is not a table", f"[{name}] with keys below it")

    def problem(self, key: str, reason: str, instead: str) -> None:
        """Add a Problem at this key."""
        where = ".".join(part for part in (self.name, key) if part)
        self.problems.append(Problem(self.file, where, reason, instead))

    def _take(self, key: str, default: object) -> Any:
        self._asked.add(key)
        if key not in self.values and default is None:
            self.problem(key, "is missing", f"write {key} = …")
        return self.values.get(key, default)

    def text(self, key: str, default: str | None = "", pattern: str | None = None, instead: str = "a text") -> str:
        """A text; None as default makes the key obligatory; `pattern` must match it whole."""
        value = self._take(key, default)
        if value is None:
            return ""
        if not isinstance(value, str):
            self.problem(key, f"{value!r} is not a text", f'{key} = "{value}"')
            return default or ""
        if pattern is not None and not re.fullmatch(pattern, value):
            self.problem(key, f'"{value}" does not fit', instead)
        return value

    def one_of(self, key: str, choices: Iterable[str], default: str | None = None) -> str:
        """One of a few words."""
        known = tuple(choices)
        value = self.text(key, default)
        if (value or default is not None) and value not in known:
            self.problem(key, f'"{value}" is unknown', nearest(value, known))
        return value

    def integer(self, key: str, default: int | None, low: int, high: int) -> int:
        """A whole number from low to high; digits in a text (the environment) count too."""
        value = self._take(key, default)
        if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,9}", value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            if value is not None:
                self.problem(key, f"{value!r} is not a whole number", f"{key} = {default or low}")
            return default or low
        if not low <= value <= high:
            self.problem(key, f"{value} is outside {low}-{high}", f"a number from {low} to {high}")
            return default or low
        return value

    def flag(self, key: str, default: bool) -> bool:
        """true or false."""
        value = self._take(key, default)
        if isinstance(value, str) and value.lower() in ("true", "false"):
            value = value.lower() == "true"
        if not isinstance(value, bool):
            self.problem(key, f"{value!r} is neither true nor false", f"{key} = {str(default).lower()}")
            return default
        return value

    def words(self, key: str, default: Iterable[str] = ()) -> tuple[str, ...]:
        """A list of texts."""
        value = self._take(key, list(default))
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            self.problem(key, "is not a list of texts", f'{key} = ["…", "…"]')
            return tuple(default)
        return tuple(value)

    def known_words(self, key: str, known: Iterable[str], default: Iterable[str] = ()) -> tuple[str, ...]:
        """A list of texts that must all be among `known`."""
        choices = tuple(known)
        value = self.words(key, default)
        for word in value:
            if word not in choices:
                self.problem(key, f'"{word}" is unknown', nearest(word, choices))
        return tuple(w for w in value if w in choices)

    def mapping(self, key: str) -> dict[str, str]:
        """A table of texts by text; empty when it is not there."""
        value = self._take(key, {})
        if not isinstance(value, Mapping) or not all(isinstance(v, str) for v in value.values()):
            self.problem(key, "is not a table of texts", f'[{self.name}.{key}] with lines like "8" = "TSH"')
            return {}
        return dict(value)

    def raw(self, key: str) -> dict[str, Any]:
        """A table that somebody else reads (a gateway's own)."""
        value = self._take(key, {})
        if not isinstance(value, Mapping):
            self.problem(key, "is not a table", f"[{self.name}.{key}]")
            return {}
        return dict(value)

    def url(self, key: str, default: str | None, schemes: Iterable[str]) -> str:
        """A URL with one of these schemes; an empty default may stay empty."""
        value, allowed = self.text(key, default), tuple(schemes)
        if value and (wrong := bad_url(value, allowed)):
            self.problem(key, f'"{value}": {wrong}', "like " + example(allowed[0]))
        return value

    def finish(self) -> None:
        """A Problem for every key that was never asked for."""
        for key in self.values:
            if key not in self._asked:
                self.problem(str(key), "is unknown", nearest(str(key), self._asked))


def bad_url(url: str, schemes: tuple[str, ...]) -> str:
    """Why this is not a URL of these schemes; "" when it is."""
    parts = urlsplit(url)
    if parts.scheme not in schemes:
        return f"begins with none of {', '.join(s + ':' for s in schemes)}"
    if parts.scheme in HOST_SCHEMES:
        return _bad_address(parts) or bad_serial(url)
    return bad_serial(url) if parts.path or parts.netloc else "no path"


def _bad_address(parts: SplitResult) -> str:
    try:
        port = parts.port
    except ValueError:
        return "the port is not a number from 1 to 65535"
    if not parts.hostname:
        return "no host"
    if port is None and parts.scheme not in ("http", "https"):
        return "no port"
    return "the port is not a number from 1 to 65535" if port == 0 else ""


def listens_on(url: str) -> int:
    """The port of this computer that a line takes; 0 when it takes none, or names none that can be read."""
    parts = urlsplit(url)
    try:
        return (parts.port or 0) if parts.scheme in LISTEN_SCHEMES else 0
    except ValueError:
        return 0


def example(scheme: str) -> str:
    """A URL to copy."""
    special = {"serial": "serial:/dev/ttyUSB0?baud=9600", "sqlite": "postgresql+psycopg://labmitra@db.local/labmitra"}
    return special.get(scheme, f"{scheme}://192.168.1.20:9101")
