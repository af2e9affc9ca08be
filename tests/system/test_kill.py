"""kill -9 while analyzers send and people release: what was acknowledged is there, nothing stands twice or half."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from middleware import store
from middleware.actions import results
from middleware.actions.register import Registered
from middleware.lab import Lab
from middleware.schema import AuditRow, HandoverRow, ResultRow
from middleware.store import books_view
from server.demo.books import balance
from server.demo.stage import Stage, sent
from server.processes import Processes, wait_for
from tests.conftest import ON_POSTGRES
from tests.labs import Clock, Desk, lately
from tests.system.support import (
    Analyzers,
    Person,
    Tap,
    day_of,
    holdings,
    journaled,
    kill,
    on_stage,
    plans_of,
    start_middleware,
    twin_of,
    undisturbed,
    unprocessed,
    until,
)

PATIENTS = 18
KILLS = 4  # on PostgreSQL, with the four analyzers of the demo; tests/crash kills more often, on SQLite


@pytest.fixture
def clock() -> Clock:
    return lately()


def strike(stage: Stage, processes: Processes, kills: int, chance: random.Random) -> None:
    """kill -9 and start again, `kills` times: mostly while analyzers send, now and then while it still starts."""
    for number in range(kills):
        early = number % 5 == 4
        start_middleware(stage, processes, wait=not early)
        time.sleep(chance.uniform(0.3, 1.2) if early else chance.uniform(0.0, 0.8))
        kill(processes, "middleware")


@pytest.mark.parametrize("lab_url", [pytest.param("postgres", marks=ON_POSTGRES)], indirect=True)
def test_kill_9_at_random_moments_loses_nothing(tmp_path: Path, lab_url: str, lab_sqlite: Path) -> None:
    with on_stage(tmp_path / "home", lab_url) as (stage, processes):
        lab = stage.lab()
        day_of(stage, lab, PATIENTS)
        twin = twin_of(lab_sqlite, tmp_path, PATIENTS)
        plans = plans_of(stage.day)
        with Analyzers(stage, plans, pace=0.12) as analyzers:
            strike(stage, processes, KILLS, random.Random(2026))
            start_middleware(stage, processes)
            until(lambda: analyzers.done and not unprocessed(stage), "everything is sent and processed")
        assert {name: len(lines) for name, lines in sent(stage).items()} == {n: len(p) for n, p in plans.items()}
        acknowledged_is_journaled(stage, analyzers.taps)
        every_message_is_processed(stage, lab)
        assert holdings(lab) == undisturbed(twin, plans)
        twin.engine.dispose()
        lab.engine.dispose()


def acknowledged_is_journaled(stage: Stage, taps: dict[str, Tap]) -> None:
    kept = journaled(stage)
    for analyzer, tap in taps.items():
        assert tap.acknowledged, analyzer
        assert Counter(tap.acknowledged) - kept[analyzer] == Counter(), analyzer


def every_message_is_processed(stage: Stage, lab: Lab) -> None:
    """No difference but messages that came more than once, because an analyzer repeats what it saw no answer to."""
    repeats = ("messages sent, journaled", "sent, observed", "sent, kept as controls")
    assert [line for line in balance(stage, lab) if not any(word in line for word in repeats)] == []
    with lab.read() as conn:
        books = {b.analyzer: b for b in books_view.message_books(conn)}
    for analyzer, lines in sent(stage).items():
        measured = sum(int(str(line["measurements"])) + int(str(line["controls"])) for line in lines)
        assert books[analyzer].balanced
        assert books[analyzer].failed == 0
        assert books[analyzer].sums["measurements"] >= measured


# ---- the pages --------------------------------------------------------------------------------------------------

ORDERS = 15  # of one test each: a release of all of them takes about a third of a second
ROUNDS = {"sqlite": 2, "postgresql": 1}


def standing(desk: Desk, made: Registered) -> tuple[str, str, int, list[str], int]:
    """Where one order stands: its test, its result, report versions, hand-overs, audit lines of the release."""
    test = desk.test(made, "HB")
    result = desk.one(ResultRow, order_test_id=test["id"])
    handed = [row["state"] for row in desk.rows(HandoverRow, report_no=made.report_no)]
    audited = desk.rows(AuditRow, action="release", subject="result", subject_id=str(result["id"]))
    return test["state"], result["state"], len(desk.versions(made)), handed, len(audited)


BEFORE = ("awaited", "autoverified", 0, [], 0)
AFTER = ("released", "released", 1, ["queued"], 1)


def start_pages(stage: Stage, processes: Processes) -> None:
    processes.start("lab", "lab", "--config", str(stage.config))
    wait_for(stage.url(8080) + "/healthz", processes)


def release_all(stage: Stage, then: Callable[[], None]) -> list[int]:
    """Press "release all green", and while the lab works on it do something; what came back, if anything did."""
    answered: list[int] = []
    with Person(stage.url(8080)) as person:
        page = person.get("/worklist/green")
        form = next(form for form in page.all_forms("/worklist/green") if form.value("release"))

        def press() -> None:
            with contextlib.suppress(httpx2.HTTPError):  # cut off by the kill
                answered.append(person.send(page, form).status)

        pressing = threading.Thread(target=press)
        pressing.start()
        then()
        pressing.join()
    return answered


def test_kill_9_of_the_pages_leaves_each_release_whole_or_undone(desk: Desk, lab_url: str, tmp_path: Path) -> None:
    chance = random.Random(7)
    with on_stage(tmp_path / "home", lab_url) as (stage, processes):

        def strike() -> None:
            time.sleep(chance.uniform(0.05, 0.5))
            kill(processes, "lab")

        for _ in range(ROUNDS[desk.lab.engine.dialect.name]):
            orders = [desk.measured("HB=13.1 g/dL")[0] for _ in range(ORDERS)]
            start_pages(stage, processes)
            answered = release_all(stage, strike)
            stood = [standing(desk, made) for made in orders]
            assert all(one in (BEFORE, AFTER) for one in stood)
            assert not answered or stood == [AFTER] * ORDERS, "she was told that they are released"
    results.release_green(desk.lab, desk.technician)
    assert {row["state"] for row in desk.rows(ResultRow)} == {"released"}
    assert audit_is_sound(desk)


def audit_is_sound(desk: Desk) -> bool:
    with desk.lab.read() as conn:
        return store.audit_broken_at(conn) is None
