"""A mistake in the configuration, said so that the reader can mend it.

Turns nothing into nothing: the words that settings, catalogue and check share. Law: pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in the configuration: where it stands, what is wrong, what to write instead."""

    file: str
    key: str
    reason: str
    instead: str


class ConfigError(Exception):
    """The configuration has mistakes: `problems` lists every one; the process does not start."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(f"{p.file}: {p.key}: {p.reason} ({p.instead})" for p in problems))
        self.problems = problems


def nearest(word: str, known: Iterable[str]) -> str:
    """Advice for a word that is not among `known`: the nearest one, else all of them."""
    choices = sorted(known)
    close = get_close_matches(word.lower(), [c.lower() for c in choices], n=1, cutoff=0.6)
    if close:
        return f'did you mean "{next(c for c in choices if c.lower() == close[0])}"?'
    return "known: " + ", ".join(choices[:20]) + (" …" if len(choices) > 20 else "")
