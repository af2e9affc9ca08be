"""`python -m bench.receive`: how fast the lines receive, beside this machine's own limit and beside others' receivers.

Turns rounds of the load generators into rows of the table. Law: every figure is a ratio to a reference measured in the
same run, in alternating rounds, medians; each round is a load that ends by itself.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.rows import Row
from bench.servers import LIMIT_PORT, PEER_PORT, PORTS, ROOT, Server, limit, memory_of, ours, peer, slow_disk

ROUNDS = 5


@dataclass(frozen=True)
class Load:
    """One round of a generator: how many messages, over how many connections, how often."""

    protocol: str
    messages: int = 2000
    connections: int = 64
    interval: float = 0.0
    extra: tuple[str, ...] = ()

    def run(self, server: Server) -> Mapping[str, Any]:
        """The generator's figures. RuntimeError when a message failed."""
        command = [
            sys.executable, str(ROOT / f"bench/load/{self.protocol}_load.py"), "--uvloop", "--port", str(server.port),
            "--server-pid", str(server.pid), "--connections", str(self.connections), "--messages", str(self.messages),
            "--warmup", str(max(self.connections, self.messages // 10)), "--interval", str(self.interval),
            "--max-seconds", "240", *self.extra,
        ]  # fmt: skip
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        figures: Mapping[str, Any] = json.loads(done.stdout or "{}")
        if done.returncode or figures.get("errors"):
            raise RuntimeError(f"{server.name}: {figures.get('errors')} {done.stderr[-500:]}")
        return figures


Rounds = dict[str, list[Mapping[str, Any]]]


def alternate(load: Load, servers: Mapping[str, Server], rounds: int = ROUNDS) -> Rounds:
    """Each server in turn, `rounds` times."""
    found: Rounds = {name: [] for name in servers}
    for number in range(rounds):
        names = list(servers) if number % 2 == 0 else list(servers)[::-1]
        for name in names:
            found[name].append(load.run(servers[name]))
    return found


def middle(rounds: list[Mapping[str, Any]], get: Callable[[Mapping[str, Any]], float]) -> float:
    """The median over the rounds."""
    return statistics.median(get(figures) for figures in rounds)


def rate(figures: Mapping[str, Any]) -> float:
    """Messages per second."""
    return float(figures["messages_per_s"])


def cpu(figures: Mapping[str, Any]) -> float:
    """Milliseconds of the server's processors for one message."""
    return float(figures["server"]["cpu_s_per_1000"])


def p99_ack(figures: Mapping[str, Any]) -> float:
    """The 99th percentile of an acknowledgement, in milliseconds."""
    return float(figures.get("frame_ack_ms", figures["message_ms"])["p99"])


def p99_message(figures: Mapping[str, Any]) -> float:
    """The 99th percentile of a whole message, in milliseconds."""
    return float(figures["message_ms"]["p99"])


def against_the_limit(protocol: str, folder: Path, connections: int, rounds: int = ROUNDS) -> list[Row]:
    """Rate, processor time and p99 beside the durable limit, and the rate beside a receiver others have written."""
    load = Load(protocol, messages=1500 if protocol == "astm" else 4000, connections=connections)
    with ExitStack() as up:
        us = up.enter_context(ours(protocol, folder, pipeline=False))
        bound = up.enter_context(limit(protocol, folder, "group"))
        found = alternate(load, {"ours": us, "limit": bound}, rounds)
    mine, theirs = middle(found["ours"], rate), middle(found["limit"], rate)
    what = f"{protocol.upper()}, {connections} connections"
    note = f"{mine:.0f} messages/s, the durable limit {theirs:.0f}"
    goal = {"astm": ("0.40, then 0.60", 0.40), "hl7": ("0.40, then 0.55", 0.40)}[protocol]
    rows = [Row.of(f"{what}: rate / durable limit", mine / theirs, goal[0] if connections == 64 else "", note, goal[1])]
    if connections != 64:
        return rows
    used, bare = middle(found["ours"], cpu), middle(found["limit"], cpu)
    last, best = middle(found["ours"], p99_ack), middle(found["limit"], p99_ack)
    return [
        *rows,
        Row.of(f"{what}: CPU a message / limit's", used / bare, "≤ 3, then 2" if protocol == "astm" else "",
               f"{used:.2f} ms, the limit {bare:.2f} ms", 3.0, most=True),
        Row.of(f"{what}: p99 of an ACK / limit's", last / best, "≤ 1" if protocol == "astm" else "",
               f"{last:.1f} ms, the limit {best:.1f} ms", 1.0, most=True),
    ]  # fmt: skip


def against_others(protocol: str, folder: Path, rounds: int = ROUNDS) -> list[Row]:
    """Beside python-astm, which decodes and stores nothing, or hl7.mllp, which parses and stores nothing."""
    load = Load(protocol, messages=1000, connections=64)
    with ExitStack() as up:
        us = up.enter_context(ours(protocol, folder, pipeline=False))
        other = up.enter_context(peer(protocol, folder))
        assert other.port == PEER_PORT
        found = alternate(load, {"ours": us, "other": other}, rounds)
    mine, theirs = middle(found["ours"], rate), middle(found["other"], rate)
    name, goal, least = {
        "astm": ("python-astm", "1.0, then 1.3", 1.0), "hl7": ("hl7.mllp with parsing", "6", 6.0)
    }[protocol]  # fmt: skip
    note = f"{mine:.0f} messages/s, {name} {theirs:.0f}"
    return [Row.of(f"{protocol.upper()}, 64 connections: rate / {name}", mine / theirs, goal, note, least)]


def slow(folder: Path, rounds: int = 3) -> list[Row]:
    """Every sync 5 ms longer, beside one commit a message on the same disk."""
    rows = []
    for protocol, messages in (("hl7", 1500), ("astm", 300)):
        load = Load(protocol, messages=messages, connections=64)
        with ExitStack() as up:
            library = up.enter_context(slow_disk(folder, 5))
            if not library:
                return [Row("a slow disk", "not measured", "8", "there is no C compiler to imitate one")]
            us = up.enter_context(ours(protocol, folder, pipeline=False, preload=library))
            one = up.enter_context(limit(protocol, folder, "commit", delay=5))
            found = alternate(load, {"ours": us, "one commit a message": one}, rounds)
        mine, theirs = middle(found["ours"], rate), middle(found["one commit a message"], rate)
        bound = "" if protocol == "hl7" else "; 29 frames that each wait 5 ms bound it to 64/0.145 s = 441 messages/s"
        rows.append(
            Row.of(f"{protocol.upper()}, 64 connections, sync 5 ms slower: rate / one commit a message",
                   mine / theirs, "8", f"{mine:.0f} messages/s, one commit a message {theirs:.0f}{bound}", 8.0)
        )  # fmt: skip
    return rows


def many(folder: Path, rounds: int = 3) -> list[Row]:
    """256 connections against 8."""
    rows = []
    for protocol in PORTS:
        with ours(protocol, folder, pipeline=False) as us:
            found: dict[int, list[float]] = {8: [], 256: []}
            for _ in range(rounds):
                for connections, rates in found.items():
                    rates.append(rate(Load(protocol, messages=1500, connections=connections).run(us)))
        few, lots = statistics.median(found[8]), statistics.median(found[256])
        note = f"{lots:.0f} and {few:.0f} messages/s, nothing refused"
        rows.append(Row.of(f"{protocol.upper()}: rate at 256 connections / at 8", lots / few, "0.8", note, 0.8))
    return rows


def paced(folder: Path, rounds: int = 3) -> list[Row]:
    """64 analyzers that send a message every two seconds each; beside it what storing alone takes at that pace: the
    durable limit, and one that writes a message to the end of a file and syncs it once."""
    rows = []
    for protocol in PORTS:
        load = Load(protocol, messages=320, connections=64, interval=2.0)
        with ExitStack() as up:
            us = up.enter_context(ours(protocol, folder, pipeline=False))
            servers = {"ours": us}
            for port, store in enumerate(("none", "group", "append"), LIMIT_PORT):
                servers[store] = up.enter_context(limit(protocol, folder, store, port))
            found = alternate(load, servers, rounds)
        took = {name: middle(found[name], p99_message) for name in servers}
        name = f"{protocol.upper()}, 64 analyzers, 32 messages/s together: p99 of a message"
        note = f"{took['ours']:.1f} ms, the limit that stores nothing {took['none']:.1f} ms"
        rows.append(Row.of(f"{name} / limit", took["ours"] / took["none"], "≤ 2.5", note, 2.5, most=True))
        stored = f"one commit a message {took['group']:.1f} ms, a file and one sync a message {took['append']:.1f} ms"
        rows.append(Row.of(f"{name}, durable limit / limit", took["group"] / took["none"], "", stored))
    return rows


def with_the_pipeline(folder: Path, rounds: int = 3) -> list[Row]:
    """The same load while every message is also decoded, matched and recorded."""
    rows = []
    for protocol in PORTS:
        with ExitStack() as up:
            us = up.enter_context(ours(protocol, folder, pipeline=True))
            bound = up.enter_context(limit(protocol, folder, "group"))
            found = alternate(Load(protocol, messages=1000, connections=64), {"ours": us, "limit": bound}, rounds)
        mine, theirs = middle(found["ours"], rate), middle(found["limit"], rate)
        note = f"{mine:.0f} messages/s, the durable limit {theirs:.0f}; decoding and recording go on at the same time"
        rows.append(Row.of(f"{protocol.upper()}, 64 connections, pipeline on: rate / limit", mine / theirs, "", note))
    return rows


def memory(folder: Path, messages: int = 100_000) -> list[Row]:
    """The memory of the middleware and of its worker over many messages: after a tenth, and after all."""
    found, resident = [], 0.0
    with ours("hl7", folder, pipeline=False) as us:
        for part in (messages // 10, messages - messages // 10):
            resident = float(Load("hl7", messages=part, connections=64).run(us)["server"]["rss_mib"])
            found.append(memory_of(us.pid))
    note = (
        f"{found[0]:.0f} MiB after {messages // 10}, {found[1]:.0f} MiB after {messages}; with its worker, what both "
        f"share counted once (twice: {resident:.0f})"
    )
    return [Row.of("memory of the middleware", found[1], "≤ 120 MiB, flat", note, 120.0, most=True, unit=" MiB")]


def rows(folder: Path) -> list[Row]:
    """The whole table of receiving."""
    found: list[Row] = []
    for protocol in PORTS:
        found += against_the_limit(protocol, folder, 64)
        found += against_the_limit(protocol, folder, 8)
        found += against_others(protocol, folder)
    return [*found, *with_the_pipeline(folder), *slow(folder), *many(folder), *paced(folder), *memory(folder)]


if __name__ == "__main__":
    from bench.rows import show

    with tempfile.TemporaryDirectory(prefix="labmitra-bench-") as name:
        show(rows(Path(name)))
