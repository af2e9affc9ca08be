"""Pictures: what they are their first bytes say; curves of every family that sends them; nothing guessed is drawn."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from drivers.decode import found_in
from drivers.driver import Kind, Message, Observation, load_driver
from middleware.pictures import LARGEST, Picture, pictures

CAPTURES = Path(__file__).parents[1] / "captures"
PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 30
BMP = b"BM" + (58).to_bytes(4, "little") + b"\0" * 52


def row(value: str, name: str | None = None, code: str = "P", sample_id: str = "T1", **more: Any) -> Observation:
    return Observation(sample_id, code, name, value, value, None, kind=Kind.IMAGE, ordinal=1, **more)


def one(value: str, name: str | None = None, code: str = "P") -> Picture:
    (found,) = pictures([row(value, name, code)], frozenset({"T1"}))
    return found


def ed(data: bytes, type: str = "IM", subtype: str = "PNG") -> str:
    return f"^{type}^{subtype}^Base64^{b64encode(data).decode()}"


@pytest.mark.parametrize(("data", "media"), [
    (PNG, "image/png"), (b"\xff\xd8\xff\xe0" + b"x" * 20, "image/jpeg"), (b"GIF89a" + b"x" * 20, "image/gif"),
    (BMP, "image/bmp"), (b"BM" + b"x" * 60, ""), (b"<svg onload='x()'></svg>", ""), (b"<html>", ""), (b"%PDF-1.7", ""),
])  # fmt: skip
def test_the_first_bytes_say_what_it_is(data: bytes, media: str) -> None:
    assert one(ed(data)).media == media  # whatever the message calls it
    assert one(b64encode(data).decode()).media == media  # as Nihon Kohden sends it, without a frame


def test_too_large_or_broken_is_not_shown() -> None:
    assert one(ed(PNG + b"x" * LARGEST)).media == ""
    assert one("^IM^PNG^Base64^iVBOR!!") == Picture(1, "P")
    assert one("") == Picture(1, "P")


def test_a_name_of_a_file_stays_a_name() -> None:
    named = one("PNG&R&20181106&R&2018_11_06_09_35_QC-821_WDF.PNG", code="SCAT_WDF")
    assert (named.label, named.media, named.file[-7:]) == ("SCAT_WDF", "", "WDF.PNG")


def test_another_tubes_pictures_are_not_shown() -> None:
    assert pictures([row(ed(PNG), sample_id="T2")], frozenset({"T1"})) == ()


def test_curves() -> None:
    binary = one(ed(bytes([0, 5, 9, 5]), "Application", "Octer-stream"), "WBC Histogram")
    assert binary.points == (0.0, 5.0, 9.0, 5.0)
    assert one(ed(bytes([0, 5]), "Application", "Octer-stream"), "DIFF Scattergram").points == ()
    assert one("1,1,-1, 40", "Data Points").points == (1.0, 1.0, -1.0, 40.0)
    assert one("-9.400 -9.100 8.5").points == (-9.4, -9.1, 8.5)


def test_a_curve_in_parts_is_drawn_only_when_it_is_whole() -> None:
    parts = [row("0001", "0 1"), row("02FF", "2 3")]
    assert pictures(parts, frozenset({"T1"}))[0].points == (0.0, 1.0, 2.0, 255.0)
    assert pictures(parts[1:], frozenset({"T1"}))[0].points == ()
    assert pictures([row("0001", "0 1"), row("02", "2 3")], frozenset({"T1"}))[0].points == (0.0, 1.0)
    assert len(pictures([row("00", "0 0", "curve RBC"), row("00", "0 0", "curve PLT")], frozenset({"T1"}))) == 2


DRAWN = {
    "dymind_dh": {"WBC Histogram": 3}, "mindray_bc": {"RBC Histogram. Binary": 8},
    "horiba_micros": {"curve PLT": 128, "curve RBC": 64}, "tosoh_hlc723": {"chromatogram": None},
    "trinity_hb9210": {"Data Points": 29},
}  # fmt: skip


def read(driver: str) -> list[Picture]:
    form, found = load_driver(driver), []
    for path in sorted((CAPTURES / driver).glob("*.raw")):
        for message in found_in(form, path.read_bytes()):
            if message.body is not None:
                rows = form.decode(Message("", "", datetime.now(UTC), message.body, message.incomplete)).observations
                found += pictures(rows, frozenset(r.sample_id for r in rows))
    return found


@pytest.mark.parametrize("driver", DRAWN)
def test_what_the_captures_draw(driver: str) -> None:
    drawn = {p.label: len(p.points) for p in read(driver) if p.points}
    for label, points in DRAWN[driver].items():
        assert drawn[label] == points or (points is None and drawn[label] > 20)


def test_the_captures_of_others() -> None:
    assert [p.media for p in read("nihonkohden_celltac")] == ["image/bmp"]
    assert {bool(p.file) for p in read("sysmex_xn")} == {True}
    assert [p for p in read("horiba_yumizen") if p.points or p.media] == []  # its streams' make is not known for sure
