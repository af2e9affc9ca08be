"""The fuzz run in small, and that it would find something. The long one is `make fuzz`."""

from __future__ import annotations

import pytest

from drivers.wire import lis2a
from tests.wire import fuzz
from tests.wire.line_kit import MORE


def test_broken_inputs_are_read_or_refused() -> None:
    """Three thousand of the million of `make fuzz`; LABMITRA_EXAMPLES multiplies them."""
    assert fuzz.run(seed=1, first=0, count=3_000 * MORE) == []


def test_an_input_is_the_same_in_every_run_and_every_reader_gets_some() -> None:
    def made(seed: int, count: int = 100) -> list[tuple[str, bytes]]:
        return [fuzz.one(seed, number)[:2] for number in range(count)]

    assert made(3) == made(3) != made(4)
    assert {name for name, _ in made(3, 12 * len(fuzz.readers()))} == set(fuzz.readers())


def test_most_inputs_are_read_so_that_what_lies_behind_the_head_is_met() -> None:
    read = 0
    for number in range(300):
        name, data, chance = fuzz.one(5, number)
        try:
            fuzz.readers()[name](data, chance)
            read += 1
        except (fuzz.WireError, fuzz.DecodeError):
            continue
    assert 150 < read < 300


def test_what_it_finds_is_told_with_the_number_that_brings_it_back(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_stream: bytes) -> list[lis2a.Part]:
        raise IndexError("planted")

    monkeypatch.setattr(lis2a, "split", broken)
    assert fuzz.main(["--inputs", "100"]) == 1
    told = capsys.readouterr().out
    assert "IndexError: planted" in told
    assert "100 of 100" in told and "go on with --first 100" in told
    number = told.partition("--first ")[2].partition(" ")[0]
    monkeypatch.undo()
    assert fuzz.main(["--inputs", "1", "--first", number]) == 0


def test_memory_that_grows_after_the_warm_up_is_noticed() -> None:
    watch = fuzz.Watch()
    for size in (10, 500, 900, 1000, 1000, 1200):
        watch.saw(1, size)
    watch.saw(2, 7000)
    assert watch.grown == 200
    assert fuzz.memory() > 1_000_000
