"""Turns config/sms_templates.toml and a report's number, place and link into the text of one SMS.

Law: only registered texts, slot by slot, checked against their own template before they leave; no patient data can
enter because no slot holds any. Source: TRAI direction of 18 Nov 2025 (tagged variables), 3GPP TS 23.038 (GSM-7).
"""

from __future__ import annotations

import math
import re
import tomllib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from middleware.settings import ConfigError, Problem

FILE = "sms_templates.toml"
KEYS = ("ready", "corrected", "in_person", "in_person_corrected")
LANGUAGES = ("en", "hi")
NOTICE = "line_alarm"  # to the laboratory's engineer, not to patients: English only
_WANTED = (*((key, language) for key in KEYS for language in LANGUAGES), (NOTICE, "en"))
SLOTS = {
    "link": "url", "days": "numeric", "report_no": "alphanumeric", "facility": "alphanumeric",
    "analyzer": "alphanumeric", "alarm": "alphanumeric", "since": "alphanumeric",
}  # fmt: skip
_SLOT = re.compile(r"#([a-z]+)#")
# Doubt: nothing we could read says whether a blank may stand inside #alphanumeric#; names of places need it.
_SHAPES = {"url": r"https?://[!-~]{4,120}", "numeric": r"[0-9]{1,10}", "alphanumeric": r"[A-Za-z0-9][A-Za-z0-9 ]{0,39}"}

_GSM = set(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_TWO = set("^{}\\[~]|€\f")


@dataclass(frozen=True, slots=True)
class Size:
    """How an SMS is charged: "GSM-7" or "UCS-2", its units, and the parts the operator bills."""

    encoding: str
    units: int
    parts: int


@dataclass(frozen=True, slots=True)
class Template:
    """One registered text in one language."""

    key: str
    language: str
    text: str
    slots: tuple[str, ...]
    dlt_id: str

    def render(self, values: Mapping[str, str]) -> str:
        """The text with its slots filled. ValueError when a value does not fit its slot."""
        fill = iter(_fit(slot, values[slot]) for slot in self.slots)
        text = _SLOT.sub(lambda _: next(fill), self.text)
        if not self.matches(text):
            raise ValueError(f"{self.key}.{self.language}: a slot's value does not fit its kind")
        return text

    def matches(self, text: str) -> bool:
        """True when an operator's scrubber, comparing letter by letter, would let this text pass."""
        pieces = _SLOT.split(self.text)
        pattern = "".join(re.escape(p) if n % 2 == 0 else _SHAPES[p] for n, p in enumerate(pieces))
        return re.fullmatch(pattern, text) is not None


@dataclass(frozen=True, slots=True)
class Templates:
    """Every registered text, by key and language."""

    table: Mapping[tuple[str, str], Template]

    @classmethod
    def load(cls, config_dir: Path) -> Templates:
        """Read config/sms_templates.toml; ConfigError names every mistake."""
        raw = tomllib.loads((config_dir / FILE).read_text(encoding="utf-8"))
        problems: list[Problem] = []
        table: dict[tuple[str, str], Template] = {}
        for key, language in _WANTED:
            table[key, language] = _template(key, language, raw.get(key, {}).get(language), problems)
        if problems:
            raise ConfigError(problems)
        return cls(table)

    def get(self, key: str, language: str) -> Template:
        """The text for a message in a language; Hindi when the language is not known here."""
        return self.table[key, language if language in LANGUAGES else "hi"]


def size(text: str) -> Size:
    """Encoding, units and parts of a text: 160/153 in GSM-7, 70/67 UTF-16 units as soon as one letter is outside it."""
    if all(c in _GSM or c in _GSM_TWO for c in text):
        units = sum(2 if c in _GSM_TWO else 1 for c in text)
        return Size("GSM-7", units, 1 if units <= 160 else math.ceil(units / 153))
    units = len(text.encode("utf-16-be")) // 2
    return Size("UCS-2", units, 1 if units <= 70 else math.ceil(units / 67))


def _fit(slot: str, value: str) -> str:
    """A value as its slot allows it: #alphanumeric# is plain letters, digits and blanks, at most 40."""
    if SLOTS[slot] != "alphanumeric":
        return value
    plain = unicodedata.normalize("NFKD", value).encode("ascii", "ignore").decode()
    kept = re.sub(r"[^A-Za-z0-9 ]", "" if slot == "report_no" else " ", plain)
    return re.sub(r" +", " ", kept)[:40].strip()


def _template(key: str, language: str, entry: object, problems: list[Problem]) -> Template:
    table = entry if isinstance(entry, dict) else {}
    text, slots, dlt_id = str(table.get("text", "")), tuple(table.get("slots", ())), str(table.get("dlt_id", ""))
    kinds = [SLOTS.get(slot, "") for slot in slots]
    name = f"{key}.{language}"
    if not text:
        problems.append(Problem(FILE, name, "the text is missing", "text = the text as registered on the DLT portal"))
    if _SLOT.findall(text) != kinds:
        wanted = f"slots in the order of the text, of {', '.join(SLOTS)}"
        problems.append(Problem(FILE, f"{name}.slots", f"{list(slots)} do not fit the #…# of the text", wanted))
    if dlt_id and not re.fullmatch(r"\d{19}", dlt_id):
        problems.append(Problem(FILE, f"{name}.dlt_id", f"{dlt_id!r} is no template id", 'its 19 digits, or ""'))
    return Template(key, language, text, slots, dlt_id)
