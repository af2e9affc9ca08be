"""Many messages in one transaction come to the very rows of one after the other, on both engines."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import drivers.generic_astm
from drivers.driver import Grade, Message
from middleware import pipeline, turn, work
from middleware.journal import Journal
from middleware.lab import Lab, make_engine
from middleware.schema import AnalyzerMessage, ResultRow, UnmatchedRow
from tests.labs import BENCH, Desk, settings_for


@pytest.fixture
def twin(tmp_path: Path, lab_sqlite: Path, desk: Desk) -> Any:
    """A second laboratory on SQLite: what happens there happens one by one."""
    path = shutil.copy(lab_sqlite, tmp_path / "twin.sqlite3")
    lab = Lab(make_engine(f"sqlite:///{path}"), settings_for(tmp_path / "twin", f"sqlite:///{path}"), desk.clock)
    yield Desk(lab, desk.clock)
    lab.engine.dispose()


def morning(desk: Desk) -> list[Message]:
    """A queue with everything that one message may do to the next."""
    first, second = desk.register("HB", "PLT", "WBC"), desk.register("HB", "PLT")
    one, two = desk.sample_id(first), desk.sample_id(second)
    control = desk.message("QC-1", "HB=13.0 g/dL").body.replace(b"|||20261122", b"|||||||Q|20261122")
    queue = [
        desk.message(one, "HB=13.0 g/dL", "PLT=250 10*3/uL", "WBC=7.1 10*3/uL"),
        desk.message(two, "HB=12.9 g/dL", "ZZ=1"),
        desk.message(one, "HB=13.4 g/dL", "HB=13.5 g/dL", at="20261122101500"),  # a second and a third value
        Message("bad", "bench", desk.clock(), b"no message at all"),
        Message("gone", "gone", desk.clock(), b"H|\\^&\rL|1\r"),
        desk.message(one, "HB=13.0 g/dL", "PLT=250 10*3/uL", "WBC=7.1 10*3/uL"),  # sent twice
        desk.message(f"00{two}", "HB=12.9 g/dL", "PLT=9 10*3/uL"),  # the same tube, padded
        desk.message("107632699990", "HB=13.0 g/dL"),
        desk.message("107632699990", "HB=13.0 g/dL", "PLT=250 10*3/uL"),
        desk.message("", "HB=13.0 g/dL"),
        Message("qc", "bench", desk.clock(), control),
        desk.message(two, "HB=15.0 g/dL!C", at="20261122103000"),
    ]
    return [*queue, queue[1]]


def alone(desk: Desk, queue: Sequence[Message], again: bool = False) -> list[str]:
    return [pipeline.process(desk.lab, message, again).state for message in queue]


def together(desk: Desk, queue: Sequence[Message], again: bool = False) -> list[str]:
    return [outcome.state for outcome in pipeline.process_all(desk.lab, queue, again)]


def rows(desk: Desk) -> dict[str, list[dict[str, Any]]]:
    return desk.dump(ignore=("user_account",))  # of a template of its own


@pytest.mark.parametrize("released", [False, True])
def test_a_batch_is_the_same_as_one_by_one(
    released: bool, desk: Desk, twin: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    if released:  # rules release what nothing holds: the next message of the patient must see it
        proven = replace(drivers.generic_astm.DRIVER, grade=Grade.FIELD)
        monkeypatch.setattr(drivers.generic_astm, "DRIVER", proven)
        for one in (desk, twin):
            others = tuple(a for a in one.lab.settings.analyzers if a.name != "bench")
            analyzers = (*others, replace(BENCH, auto_release=True))
            one.lab = replace(one.lab, settings=replace(one.lab.settings, analyzers=analyzers))
    queue, singles = morning(desk), morning(twin)
    assert [m.body for m in queue] == [m.body for m in singles]
    assert together(desk, queue) == alone(twin, singles)
    assert rows(desk) == rows(twin)
    states = {row["state"] for row in desk.rows(ResultRow)}
    assert states == ({"released", "held"} if released else {"autoverified", "held"})
    assert {u["rule"] for u in desk.tray()} == {"unknown_code", "damaged_id", "unread"}
    once = rows(desk)
    assert set(together(desk, queue)) == {"already", "failed"}
    assert {k: v for k, v in rows(desk).items() if k not in ("change", "message")} == {
        k: v for k, v in once.items() if k not in ("change", "message")
    }
    assert together(desk, queue, again=True) == alone(twin, singles, again=True)
    assert rows(desk)["result"] == rows(twin)["result"] == once["result"]
    assert rows(desk)["message"] == rows(twin)["message"]


def test_all_of_a_batch_or_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    queue, before = morning(desk), rows(desk)
    real, calls = pipeline.record, []

    def record(*given: Any) -> Any:
        calls.append(given)
        if len(calls) == 3:
            raise ZeroDivisionError
        return real(*given)

    monkeypatch.setattr(pipeline, "record", record)
    with pytest.raises(ZeroDivisionError):
        pipeline.process_all(desk.lab, queue)
    assert rows(desk) == before


def test_killed_between_the_commit_and_the_mark_a_batch_comes_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal.open(desk.lab.settings.journal)
    made = [desk.register("HB") for _ in range(4)]
    queue = [desk.message(desk.sample_id(one), "HB=13.0 g/dL").body for one in made]
    for body in [*queue[:2], b"no message at all", *queue[2:]]:
        journal.finish("bench", None, body, False)
    pipeline.process_all(desk.lab, journal.unprocessed())  # and here it is killed
    before = rows(desk)
    assert work.Worker(desk.lab, journal)._drain() and journal.unprocessed() == []
    assert len(desk.rows(ResultRow)) == 4 and desk.rows(UnmatchedRow) == []
    assert rows(desk)["result"] == before["result"]
    assert sorted(m["state"] for m in desk.rows(AnalyzerMessage)) == ["failed", *["processed"] * 4]
    journal.close()


def test_a_batch_grows_with_the_queue_and_shrinks_with_the_time_it_takes(lab: Lab) -> None:
    worker = work.Worker(lab, None)  # type: ignore[arg-type]
    sizes = []
    for seconds_each in (0.001, 0.001, 0.001, 0.001, 0.01, 0.1, 0.2, 0.001):
        worker._fit(worker._size, worker._size * seconds_each)
        sizes.append(worker._size)
    assert sizes == [16, 32, 64, 100, 20, 2, 8, 16]
    worker._fit(3, 4.0)  # too long for the people who wait
    assert worker._size == 1


def test_on_sqlite_a_queue_gives_way_to_whoever_waits(
    tmp_path: Path, lab_sqlite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{shutil.copy(lab_sqlite, tmp_path / 'lab.sqlite3')}"
    lab = Lab(make_engine(url), settings_for(tmp_path / "var", url))
    order: list[str] = []
    looked = threading.Event()
    monkeypatch.setattr(turn, "LONGEST", 60.0)
    monkeypatch.setattr(turn, "PAUSE", 0.0)
    real = turn.time.sleep

    def sleep(seconds: float) -> None:
        looked.set()
        real(seconds)

    monkeypatch.setattr(turn.time, "sleep", sleep)

    def queue() -> None:
        with lab.write(gives_way=True):
            order.append("queue")

    thread = threading.Thread(target=queue)
    with turn.turn(lab.engine, False):  # a person looks for a gap
        thread.start()
        assert looked.wait(20)
        with lab.write():
            order.append("person")
    thread.join(20)
    assert order == ["person", "queue"]
    lab.engine.dispose()


def test_a_queue_takes_its_chance_when_nobody_ends(
    tmp_path: Path, lab_sqlite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make_engine(f"sqlite:///{shutil.copy(lab_sqlite, tmp_path / 'lab.sqlite3')}")
    monkeypatch.setattr(turn, "LONGEST", 0.01)
    with turn.turn(engine, False), turn.turn(engine, True):
        assert Path(f"{engine.url.database}.turn").exists()
    engine.dispose()
