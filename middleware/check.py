"""`labmitra check`: is the configuration right, and if not, what is to be written instead?

Turns a config directory into Problems and a table of text. Law: writes nothing, needs no database, tells everything
at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from middleware.problems import Problem
from middleware.settings import Settings
from middleware.settings_loader import read_settings


def check(config_dir: Path, environ: Mapping[str, str]) -> list[Problem]:
    """Every mistake in the configuration; an empty list when it can be used."""
    return read_settings(config_dir, environ, make_secrets=False)[1]


def report(config_dir: Path, environ: Mapping[str, str]) -> str:
    """What `labmitra check` prints: what stands there when it is right, else each mistake with its remedy."""
    settings, problems = read_settings(config_dir, environ, make_secrets=False)
    return summary(settings) if settings is not None and not problems else table(problems)


def table(problems: Sequence[Problem]) -> str:
    """The mistakes by file: where, what is wrong, what to write instead."""
    lines: list[str] = []
    for file in sorted({p.file for p in problems}):
        lines.append(file)
        for problem in (p for p in problems if p.file == file):
            lines.append(f"  {problem.key}")
            lines.append(f"      wrong:   {problem.reason}")
            lines.append(f"      instead: {problem.instead}")
    count = len(problems)
    lines.append(f"{count} mistake{'' if count == 1 else 's'}. Nothing starts until this is put right.")
    return "\n".join(lines)


def summary(settings: Settings) -> str:
    """What a right configuration says, in a few lines."""
    tests = settings.catalogue.values()
    coded = sum(1 for test in tests if test.coded)
    rows = [
        ("facility", f"{settings.lab.facility.code}  {settings.lab.facility.name_en}, site {settings.lab.site}"),
        ("catalogue", f"{len(tests) - coded} measured and {coded} coded tests, {len(settings.panels)} panels"),
        ("rules", f"{len(settings.rules.enabled)} on, version {settings.rules.version}"),
        ("pages", f"http://{settings.web.host}:{settings.web.port}"),
        ("reports", f"http://{settings.reports.host}:{settings.reports.port}, patients: {settings.hub.public_url}"),
        ("sms", settings.reports.sms.name),
        ("data", str(settings.var)),
    ]
    rows += [
        (f"analyzer {a.name}", f"{a.driver} on {a.line}{'' if a.enabled else ' (not connected)'}")
        for a in settings.analyzers
    ]
    width = max(len(name) for name, _ in rows)
    return "\n".join([*(f"{name.ljust(width)}  {told}" for name, told in rows), "The configuration is right."])
