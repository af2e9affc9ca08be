"""Balances the books of a day: what the simulators say they sent against what the lab holds.

Turns a stage into a table and a list of differences. Law: a difference is a sentence; no difference, an empty list.
"""

from __future__ import annotations

from collections.abc import Mapping

from middleware.journal import JournalReader
from middleware.lab import Lab
from middleware.store import books_view
from server.demo.stage import Stage, sent


def balance(stage: Stage, lab: Lab) -> list[str]:
    """Every difference between what was sent and what is held; nothing may be lost and nothing stand twice."""
    found: list[str] = []
    notes = sent(stage)
    with lab.read() as conn:
        books = {b.analyzer: b for b in books_view.message_books(conn)}
        twice = books_view.twice(conn)
    for analyzer, lines in notes.items():
        found += _one(analyzer, lines, books.get(analyzer), stage)
    if twice:
        found.append(f"{twice} results stand twice")
    return found


def _one(analyzer: str, lines: list[dict[str, object]], books: books_view.Books | None, stage: Stage) -> list[str]:
    if books is None:
        return [f"{analyzer}: nothing arrived"] if lines else []
    journaled = len(JournalReader(stage.settings().journal).messages(analyzer=analyzer, limit=100_000))
    figures = {
        "messages sent, journaled": (_messages(lines), journaled),
        "messages journaled, processed": (journaled, books.messages),
        "messages that could not be read": (0, books.failed),
        "measurements sent, observed": (_sum(lines, "measurements", "controls"), books.sums["measurements"]),
        "controls sent, kept as controls": (_sum(lines, "controls"), books.sums["controls"]),
        "suspects sent, observed": (_sum(lines, "suspects"), books.sums["suspects"]),
        "images sent, observed": (_sum(lines, "images"), books.sums["images"]),
        "details sent, observed": (_sum(lines, "details"), books.sums["details"]),
    }
    found = [f"{analyzer}: {what}: {a} against {b}" for what, (a, b) in figures.items() if a != b]
    if not books.balanced:
        found.append(f"{analyzer}: measurements are not results + controls + unmatched + duplicates + left in message")
    return found


def _messages(lines: list[dict[str, object]]) -> int:
    """What was sent, and what the analyzer answered to orders."""
    return len(lines) + _sum(lines, "replies")


def _sum(lines: list[dict[str, object]], *keys: str) -> int:
    return sum(int(str(line.get(key) or 0)) for line in lines for key in keys)


def table(
    stage: Stage, lab: Lab, done: Mapping[str, int], opened: Mapping[str, str], seconds: Mapping[str, float]
) -> str:
    """The day as a table: each stage with its figures."""
    with lab.read() as conn:
        books = books_view.message_books(conn)
        rows: list[tuple[str, object]] = [
            ("tests still awaited", books_view.tests_awaited(conn)),
            ("results by state", _told(books_view.states(conn))),
            ("held, by reason", _told(books_view.held_reasons(conn))),
            ("unmatched", _told(books_view.tray(conn))),
            ("handed over", _told(books_view.handed_over(conn))),
            ("reports by delivery", _told(books_view.deliveries(conn))),
            ("reports opened", books_view.opened(conn)),
            ("technician did", _told(done)),
            ("patient saw", ", ".join(f"{k}: {v}" for k, v in opened.items())),
            ("seconds", ", ".join(f"{k} {v:.1f}" for k, v in seconds.items())),
        ]
    width = max(len(name) for name, _ in rows)
    return "\n".join([*_flow(stage, books), "", *(f"{name:<{width}}  {told}" for name, told in rows)])


COLUMNS = (
    "sent", "journaled", "observed", "results", "controls", "unmatched", "duplicates", "left", "suspects", "images",
    "details",
)  # fmt: skip


def _flow(stage: Stage, books: list[books_view.Books]) -> list[str]:
    notes = sent(stage)
    reader = JournalReader(stage.settings().journal)
    lines = [f"{'analyzer':<9}" + "".join(f"{c:>11}" for c in COLUMNS)]
    for b in books:
        s = b.sums
        figures = (
            _messages(notes.get(b.analyzer, [])), len(reader.messages(analyzer=b.analyzer, limit=100_000)),
            s["observations"], s["results"], s["controls"], s["unmatched"], s["duplicates"], s["not_reportable"],
            s["suspects"], s["images"], s["details"],
        )  # fmt: skip
        lines.append(f"{b.analyzer:<9}" + "".join(f"{n:>11}" for n in figures))
    lines.append("sent, journaled: messages; the rest: rows; left: in the message only (rerun, test not reported here)")
    return lines


def _told(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {what}" for what, n in counts.items()) or "none"
