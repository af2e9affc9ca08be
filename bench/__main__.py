"""`python -m bench [PART …]`: measures on this computer, prints the table, and writes bench/results.md.

Turns the parts of the bench into one table from one run. Law: every part alternates what it compares and gives medians;
results.md is written only when every part ran, so that its figures are of one run.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench import answers, decode, line_serial, pipeline, receive, spine
from bench.rows import Row, show, table

PARTS: dict[str, Callable[[Path], list[Row]]] = {
    "decode": lambda _folder: decode.rows(),
    "receive": receive.rows,
    "serial": lambda _folder: line_serial.rows(),
    "pipeline": lambda _folder: pipeline.rows(),
    "answers": lambda _folder: answers.rows(),
    "spine": spine.rows,
}
RESULTS = Path(__file__).parent / "results.md"


def measured(part: str) -> list[Row]:
    """The rows of one part, in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="labmitra-bench-") as name:
        return PARTS[part](Path(name))


def main(chosen: Sequence[str]) -> int:
    """Measure the chosen parts (all, when none is named); the exit code."""
    if unknown := set(chosen) - PARTS.keys():
        print(f"there is no part {', '.join(sorted(unknown))}; there are: {', '.join(PARTS)}")
        return 2
    found: list[Row] = []
    for part in chosen or PARTS:
        print(f"measuring: {part} …", flush=True)
        found += measured(part)
    show(found)
    if not chosen:
        head = f"# Measured {datetime.now(UTC):%Y-%m-%d %H:%M} UTC\n\nPython {platform.python_version()}, "
        RESULTS.write_text(f"{head}{os.cpu_count()} cores.\n\n{table(found)}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
