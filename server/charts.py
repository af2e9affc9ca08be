"""Turns control runs and earlier values into small SVG charts.

Law: no script, no style, no outside address; what the picture says is also said in words (<title>, <desc>); a point
that was left out stays visible, hollow. Source: domain 3.1 and 3.3 (Levey-Jennings: even spacing by run).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from markupsafe import Markup

from server.strings import Strings

INK, FAINT, GREEN, AMBER, RED, BAND = "#16324f", "#5c6670", "#1c6b3a", "#9a5b00", "#a3161a", "#e3efe6"
LEFT, RIGHT, TOP, BOTTOM, STEP, UNIT = 44, 74, 26, 44, 22, 30  # pixels; STEP between runs, UNIT to one SD
EDGE = Decimal("3.8")  # further out a point is drawn at the edge; its words say the value
LINES = ((0, INK, "2"), (1, FAINT, "0.6"), (2, AMBER, "1"), (3, RED, "1.2"))


@dataclass(frozen=True, slots=True)
class Point:
    """One control run: `z` in SDs of the target in force that day, `label` what is shown for it ("22-11 08:10")."""

    label: str
    z: Decimal
    value: str
    excluded: bool = False
    state: str = ""  # free words: the rule it broke, why it was left out


def levey_jennings_svg(
    points: Sequence[Point], mean: Decimal, sd: Decimal, unit: str, title: str, lang: str, strings: Strings
) -> Markup:
    """Control runs, oldest first, evenly spaced; lines at the mean and 1, 2, 3 SD, concentrations at the right."""
    width = LEFT + RIGHT + STEP * max(len(points), 12)
    height = TOP + BOTTOM + int(2 * EDGE * UNIT)
    counted = [p for p in points if not p.excluded]
    desc = strings.t(
        "chart.lj.desc",
        lang,
        n=len(counted),
        mean=mean,
        sd=sd,
        unit=unit,
        warn=sum(2 < abs(p.z) <= 3 for p in counted),
        fail=sum(abs(p.z) > 3 for p in counted),
        excluded=len(points) - len(counted),
    )
    body = [_heading(title, unit, width), *_grid(mean, sd, width), _path(points)]
    body += [_dot(p, n, strings.t("chart.lj.excluded", lang)) for n, p in enumerate(points)]
    body += _labels(points, height)
    if not points:
        body.append(_words(width // 2, _y(Decimal(0)) - 8, strings.t("chart.lj.empty", lang), FAINT, "middle"))
    return _svg("lm-lj", width, height, title, desc, body)


def _svg(name: str, width: int, height: int, title: str, desc: str, body: Sequence[Markup]) -> Markup:
    return Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" class="{}" role="img" aria-label="{}" viewBox="0 0 {w} {h}"'
        ' width="{w}" height="{h}"'
        ' font-family="system-ui, Noto Sans, Noto Sans Devanagari, Mangal, sans-serif" font-size="11">'
        "<title>{}</title><desc>{}</desc>{}</svg>"
    ).format(name, f"{title}. {desc}", title, desc, Markup("").join(body), w=width, h=height)


def _words(x: int, y: Decimal | int, text: str, colour: str, anchor: str = "start", extra: str = "") -> Markup:
    return Markup('<text x="{}" y="{}" fill="{}" text-anchor="{}"{}>{}</text>').format(
        x, y, colour, anchor, Markup(extra), text
    )


def _y(z: Decimal) -> Decimal:
    """Height of a z value, kept inside the chart."""
    return (TOP + (EDGE - max(-EDGE, min(EDGE, z))) * UNIT).quantize(Decimal("0.1"))


def _heading(title: str, unit: str, width: int) -> Markup:
    return _words(LEFT, 15, title, INK, extra=' font-weight="700"') + _words(width - 8, 15, unit, FAINT, "end")


def _grid(mean: Decimal, sd: Decimal, width: int) -> list[Markup]:
    """Seven lines, each with its SD at the left and its concentration at the right."""
    step = Decimal(1).scaleb(min(_exponent(mean), _exponent(sd)))
    out = []
    for distance, colour, thick in LINES:
        for z in {distance, -distance}:
            y, value = _y(Decimal(z)), (mean + z * sd).quantize(step, ROUND_HALF_EVEN)
            line = Markup('<line x1="{}" x2="{}" y1="{}" y2="{}" stroke="{}" stroke-width="{}"{}/>')
            dash = Markup(' stroke-dasharray="5 3"') if distance == 2 else Markup("")
            out.append(line.format(LEFT, width - RIGHT, y, y, colour, thick, dash))
            out.append(_words(LEFT - 6, y + 4, f"{z:+d} SD" if z else "x̄", colour, "end"))
            out.append(_words(width - RIGHT + 6, y + 4, str(value), colour))
    return out


def _exponent(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0


def _x(place: int) -> int:
    return LEFT + STEP // 2 + STEP * place


def _path(points: Sequence[Point]) -> Markup:
    """The line through the points that count; a point left out is not on it."""
    return _line([(_x(n), _y(p.z)) for n, p in enumerate(points) if not p.excluded], "1")


def _line(spots: Sequence[tuple[int, Decimal]], thick: str) -> Markup:
    at = " ".join(f"{x},{y}" for x, y in spots)
    line = Markup('<polyline points="{}" fill="none" stroke="{}" stroke-width="{}"/>')
    return line.format(at, INK, thick) if spots else Markup("")


def _dot(point: Point, place: int, left_out: str) -> Markup:
    """A point with its words on hover: round inside 2 SD, a square beyond 2, a cross-shaped diamond beyond 3."""
    x, y, far = _x(place), _y(point.z), abs(point.z)
    colour = RED if far > 3 else AMBER if far > 2 else GREEN
    words = " · ".join(filter(None, (point.label, point.value, f"z {point.z:+.2f}", point.state)))
    tip = Markup("<title>{}</title>").format(f"{words} ({left_out})" if point.excluded else words)
    paint = Markup('fill="{}" stroke="{}" stroke-width="1.5"').format("#fff" if point.excluded else colour, colour)
    if far > 3:
        shape = f"M{x} {y - 6}l6 6l-6 6l-6-6z"
    elif far > 2:
        shape = f"M{x - 4} {y - 4}h8v8h-8z"
    else:
        return Markup('<circle cx="{}" cy="{}" r="4" {}>{}</circle>').format(x, y, paint, tip)
    return Markup('<path d="{}" {}>{}</path>').format(shape, paint, tip)


def _labels(points: Sequence[Point], height: int) -> list[Markup]:
    """Every few runs its label, slanted, so that a month of them can be read."""
    every = max(1, len(points) // 15)
    out = []
    for place in range(0, len(points), every):
        x, y = _x(place), height - BOTTOM + 14
        turn = f' transform="rotate(-35 {x} {y})"'
        out.append(_words(x, y, points[place].label, FAINT, "end", turn))
    return out


def sparkline_svg(
    values: Sequence[Decimal],
    unit: str,
    low: Decimal | None,
    high: Decimal | None,
    lang: str,
    strings: Strings,
    labels: Sequence[str] = (),
) -> Markup:
    """Earlier values of one test, oldest first, over the band of the reference interval; "" for no values."""
    if not values:
        return Markup("")
    width, height, pad = 20 + 26 * max(len(values) - 1, 1), 44, 8
    inside = [*values, *(limit for limit in (low, high) if limit is not None)]
    bottom, top = min(inside), max(inside)
    room = (top - bottom) or Decimal(1)

    def y(value: Decimal) -> Decimal:
        return (height - pad - (value - bottom) / room * (height - 2 * pad)).quantize(Decimal("0.1"))

    spots = [(10 + 26 * n, y(value)) for n, value in enumerate(values)]
    body = [_band(low, high, width, height, y), _line(spots, "1.5")]
    for n, ((x, at), value) in enumerate(zip(spots, values, strict=True)):
        outside = (low is not None and value < low) or (high is not None and value > high)
        body.append(_spot(x, at, outside, f"{labels[n]}: {value}" if n < len(labels) else str(value)))
    said = _spoken(values, unit, low, high, lang, strings)
    return _svg("lm-spark", width, height, strings.t("chart.spark.title", lang), said, body)


def curve_svg(points: Sequence[float], name: str, lang: str, strings: Strings) -> Markup:
    """A histogram or chromatogram as the analyzer sent it, over its channels; "" for fewer than two points."""
    if len(points) < 2:
        return Markup("")
    width, height, pad = 260, 110, 6
    bottom, top = min(0.0, *points), max(points)
    room, step = (top - bottom) or 1.0, (width - 2 * pad) / (len(points) - 1)
    spots = [
        f"{pad + step * n:.1f},{height - pad - (value - bottom) / room * (height - 2 * pad):.1f}"
        for n, value in enumerate(points)
    ]
    base = Markup('<line x1="{p}" x2="{x}" y1="{y}" y2="{y}" stroke="{c}" stroke-width="1"/>')
    line = Markup('<polyline points="{}" fill="none" stroke="{}" stroke-width="1.5"/>').format(" ".join(spots), INK)
    floor = base.format(p=pad, x=width - pad, y=f"{height - pad + bottom / room * (height - 2 * pad):.1f}", c=FAINT)
    said = strings.t("pictures.curve", lang, what=name, n=len(points), top=points.index(top) + 1)
    return _svg("lm-curve", width, height, name, said, [floor, line])


def _band(
    low: Decimal | None, high: Decimal | None, width: int, height: int, y: Callable[[Decimal], Decimal]
) -> Markup:
    """The reference interval behind the values; open on a side that has no limit, nothing without any."""
    if low is None and high is None:
        return Markup("")
    top = y(high) if high is not None else Decimal(0)
    bottom = y(low) if low is not None else Decimal(height)
    return Markup('<rect x="0" y="{}" width="{}" height="{}" fill="{}"/>').format(top, width, bottom - top, BAND)


def _spot(x: int, y: Decimal, outside: bool, words: str) -> Markup:
    """A value: round inside the interval, a square outside it, so that shape and not only colour tells."""
    tip = Markup("<title>{}</title>").format(words)
    if outside:
        corner = (x - Decimal("3.5"), y - Decimal("3.5"))
        return Markup('<path d="M{} {}h7v7h-7z" fill="{}">{}</path>').format(*corner, RED, tip)
    return Markup('<circle cx="{}" cy="{}" r="3" fill="{}">{}</circle>').format(x, y, INK, tip)


def _spoken(
    values: Sequence[Decimal], unit: str, low: Decimal | None, high: Decimal | None, lang: str, strings: Strings
) -> str:
    listed = ", ".join(map(str, values))
    if low is None or high is None:
        return strings.t("chart.spark.plain", lang, values=listed, unit=unit)
    return strings.t("chart.spark.desc", lang, values=listed, unit=unit, low=low, high=high)
