"""config/analyzers.toml as a person changes it on the pages: read, one analyzer changed, checked, written.

Turns the file's text and one Entry into the next text: comments and every other analyzer stay as they are. Law: nothing
is written that `labmitra check` would refuse; the file is replaced as a whole, with the one before kept beside it.
Source: the comments of config/analyzers.toml are the reference of every key; TOML 1.0.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.container import Container
from tomlkit.items import AoT, Comment, Table, Whitespace

from middleware.problems import Problem
from middleware.settings import AnalyzerSettings
from middleware.settings_loader import ANALYZERS, read_settings

HEADER = "[[analyzer]]"
Pieces = list[tuple[Any, Any]]


@dataclass(frozen=True, slots=True)
class Entry:
    """What the pages may set of one analyzer; every other key of its table stays as it is. `line` keeps its {var}."""

    name: str
    driver: str
    title: str
    line: str
    enabled: bool = True
    framing: str = ""
    orders: str = "answer"  # what it is told: answer, push, none
    tests: tuple[str, ...] = ()
    codes: Mapping[str, str] = field(default_factory=dict)

    def draft(self) -> AnalyzerSettings:
        """The analyzer as the middleware would know it, for reading a message before anything is written."""
        return AnalyzerSettings(
            self.name, self.driver, self.title, self.line, self.enabled, codes=dict(self.codes),
            tests=frozenset(self.tests), framing=self.framing,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class File:
    """The file as it was read: its text, and a stamp by which it is seen whether somebody changed it since."""

    text: str
    stamp: str

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Every analyzer in it. Keys that are missing or wrong come as empty: `problems` says what is wrong."""
        try:
            listed = tomllib.loads(self.text).get("analyzer", [])
        except tomllib.TOMLDecodeError:
            return ()
        return tuple(_entry(values) for values in listed if isinstance(values, dict))

    def entry(self, name: str) -> Entry | None:
        """The analyzer of this name."""
        return next((e for e in self.entries if e.name == name), None)


def read(config: Path) -> File:
    """The file as it is now. OSError when it cannot be read."""
    data = (config / ANALYZERS).read_bytes()
    return File(data.decode("utf-8"), hashlib.sha256(data).hexdigest()[:16])


def problems(config: Path, text: str, environ: Mapping[str, str]) -> list[Problem]:
    """Every mistake that `labmitra check` would find with this text as analyzers.toml; nothing is written."""
    return read_settings(config, environ, make_secrets=False, instead={ANALYZERS: text})[1]


def why_not_writable(config: Path) -> str:
    """The name of what this user may not write ("" when all is well): the file is replaced, so its folder counts."""
    folder = (config / ANALYZERS).resolve().parent
    return "" if os.access(folder, os.W_OK | os.X_OK) else str(folder)


def write(config: Path, text: str, now: datetime) -> Path:
    """Replace the file by this text, at once and on the disk; where the one before is kept. OSError when it cannot be.

    Only to be called where nobody else writes it: `actions.analyzers` holds the laboratory's one writer.
    """
    path = (config / ANALYZERS).resolve()
    kept = _free(path.with_name(f"{path.name}.{now:%Y%m%d-%H%M%S}"))
    shutil.copy2(path, kept)
    fresh = path.with_name(f".{path.name}.new")
    try:
        with fresh.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        shutil.copymode(path, fresh)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    return kept


def _free(path: Path) -> Path:
    """This name, or with a number where two are kept in one second."""
    numbered = (path.with_name(f"{path.name}-{number}") for number in range(2, 1000))
    return next(p for p in (path, *numbered) if not p.exists())


# ---- one analyzer in the text -----------------------------------------------------------------------------------


def changed(text: str, wanted: Entry) -> str:
    """The text with this analyzer as wanted: changed where it stands, else added at the end.

    ValueError when the text is not one that can be changed without touching something else.
    """
    try:
        known = wanted.name in {e.name for e in File(text, "").entries}
        made = _replaced(text, wanted) if known else _added(text, wanted)
        _must_be_all(text, made, wanted)
    except (tomllib.TOMLDecodeError, tomlkit.exceptions.TOMLKitError) as wrong:
        raise ValueError(f"{ANALYZERS} is not TOML: {wrong}") from wrong
    return made


def own_text(text: str, name: str) -> str:
    """The lines of one analyzer's table, as they stand in the file; "" when there is no such analyzer."""
    lines = text.splitlines()
    starts = [n for n, line in enumerate(lines) if line.split("#")[0].strip() == HEADER]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        own = lines[start:end]
        while own and (not own[-1].strip() or own[-1].startswith("#")):
            own.pop()
        if tomllib.loads("\n".join(own))["analyzer"][0].get("name") == name:
            return "\n".join(own) + "\n"
    return ""


def _entry(values: Mapping[str, Any]) -> Entry:
    tests, codes = values.get("tests", []), values.get("codes", {})
    name, driver, title, line = (_text(values.get(key)) for key in ("name", "driver", "title", "line"))
    return Entry(
        name, driver, title, line,
        enabled=values.get("enabled", True) is not False,
        framing=_text(values.get("framing")),
        orders=_text(values.get("orders")) or "answer",
        tests=tuple(map(str, tests)) if isinstance(tests, list) else (),
        codes={key: _text(test) for key, test in codes.items()} if isinstance(codes, dict) else {},
    )  # fmt: skip


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _added(text: str, wanted: Entry) -> str:
    table = tomlkit.table()
    for key in ("name", "driver", "title", "line", "enabled"):
        table.add(key, getattr(wanted, key))
    table.add("auto_release", False)
    if wanted.framing:
        table.add("framing", wanted.framing)
    if wanted.orders != "answer":
        table.add("orders", wanted.orders)
    table.add("tests", list(wanted.tests))
    made = f"{HEADER}\n{table.as_string()}"
    if wanted.codes:
        codes = tomlkit.table()
        codes.update(wanted.codes)
        made += f"[analyzer.codes]\n{codes.as_string()}"
    return f"{text.rstrip()}\n\n{made}" if text.strip() else made


def _replaced(text: str, wanted: Entry) -> str:
    document = tomlkit.parse(text)
    tables = document["analyzer"]
    if not isinstance(tables, AoT):
        raise ValueError(f"{ANALYZERS} does not write its analyzers as {HEADER}")
    table = next(t for t in tables if t.get("name") == wanted.name)
    tail = _cut_tail(table)  # what is said of the next analyzer stays before that one
    for key in ("title", "line", "enabled", "framing"):
        _set(table, key, getattr(wanted, key))
    if "orders" in table or wanted.orders != "answer":
        _set(table, "orders", wanted.orders)
    _set(table, "tests", list(wanted.tests))
    _set_codes(table, wanted.codes)
    _last(table.value).body.extend(tail)
    return tomlkit.dumps(document)


def _set(table: Table, key: str, value: str | bool | list[str]) -> None:
    """Write a key only where it says something else: what is unchanged keeps its spelling and its comment."""
    if key in table:
        if table[key] != value:
            table[key] = value
    elif value not in ("", []):
        table.add(key, value)


def _set_codes(table: Table, codes: Mapping[str, str]) -> None:
    if "codes" not in table:
        if codes:
            fresh = tomlkit.table()
            fresh.update(codes)
            table.add("codes", fresh)
        return
    there = table["codes"]
    for code in [code for code in there if code not in codes]:
        del there[code]
    for code, test in codes.items():
        if there.get(code) != test:
            there[code] = test


def _last(container: Container) -> Container:
    """The table in which the text of this one ends."""
    tables = [item for _, item in container.body if isinstance(item, Table)]
    return _last(tables[-1].value) if tables else container


def _cut_tail(table: Table) -> Pieces:
    """Take the comments and blank lines off the end of a table: TOML reads them as its own."""
    body, tail = _last(table.value).body, Pieces()
    while body and body[-1][0] is None and isinstance(body[-1][1], Comment | Whitespace):
        tail.insert(0, body.pop())
    return tail


def _must_be_all(before: str, after: str, wanted: Entry) -> None:
    """Nothing but this analyzer may differ, and it must say what was wanted: the writer proves itself each time."""
    old, new = tomllib.loads(before), tomllib.loads(after)
    others = [[t for t in d.get("analyzer", []) if t.get("name") != wanted.name] for d in (old, new)]
    kept = {key for key in old if key != "analyzer"} == {key for key in new if key != "analyzer"}
    if others[0] != others[1] or not kept or File(after, "").entry(wanted.name) != wanted:
        raise ValueError(f"{ANALYZERS} cannot be changed here without touching more than {wanted.name}")
