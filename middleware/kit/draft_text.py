"""Writes a Draft down as a Python file: the form, beside each line its evidence, the tests as far as they are sure.

Turns a Draft into the text of drivers/<name>.py. Law: pure; the text imports, passes ruff and mypy, and stays within
the house's line length whatever the capture held. What is only a suggestion stands behind a #.
"""

from __future__ import annotations

from collections.abc import Iterator

from middleware.kit.draft import Draft
from middleware.kit.meanings import Meaning
from middleware.kit.stream import Shape

WIDTH = 118
ROLES = ("sample_id", "code", "code_name", "value", "unit", "flag", "range", "status", "observed_at")
MOST_TESTS = 200  # a driver's file has at most 400 lines


def text_of(draft: Draft) -> str:
    """The file's text."""
    return "\n".join([*_head(draft), *_imports(draft), *_tests(draft), *_form(draft)]) + "\n"


def safe(text: str, width: int = WIDTH) -> str:
    """Text for a comment or a docstring: one line, no quotes that would end it, not longer than `width`."""
    plain = "".join(char if char.isprintable() else " " for char in text).replace('"""', "'''").replace("\\", "/")
    return plain.rstrip() if len(plain) <= width else plain[: width - 2].rstrip() + " …"


def _head(draft: Draft) -> Iterator[str]:
    counted = f"{draft.messages} message{'s' if draft.messages != 1 else ''}, {draft.rows} rows"
    yield f'"""DRAFT, not for patients yet. {safe(draft.title, 60)}: {_short(draft.shape)}.'
    yield ""
    yield "Manual  none yet: name the vendor's document here, and compare each address below with it"
    yield f"Proof   one capture ({counted}), from which `labmitra driver new` drafted this file"
    yield ""
    yield f"Delimiters as sent: {safe(' '.join(draft.marks)) if chr(92) not in draft.marks else _spelled(draft.marks)}"
    for remark in draft.remarks:
        yield safe(f"Look at: {remark}")
    yield "Cannot: answer queries, tell controls but by the marks below, know suspects, images or reruns."
    yield '"""'
    yield ""


def _short(shape: Shape) -> str:
    return str(shape).partition(" (")[0]


def _spelled(marks: str) -> str:
    return " ".join("backslash" if mark == "\\" else mark for mark in marks)


def _imports(draft: Draft) -> Iterator[str]:
    used = ["Driver", "Grade", *(["TestCode"] if draft.tests else [])]
    used += ["measurement"] if any(meaning.sure for meaning in draft.tests) else []
    yield f"from drivers.driver import {', '.join(used)}"
    if draft.shape is Shape.BARE_BLOCKS:
        yield "from drivers.wire.blocks import ACK, ENQ, Framing"
        yield ""
        yield "SIMPLE = Framing(answers={ENQ: ACK})"
    yield ""


def _tests(draft: Draft) -> Iterator[str]:
    if not draft.tests:
        return
    yield "# What stands behind a # is a suggestion: compare it with the vendor's list of tests, then take it away"
    yield "# (import measurement, image, detail, suspect or known from drivers.driver). A code that is not listed is"
    yield "# shown in the tray, never dropped; a unit that is not listed holds the result."
    yield "TESTS: dict[str, TestCode] = {"
    for meaning in draft.tests[:MOST_TESTS]:
        yield f"    {_test(meaning)}"
    if len(draft.tests) > MOST_TESTS:
        yield f"    # … and {len(draft.tests) - MOST_TESTS} more codes"
    yield "}"
    yield ""


def _test(meaning: Meaning) -> str:
    code = _quoted(meaning.code)
    if meaning.test is None:
        return safe(f"# {code}: {meaning.why}", WIDTH - 4)
    entry = f'{code}: measurement("{meaning.test.code}", "{meaning.test.unit}"),'
    why = meaning.why
    if meaning.unit_unknown:
        why += f"; the unit {_quoted(meaning.unit_unknown)} is not known: also={{…}} with its factor"
    if meaning.sure and len(entry) < WIDTH - 20:
        return f"{entry}  # {safe(why, WIDTH - 8 - len(entry))}"
    return safe(f"# {entry}  {why}", WIDTH - 4)


def _quoted(text: str) -> str:
    """A Python string in double quotes, as the house writes them."""
    shown = "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text.replace("\\", "\\\\"))
    return '"' + shown.replace('"', '\\"') + '"'


def _form(draft: Draft) -> Iterator[str]:
    yield "DRIVER = Driver("
    yield f'    name="{draft.name}",'
    yield f"    title={_quoted(safe(draft.title, 60))},"
    yield "    grade=Grade.MANUAL,"
    yield f'    speaks="{draft.speaks}",'
    for role in ROLES:
        place = draft.places[role]
        if not place.first:
            continue
        address = place.address if isinstance(place.address, str) else ", ".join(f'"{one}"' for one in place.address)
        yield f"    # {safe(place.why, WIDTH - 6)}"
        yield f"    {role}=({address})," if not isinstance(place.address, str) else f'    {role}="{address}",'
    for line in draft.lines:
        yield f"    # {safe(line.why, WIDTH - 6)}"
        yield f"    {line.python},"
    if draft.tests:
        yield "    tests=TESTS,"
    yield ")"
