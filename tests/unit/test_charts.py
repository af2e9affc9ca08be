"""Charts: what is drawn is also said, nothing in a name is markup, a point left out stays visible."""

import re
from collections import Counter
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree

import pytest

from server.charts import Point, levey_jennings_svg, sparkline_svg
from server.strings import Strings

STRINGS = Strings.load(Path(__file__).parents[2] / "config")
SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "<script>alert(1)</script> \" ' & {0}"
D = Decimal


def chart(points: list[Point], lang: str = "en", title: str = "Hb") -> ElementTree.Element:
    return ElementTree.fromstring(levey_jennings_svg(points, D("12.0"), D("0.25"), "g/dL", title, lang, STRINGS))


def texts(svg: ElementTree.Element, tag: str) -> list[str]:
    return [e.text or "" for e in svg.iter(SVG + tag)]


def test_seven_lines_with_sd_at_the_left_and_concentration_at_the_right() -> None:
    svg = chart([])
    lines = {float(e.get("y1") or 0) for e in svg.iter(SVG + "line")}
    assert sorted(lines) == [50, 80, 110, 140, 170, 200, 230]  # mean in the middle, 30 to one SD
    said = Counter(t for t in texts(svg, "text") if t not in ("Hb", "g/dL", "No control runs yet"))
    left = ["x̄", "+1 SD", "-1 SD", "+2 SD", "-2 SD", "+3 SD", "-3 SD"]
    assert said == Counter([*left, "12.00", "12.25", "11.75", "12.50", "11.50", "12.75", "11.25"])


def test_points_are_evenly_spaced_by_run_and_kept_inside() -> None:
    points = [Point("1", D("0"), "12.0"), Point("9", D("2.5"), "12.6"), Point("30", D("-9"), "9.8")]
    svg = chart(points)
    assert texts(svg, "title")[1:] == ["1 · 12.0 · z +0.00", "9 · 12.6 · z +2.50", "30 · 9.8 · z -9.00"]
    (line,) = svg.iter(SVG + "polyline")
    assert line.get("points") == "55,140.0 77,65.0 99,254.0"  # -9 SD is drawn at the edge
    assert [e.tag.removeprefix(SVG) for e in svg if e.tag in (SVG + "circle", SVG + "path")] == [
        "circle",
        "path",
        "path",
    ]


def test_a_point_left_out_is_hollow_off_the_line_and_not_counted() -> None:
    points = [Point("a", D("0.5"), "12.1"), Point("b", D("4"), "13.0", True, "bubble"), Point("c", D("-1"), "11.8")]
    svg = chart(points)
    assert next(svg.iter(SVG + "polyline")).get("points") == "55,125.0 99,170.0"
    (hollow,) = (e for e in svg if e.get("fill") == "#fff")
    assert hollow.findtext(SVG + "title") == "b · 13.0 · z +4.00 · bubble (left out)"
    said = "2 control runs. Mean 12.0, SD 0.25 g/dL. Outside 2 SD: 0. Outside 3 SD: 0. Left out: 1."
    assert texts(svg, "desc") == [said]


def test_limits_are_strictly_greater() -> None:
    """Domain 3.1: "exceeds" is strictly greater; 2 and 3 exactly are inside."""
    points = [Point(str(z), D(z), "x") for z in ("2", "2.01", "-2.01", "3", "3.01", "-3.01")]
    assert "Outside 2 SD: 3. Outside 3 SD: 2." in texts(chart(points), "desc")[0]


def test_a_chart_speaks_hindi() -> None:
    assert texts(chart([], "hi"), "desc")[0].startswith("0 कंट्रोल रन। औसत 12.0")


@pytest.mark.parametrize("lang", ["en", "hi"])
def test_no_name_becomes_markup_and_nothing_is_fetched(lang: str) -> None:
    points = [Point(HOSTILE, D("5"), HOSTILE, True, HOSTILE)]
    made = levey_jennings_svg(points, D("12"), D("1"), HOSTILE, HOSTILE, lang, STRINGS)
    made += sparkline_svg([D("1")], HOSTILE, D("0"), D("2"), lang, STRINGS, [HOSTILE])
    for svg in re.findall("<svg.*?</svg>", made, re.DOTALL):
        tags = {e.tag.removeprefix(SVG) for e in ElementTree.fromstring(svg).iter()}
        assert tags <= {"svg", "title", "desc", "text", "line", "polyline", "circle", "path", "rect"}
        assert not re.search(r"style=|href|url\(|on[a-z]+=", svg)
    assert HOSTILE in texts(chart(points, title=HOSTILE), "text")


def test_a_month_of_runs_is_small() -> None:
    points = [Point(f"{n:02d}-11", D(n % 5 - 2), "12.0") for n in range(60)]
    assert len(levey_jennings_svg(points, D("12"), D("1"), "g/dL", "Hb", "en", STRINGS)) < 16_000


def test_sparkline_shows_values_over_the_interval() -> None:
    made = sparkline_svg([D("6.0"), D("9.0"), D("12.5")], "g/dL", D("12.0"), D("15.0"), "en", STRINGS, ["a", "b", "c"])
    svg = ElementTree.fromstring(made)
    assert texts(svg, "desc") == ["Earlier values, oldest first: 6.0, 9.0, 12.5 g/dL. Normal range 12.0 to 15.0."]
    assert texts(svg, "title")[1:] == ["a: 6.0", "b: 9.0", "c: 12.5"]
    assert [(e.get("y"), e.get("height")) for e in svg.iter(SVG + "rect")] == [("8.0", "9.3")]
    assert (len(list(svg.iter(SVG + "path"))), len(list(svg.iter(SVG + "circle")))) == (2, 1)


@pytest.mark.parametrize(("low", "high"), [(None, None), (None, D("5")), (D("5"), None)])
def test_sparkline_with_no_interval_or_half_of_one(low: Decimal | None, high: Decimal | None) -> None:
    svg = ElementTree.fromstring(sparkline_svg([D("7"), D("7")], "U/L", low, high, "hi", STRINGS))
    assert len(list(svg.iter(SVG + "rect"))) == (low is not None or high is not None)
    assert texts(svg, "desc") == ["पुराने नतीजे, सबसे पुराना पहले: 7, 7 U/L।"]


def test_sparkline_of_nothing_is_nothing() -> None:
    assert sparkline_svg([], "g/dL", D("1"), D("2"), "en", STRINGS) == ""
