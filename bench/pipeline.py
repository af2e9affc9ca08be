"""`python -m bench.pipeline`: how fast blood counts go from the journal into the lab database, empty and well filled.

Turns a journal full of messages into figures: decode, match, verify and record by the real worker in its own process,
with no results stored and with a million. Law: both laboratories take turns in one run, medians; what is stored is
spread over a year of patients, samples and orders, most of it released, so that delta checks find earlier values.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from bench.rows import Row, show
from bench.stored import CBC, Archive, Visit
from middleware import migrate
from middleware.journal import Journal, JournalReader
from middleware.lab import Lab, make_engine
from middleware.settings import AnalyzerSettings, Settings, load
from middleware.store.books_view import message_books
from middleware.work_apart import WorkApart

ROOT = Path(__file__).parent.parent
ANALYZER = AnalyzerSettings("xn", "sysmex_xn", "Sysmex", "tcp-listen://127.0.0.1:0")


def message(visit: Visit, random: Random) -> bytes:
    """One blood count of 25 results as a Sysmex sends it; four patients of five are healthy."""
    spread = 0.04 if random.random() < 0.8 else 0.4
    at = "20261122101500"
    lines = ["H|\\^&|||XN-550^00-24^1^^^^B1||||||||E1394-97", "P|1|||1|^A^B||19870626|M"]
    lines.append(f"O|1||1^1^{visit.sample_id:>22}^B|")
    for n, (code, _, unit, typical, decimals) in enumerate(CBC, 1):
        value = typical * (1 + random.uniform(-spread, spread))
        lines.append(f"R|{n}|^^^^{code}^1|{value:.{decimals}f}|{unit}||N||F||||{at}")
    return ("\r".join([*lines, "L|1|N"]) + "\r").encode()


@dataclass
class Bench:
    """One laboratory with its journal and its worker, and `stored` results in it."""

    lab: Lab
    archive: Archive
    random: Random = field(default_factory=lambda: Random(7))
    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    worker: WorkApart | None = None
    journal: Journal | None = None

    def start(self) -> None:
        """From here on there are threads: every worker is made before."""
        assert self.worker is not None
        self.journal = Journal.open(self.lab.settings.journal)
        self.worker.start(self.lab, self.journal)

    def round(self, count: int) -> None:
        """Register `count` tubes, let the analyzer speak of each, and time the worker until all are marked as done."""
        assert self.journal is not None and self.worker is not None
        for visit in self.archive.register(count):
            self.journal.finish(ANALYZER.name, None, message(visit, self.random), False)
        start, busy = time.perf_counter(), processor(self.worker.pid)
        self.worker.wake()
        while JournalReader(self.lab.settings.journal).unprocessed(1):
            time.sleep(0.01)
        self.rates.append(count / (time.perf_counter() - start))
        self.cpu.append((processor(self.worker.pid) - busy) / count * 1000)

    def balanced(self) -> bool:
        """Every measurement is in one place."""
        with self.lab.read() as conn:
            return all(books.balanced for books in message_books(conn))

    def close(self) -> None:
        """Let go of all."""
        if self.worker is not None:
            self.worker.stop()
        if self.journal is not None:
            self.journal.close()
        self.lab.engine.dispose()


def processor(pid: int) -> float:
    """Seconds of processor that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def open_bench(folder: Path, stored: int, url: str = "") -> Bench:
    """A laboratory under `folder` with about `stored` results of the last year; not started."""
    folder.mkdir(parents=True, exist_ok=True)
    settings: Settings = load(ROOT / "config", {"LABMITRA_STORE__VAR": str(folder)})
    url = url or f"sqlite:///{folder / 'lab.sqlite3'}"
    settings = replace(settings, database_url=url, journal=folder / "journal.sqlite3", analyzers=(ANALYZER,))
    migrate.upgrade(url)
    archive = Archive(url, settings)
    archive.fill(stored)
    return Bench(Lab(make_engine(url), settings), archive)


def rates(benches: Sequence[Bench], rounds: int, count: int) -> None:
    """Take turns."""
    for bench in benches:
        bench.round(min(count, 50))  # warm: statements compiled, files in the cache
        bench.rates.clear()
        bench.cpu.clear()
    for _ in range(rounds):
        for bench in benches:
            bench.round(count)


def rows(stored: int = 1_000_000, rounds: int = 5, count: int = 400, say: Callable[[str], None] = print) -> list[Row]:
    """The pipeline's rate without and with `stored` results, and their ratio."""
    with tempfile.TemporaryDirectory(prefix="labmitra-bench-pipeline-") as name:
        folder, start = Path(name), time.perf_counter()
        empty, full = open_bench(folder / "empty", 0), open_bench(folder / "full", stored)
        say(f"{stored} results stored in {time.perf_counter() - start:.0f} s")
        gc.collect()
        gc.freeze()  # as the middleware does before it forks
        for bench in (empty, full):
            bench.worker = WorkApart(bench.lab.settings)
        for bench in (empty, full):
            bench.start()
        try:
            rates((empty, full), rounds, count)
            if not (empty.balanced() and full.balanced()):
                raise RuntimeError("the books do not balance")
        finally:
            empty.close()
            full.close()
    few, many = statistics.median(empty.rates), statistics.median(full.rates)
    cpu = [statistics.median(b.cpu) for b in (empty, full)]
    notes = [f"journal to record, 25 results each; {used:.2f} ms CPU" for used in cpu]
    return [
        Row.of("pipeline, nothing stored", few, "400", notes[0], 400.0, unit=" CBC/s"),
        Row.of(f"pipeline, {stored} results stored", many, "400", notes[1], 400.0, unit=" CBC/s"),
        Row.of(f"pipeline: rate with {stored} stored / with none", many / few, "0.8", "", 0.8),
    ]


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=main.__doc__)
    options.add_argument("--stored", type=int, default=1_000_000, help="results in the database before")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--count", type=int, default=400, help="messages of one round")
    given = options.parse_args()
    show(rows(given.stored, given.rounds, given.count))


if __name__ == "__main__":
    main()
