"""Turns a name in Devanagari into Latin letters, for printers whose font has no others.

Law: a name on a tube identifies a patient, so letters are spelled, never dropped in silence; ASCII stays as it is.
Source: Hunterian transliteration (the Survey of India's), without its accents; a final "a" is not spoken.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping


def _spelling(letters: str, latin_letters: str) -> Mapping[str, str]:
    return dict(zip(letters, latin_letters.split(), strict=True))


CONSONANTS = _spelling(
    "कखगघङचछजझञटठडढणतथदधनपफबभमयरलवशषसहळ",
    "k kh g gh n ch chh j jh n t th d dh n t th d dh n p ph b bh m y r l v sh sh s h l",
)
VOWELS = _spelling("अआइईउऊऋएऐओऔऑ", "a a i i u u ri e ai o au o")
SIGNS = _spelling("ािीुूृेैोौॉ", "a i i u u ri e ai o au o")
OTHERS = {"ं": "n", "ँ": "n", "ः": "h", "।": ".", "ॐ": "om"}
DOTTED = {"ड": "r", "ढ": "rh", "ज": "z", "फ": "f", "क": "q", "ख": "kh", "ग": "g"}
HALANT, NUKTA, UNSPOKEN = "्", "़", "a"


def latin(text: str) -> str:
    """The text in ASCII letters: "राम कुमार" is "Ram Kumar", "José" is "Jose", what is unknown is "?"."""
    return " ".join(_word(word) for word in unicodedata.normalize("NFKC", text).split())


def _word(word: str) -> str:
    if word.isascii():
        return word
    if not any("\u0900" <= letter <= "\u097f" for letter in word):
        return _plain(word)
    return _spell(unicodedata.normalize("NFD", word)).capitalize()


def _plain(word: str) -> str:
    """Accents off; letters of other scripts become "?" so that their absence is seen."""
    bare = (c for c in unicodedata.normalize("NFKD", word) if not unicodedata.combining(c))
    return "".join(c if c.isascii() else "?" for c in bare)


def _spell(letters: str) -> str:
    """Each consonant with its vowel; the vowel nobody wrote is "a", and is silent at the end of the word."""
    out: list[str] = []
    for at, letter in enumerate(letters):
        following = letters[at + 1 : at + 2]
        if letter in CONSONANTS:
            dotted = following == NUKTA
            out.append(DOTTED.get(letter, CONSONANTS[letter]) if dotted else CONSONANTS[letter])
            following = letters[at + 2 : at + 3] if dotted else following
            out.append("" if not following or following in SIGNS or following == HALANT else UNSPOKEN)
        elif letter not in (HALANT, NUKTA):
            out.append(_other(letter))
    return "".join(out)


def _other(letter: str) -> str:
    for table in (VOWELS, SIGNS, OTHERS):
        if letter in table:
            return table[letter]
    if "०" <= letter <= "९":
        return str(unicodedata.digit(letter))
    return _plain(letter)
