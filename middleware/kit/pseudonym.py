"""Other names and numbers for people's: as long, of the same kind of letter, the same each time within one capture.

Turns texts into texts. Law: pure but for the salt, which the caller makes anew for each capture and keeps nowhere, so
that nothing can be turned back or compared between captures; no text is left as it was, none becomes another's.
A number keeps its leading zeros, a date stays a date, every letter stays in its script and in as many bytes.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Callable
from functools import cache

UNIQUE = 3  # characters from which on two texts never become the same one
SHORT = 3
TRIES = 200
DATE = re.compile(r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(\d{4}|\d{6})?")
_LOWER = "abcdefghijklmnopqrstuvwxyz"


def wordy(char: str) -> bool:
    """Part of a name or number: letters and digits of any script, and the marks that belong to letters."""
    return char.isalnum() or unicodedata.category(char)[0] == "M"


def tokens(text: str, part: Callable[[str], bool] = wordy) -> list[tuple[int, int]]:
    """Where the names and numbers of a text begin and end; `part` says which characters they are made of."""
    found: list[tuple[int, int]] = []
    for at, char in enumerate(text):
        if not part(char):
            continue
        if found and found[-1][1] == at:
            found[-1] = (found[-1][0], at + 1)
        else:
            found.append((at, at + 1))
    return found


class Pseudonyms:
    """The other names of one capture."""

    def __init__(self, salt: bytes, charset: str = "utf-8", kept: Callable[[str], bool] = lambda _text: False) -> None:
        """`charset` is the capture's: a letter is replaced by one of as many bytes. `kept` says of an id that it is
        nobody's (a control's, an unread barcode): it stays, and no other id becomes one of that kind."""
        self._salt, self._charset, self.kept = salt, charset, kept
        self.count = 0  # of texts that were replaced
        self._given: dict[str, str] = {}  # lower case → lower case
        self._taken: set[str] = set()
        self._avoid: set[str] = set()

    def avoid(self, originals: set[str]) -> None:
        """Texts that stand in the capture: nobody is given one of them."""
        self._avoid |= {original.lower() for original in originals}

    def text(self, text: str, words: int = 0) -> str:
        """The text with every name and number replaced, but for runs of letters of up to `words` characters."""
        made, before = [], 0
        for begin, end in tokens(text, self._part):
            if end - begin <= words and text[begin:end].isalpha():
                continue
            made += [text[before:begin], self.token(text[begin:end])]
            before = end
        return "".join([*made, text[before:]])

    def identity(self, text: str) -> str:
        """The other id of a tube or a patient; one that is nobody's as it stands. A short word beside a number, such
        as "dil", says what became of the tube and stays."""
        if self.kept(text.strip()):
            return text
        return self.text(text, SHORT if any(map(str.isdigit, text)) else 0)

    def token(self, token: str) -> str:
        """The other name of one name or number. All zeros stay: they are nobody's."""
        if not token.strip("0"):
            return token
        self.count += 1
        key = token.lower()
        if len(key) != len(token):  # a letter that becomes two
            key = token
        if key not in self._given:
            self._given[key] = self._new(key)
        return "".join(self._as(old, new) for old, new in zip(token, self._given[key], strict=True))

    def _part(self, char: str) -> bool:
        """In bytes of an alphabet that is not known every byte above 127 may be part of a name."""
        return wordy(char) or _raw(char) or (self._charset == "latin-1" and ord(char) >= 0x80)

    def _new(self, key: str) -> str:
        made = key
        for attempt in range(TRIES):
            made = self._made(key, attempt)
            free = made not in self._taken and made not in self._avoid and not self.kept(made)
            if made != key and (free or len(key) < UNIQUE):
                break
        self._taken.add(made)
        return made

    def _made(self, key: str, attempt: int) -> str:
        date = DATE.fullmatch(key)
        noise = self._noise(f"{key}#{attempt}", 4 * len(key) + 16)
        if date:
            day = f"{1940 + noise[0] % 70}{1 + noise[1] % 12:02d}{1 + noise[2] % 28:02d}"
            return day + (date[4] or "")
        led = len(key) - len(key.lstrip("0"))
        return key[:led] + "".join(
            self._char(char, noise[at], first=at == led) for at, char in enumerate(key) if at >= led
        )

    def _noise(self, text: str, size: int) -> bytes:
        made = b""
        while len(made) < size:
            asked = f"{len(made)}:{text}".encode("utf-8", "surrogateescape")
            made += hmac.new(self._salt, asked, hashlib.sha256).digest()
        return made

    def _char(self, char: str, noise: int, first: bool) -> str:
        if "0" <= char <= "9":
            return "123456789"[noise % 9] if first else "0123456789"[noise % 10]
        if char in _LOWER:
            return _LOWER[noise % 26]
        if _raw(char) or (self._charset == "latin-1" and not char.isalpha()):
            return chr((0xDC00 if _raw(char) else 0) + 0xE0 + noise % 23)
        choices = _relatives(char, self._charset)
        return choices[noise % len(choices)] if choices else char

    def _as(self, old: str, new: str) -> str:
        """The new letter in the case of the old one."""
        shown = new.upper() if old.isupper() else new
        return shown if len(shown) == 1 and self._size(shown) == self._size(old) else new

    def _size(self, char: str) -> int:
        """Bytes of a letter; 0 for one that this alphabet does not have."""
        try:
            return len(char.encode(self._charset, "surrogateescape"))
        except UnicodeEncodeError:
            return 0


def _raw(char: str) -> bool:
    """A byte that could not be read, as `surrogateescape` has it."""
    return 0xDC80 <= ord(char) <= 0xDCFF


@cache
def _relatives(char: str, charset: str) -> str:
    """Other letters (or marks) of the same script and size: of the 64 code points around this one."""
    begin, kind, size = ord(char) & ~63, unicodedata.category(char), len(char.encode(charset, "surrogateescape"))
    found = []
    for code in range(begin, begin + 64):
        other = chr(code)
        if other == char or unicodedata.category(other) != kind or other.casefold() != other.lower():
            continue
        try:
            if len(other.encode(charset)) == size:
                found.append(other.lower() if len(other.lower().encode(charset)) == size else other)
        except UnicodeEncodeError:
            continue
    return "".join(found)
