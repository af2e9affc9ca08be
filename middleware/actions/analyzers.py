"""What a person may do to config/analyzers.toml: add an analyzer, change one, say what a code means there.

Law: nothing is written that `labmitra check` would refuse, nor over a change that somebody else made meanwhile; the
file before is kept, and the audit line says who changed what. The middleware reads the file when it starts.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from middleware import store
from middleware.analyzers_file import Entry, changed, own_text, problems, read, why_not_writable, write
from middleware.lab import Lab
from middleware.model import Actor, Refused, Right
from middleware.problems import Problem
from middleware.settings import AnalyzerSettings
from middleware.settings_loader import read_settings


@dataclass(frozen=True, slots=True)
class Proposal:
    """The file as it would be: all of it, this analyzer's lines, what `labmitra check` says to it, and the name of what
    may not be written here ("" when it may): then the lines are to be copied by hand."""

    text: str
    own: str
    problems: tuple[Problem, ...]
    locked: str
    stamp: str


def propose(lab: Lab, wanted: Entry) -> Proposal:
    """What would be written. Refused when the file cannot be read or be changed safely."""
    config = lab.settings.config
    try:
        file = read(config)
        text = changed(file.text, wanted)
    except (OSError, ValueError) as wrong:
        raise Refused("setup.refused.file") from wrong
    found = tuple(problems(config, text, os.environ))
    return Proposal(text, own_text(text, wanted.name), found, why_not_writable(config), file.stamp)


def set_up(lab: Lab, actor: Actor, wanted: Entry, stamp: str, new: bool) -> str:
    """Write it; the name of the file that keeps the one before. `stamp`: of the file that the person saw."""
    actor.must(Right.SET_UP)
    with lab.write() as conn:  # the laboratory's one writer: two people never write the file at once
        file = read(lab.settings.config)
        before = file.entry(wanted.name)
        if file.stamp != stamp or (before is None) is not new:
            raise Refused("setup.refused.changed")
        proposal = propose(lab, wanted)
        if proposal.problems:
            raise Refused("setup.refused.check")
        action = "add analyzer" if new else "change analyzer"
        store.audit(conn, lab.now(), actor, action, "analyzer", wanted.name, _said(before, wanted))
        store.touch(conn, "analyzers")
        try:  # last: a line that cannot be written to the audit trail leaves the file as it was
            kept = write(lab.settings.config, proposal.text, lab.now().astimezone(lab.settings.lab.timezone))
        except OSError as wrong:
            raise Refused("setup.refused.write") from wrong
    return kept.name


def map_code(lab: Lab, actor: Actor, analyzer: str, code: str, test: str, stamp: str) -> str:
    """Say what a code of this analyzer means here ("A|B": the one ordered on the tube); the kept file's name."""
    entry = read(lab.settings.config).entry(analyzer)
    if entry is None:
        raise Refused("setup.refused.changed")
    return set_up(lab, actor, replace(entry, codes={**entry.codes, code: test}), stamp, new=False)


def analyzers_now(lab: Lab) -> tuple[AnalyzerSettings, ...]:
    """The analyzers of the file as it is now, for the pages; as they were when the file has mistakes."""
    settings, found = read_settings(lab.settings.config, os.environ, make_secrets=False)
    return lab.settings.analyzers if settings is None or found else settings.analyzers


def _said(before: Entry | None, after: Entry) -> dict[str, str]:
    """What is different, in the file's own words."""
    keys = ("driver", "title", "line", "enabled", "framing", "orders", "tests")
    old = {key: _text(getattr(before, key)) if before else "" for key in keys}
    found = {key: _text(getattr(after, key)) for key in keys}
    told = {key: value for key, value in found.items() if value != old[key]}
    known = before.codes if before else {}
    for code in dict.fromkeys((*known, *after.codes)):
        if known.get(code) != after.codes.get(code):
            told[f"code {code}"] = after.codes.get(code, "–")
    return told


def _text(value: object) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value)
