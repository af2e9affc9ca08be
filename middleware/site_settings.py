"""Reads what a site has set on an analyzer: how it marks messages, its columns and units, whether it is sent orders.

Turns the keys framing, layout, units and orders of an [[analyzer]] table into typed values. Law: only what the driver
knows of may be set; every mistake is a Problem with its remedy. Source: the comments of config/analyzers.toml.
"""

from __future__ import annotations

from typing import NamedTuple

from drivers.driver import Driver, driver_names, load_driver
from middleware.config_table import Table
from middleware.problems import nearest

ORDERS = ("answer", "push", "none")
TWO_WAYS = ("tcp", "serial", "rfc2217", "socket")  # schemes of lines on which we may speak first
WIDEST = 200  # characters; no column of any analyzer here is wider


class SiteSettings(NamedTuple):
    """The three keys, as AnalyzerSettings has them."""

    framing: str
    layout: dict[str, int]
    units: dict[str, str]


def read_site(table: Table, driver_name: str) -> SiteSettings:
    """The three keys of one analyzer's table; nothing when its driver is unknown (that is a Problem already)."""
    driver = load_driver(driver_name) if driver_name in driver_names() else None
    return SiteSettings(_framing(table, driver), _layout(table, driver), table.mapping("units"))


def read_orders(table: Table, driver_name: str, line: str, named: bool) -> str:
    """The key orders: what this analyzer is told of its work. "push" needs a driver and a line that can, and (`named`)
    a list of what the analyzer measures, where its driver does not say it."""
    chosen = table.one_of("orders", ORDERS, ORDERS[0])
    if chosen != "push" or driver_name not in driver_names():
        return chosen
    driver = load_driver(driver_name)
    if driver.pushes is None:
        reason = f"{driver.title}: its manual knows no order that it did not ask for"
        table.problem("orders", reason, '"answer" or "none"')
    elif line and not line.startswith(TWO_WAYS):
        table.problem("orders", "nothing can be sent on this line", '"answer", or a TCP or serial line')
    elif driver.codes_are_catalogue and not named:
        reason = "it would be sent every test there is: nothing says what it measures"
        table.problem("tests", reason, 'tests = ["UREA", "CREAT"], or its [analyzer.codes]')
    return chosen


def _framing(table: Table, driver: Driver | None) -> str:
    name = table.text("framing", "")
    if name and driver and not driver.framings:
        table.problem("framing", f"{driver.title} has one framing", "leave this line out")
    elif name and driver and name not in driver.framings:
        table.problem("framing", f'"{name}" is unknown', nearest(name, driver.framings))
    return name


def _layout(table: Table, driver: Driver | None) -> dict[str, int]:
    widths = table.raw("layout")
    for name, width in widths.items():
        if driver and name not in driver.columns:
            advice = nearest(name, driver.columns) if driver.columns else "leave it out: this driver has no columns"
            table.problem(f"layout.{name}", f'"{name}" is no column that can be set', advice)
        elif isinstance(width, bool) or not isinstance(width, int) or not 0 <= width <= WIDEST:
            table.problem(f"layout.{name}", f"{width!r} is no width", f"a number from 0 to {WIDEST}")
    return {name: width for name, width in widths.items() if isinstance(width, int)}
