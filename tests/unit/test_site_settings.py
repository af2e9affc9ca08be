"""What a site has set on its analyzer: read from the configuration, and what it changes in what is filed."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from drivers.driver import Message, driver_names, load_driver
from middleware.check import check
from middleware.consider import driver_of
from middleware.match import _identities, match
from middleware.settings import AnalyzerSettings, load
from tests.labs import CONFIG, NOW
from tests.unit.matching import SAMPLE, context, sample

AU = AnalyzerSettings("au", "beckman_au", "AU480", "tcp-listen://127.0.0.1:0", codes={"014": "GLUR"})


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The delivered configuration, to which analyzers may be added."""
    shutil.copytree(CONFIG, tmp_path / "config", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "config"


def add(config: Path, driver: str, lines: str) -> None:
    head = f'\n[[analyzer]]\nname = "new"\ndriver = "{driver}"\nline = "tcp-listen://127.0.0.1:9199"\n'
    with (config / "analyzers.toml").open("a", encoding="utf-8") as file:
        file.write(head + lines)


def test_framing_widths_and_units_are_read(config: Path) -> None:
    add(config, "beckman_au", 'framing = "enq"\n[analyzer.layout]\nsample_id = 26\n[analyzer.units]\n"014" = "mg/dL"\n')
    unit = load(config, {}).analyzers[-1]
    assert (unit.framing, dict(unit.layout), dict(unit.units)) == ("enq", {"sample_id": 26}, {"014": "mg/dL"})
    form = driver_of(unit)
    assert form.framing is form.framings["enq"] and form.layout == {"sample_id": 26}
    assert driver_of(unit) is form, "one for each way an analyzer is set"


def test_what_it_is_told_is_an_answer_unless_the_site_says_otherwise(config: Path) -> None:
    add(config, "erba_xl", 'orders = "push"\n')
    assert [unit.orders for unit in load(config, {}).analyzers[-2:]] == ["answer", "push"]


def test_no_order_can_be_pushed_into_a_folder(config: Path) -> None:
    add(config, "generic_hl7", 'orders = "push"\n')
    path = config / "analyzers.toml"
    path.write_text(path.read_text(encoding="utf-8").replace("tcp-listen://127.0.0.1:9199", "folder:/srv/x"), "utf-8")
    (problem,) = check(config, {})
    assert (problem.key, problem.reason) == ("analyzer new.orders", "nothing can be sent on this line")


def test_the_configuration_names_the_drivers_that_can_be_sent_orders(config: Path) -> None:
    """The comment of the key lists them, so that nobody has to try."""
    able = {name for name in driver_names() if load_driver(name).pushes is not None}
    comment = (config / "analyzers.toml").read_text(encoding="utf-8").split("#   orders", 1)[1].split("#   codes", 1)[0]
    assert {name for name in driver_names() if re.search(rf"\b{name}\b", comment)} == able


@pytest.mark.parametrize(
    ("driver", "lines", "where", "instead"),
    [
        ("beckman_au", 'framing = "stxx"\n', "framing", "stx"),
        ("sysmex_xn", 'framing = "stx"\n', "framing", "leave this line out"),
        ("beckman_au", "[analyzer.layout]\nsample = 26\n", "layout.sample", "sample_id"),
        ("beckman_au", '[analyzer.layout]\ntest = "3"\n', "layout.test", "a number from 0 to 200"),
        ("beckman_au", "[analyzer.layout]\ntest = -1\n", "layout.test", "a number from 0 to 200"),
        ("erba_xl", "[analyzer.layout]\ntest = 3\n", "layout.test", "this driver has no columns"),
        ("beckman_au", "[analyzer.units]\n014 = 3\n", "units", "lines like"),
        ("sysmex_xn", 'orders = "push"\n', "orders", '"answer" or "none"'),
        ("erba_xl", 'orders = "pushed"\n', "orders", "push"),
        ("generic_hl7", 'orders = "push"\n', "tests", 'tests = ["UREA"'),
    ],
)
def test_a_mistake_is_told_with_its_remedy(config: Path, driver: str, lines: str, where: str, instead: str) -> None:
    add(config, driver, lines)
    (problem,) = check(config, {})
    assert (problem.file, problem.key) == ("analyzers.toml", f"analyzer new.{where}")
    assert instead in problem.instead


def test_a_unit_that_the_analyzer_never_sends_is_the_sites() -> None:
    """Without it there is no number for the patient, with it the one in the catalogue's unit."""
    body = f"\x02D 000305 0081{SAMPLE:>20}    E20261122101505014   7.5  \x03".encode()
    values = []
    for units in ({}, {"014": "mmol/L"}, {"014": "mg/dL"}, {"015": "mg/dL"}):
        form = driver_of(replace(AU, units=units))
        said = form.decode(Message("1", "au", NOW, body))
        found = match(said, context(sample("CREAT"), codes={"014": "CREAT"}), form)
        values.append([(str(result.value), result.verbatim) for result in found.results])
    sent = "   7.5  "
    assert values == [[("None", sent)], [("None", sent)], [("7.50", sent)], [("None", sent)]]


def test_a_result_that_is_sent_again_with_its_own_status_is_the_same_result() -> None:
    """RC-37: R-9 R is the same observation; a correction is not."""
    form = load_driver("abbott_architect")
    architect = "H|\\^&|||ARCHITECT^8\rP|1\rO|1|7\rR|1|^^^241^^^^^^^F|0.2|S/CO||||{status}||||20261122\rL|1\r"
    assert form.resent == "R"
    said = [
        form.decode(Message("1", "i1", NOW, architect.format(status=status).encode())).observations for status in "FRC"
    ]
    first, again, corrected = (_identities(rows, "i1", form.resent) for rows in said)
    assert first == again != corrected
    assert first == _identities(said[0], "i1"), "what is stored keeps its identity"
