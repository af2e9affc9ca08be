"""The page of the analyzers: every driver opens with the same parts, and the page says what its form says."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from drivers.driver import driver_names, load_driver
from drivers.engine import handbook

SAID = ("sample", "code", "value", "unit", "flag", "range", "time", "control")


@pytest.mark.parametrize("name", driver_names())
def test_a_driver_opens_with_all_that_its_page_needs(name: str) -> None:
    page = handbook.page(name)
    assert page.discipline in handbook.DISCIPLINES.values()
    missing = [word for word in SAID if not re.search(rf"\b{word}", page.where, re.IGNORECASE)]
    assert missing == [], "where things sit leaves something out"


def test_a_docstring_without_its_parts_is_no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    import drivers.sysmex_xp

    monkeypatch.setattr(drivers.sysmex_xp, "__doc__", (drivers.sysmex_xp.__doc__ or "").replace("\nQuirks: ", "\n"))
    with pytest.raises(ValueError, match="sysmex_xp"):
        handbook.page("sysmex_xp")


def test_a_page_says_what_the_form_says() -> None:
    shown = handbook.show("ortho_vitros")
    for line in (
        "- **Driver** `ortho_vitros`; results, answers",
        "- **Codes** by the site; others in `[analyzer.codes]`; 3 known and never reported",
        "| sample id | O-3 component 1 |",
        "| its own flags | `^0^` is N |",
        "| control | O-12 is Q, or H-12 is Q |",
    ):
        assert line in shown.splitlines()
    assert "| sample id | O-4 component 1, else O-3 component 1 |" in handbook.show("roche_cobas_c111")
    assert "ERR\\d*\\|0+" in handbook.show("sysmex_xn"), "a bar would end the table's cell"


def test_what_markdown_would_read_as_its_own_marks_is_text_on_the_page() -> None:
    """`10*3/mm3, 10*6/mm3` would be set in italics."""
    assert "1 is the usual one (10\\*3/mm3" in handbook.markdown()
    assert "1 is the usual one (10*3/mm3" in handbook.show("horiba_micros"), "a screen shows it as it is"
    assert all(row.count("`") % 2 == 0 for row in handbook.markdown().splitlines())


def test_the_summary_names_every_driver_once_by_its_discipline() -> None:
    rows = [row.split(" | ") for row in handbook.markdown().splitlines() if re.match(r"\| .* \| \[", row)]
    assert sorted(row[2].strip("`") for row in rows) == sorted(driver_names())
    order = list(dict.fromkeys(row[0] for row in rows))
    assert len(order) == len({row[0] for row in rows}) and order[0] == "| Haematology"


def test_directions_are_those_of_the_form() -> None:
    form = load_driver("sysmex_xn")
    assert handbook.directions(form) == "results, answers"
    assert handbook.directions(load_driver("sysmex_xp")) == "results"
    silent = replace(form, answers=load_driver("sysmex_xp").answers)
    assert handbook.directions(silent) == "results"


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("R.4", "R-4"),
        ("O.4.3", "O-4 component 3"),
        ("SPM.2.1.1", "SPM-2 component 1 part 1"),
        ("O.5(2)", "O-5 repeat 2"),
    ],
)
def test_an_address_in_words(address: str, words: str) -> None:
    assert handbook.spoken(address) == words


def test_an_unknown_driver_is_named_with_those_there_are() -> None:
    with pytest.raises(KeyError, match="sysmex_xn"):
        handbook.show("sysmex")


def test_in_a_terminal_a_page_has_no_marks_of_the_web() -> None:
    shown = handbook.show("erba_xl")
    assert shown.startswith("### Erba XL / Transasia EM\n") and "<a" not in shown
