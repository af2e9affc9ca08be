"""Orders for tests of lines: made, put into a basket, and what became of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drivers.driver import Driver, Stamp, WorkOrder, load_driver
from middleware import connection, connection_hl7
from middleware.downloads import Basket, Download, Outcome
from tests.system.line_kit import LISTEN, analyzer

ASTM, LAW = load_driver("generic_astm"), load_driver("generic_hl7")
XN = replace(analyzer("xn", LISTEN), orders="push")
HL7 = replace(analyzer("ba", LISTEN, "generic_hl7"), orders="push")


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses that a test can wait for."""
    for module in (connection, connection_hl7):
        monkeypatch.setattr(module, "LOOK", 0.02)
        monkeypatch.setattr(module, "ANSWER_DELAY", 0.01)


def order(driver: Driver, key: int) -> Download:
    work = WorkOrder(f"10763260042{key}", ("GLU", "UREA"))
    return Download(key, tuple(driver.push([work], Stamp("20261122100000", f"D{key}"))), {"GLU": ["GLU", 0]})


def basket(driver: Driver, *keys: int) -> Basket:
    made = Basket()
    made.fill([order(driver, key) for key in keys])
    return made


def outcomes(of: Basket) -> list[tuple[int, Outcome, str]]:
    return [(told.download.key, told.outcome, told.why) for told in of.outcomes()]
