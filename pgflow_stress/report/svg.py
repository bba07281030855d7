"""Plots as inline SVG: no script, no font, no colour of their own (they take the page's by CSS class)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

from pgflow_stress.analysis import formats
from pgflow_stress.core import hdr
from pgflow_stress.core.latency import LEAST_SAMPLES_BEYOND
from pgflow_stress.core.recording import Histogram

_WIDTH, _HEIGHT = 640, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 20, 14, 40
_NINES = {0: "0 %", 1: "90 %", 2: "99 %", 3: "99.9 %", 4: "99.99 %", 5: "99.999 %", 6: "99.9999 %"}
_BAR_HEIGHT = 22
_MOST_POINTS = 400  # of a series: more than the picture has columns for


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: its value in words, and whether it counts."""

    label: str
    value: float
    text: str
    counted: bool


def percentile_plot(histogram: Histogram, samples: int, title: str) -> Markup:
    """Latency over percentile, the axis in nines: 1 / (1 - q), logarithmic.

    Args:
        histogram: HDR counts, ns.
        samples: distinct statements behind them; the curve is dashed where fewer than 10 lie beyond.
        title: what it shows, read out in place of the picture.
    """
    cumulative = np.cumsum(histogram.counts)
    total = int(cumulative[-1])
    used = np.flatnonzero(histogram.counts)
    values = np.minimum(hdr.highest_of(used), histogram.max_ns)
    # A bucket is a step: from the share below it to the share up to it; the last one ends at 1 - 1/total.
    beyond = np.maximum(total - cumulative[used], 0.5) / total
    nines = -np.log10(beyond)
    end = max(1.0, float(nines[-1]))
    top = _nice_top(float(values[-1]))

    def x(nine: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * nine / end

    def y(value: float) -> float:
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * value / top

    trusted = math.log10(max(1.0, samples / LEAST_SAMPLES_BEYOND))
    points = [(0.0, float(values[0]))]
    for nine, value in zip(nines, values, strict=True):
        points += [(points[-1][0], float(value)), (float(nine), float(value))]
    solid = [(min(nine, trusted), value) for nine, value in points if nine <= trusted] or points[:1]
    dashed = [solid[-1], *(point for point in points if point[0] > trusted)]
    parts = [_axis(x, y, end, top)]
    for css, line in (("curve", solid), ("curve thin", dashed)):
        path = " ".join(f"{x(nine):.1f},{y(value):.1f}" for nine, value in line)
        parts.append(f'<polyline class="{css}" points="{path}"/>')
    p50 = formats.duration_ns(float(hdr.percentile(histogram.counts, 0.5)))
    described = f"{title}: latency by percentile; median {p50}, highest {formats.duration_ns(histogram.max_ns)}"
    return _svg(_WIDTH, _HEIGHT, described, "".join(parts))


def _axis(x, y, end: float, top: float) -> str:  # type: ignore[no-untyped-def]  # two local functions
    parts = []
    for step in range(5):
        value = top * step / 4
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>'
        )
        text = formats.duration_ns(value) if value else "0"
        parts.append(f'<text class="end" x="{_LEFT - 8}" y="{y(value) + 4:.1f}">{text}</text>')
    for nine, text in _NINES.items():
        if nine <= end:
            parts.append(
                f'<line class="grid" x1="{x(nine):.1f}" x2="{x(nine):.1f}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"/>'
            )
            parts.append(f'<text class="mid" x="{x(nine):.1f}" y="{_HEIGHT - _BOTTOM + 18}">{text}</text>')
    return "".join(parts)


def _nice_top(highest: float) -> float:
    """The next 1, 2, 4 or 8 times a power of ten: quarters of it are round."""
    power = 10.0 ** math.floor(math.log10(max(highest, 1)))
    return next(factor * power for factor in (1, 2, 4, 8, 10) if factor * power >= highest)


def bars(rows: Sequence[Bar], title: str) -> Markup:
    """Horizontal bars from zero, one a repetition; those that do not count are hollow."""
    top = max((row.value for row in rows), default=0) or 1
    height = _BAR_HEIGHT * len(rows) + 8
    room = _WIDTH - 110 - 150
    parts = []
    for number, row in enumerate(rows):
        y = _BAR_HEIGHT * number + 4
        css = "bar" if row.counted else "bar hollow"
        width = room * row.value / top
        parts.append(f'<text class="end" x="102" y="{y + 13}">{escape(row.label)}</text>')
        parts.append(f'<rect class="{css}" x="110" y="{y}" width="{width:.1f}" height="{_BAR_HEIGHT - 7}"/>')
        parts.append(f'<text x="{118 + width:.1f}" y="{y + 13}">{escape(row.text)}</text>')
    described = f"{title}: " + "; ".join(f"{row.label} {row.text}" for row in rows)
    return _svg(_WIDTH, height, described, "".join(parts))


def series_plot(seconds: Sequence[float], values: Sequence[float], end_seconds: float, title: str) -> Markup:
    """A count over time, both from zero; a dashed line where the window ends.

    Args:
        seconds: ascending, from the repetition's origin; those before it are left out.
        values: of equal length, >= 0. Of many, the highest of those that share a column of the picture is shown.
        end_seconds: where the window ends.
        title: what is counted, read out in place of the picture.
    Raises:
        ValueError: lengths that differ.
    """
    points = [(at, max(0.0, value)) for at, value in zip(seconds, values, strict=True) if at >= 0]
    last = max([end_seconds, *(at for at, _ in points)]) or 1.0
    top = _nice_top(max((value for _, value in points), default=0))

    def x(at: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * at / last

    def y(value: float) -> float:
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * value / top

    parts = []
    for step in range(5):
        value, at = top * step / 4, last * step / 4
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>'
            f'<text class="end" x="{_LEFT - 8}" y="{y(value) + 4:.1f}">{formats.count(value)}</text>'
            f'<text class="{"end" if step == 4 else "mid"}" x="{x(at):.1f}" y="{_HEIGHT - _BOTTOM + 18}">'
            f"{formats.with_unit(at, 's', 2)}</text>"
        )
    end = f"{x(end_seconds):.1f}"
    parts.append(f'<polyline class="curve thin" points="{end},{_TOP} {end},{_HEIGHT - _BOTTOM}"/>')
    path = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in _thinned(points, last))
    parts.append(f'<polyline class="curve" points="{path}"/>')
    highest = max((value for _, value in points), default=0.0)
    described = f"{title} over {formats.with_unit(last, 's', 2)}: at most {formats.count(highest)}"
    return _svg(_WIDTH, _HEIGHT, described, "".join(parts))


def _thinned(points: Sequence[tuple[float, float]], last: float) -> list[tuple[float, float]]:
    """At most a point a column of the picture, the highest of those in it: what piles up for a moment stays."""
    if len(points) <= _MOST_POINTS:
        return list(points)
    highest: dict[int, tuple[float, float]] = {}
    for at, value in points:
        column = int(_MOST_POINTS * at / last)
        if column not in highest or value > highest[column][1]:
            highest[column] = (at, value)
    return list(highest.values())


def _svg(width: int, height: int, described: str, body: str) -> Markup:
    label = escape(described)
    return Markup(  # every text in `body` is a number of ours or escaped
        f'<svg role="img" aria-label="{label}" viewBox="0 0 {width} {height}"><title>{label}</title>{body}</svg>'
    )
