"""Scenario files: those we ship are right and play through; a mistake in one is named before anything is sent."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from simulators import framing, scenario
from simulators import line as line_module
from simulators import run as run_module
from tests.conform.peers import Clock, Hl7Host, Host, Peer, Stop

SCENARIOS = Path(scenario.__file__).parent / "scenarios"


@pytest.mark.parametrize("file", sorted(SCENARIOS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_scenario_we_ship_plays_through(file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Part by part on a clock that jumps: every message is with the host, whole and once."""
    for part in scenario.read(file).parts:
        clock = Clock()
        host: Host | Hl7Host = Hl7Host(clock) if part.simulates == "mindray_bc" else Host(clock)
        monkeypatch.setattr(line_module, "time", clock)
        monkeypatch.setattr(run_module, "opener", lambda to, listen, host=host: host)
        stop = Stop(clock, lambda host=host, clock=clock: host.until(clock.now))  # type: ignore[misc]
        scenario._play(part, stop, {}, tmp_path / "books.jsonl", True, None)
        wanted = sum(stretch.messages for stretch in part.stretches)
        booked = (tmp_path / f"books.{part.name}.jsonl").read_text(encoding="utf-8").splitlines()
        assert len(booked) == wanted
        planned = scenario._enough(part, wanted, datetime.now(UTC))
        asked = {step.said.control_id or str(step.seq) for step in planned[:wanted]}  # a duplicate keeps its control id
        assert len(results(host)) == len(asked)


def results(host: Peer) -> list[bytes]:
    """The messages with results in them; of HL7 by control id, for repeats and copies of one message share it."""
    if isinstance(host, Hl7Host):
        return sorted({framing.control_id(body).partition(b"-")[0] for body in host.messages})
    assert isinstance(host, Host)
    return [body for body in host.messages if b"\rR|" in body]


PLAY = "[[analyzer]]\nsimulates = 'sysmex_xn'\n[[analyzer.play]]\n"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("title = 'x'", "there is no [[analyzer]]"),
        ("[[analyzer]]\nsimulates = 'toaster'", "simulates = 'toaster'"),
        ("[[analyzer]]\nsimulates = 'sysmex_xn'", "there is no [[analyzer.play]]"),
        ("[[analyzer]]\nsimulates = 'sysmex_xn'\nspeed = 3", "there is no key 'speed'"),
        ("[[analyzer]]\nsimulates = 'sysmex_xn'\n[[analyzer.play]]\nfaults = ['no_fs']", "no_fs is a fault of HL7"),
        ("[[analyzer]]\nsimulates = 'sysmex_xn'\n[[analyzer.play]]\nwait = 3", "analyzer 1, play: there is no key"),
        ("[[analyzer]]\nsimulates = 'sysmex_xn'\n[[analyzer.play]]\n" * 2, "the same name"),
        ("= 3", "Invalid"),
        ("sed = 3", "the file: there is no key 'sed'"),
        ("seed = 'a'", "the file: seed = 'a' is no whole number"),
        (PLAY + "messages = -3", "analyzer 1, play: messages = -3 is no whole number from 0 on"),
        (PLAY + "messages = 1.5", "messages = 1.5 is no whole number"),
        (PLAY + "pause = 'long'", "analyzer 1, play: pause = 'long' is no number from 0 on"),
        (PLAY + "repeat = true", "repeat = True is no whole number"),
        (PLAY + "faults = 'split'", "analyzer 1, play: faults = 'split' is no list"),
        (PLAY + "hang_up = 'false'", "hang_up = 'false' is neither true nor false"),
        ("[[analyzer]]\nsimulates = 'sysmex_xn'\nto = 'x'\nlisten = 'y'\n[[analyzer.play]]", "either to or listen"),
        ("analyzer = [3]", "there is no [[analyzer]]"),
        (PLAY.replace("[[analyzer.play]]", "play = 3"), "there is no [[analyzer.play]]"),
        (PLAY.replace("[[analyzer.play]]", "play = [3]"), "there is no [[analyzer.play]]"),
        (PLAY.replace("\n[[", "\nto = 5\n[["), "analyzer 1: to = 5 is no text"),
        (PLAY.replace("\n[[", "\nname = ['x']\n[["), "analyzer 1: name = ['x'] is no text"),
        (PLAY.replace("\n[[", "\nto = 'udp://x:1'\n[["), "analyzer 1: 'udp://x:1' is not an address"),
    ],
)
def test_a_mistake_is_named(text: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "file.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError) as found:
        scenario.read(tmp_path / "file.toml")
    assert why in str(found.value)


def test_an_analyzer_without_an_address_is_named_before_anything_is_sent(tmp_path: Path) -> None:
    (tmp_path / "file.toml").write_text(PLAY, encoding="utf-8")
    with pytest.raises(ValueError, match="sysmex_xn: write to or listen"):
        scenario.run(scenario.read(tmp_path / "file.toml"), Stop(Clock()))


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"xn": "tcp://127.0.0.1:1"}, "--line xn: there is no such analyzer"),
        ({"sysmex_xn": "here"}, "is not an address"),
    ],
)
def test_an_address_for_nobody_or_none_at_all_is_named(given: dict[str, str], why: str, tmp_path: Path) -> None:
    (tmp_path / "file.toml").write_text(PLAY.replace("\n[[", "\nto = 'tcp://127.0.0.1:1'\n[["), encoding="utf-8")
    with pytest.raises(ValueError, match=why):
        scenario.run(scenario.read(tmp_path / "file.toml"), Stop(Clock()), lines=given)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_analyzer_that_did_not_get_through_is_exit_1(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever ended it: the exit code says that not all was played."""

    def breaks(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(scenario, "_play", breaks)
    (tmp_path / "file.toml").write_text(PLAY.replace("\n[[", "\nto = 'tcp://127.0.0.1:1'\n[["), encoding="utf-8")
    assert scenario.run(scenario.read(tmp_path / "file.toml"), Stop(Clock()), said=lambda _: None) == 1


def test_a_cable_pulled_by_the_scenario_is_a_new_connection(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = "[[analyzer]]\nsimulates = 'generic_astm'\nto = 'tcp://127.0.0.1:1'\n[[analyzer.play]]\nmessages = 1\n"
    (tmp_path / "file.toml").write_text(text + "[[analyzer.play]]\nhang_up = true\nmessages = 1\n", encoding="utf-8")
    clock, opened = Clock(), []

    class Counted(Host):
        def open(self) -> Host:
            opened.append(self)
            return super().open()  # type: ignore[return-value]

    host = Counted(clock)
    monkeypatch.setattr(line_module, "time", clock)
    monkeypatch.setattr(run_module, "opener", lambda to, listen: host)
    assert scenario.run(scenario.read(tmp_path / "file.toml"), Stop(clock), fast=True, said=lambda _: None) == 0
    assert len(opened) == 2
    assert len(host.messages) == 2
