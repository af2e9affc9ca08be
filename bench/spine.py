"""Measures the spine: journal, last frame to worklist, PDF, pages, memory of the three processes.

Turns a running lab into rows of the table. Law: medians of several rounds in one run, beside the computer's own limit
where there is one (a bare fsync).
"""

from __future__ import annotations

import asyncio
import os
import socket
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bench.rows import Row
from drivers.wire import lis1a
from middleware.actions.reports import interim
from middleware.journal import Journal
from middleware.lab import Lab
from middleware.model import Role
from server.demo.seed import PASSWORD, people
from server.demo.stage import Stage, build, prepare, start_services
from server.demo.visitor import Visitor
from server.processes import Processes
from server.render import report_pdf
from server.strings import Strings

ROOT = Path(__file__).parent.parent


def median_us(work: Callable[[], object], rounds: int = 7, times: int = 200) -> float:
    """Median over `rounds` of the mean time of one call, in microseconds."""
    found = []
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(times):
            work()
        found.append((time.perf_counter() - start) / times * 1e6)
    return statistics.median(found)


def cbc(sample_id: str, at: str = "20261122101500", shift: int = 0) -> bytes:
    """One Sysmex-shaped blood count of 25 results, as records."""
    codes = (
        "WBC", "RBC", "HGB", "HCT", "MCV", "MCH", "MCHC", "PLT", "RDW-SD", "RDW-CV", "PDW", "MPV", "P-LCR", "PCT",
        "NEUT#", "LYMPH#", "MONO#", "EO#", "BASO#", "NEUT%", "LYMPH%", "MONO%", "EO%", "BASO%", "IG%",
    )  # fmt: skip
    head = "H|\\^&|||XN-550^00-24^1^^^^B1||||||||E1394-97"
    lines = [head, "P|1|||1|^A^B||19870626|M", f"O|1||1^1^{sample_id:>22}^B|"]
    lines += [f"R|{n}|^^^^{c}^1|{n + shift}.5|10*3/uL||N||F||||{at}" for n, c in enumerate(codes, 1)]
    return ("\r".join([*lines, "L|1|N"]) + "\r").encode()


def journal_rows(folder: Path) -> list[Row]:
    """Frames committed per second, one line and 16 lines at once, beside a bare write+fsync."""
    journal = Journal.open(folder / "bench-journal.db")

    async def lines(count: int, each: int) -> float:
        async def one(number: int) -> None:
            session = journal.session(f"a{number}", "LIS2-A2")
            for _ in range(each):
                await journal.append_async(session, b"x" * 80, "frame", frame=True)

        start = time.perf_counter()
        await asyncio.gather(*(one(n) for n in range(count)))
        return count * each / (time.perf_counter() - start)

    single = statistics.median(asyncio.run(lines(1, 300)) for _ in range(5))
    many = statistics.median(asyncio.run(lines(16, 100)) for _ in range(5))
    journal.close()
    bare = _fsyncs(folder)
    return [
        Row("journal, one line", f"{single:.0f} frames/s", note="each committed before it returns"),
        Row("journal, 16 lines", f"{many:.0f} frames/s", note="group commit"),
        Row("bare write + fsync here", f"{bare:.0f} /s", note="the disk's own limit"),
    ]


def _fsyncs(folder: Path) -> float:
    with (folder / "bench-sync").open("wb", buffering=0) as file:
        start = time.perf_counter()
        for _ in range(300):
            file.write(b"x" * 80)
            os.fdatasync(file.fileno())
        return 300 / (time.perf_counter() - start)


def live_rows(stage: Stage) -> list[Row]:
    """With all three processes up: last frame to worklist, page times, memory."""
    with Processes(stage.home / "log", stage.environ) as processes, Visitor(stage.url(8080)) as person:
        start_services(stage, processes)
        person.log_in("technician", PASSWORD)
        waits = [_until_visible(stage, person, sample_id, n) for n, sample_id in enumerate(_blood(stage)[:7])]
        pages = {p: _page_ms(person, p) for p in ("/worklist", "/patients", "/reports", "/analyzers")}
        memory = {n: _rss(processes.running[n].pid) for n in ("middleware", "lab", "reports")}
    return [
        Row("last frame → visible on the worklist", f"{statistics.median(waits) * 1000:.0f} ms", note="median of 7"),
        *(Row(f"page {p}", f"{ms:.0f} ms", note="median of 9") for p, ms in pages.items()),
        *(Row(f"memory of {n}", f"{mib:.0f} MiB", note="resident") for n, mib in memory.items()),
    ]


def _blood(stage: Stage) -> list[str]:
    import json

    samples = json.loads(stage.day.read_text())["samples"]
    return [s["sample_id"] for s in samples if s["container"] == "E" and "WBC" in s["tests"]]


def _until_visible(stage: Stage, person: Visitor, sample_id: str, number: int) -> float:
    frames = lis1a.frames(cbc(sample_id, shift=number), one_record_a_frame=True)
    with socket.create_connection(("127.0.0.1", stage.ports[9101])) as line:
        line.sendall(b"\x05")
        assert line.recv(1) == b"\x06"
        for frame in frames:
            line.sendall(frame)
            assert line.recv(1) == b"\x06"
        start = time.perf_counter()
        line.sendall(b"\x04")
        pretty = f"{sample_id[:3]}-{sample_id[3:7]}-{sample_id[7:11]}-{sample_id[11]}"
        while pretty not in person.get("/worklist").text:
            if time.perf_counter() - start > 20:
                raise RuntimeError(f"sample {sample_id} never came to the worklist")
        return time.perf_counter() - start


def _page_ms(person: Visitor, path: str) -> float:
    found = []
    for _ in range(9):
        start = time.perf_counter()
        assert person.get(path).status == 200
        found.append((time.perf_counter() - start) * 1000)
    return statistics.median(found)


def _rss(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(x for x in status.splitlines() if x.startswith("VmRSS")).split()[1]) / 1024


def pdf_rows(lab: Lab) -> list[Row]:
    """One report as PDF, Hindi and English."""
    strings = Strings.load(lab.settings.config)
    report = interim(lab, people(lab)[Role.PATHOLOGIST], 30)
    report = replace(report, version=1)
    rows = []
    for lang in ("hi", "en"):
        us = median_us(lambda lang=lang: report_pdf(report, lang, "http://x.example/v", strings, lab.now()), 5, 5)
        rows.append(Row(f"report as PDF, {lang}", f"{us / 1000:.0f} ms", note=f"{len(report.lines)} tests"))
    return rows


def rows(folder: Path) -> list[Row]:
    """The whole table of the spine."""
    stage = build(ROOT / "config", folder, usual_ports=False)
    lab = prepare(stage)
    try:
        return [*journal_rows(folder), *pdf_rows(lab), *live_rows(stage)]
    finally:
        lab.engine.dispose()
