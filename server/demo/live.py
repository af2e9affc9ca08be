"""`labmitra demo`: a whole lab to look at, results streaming in until Ctrl-C; run again, it goes on where it stopped.

Turns var/demo into a running lab. Law: Ctrl-C stops everything that was started, cleanly; --reset begins anew, and so
does a start after one that was cut off before it had begun.
"""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

from middleware.lab import Lab
from server.demo.people import PEOPLE, visitors
from server.demo.seed import PASSWORD, USERS, admit, day_items, slips_file, write_day
from server.demo.stage import (
    Stage,
    build,
    empty_lab,
    fill,
    launch_services,
    services_answer,
    start_simulators,
)
from server.processes import Interrupted, Processes, only_one, stop_event

PACE = 4.0  # seconds between two messages of one analyzer
NEWCOMERS = 6  # patients who come when an analyzer has nothing left to do
LOOK = 5.0  # seconds between two looks at how far the analyzers are


def run(config: Path, home: Path, reset: bool) -> int:
    """Run until SIGINT, SIGTERM or SIGHUP; the exit code."""
    running = f"A demo is running in {home.resolve()} already. Stop it first (Ctrl-C)."
    with only_one(home.parent / f"{home.name}.lock", running):
        begin_anew(home, reset)
        return _demo(config, home)


def begin_anew(home: Path, reset: bool) -> None:
    """Forget a demo that is to be reset, and one whose start was cut off before its first day was written: only some
    of its patients are registered, and nothing was played."""
    day = Stage(home, {}).day
    if reset or not day.exists():
        day.unlink(missing_ok=True)  # first: cut off here, it is begun anew as well
        shutil.rmtree(home, ignore_errors=True)


def _demo(config: Path, home: Path) -> int:
    stop = stop_event()
    print("Starting the lab (registering forty patients the first time) ...", flush=True)
    stage = build(config, home)
    lab = empty_lab(stage)
    try:
        with Processes(stage.home / "log", stage.environ) as processes:
            launch_services(stage, processes)
            fill(stage, lab)
            services_answer(stage, processes, stop.is_set)
            start_simulators(stage, processes, PACE, fast=False)
            print(banner(stage, lab), flush=True)
            _until_stopped(stage, lab, processes, stop)
            print("\nStopping ...", flush=True)
    except RuntimeError as broken:
        print(f"The lab did not start: {broken}")
        return 1
    except Interrupted:
        print("Stopped before it had begun.")
        return 0
    finally:
        lab.engine.dispose()
        stage.close()
    print("Everything is stopped. `labmitra demo` goes on from here, `labmitra demo --reset` begins anew.")
    return 0


def _until_stopped(stage: Stage, lab: Lab, processes: Processes, stop: threading.Event) -> None:
    """Watch the processes; when the analyzers have played a day file, more patients come."""
    told: set[str] = set()
    while not stop.wait(LOOK):
        for name in set(processes.died()) - told:
            told.add(name)
            print(f"{name} ended; see {stage.home / 'log' / (name + '.log')}", flush=True)
        if stage.played():
            newcomers(stage, lab)


def newcomers(stage: Stage, lab: Lab) -> None:
    """Register a few more patients and write them into the next day file, which the simulators take up."""
    number = len(stage.days()) + 1
    first = len(PEOPLE) + (number - 2) * NEWCOMERS
    orders = admit(lab, visitors(NEWCOMERS, first))
    write_day(stage.day_file(number), day_items(lab, orders), lab.now(), number)


def banner(stage: Stage, lab: Lab) -> str:
    """Where everything is, who may log in, what to try."""
    pages, hub, sms = stage.url(8080), stage.url(8090), stage.url(8095)
    names = "\n".join(f"    {user:<12} {role.value}" for user, _, _, role in USERS)
    return f"""
Lab Mitra is running: DDU Government Hospital, four simulated analyzers, results every few seconds.

  Technician pages   {pages}/
  Patients' phones   {sms}/inbox      (every SMS lands here, with its link)
  Report service     {hub}/

  Log in as (password for all: {PASSWORD})
{names}

  To try
    1. As technician open the worklist. Results flow in; each held one says why. Press ? for the keys.
    2. "Release all green", then read the reasons of the held ones. Critical ones want a call first.
    3. Look into the tray of unmatched results, the analyzers, the messages byte by byte.
    4. As reception register a patient; print the slip (a new PIN each time) and the labels.
    5. Open an SMS in the patients' phones and type the PIN of its slip: the demo's pile of
       paper slips is {slips_file(lab)}

  Data and logs live in {stage.home}. Ctrl-C stops everything.
"""
