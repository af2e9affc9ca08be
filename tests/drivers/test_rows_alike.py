"""A row is read as one that ends like the row before it, or field by field: what it says is the same either way."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from random import Random

import pytest

from drivers.driver import Decoded, Driver, Message, driver_names, load_driver
from drivers.engine import rows

AT = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)
CODES = ("WBC", "HGB", "GLU", "", "Left_Shift?", "Anemia", "6690-2", "a&F&b", "SCAT_RET", "12")
VALUES = ("6.8", " 7.1 ", "", "<5", "----", "Positive", "1^2", "^3.4", "-1^0.25", "PNG&R&a", "4\\5", "NA", "<^5", "१२")
UNITS, RANGES = ("g/dL", "10*3/uL", "%", "", "10^9/L", "&F&"), ("", "1 to 2", "^\\^", "-", "3.5-5.5^N", "x" * 300)
FLAGS, STATES = ("N", "H", "", "A", "W", "H\\A", "H~A"), ("F", "", "R", "C")
TYPES = ("NM", "ST", "SN", "CE", "ED", "IS", "")
TIMES = ("20261122101500", "20261122101501", "", "00000000000000")


def r(pick: Random, number: int, usual: list[str]) -> list[str]:
    """An R record: like the others of its message in most, of another length, or with something else in one field."""
    code, value = pick.choice(("^^^{}", "^^^^{}^1", "{}", "{}^name")).format(pick.choice(CODES)), pick.choice(VALUES)
    return [pick.choice(("R",) * 9 + ("r",)), f"{number}", code, value, *usual]


def obx(pick: Random, number: int, usual: list[str]) -> list[str]:
    """An OBX segment."""
    code = pick.choice(("{}^name^L", "{}", "^^^{}^name", "{}&1^n")).format(pick.choice(CODES))
    return ["OBX", f"{number}", pick.choice(TYPES), code, pick.choice(("", "1")), pick.choice(VALUES), *usual]


def ends(pick: Random) -> list[str]:
    """The fields from the unit on: nine of R; of OBX two more stand before the status."""
    found = [pick.choice(few) for few in (UNITS, RANGES, FLAGS, ("",), STATES, ("",), ("", "op"), TIMES, TIMES)]
    return found[: pick.choice((2, 5, 8, 9, 9, 9))]


def message(seed: int, speaks: str) -> bytes:
    """A message of a few orders, the rows of each most alike."""
    pick, made = Random(seed), r if speaks == "LIS2-A2" else obx
    head = ["H|\\^&|||X|||||||P", "P|1"] if made is r else ["MSH|^~\\&|X||||1||ORU^R01|1|P|2.5.1"]
    lines, comment = list(head), "C|1|I|low" if made is r else "NTE|1|L|low"
    above = "O|1|S{0}|1^1^S{0}|^^^CBC|R|||||||Q||||||||||202|" if made is r else "OBR|1||S{0}|CBC|||3"
    for order in range(1, pick.choice((2, 3))):
        lines.append(above.format(order))
        usual = ends(pick)
        for number in range(1, 9):
            own = ends(pick) if pick.random() < 0.1 else list(usual)
            if own and pick.random() < 0.3:
                own[pick.randrange(len(own))] = pick.choice(("", "x", "H", "10^9/L", "20261122"))
            if made is obx and len(own) > 4:
                own[4:4] = ["", ""][: pick.choice((2, 2, 2, 1))]
            lines.append("|".join(made(pick, number, own)))
            lines += [comment] if pick.random() < 0.1 else []
    return "\r".join([*lines, "L|1|N" if made is r else "NTE|1", ""]).encode()


def said(driver: Driver, body: bytes) -> Decoded:
    return driver.decode(Message("1", "a", AT, body))


def spoken() -> list[str]:
    return [name for name in driver_names() if load_driver(name).speaks != "blocks"]


@pytest.mark.parametrize("name", spoken())
def test_rows_that_end_alike_say_what_they_say_field_by_field(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of other lengths, times, ends and letters among them; in every driver's form."""
    quick, bodies = replace(load_driver(name)), [message(seed, load_driver(name).speaks) for seed in range(60)]
    told = [said(quick, body) for body in bodies]
    assert sum(len(one.observations) for one in told) > 500
    assert [said(quick, body) for body in bodies] == told, "what is remembered says the same again"
    with monkeypatch.context() as patched:
        patched.setattr(rows, "plan", lambda *_: None)
        apart = replace(load_driver(name))
        assert [said(apart, body) for body in bodies] == told


def test_most_rows_of_a_message_are_read_by_their_ending() -> None:
    """All but the first below an order and one of another length; others have a time of their own."""
    driver, apart = replace(load_driver("generic_astm")), list[list[str]]()
    end = "|g/dL||N||F||||2026112210150"
    said(driver, b"H|\\^&\rO|1|1\rR|1|^^^HGB|9\rL|1\r")
    (use,) = driver._astm.values()
    field_by_field = use.observation
    use.observation = lambda fields, standing, ordinal: (
        apart.append(fields) or field_by_field(fields, standing, ordinal)  # type: ignore[func-returns-value]
    )
    rows_ = [f"R|{n}|^^^HGB|9.{n}{end}{n > 5:d}{'|X' * (n == 8)}" for n in range(1, 10)]
    told = said(driver, "\r".join([r"H|\^&", "O|1|1", *rows_, "L|1|N", ""]).encode())
    assert [fields[1] for fields in apart] == ["1", "8", "9"]
    assert [row.value for row in told.observations] == [f"9.{n}" for n in range(1, 10)]
    assert [row.ordinal for row in told.observations] == list(range(1, 10))
    assert {row.observed_at for row in told.observations} == {"20261122101500", "20261122101501"}
