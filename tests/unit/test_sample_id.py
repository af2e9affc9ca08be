"""Sample ids: the worked example, what is caught, what an analyzer may do to a number and what it may not."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from middleware.sample_id import Parts, damm, make, normalise, parse, pretty, valid

DAYS = st.dates(date(2020, 1, 1), date(2039, 12, 31))
IDS = st.builds(make, st.integers(100, 999), DAYS, st.integers(1, 9999))


def test_the_worked_example() -> None:
    """Domain 8.2: site 107, 22 November 2026, container 42."""
    assert damm("572") == "4"
    assert make(107, date(2026, 11, 22), 42) == "107632600424"
    assert parse("107632600424") == Parts(site=107, year_digit=6, day=326, serial=42)
    assert pretty("107632600424") == "107-6326-0042-4"
    assert valid("107632600424")


@given(IDS)
def test_what_is_made_is_valid_and_keeps_its_parts(sample_id: str) -> None:
    """Twelve digits, no leading zero, valid."""
    assert len(sample_id) == 12
    assert sample_id[0] != "0"
    assert valid(sample_id)
    assert normalise(sample_id) == sample_id


@given(IDS, st.integers(0, 11), st.integers(1, 9))
def test_every_single_wrong_digit_is_caught(sample_id: str, place: int, shift: int) -> None:
    """Damm catches all of them."""
    wrong = str((int(sample_id[place]) + shift) % 10)
    assert not valid(sample_id[:place] + wrong + sample_id[place + 1 :])


@given(IDS, st.integers(0, 10))
def test_every_swap_of_neighbours_is_caught(sample_id: str, place: int) -> None:
    """Damm catches all of them, 09 and 90 too."""
    swapped = sample_id[:place] + sample_id[place + 1] + sample_id[place] + sample_id[place + 2 :]
    assert valid(swapped) is (swapped == sample_id)


@given(IDS, st.integers(0, 10), st.text(" \t", max_size=4), st.text(" ", max_size=4))
def test_padding_comes_off(sample_id: str, zeros: int, before: str, after: str) -> None:
    """Analyzers pad with blanks and zeros."""
    assert normalise(before + "0" * zeros + sample_id + after) == sample_id


@given(st.text(max_size=30))
def test_any_text_is_ours_or_not_and_never_an_error(text: str) -> None:
    """A text that is none of ours is None, never mended."""
    found = normalise(text)
    assert found is None or (found in text and parse(found) is not None)


@pytest.mark.parametrize(
    "text",
    ["", "42", "@192", "QC-52900801", "10763260042", "1076326004244", "107 632600424", "107-6326-0042-4",
     "007632600424", "107600000424", "107640100424", "107632600004", "१०७६३२६००४२४"],
)  # fmt: skip
def test_what_cannot_be_ours(text: str) -> None:
    """Too short, too long, not digits, site 007, day 000 or 401, serial 0000, digits of another script."""
    assert normalise(text) is None
    assert not valid(text)


def test_a_damaged_number_comes_back_so_that_the_tray_can_say_so() -> None:
    """The check digit is not looked at when a number is normalised."""
    assert normalise("107632600425") == "107632600425"
    assert not valid("107632600425")


@pytest.mark.parametrize(("site", "serial"), [(99, 1), (1000, 1), (107, 0), (107, 10000)])
def test_numbers_outside_the_scheme_are_not_made(site: int, serial: int) -> None:
    """Rather no number than one that cannot be read back."""
    with pytest.raises(ValueError, match="is not"):
        make(site, date(2026, 11, 22), serial)


def test_pretty_leaves_other_texts_alone() -> None:
    """Nothing is cut off what an analyzer sent."""
    assert pretty("@192") == "@192"
