"""The form of one analyzer: what was typed, what is wrong with it, and the Entry it means.

Turns the fields of a POST (or an Entry of the file) into Typed. Law: what was typed is kept whatever is wrong; `wrong`
names the field and the sentence beside it. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from middleware.analyzers_file import Entry
from middleware.fleet import DriverCard
from middleware.line_parts import CHOICES, KINDS, OWN, USUAL, Parts, parts_of, wrong_part
from middleware.model import CatalogueTest
from middleware.suggest import Suggestion, search, suggest
from server.lab.web import Form

SPARE = 4  # empty rows for codes, so that some can be added without another click
MOST_ROWS = 120
NAME = re.compile(r"[a-z0-9_-]{1,40}")
SHOWS = {
    "tcp-listen": ("port", "host"), "tcp": ("host", "port"), "serial": ("path", *USUAL), "socket": ("host", "port"),
    "rfc2217": ("host", "port", *USUAL), "folder": ("path", "pattern", "more"),
    "http-listen": ("port", "path", "from", "host"),
}  # fmt: skip
FIRST = {
    "tcp-listen.host": "0.0.0.0", "http-listen.host": "0.0.0.0", "http-listen.path": "/",  # noqa: S104 - the LAN
    "folder.pattern": "*",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class CodeRow:
    """One code of the site and its catalogue test, as typed; suggestions where no test is chosen yet."""

    number: int
    code: str
    test: str
    name: str = ""  # what the message calls it
    unit: str = ""
    suggestions: tuple[Suggestion, ...] = ()


@dataclass(frozen=True, slots=True)
class Typed:
    """The form as it stands. `line`: every field of every kind of line, by `kind.field`."""

    driver: str
    name: str
    title: str
    kind: str
    line: Mapping[str, str]
    enabled: bool
    framing: str
    orders: str
    tests: str
    rows: tuple[CodeRow, ...]
    wrong: Mapping[str, str] = field(default_factory=dict)  # field → strings key

    @property
    def parts(self) -> Parts:
        """The line that was chosen."""
        kind, got = self.kind, self.line.get
        settings = tuple((key, got(f"{kind}.{key}", "")) for key in OWN.get(kind, ()))
        host, port, path = (got(f"{kind}.{key}", "") for key in ("host", "port", "path"))
        return Parts(kind, host, port, path, settings, got(f"{kind}.more", ""))

    @property
    def entry(self) -> Entry:
        """What would be written. Only right when nothing is wrong."""
        codes = {row.code: row.test for row in self.rows if row.code and row.test}
        return Entry(
            self.name, self.driver, self.title, self.parts.url(), self.enabled, self.framing, self.orders,
            _words(self.tests), codes,
        )  # fmt: skip


def blank(card: DriverCard) -> Typed:
    """A new analyzer of this driver, with the usual line of what it speaks."""
    title = "" if card.name.startswith("generic_") else card.facts.title
    return Typed(card.name, "", title, _usual_kind(card), _line({}), True, "", "answer", "", _spare(()))


def from_entry(entry: Entry) -> Typed:
    """An analyzer of the file, to be changed."""
    parts = parts_of(entry.line)
    given = {"host": parts.host, "port": parts.port, "path": parts.path, "more": parts.more, **dict(parts.settings)}
    rows = tuple(CodeRow(n, code, test) for n, (code, test) in enumerate(entry.codes.items()))
    return Typed(
        entry.driver, entry.name, entry.title, parts.kind, _line({f"{parts.kind}.{k}": v for k, v in given.items()}),
        entry.enabled, entry.framing, entry.orders, ", ".join(entry.tests), _spare(rows),
    )  # fmt: skip


def from_form(form: Form, card: DriverCard, name: str, catalogue: Mapping[str, CatalogueTest]) -> Typed:
    """What a person sent. `name`: of the analyzer that is changed, "" for a new one."""
    kind = form.text("kind")
    keys = [f"{k}.{f}" for k in KINDS for f in (*SHOWS[k], "more")]
    rows = tuple(_row(form, n) for n in range(MOST_ROWS) if form.has(f"code{n}"))
    return Typed(
        card.name, name or form.text("name", limit=60), form.text("title", limit=120),
        kind if kind in KINDS else KINDS[0], {k: form.text(k, limit=400) for k in dict.fromkeys(keys)},
        form.flag("enabled"), form.text("framing") if form.text("framing") in card.framings else "",
        form.text("orders") if form.text("orders") in card.orders else "answer",
        form.text("tests", limit=4000), _spare(_suggested(rows, catalogue)),
    )  # fmt: skip


def with_codes(typed: Typed, rows: Collection[tuple[str, str, str]], catalogue: Mapping[str, CatalogueTest]) -> Typed:
    """The form with a row for each of these codes (code, name, unit) that has none, with suggestions."""
    there = {row.code for row in typed.rows}
    kept = [row for row in typed.rows if row.code]
    fresh = [CodeRow(0, code, "", name, unit) for code, name, unit in rows if code not in there]
    numbered = tuple(_renumbered(row, n) for n, row in enumerate([*kept, *fresh][:MOST_ROWS]))
    return _replaced(typed, rows=_spare(_suggested(numbered, catalogue)))


def checked(typed: Typed, catalogue: Mapping[str, CatalogueTest], taken: Collection[str]) -> Typed:
    """The form with what is wrong beside each field. `taken`: names that a new analyzer may not have."""
    wrong: dict[str, str] = {}
    if not NAME.fullmatch(typed.name):
        wrong["name"] = "setup.wrong.name"
    elif typed.name in taken:
        wrong["name"] = "setup.wrong.taken"
    if not typed.title:
        wrong["title"] = "setup.wrong.title"
    if part := wrong_part(typed.parts):
        wrong[f"{typed.kind}.{part}"] = f"setup.wrong.{part}"
    if set(_words(typed.tests)) - set(catalogue):
        wrong["tests"] = "setup.wrong.tests"
    wrong |= _wrong_rows(typed.rows, catalogue)
    return _replaced(typed, wrong=wrong)


def _wrong_rows(rows: tuple[CodeRow, ...], catalogue: Mapping[str, CatalogueTest]) -> dict[str, str]:
    wrong: dict[str, str] = {}
    seen: set[str] = set()
    for row in rows:
        if row.test and not row.code:
            wrong[f"code{row.number}"] = "setup.wrong.code"
        elif row.code in seen and row.code:
            wrong[f"code{row.number}"] = "setup.wrong.twice"
        elif row.test and not _known(row.test, catalogue):
            wrong[f"test{row.number}"] = "setup.wrong.test"
        seen.add(row.code)
    return wrong


def _row(form: Form, n: int) -> CodeRow:
    picked = form.text(f"pick{n}")
    test = picked or form.text(f"test{n}")
    test = test.replace(" ", "") if "|" in test else test
    return CodeRow(n, form.text(f"code{n}"), test, form.text(f"said{n}"), form.text(f"unit{n}"))


def _suggested(rows: tuple[CodeRow, ...], catalogue: Mapping[str, CatalogueTest]) -> tuple[CodeRow, ...]:
    return tuple(_renumbered(row, row.number, _suggestions(row, catalogue)) for row in rows)


def _suggestions(row: CodeRow, catalogue: Mapping[str, CatalogueTest]) -> tuple[Suggestion, ...]:
    """For a code without a test, and for words that stand where the test's code should."""
    if not row.test:
        return suggest(row.code, row.name, row.unit, catalogue) if row.code else ()
    return () if _known(row.test, catalogue) else search(row.test, row.unit, catalogue)


def _known(test: str, catalogue: Mapping[str, CatalogueTest]) -> bool:
    return all(one in catalogue for one in test.split("|"))


def _renumbered(row: CodeRow, number: int, suggestions: tuple[Suggestion, ...] = ()) -> CodeRow:
    return CodeRow(number, row.code, row.test, row.name, row.unit, suggestions)


def _spare(rows: tuple[CodeRow, ...]) -> tuple[CodeRow, ...]:
    """The rows with some empty ones at the end."""
    kept = [row for row in rows if row.code or row.test]
    numbered = [_renumbered(row, n, row.suggestions) for n, row in enumerate(kept)]
    free = min(SPARE, MOST_ROWS - len(numbered))
    return (*numbered, *(CodeRow(len(numbered) + n, "", "") for n in range(free)))


def _replaced(typed: Typed, **new: object) -> Typed:
    values = {name: getattr(typed, name) for name in Typed.__slots__}
    return Typed(**{**values, **new})


def _line(given: Mapping[str, str]) -> dict[str, str]:
    """Every field of every kind of line, with its usual text where nothing is given."""
    usual = {f"{k}.{f}": USUAL.get(f, "") for k in KINDS for f in (*SHOWS[k], "more")}
    return {**usual, **FIRST, **given}


def _words(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for word in re.split(r"[,;\s]+", text) if word))


def _usual_kind(card: DriverCard) -> str:
    """What its own opening words say first; a person chooses anyway."""
    said = card.about
    if "TCP" in said or "MLLP" in said:
        return "tcp" if "we dial" in said else "tcp-listen"
    if "RS-232" in said or "USB" in said:
        return "serial"
    return "http-listen" if "posts" in said else "tcp-listen"


def choices(key: str, now: str) -> tuple[str, ...]:
    """What a field offers, with what stands there now; () for a field that is typed."""
    listed = CHOICES.get(key, ())
    return listed if now in listed or not listed else (*listed, now)


def unchecked(typed: Typed) -> Typed:
    """The form without its complaints: nobody asked yet whether all of it is right."""
    return _replaced(typed, wrong={})
