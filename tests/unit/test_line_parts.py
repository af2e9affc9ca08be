"""Lines in parts and back; suggestions for codes."""

from __future__ import annotations

from pathlib import Path

import pytest

from middleware.catalogue import read_catalogue
from middleware.line_parts import Parts, parts_of, same_place, wrong_part
from middleware.suggest import suggest

CATALOGUE = read_catalogue(Path(__file__).parents[2] / "config").tests

LINES = [
    "tcp-listen://0.0.0.0:9101", "tcp://192.168.1.20:5100", "tcp://[::1]:5100", "serial:{var}/erba_xl?baud=9600",
    "serial:/dev/serial/by-id/usb-FTDI_x-if00?baud=19200&parity=E&flow=xonxoff", "socket://10.0.0.9:4001",
    "rfc2217://10.0.0.9:4001?baud=4800&logging=debug", "folder:/srv/out put?pattern=*.txt&quiet=5&ready=.ok",
    "http-listen://0.0.0.0:9110/ions?from=10.0.0.7", "folder:{var}/drop?pattern=*",
]  # fmt: skip


@pytest.mark.parametrize("url", LINES)
def test_a_line_goes_through_the_form_unchanged(url: str) -> None:
    parts = parts_of(url)
    assert parts.url() == url and wrong_part(parts) == ""
    assert parts_of(parts.url()) == parts


WRONG = [
    (Parts("tcp", "h", ""), "port"), (Parts("tcp", "h", "0"), "port"), (Parts("tcp", "h", "٣"), "port"),
    (Parts("tcp", "", "1"), "host"), (Parts("tcp", "a/b", "1"), "host"), (Parts("serial"), "path"),
    (Parts("serial", path="/dev/x", more="speed=1"), "more"), (Parts("folder", path="/x", more="quiet=x"), "more"),
    (Parts("http-listen", "h", "80", "/", more="who=x"), "more"),
]  # fmt: skip


@pytest.mark.parametrize(("parts", "what"), WRONG)
def test_what_is_wrong_with_a_line(parts: Parts, what: str) -> None:
    assert wrong_part(parts) == what


def test_one_place_has_many_spellings() -> None:
    assert same_place("tcp-listen://0.0.0.0:9101", "http-listen://127.0.0.1:9101/x")
    assert same_place("serial:/dev/ttyUSB0?baud=9600", "serial:/dev/ttyUSB0?baud=1200")
    assert same_place("tcp://h:1", "socket://h:1") and not same_place("tcp://h:1", "tcp-listen://h:1")
    assert same_place("folder:/x", "folder:/x?pattern=*") and not same_place("folder:/x?pattern=a*", "folder:/x")


def why(code: str, name: str = "", unit: str = "") -> list[tuple[str, str, str]]:
    return [(s.test, s.why, s.unit) for s in suggest(code, name, unit, CATALOGUE)]


def test_the_strongest_reason_comes_first() -> None:
    assert why("718-7", "Hgb", "g/dL")[0] == ("HB", "loinc", "fits")
    assert why("718-7^Hemoglobin^LN")[0][:2] == ("HB", "loinc")
    assert why("TSH", "", "mIU/L")[0] == ("TSH", "code", "fits")
    assert why("X", "haemoglobin", "mmol")[0] == ("HB", "name", "differs")
    assert why("HGB")[0][:2] == ("HB", "drivers")
    assert why("X9", "Hemoglobin")[0][:2] in (("HB", "alike"), ("HB", "drivers"))


def test_numbers_and_short_names_say_nothing() -> None:
    assert why("8") == why("Z9") == why("", "", "") == []  # the site numbered its tests: TSH on one, T4 on the next
    assert ("T4", "alike", "") not in why("T3")
    assert all(reason == "unit" for _, reason, _ in why("8", "", "mIU/L"))
    assert len(why("8", "", "mg/dL")) <= 5
