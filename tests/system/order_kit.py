"""Orders for tests of lines: made, put into a basket, and what became of them."""

from __future__ import annotations

from drivers.driver import Driver, Stamp, WorkOrder
from middleware.downloads import Basket, Download, Outcome


def order(driver: Driver, key: int) -> Download:
    work = WorkOrder(f"10763260042{key}", ("GLU", "UREA"))
    return Download(key, tuple(driver.push([work], Stamp("20261122100000", f"D{key}"))), {"GLU": ["GLU", 0]})


def basket(driver: Driver, *keys: int) -> Basket:
    made = Basket()
    made.fill([order(driver, key) for key in keys])
    return made


def outcomes(of: Basket) -> list[tuple[int, Outcome, str]]:
    return [(told.download.key, told.outcome, told.why) for told in of.outcomes()]
