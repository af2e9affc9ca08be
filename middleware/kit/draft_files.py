"""The disk's side of `labmitra driver new`: reads the capture, writes three files, says what to do next.

Turns a file into drivers/<name>.py, tests/captures/<name>/first.raw and first.json. Law: the drafted file is tried in
memory before anything is written: it must import and read its capture; nothing is overwritten unless told to.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from drivers.decode import decode_with
from drivers.driver import DecodeError, Driver, driver_names
from middleware.kit.draft import Draft, NoDraft, draft
from middleware.kit.draft_text import text_of
from middleware.kit.stream import look
from middleware.model import CatalogueTest

LARGEST = 4_000_000  # bytes of a capture; a longer recording is cut by hand to one message or a few


@dataclass(frozen=True, slots=True)
class Drafted:
    """What was written, and what the engineer does next."""

    draft: Draft
    files: tuple[Path, ...]
    problems: tuple[str, ...]
    observations: int

    def told(self) -> list[str]:
        """The summary and the numbered steps, as lines."""
        form, sure = self.draft, sum(1 for meaning in self.draft.tests if meaning.sure)
        lines = [f"{form.title}: {form.speaks}, {form.shape}, delimiters {' '.join(form.marks)}"]
        lines += [f"  {role:<12} {place.first:<10} {place.why}" for role, place in form.places.items() if place.first]
        lines.append(f"  {len(form.tests)} codes: {sure} mapped by LOINC, the others are suggestions behind a #")
        lines += [f"  look at: {remark}" for remark in form.remarks]
        lines += [f"  the draft says: {problem}" for problem in dict.fromkeys(self.problems)]
        lines += [f"wrote {path}" for path in self.files]
        return [*lines, *_next(form.name)]


def make(
    capture: Path, name: str, catalogue: Mapping[str, CatalogueTest], into: Path, force: bool = False
) -> Drafted:
    """Draft a driver and write it below `into` (the folder that holds drivers/ and tests/).

    NoDraft, one sentence, when it cannot be drafted or a file is there already; OSError of the disk.
    """
    data = capture.read_bytes()
    if len(data) > LARGEST:
        raise NoDraft(f"{capture} has {len(data)} bytes: cut it to one message or a few (at most {LARGEST})")
    made = draft(look(data), name, catalogue)
    text = text_of(made)
    read = _tried(text, name, data)
    wanted = {
        into / "drivers" / f"{name}.py": text.encode(),
        into / "tests" / "captures" / name / "first.raw": data,
        into / "tests" / "captures" / name / "first.json": _json(read),
    }
    taken = [path for path in wanted if path.exists()]
    if not force and (taken or name in driver_names()):
        there = taken[0] if taken else f"a driver {name}"
        raise NoDraft(f"{there} is there already: choose another name, or --force to write over it")
    for path, content in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    messages: list[dict[str, list[object]]] = read["messages"]  # type: ignore[assignment]
    problems: list[dict[str, str]] = read["problems"]  # type: ignore[assignment]
    rows = sum(len(message["observations"]) for message in messages)
    return Drafted(made, tuple(wanted), tuple(problem["what"] for problem in problems), rows)


def load_text(text: str, name: str) -> Driver:
    """The driver that a file of this text would be."""
    space: dict[str, object] = {"__name__": f"drivers.{name}"}
    exec(compile(text, f"drivers/{name}.py", "exec"), space)  # noqa: S102 - a text this program has just made
    driver = space["DRIVER"]
    if not isinstance(driver, Driver):
        raise TypeError(f"drivers/{name}.py: DRIVER is no Driver")
    return driver


def _tried(text: str, name: str, data: bytes) -> dict[str, object]:
    try:
        return decode_with(load_text(text, name), data)
    except DecodeError as wrong:
        raise NoDraft(f"the drafted driver cannot read the capture: {wrong}") from wrong


def _json(read: dict[str, object]) -> bytes:
    return (json.dumps(read, ensure_ascii=False, indent=1) + "\n").encode()


def _next(name: str) -> list[str]:
    return [
        "next:",
        "  1. Does the capture come from a laboratory? Then first.raw holds patients: replace it by what",
        f"     `labmitra capture --file FILE --driver {name} --case first` makes, before it leaves this computer.",
        f"  2. Compare each address of drivers/{name}.py with the vendor's manual; write the manual into its head.",
        "  3. Go through TESTS: take the # away where a suggestion is right, mend it where not.",
        f"  4. `labmitra decode tests/captures/{name}/first.raw --driver {name}`: is every row right?",
        "     Only then write what it says to first.json.",
        "  5. Add captures of a control, a query, a masked value and a rerun; then `make test`.",
    ]
