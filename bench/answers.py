"""`python -m bench.answers`: how long an analyzer waits for what it is to run, and what a look for unsent orders costs.

Turns queries into times: from the message that asks to the bytes that answer, by the real answerer and a laboratory
with a year of results. Law: each tube is asked for once, so nothing answers from memory; median and the slowest of a
hundred (p99). The goal is 50 ms: VITROS waits 10 s, a wait between two tubes is what people feel.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.pipeline import open_bench
from bench.rows import Row, show
from bench.stored import Visit
from drivers.driver import Message, load_driver
from middleware.host_orders import answerer
from middleware.lab import Lab
from middleware.order_desk import OrderDesk
from middleware.settings import AnalyzerSettings

GOAL = 50.0  # ms
ASKS = AnalyzerSettings("xn", "sysmex_xn", "Sysmex", "tcp-listen://127.0.0.1:0")
TOLD = AnalyzerSettings("told", "generic_astm", "Told", "tcp-listen://127.0.0.1:0", orders="push")


def query(visit: Visit) -> Message:
    """A Sysmex asks for one tube."""
    body = f"H|\\^&|||XN-550^1\rQ|1|3^7^{visit.sample_id:>22}^B||||20261103101530|||||||N\rL|1|N\r"
    return Message("q", ASKS.name, datetime.now(UTC), body.encode())


def times(lab: Lab, visits: list[Visit]) -> list[float]:
    """Milliseconds from each question to its answer."""
    answer = answerer(lab, ASKS, load_driver(ASKS.driver))
    found = []
    for visit in visits:
        asked = query(visit)
        start = time.perf_counter()
        (told,) = answer(asked) or [b""]
        found.append((time.perf_counter() - start) * 1000)
        if visit.sample_id.encode() not in told or b"^^^^WBC" not in told:
            raise RuntimeError(f"tube {visit.sample_id} was not answered")
    return found


def looks(lab: Lab) -> tuple[float, float]:
    """Milliseconds of the look that finds all waiting tubes new, and of one that finds nothing to do."""
    desk = OrderDesk(replace(lab, settings=replace(lab.settings, analyzers=(TOLD,))))
    found = []
    for _ in range(2):
        start = time.perf_counter()
        desk.turn()
        found.append((time.perf_counter() - start) * 1000)
    return found[0], found[1]


def rows(stored: int = 100_000, tubes: int = 400) -> list[Row]:
    """Answers with `stored` results in the database and `tubes` that wait, and the looks for unsent orders."""
    with TemporaryDirectory(prefix="labmitra-bench-answers-") as name:
        bench = open_bench(Path(name), stored)
        try:
            visits = bench.archive.register(tubes + 20)
            times(bench.lab, visits[:20])  # warm: statements compiled, files in the cache
            found = sorted(times(bench.lab, visits[20:]))
            first, idle = looks(bench.lab)
        finally:
            bench.close()
    late = found[min(len(found) - 1, int(len(found) * 0.99))]
    how = f"{stored} results stored, {tubes} tubes of 25 tests; median {statistics.median(found):.1f} ms"
    return [
        Row.of("answer to a query: p99", late, "≤ 50 ms", how, GOAL, most=True, unit=" ms"),
        Row("orders to be sent unasked: a first look", f"{first:.0f} ms", note=f"{tubes + 20} tubes found and noted"),
        Row("orders to be sent unasked: nothing new", f"{idle:.1f} ms", note="once a second"),
    ]


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=main.__doc__)
    options.add_argument("--stored", type=int, default=100_000, help="results in the database before")
    options.add_argument("--tubes", type=int, default=400, help="tubes that are asked for")
    given = options.parse_args()
    show(rows(given.stored, given.tubes))


if __name__ == "__main__":
    main()
