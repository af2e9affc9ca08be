"""Sets the stage of the demo: a configuration with free ports, databases, three services, four analyzers, a gateway.

Turns a folder into a running lab. Law: everything lives under that folder; simulators are processes of their own.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from middleware.lab import Lab, open_lab
from middleware.settings import Settings, load
from server.demo.seed import day_items, is_empty, seed, write_day
from server.processes import Processes, held_port, never, wait_for
from server.reports.hub import receipt_url
from server.run import upgrade_all

# port in config/ → what it is; a busy one is replaced by any free one
PORTS = {8080: "lab", 8090: "reports", 8095: "sms", 9101: "xn550", 9102: "e411", 9103: "bc5150"}
SIMULATORS = {"xn550": "sysmex_xn", "xl640": "erba_xl", "bc5150": "mindray_bc", "e411": "roche_cobas_e411"}

# analyzer → lot of its simulator's controls and their means (level 1, level 2); SD is 2.5 % of the mean.
CONTROLS: Mapping[str, tuple[str, Mapping[str, tuple[str, str]]]] = {
    "xn550": ("QC-5331{level}", {"WBC": ("3.10", "7.25"), "RBC": ("2.35", "4.42"), "HB": ("6.1", "13.0"),
              "HCT": ("17.6", "36.9"), "MCV": ("74.8", "83.5"), "PLT": ("62", "238")}),
    "bc5150": ("QC-0715{level}", {"WBC": ("3.05", "7.40"), "RBC": ("2.30", "4.45"), "HB": ("6.0", "13.2"),
               "MCV": ("75.2", "84.1"), "PLT": ("65", "241")}),
    "xl640": ("QC-2419{level}", {"GLUR": ("92", "268"), "UREA": ("34", "118"), "CREAT": ("1.12", "4.35"),
              "ALT": ("41", "128"), "TBIL": ("1.1", "5.2"), "CHOL": ("158", "252"), "K": ("3.9", "6.2")}),
    "e411": ("QC-PCU{level}", {"TSH": ("1.48", "7.90"), "FT4": ("1.22", "2.95"), "FERR": ("52.0", "310.0")}),
}  # fmt: skip


@dataclass(frozen=True)
class Stage:
    """Where the demo lives and which ports it got."""

    home: Path
    ports: Mapping[int, int]
    more: Mapping[str, str] = field(default_factory=dict)  # environment of the services beside what the demo needs
    guests: Mapping[str, int] = field(default_factory=dict)  # further analyzers and the ports of their lines
    held: tuple[socket.socket, ...] = field(default=(), compare=False)  # the ports, kept for our services

    def close(self) -> None:
        """Let go of the ports."""
        for port in self.held:
            port.close()

    @property
    def config(self) -> Path:
        """The demo's own copy of the configuration."""
        return self.home / "config"

    @property
    def environ(self) -> dict[str, str]:
        """What the services get beside the files: where data lives, and SMS at any hour."""
        always = {"LABMITRA_STORE__VAR": str(self.home), "LABMITRA_SMS__QUIET_FROM": "0", "LABMITRA_SMS__QUIET_TO": "0"}
        return {**always, **self.more}

    def url(self, port: int) -> str:
        """The address of what stands at `port` in config/."""
        return f"http://127.0.0.1:{self.ports[port]}"

    def books(self, analyzer: str) -> Path:
        """Where a simulator notes what was acknowledged."""
        return self.home / "sent" / f"{analyzer}.jsonl"

    def day_file(self, number: int) -> Path:
        """The day files that the simulators play, one after the other."""
        return self.home / "day" / f"day-{number:03d}.json"

    @property
    def day(self) -> Path:
        """The first day file: today's forty patients."""
        return self.day_file(1)

    def days(self) -> list[Path]:
        """The day files there are."""
        return sorted(self.day.parent.glob("day-*.json"))

    def played(self) -> bool:
        """True when every simulator has said that it played the newest day file."""
        newest = len(self.days())
        return all(self.books(a).with_suffix(f".played-{newest:03d}").exists() for a in SIMULATORS)

    def settings(self) -> Settings:
        """The demo's settings. ConfigError when config/ has mistakes."""
        return load(self.config, {**os.environ, **self.environ})

    def lab(self) -> Lab:
        """The demo's lab database."""
        return open_lab(self.settings())


def build(
    source: Path, home: Path, usual_ports: bool = True, more: Mapping[str, str] = MappingProxyType({}),
    guests: Sequence[str] = (),
) -> Stage:  # fmt: skip
    """A stage in `home`: configuration copied from `source`, busy ports replaced; `more` is further environment.

    Without `usual_ports` every port is a fresh one: two labs that start at the same moment must never share a line.
    `guests` get a port each.
    """
    home = home.resolve()
    home.mkdir(parents=True, exist_ok=True)
    held = {port: held_port(port if usual_ports else 0) for port in PORTS}
    ports = {port: int(it.getsockname()[1]) for port, it in held.items()}
    visiting = {name: held_port() for name in guests}
    theirs = {name: int(it.getsockname()[1]) for name, it in visiting.items()}
    stage = Stage(home, ports, more, theirs, (*held.values(), *visiting.values()))
    shutil.rmtree(stage.config, ignore_errors=True)
    shutil.copytree(source, stage.config, ignore=shutil.ignore_patterns("__pycache__", "*.py"))
    for name in ("lab.toml", "analyzers.toml"):
        path = stage.config / name
        text = re.sub(r"(127\.0\.0\.1:|port = )(\d{4})\b", lambda m: m[1] + str(ports.get(int(m[2]), m[2])),
                      path.read_text(encoding="utf-8"))  # fmt: skip
        path.write_text(text, encoding="utf-8")
    return stage


def targets() -> dict[str, dict[str, tuple[str, str]]]:
    """Control targets as the pathologist would type them from the insert."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for analyzer, (lot, tests) in CONTROLS.items():
        for level in (1, 2):
            place = f"{analyzer}/{lot.format(level=level)}/level {level}"
            means = {test: pair[level - 1] for test, pair in tests.items()}
            found[place] = {test: (mean, f"{float(mean) * 0.025:.4f}") for test, mean in means.items()}
    return found


def prepare(stage: Stage) -> Lab:
    """Databases upgraded, seeded when empty, and the day file written."""
    lab = empty_lab(stage)
    fill(stage, lab)
    return lab


def empty_lab(stage: Stage) -> Lab:
    """The lab with its databases upgraded: services may start."""
    upgrade_all(stage.settings())
    return stage.lab()


def fill(stage: Stage, lab: Lab) -> None:
    """Seed what is empty and write the first day file, which simulators need; services may be starting meanwhile."""
    if is_empty(lab):
        seed(lab, targets())
    if not stage.day.exists():
        write_day(stage.day, day_items(lab), lab.now())


def start_services(stage: Stage, processes: Processes) -> None:
    """SMS gateway, report service, pages, middleware; returns when all that have pages answer."""
    launch_services(stage, processes)
    services_answer(stage, processes)


def launch_services(stage: Stage, processes: Processes) -> None:
    """Start them and wait for none."""
    config = ("--config", str(stage.config))
    processes.start("sms", "simulate", "sms", "--listen", f"127.0.0.1:{stage.ports[8095]}", "--inbox",
                    str(stage.home / "inbox.jsonl"), "--dlr-seconds", "0.5",
                    "--callback", receipt_url(stage.settings().reports))  # fmt: skip
    processes.start("reports", "reports", *config)
    processes.start("lab", "lab", *config)
    processes.start("middleware", "middleware", *config)


def services_answer(stage: Stage, processes: Processes, interrupted: Callable[[], bool] = never) -> None:
    """Wait until all that have pages answer. RuntimeError when one ended; Interrupted."""
    for address in (stage.url(8095) + "/inbox.json", stage.url(8090) + "/healthz", stage.url(8080) + "/healthz"):
        wait_for(address, processes, interrupted=interrupted)


def start_simulators(stage: Stage, processes: Processes, pace: float, fast: bool) -> None:
    """The four analyzers, each over the transport it really uses."""
    where = {
        "xn550": ("--to", f"tcp://127.0.0.1:{stage.ports[9101]}"),
        "xl640": ("--to", f"pty:{stage.home / 'erba_xl'}"),
        "bc5150": ("--listen", f"tcp://127.0.0.1:{stage.ports[9103]}"),
        "e411": ("--to", f"tcp://127.0.0.1:{stage.ports[9102]}"),
    }
    for analyzer, driver in SIMULATORS.items():
        stage.books(analyzer).parent.mkdir(parents=True, exist_ok=True)
        processes.start(
            f"simulator-{analyzer}", "simulate", driver, *where[analyzer], "--name", analyzer,
            "--day", str(stage.day.parent), "--log", str(stage.books(analyzer)), "--pace", str(pace), "--retry", "1",
            *(("--fast", "--once") if fast else ()),
        )  # fmt: skip


def sent(stage: Stage) -> dict[str, list[dict[str, object]]]:
    """What each simulator noted as acknowledged, by analyzer."""
    found = {}
    for analyzer in (*SIMULATORS, *stage.guests):
        path = stage.books(analyzer)
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        found[analyzer] = [json.loads(line) for line in lines]
    return found
