"""Turns the English sentence of a refusal into the person's language.

Actions refuse in English sentences; config/strings holds each as `refused.<name>`, with {blanks} where the sentence
carries values. Law: a sentence that is not listed stays English, never blank; a test keeps the list whole.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from server.strings import Strings

PREFIX = "refused."
_BLANK = re.compile(r"\\{(\w+)\\}")


@dataclass(frozen=True, slots=True)
class Refusals:
    """All sentences with which the lab refuses something."""

    strings: Strings
    patterns: tuple[tuple[re.Pattern[str], str], ...]

    @classmethod
    def of(cls, strings: Strings) -> Refusals:
        """The sentences of config/strings, those without blanks first: the most particular one wins."""
        listed = [(texts["en"], key) for key, texts in strings.table.items() if key.startswith(PREFIX)]
        listed.sort(key=lambda pair: (pair[0].count("{"), -len(pair[0])))
        return cls(strings, tuple((_pattern(text), key) for text, key in listed))

    def find(self, text: str) -> tuple[str, dict[str, str]] | None:
        """The key and values of an English sentence."""
        for pattern, key in self.patterns:
            fits = pattern.fullmatch(text)
            if fits:
                return key, fits.groupdict()
        return None

    def say(self, text: str, lang: str) -> str:
        """`text` (a strings key, or an English sentence) in this language."""
        if self.strings.has(text):
            return self.strings.t(text, lang)
        found = self.find(text)
        return self.strings.t(found[0], lang, **found[1]) if found else text


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(_BLANK.sub(r"(?P<\1>.*)", re.escape(text)), re.DOTALL)
