"""Turns config/strings/*.csv into one table of sentences, in English and Hindi.

Law: every text a person sees comes from here; a key stands once, with both languages and the same {blanks} in both.
Text goes out plain: who puts it into HTML escapes it.
Source: domain 7.7 (simple spoken Hindi, digits 0-9).
"""

from __future__ import annotations

import csv
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from middleware.settings import ConfigError, Problem

HEADER = ["key", "en", "hi"]
LANGUAGES = ("en", "hi")


def _blanks(text: str) -> set[str]:
    """The names of the {blanks} of a sentence; ValueError when a brace is left open."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def _fault(row: list[str]) -> tuple[str, str] | None:
    """(reason, what to write instead) when a row cannot be used."""
    if len(row) != len(HEADER):
        return f"{len(row)} columns", "key, English, Hindi; quote a text that holds a comma"
    if not all(cell.strip() for cell in row):
        return "an empty cell", "both languages; a person reads each"
    try:
        same = _blanks(row[1]) == _blanks(row[2])
    except ValueError as error:
        return f"braces: {error}", "{name} for a blank, {{ for a brace"
    return None if same else ("English and Hindi have different {blanks}", "the same {blanks} in both")


def _rows(path: Path) -> Iterator[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.reader(file)


@dataclass(frozen=True, slots=True)
class Strings:
    """All sentences: key → language → text."""

    table: Mapping[str, Mapping[str, str]]

    @classmethod
    def load(cls, config_dir: Path) -> Strings:
        """Merge config/strings/*.csv; ConfigError names every bad row, and every key that stands twice."""
        table: dict[str, Mapping[str, str]] = {}
        problems: list[Problem] = []
        for path in sorted((config_dir / "strings").glob("*.csv")):
            problems += _merge(path, table)
        if problems:
            raise ConfigError(problems)
        return cls(table)

    def has(self, key: str) -> bool:
        """True when the key exists."""
        return key in self.table

    def t(self, key: str, lang: str, **values: object) -> str:
        """The sentence in one language with its {blanks} filled; KeyError for a missing key, language or value."""
        text = self.table[key][lang]
        return text.format(**values) if "{" in text else text


def _merge(path: Path, table: dict[str, Mapping[str, str]]) -> list[Problem]:
    """Add one file to the table; give back what is wrong with it."""
    rows = _rows(path)
    name = f"strings/{path.name}"
    if next(rows, None) != HEADER:
        return [Problem(name, "header", "the first line is not the header", ",".join(HEADER))]
    problems = []
    for row in filter(None, rows):
        fault = _fault(row)
        if fault is None and row[0] in table:
            fault = ("the key stands twice", "another key, or leave one out")
        if fault is None:
            table[row[0]] = {"en": row[1], "hi": row[2]}
        else:
            problems.append(Problem(name, row[0], *fault))
    return problems
