"""Charts as SVG that stands in a page: its colours are the page's, in the light and in the dark, and its text is text.

Drawn here, not by matplotlib: that takes half a second to import at the end of each run, and its colours are fixed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

import numpy as np

WIDTH, HEIGHT = 360, 230
LEFT, RIGHT, TOP, BOTTOM = 54, 18, 24, 38
MOST_POINTS = 400
"""Points of a line or cloud that are drawn at most."""


class Series(NamedTuple):
    """A line: its name, and points (x, y)."""

    name: str
    points: Sequence[tuple[float, float]]


class Axes(NamedTuple):
    """What the axes span, and what stands beside them."""

    x: tuple[float, float]
    y: tuple[float, float]
    across: str
    up: str
    whole: bool = False
    """Whether only whole numbers stand on the x axis."""

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a point is drawn."""
        inner, tall = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
        return LEFT + inner * (x - self.x[0]) / _span(self.x), TOP + tall * (1 - (y - self.y[0]) / _span(self.y))


def line_chart(title: str, series: Sequence[Series], across: str, up: str) -> str:
    """Lines over whole numbers, such as epochs; each point that has no number is left out."""
    series = [Series(name, [p for p in points if np.isfinite(p).all()]) for name, points in series]
    every = [point for line in series for point in line.points]
    if not every:
        return ""
    xs, ys = [x for x, _ in every], [y for _, y in every]
    axes = Axes((min(xs), max(xs)), _round(min(ys), max(ys)), across, up, whole=True)
    lines = (part for number, line in enumerate(series) for part in _line(axes, line, number))
    return _svg(title, [*_grid(axes), *_legend(series), *lines])


def reliability_chart(title: str, bins: Sequence[tuple[float, float, float, float, int]]) -> str:
    """Bars of how often answers were right, by how sure they were.

    Args:
        bins: of each bin the mean probability, the share that was right, the interval of that, and the count.
    """
    axes = Axes((0, 1), (0, 1), "probability of the answer", "share that is right")
    parts = [*_grid(axes), _path([axes.at(0, 0), axes.at(1, 1)], "even")]
    for sure, right, low, high, count in bins:
        (x, y), (_, top), (_, bottom) = axes.at(sure, right), axes.at(sure, high), axes.at(sure, low)
        words = f"about {sure:.0%} sure: {right:.0%} right ({count})"
        parts.append(f'<path class="bar" d="M{x:.1f} {bottom:.1f}V{top:.1f}"/>')
        parts.append(f'<circle class="dot s0" cx="{x:.1f}" cy="{y:.1f}" r="4"><title>{words}</title></circle>')
    return _svg(title, parts)


def cloud_chart(title: str, points: Sequence[tuple[float, float]], across: str, up: str) -> str:
    """Points (what is true, what is answered), and the line on which both are equal."""
    if not points:
        return ""
    span = _round(min(min(p) for p in points), max(max(p) for p in points))
    axes = Axes(span, span, across, up)
    dots = (axes.at(*point) for point in _thinned(points))
    return _svg(title, [
        *_grid(axes), _path([axes.at(span[0], span[0]), axes.at(span[1], span[1])], "even"),
        *(f'<circle class="dot s0" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in dots),
    ])  # fmt: skip


def _svg(title: str, parts: Iterable[str]) -> str:
    inside = "".join(parts)
    return f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">{inside}</svg>'


def _grid(axes: Axes) -> Iterable[str]:
    for value in _ticks(*axes.y):
        _, y = axes.at(axes.x[0], value)
        yield f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
        yield f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_short(value)}</text>'
    for value in _ticks(*axes.x, whole=axes.whole):
        x, _ = axes.at(value, axes.y[0])
        yield f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{_short(value)}</text>'
    middle = TOP + (HEIGHT - TOP - BOTTOM) / 2
    yield f'<text x="{LEFT + (WIDTH - LEFT - RIGHT) / 2}" y="{HEIGHT - 5}" text-anchor="middle">{escape(axes.across)}</text>'
    yield f'<text transform="translate(11 {middle}) rotate(-90)" text-anchor="middle">{escape(axes.up)}</text>'


def _legend(series: Sequence[Series]) -> Iterable[str]:
    x = LEFT
    for number, line in enumerate(series):
        yield f'<path class="line s{number}" d="M{x} 9h16"/><text x="{x + 20}" y="13">{escape(line.name)}</text>'
        x += 34 + 7 * len(line.name)


def _line(axes: Axes, line: Series, number: int) -> Iterable[str]:
    points = [axes.at(*point) for point in _thinned(line.points)]
    yield _path(points, f"line s{number}")
    if len(points) <= 30:
        yield from (f'<circle class="dot s{number}" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in points)


def _path(points: Sequence[tuple[float, float]], kind: str) -> str:
    return f'<path class="{kind}" d="M{"L".join(f"{x:.1f} {y:.1f}" for x, y in points)}"/>'


def _thinned(points: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    """At most `MOST_POINTS` of the points, at even distances, the last one among them."""
    if len(points) <= MOST_POINTS:
        return points
    return [points[i] for i in np.linspace(0, len(points) - 1, MOST_POINTS).round().astype(int)]


def _round(low: float, high: float) -> tuple[float, float]:
    """The ticks around a range."""
    ticks = _ticks(low, high)
    step = ticks[1] - ticks[0] if len(ticks) > 1 else abs(high) or 1.0
    return float(np.floor(low / step + 1e-9) * step), float(np.ceil(high / step - 1e-9) * step)


def _ticks(low: float, high: float, whole: bool = False) -> list[float]:
    """Four to seven round numbers in a range: 1, 2 or 5 times a power of ten apart."""
    span = (high - low) or abs(high) or 1.0
    power = 10.0 ** np.floor(np.log10(span / 5))
    step = next(power * factor for factor in (1, 2, 5, 10) if span / (power * factor) < 6.001)
    step = max(1.0, np.ceil(step)) if whole else step
    first = np.ceil(low / step - 1e-9) * step
    return [float(round(first + step * i, 12)) for i in range(8) if first + step * i <= high + step * 1e-6]


def _short(value: float) -> str:
    """A number of few letters: 25000 is 25k."""
    for unit, size, least in (("G", 1e9, 1e9), ("M", 1e6, 1e6), ("k", 1e3, 1e4)):
        if abs(value) >= least:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def _span(ends: tuple[float, float]) -> float:
    return (ends[1] - ends[0]) or 1.0
