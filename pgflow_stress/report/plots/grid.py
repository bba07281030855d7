"""What a sweep shows: a metric along one axis, a line a combination of the others, and over two axes as a heat map.

Both read cells of `pgflow-stress/sweep/1`; those that failed or were not measured have no point.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise

from pgflow_stress.analysis import formats
from pgflow_stress.analysis.growth import Shown, curve_at
from pgflow_stress.analysis.metrics import MetricInfo, describe
from pgflow_stress.core.result import Json
from pgflow_stress.core.units import NS_PER_MS, NS_PER_SECOND
from pgflow_stress.report.plots import COLOURS, Plot, axis, colour, label
from pgflow_stress.report.tables import table

_LOGARITHMIC_FROM = 10.0  # largest size to smallest
_POINTS_OF_A_FIT = 40

At = tuple[tuple[str, str], ...]  # what stands still: (axis, value)


def measured(cell: Json, metric: str) -> Json | None:
    """The metric of a cell that ended as it should; None without a value."""
    found: Json | None = cell["summary"].get(metric)
    return found if found and found["n"] and not cell["codes"] else None


def axis_plot(document: Json, name: str, metric: str) -> Plot | None:
    """The metric along one axis, with 95 % intervals and the fits of what is shown to grow, fall or stay.

    None where fewer than two of its values have a point.
    """
    lines = _lines(document, name, metric)
    if max((len(cells) for cells in lines.values()), default=0) < 2:
        return None
    info, shown = describe(metric), list(lines.items())[:COLOURS]
    numbers = _numbers(_values(document, name))
    traces = []
    for number, (at, cells) in enumerate(shown):
        traces.append(_points(name, metric, at, cells, number, numeric=numbers is not None))
        if numbers and (fitted := _fit(document, name, metric, at, number)):
            traces.append(fitted)
    rows = [(_at_words(at), cell["values"][name], *_figures(cell, metric)) for at, cells in shown for cell in cells]
    title = f"{metric} over {name}"
    more = len(lines) - len(shown)
    left_out = f" {more} combinations more are in the table of cells." if more else ""
    return Plot(
        name=f"along-{name}-{metric}".replace(".", "-"),
        title=label(title),
        described=f"{title}: " + "; ".join(f"{row[1]}: {row[2]}" for row in rows[:8]),
        caption=f"{info.description}. Means of the repetitions with their 95 % intervals; thin: the fitted cost, where "
        f"something is shown of it.{left_out}",
        traces=tuple(traces),
        layout={
            "xaxis": axis(label(name), **_scale(numbers)),
            "yaxis": axis(_unit(info), rangemode="tozero"),
            "hovermode": "closest",
            "showlegend": len(shown) > 1,
        },
        table=table(title, ("at", name, metric, "95 %", "n"), rows, 3),
    )


def heat_plot(document: Json, across: str, down: str, at: Mapping[str, str], metric: str) -> Plot | None:
    """The means over two axes, all others at `at`; None where fewer than two cells have one."""
    xs, ys = _values(document, across), _values(document, down)
    cells = {(cell["values"][across], cell["values"][down]): cell for cell in _standing(document, at, {across, down})}
    found = {place: value for place, cell in cells.items() if (value := measured(cell, metric))}
    if len(found) < 2:
        return None
    info = describe(metric)
    means = [[found[(x, y)]["mean"] if (x, y) in found else None for x in xs] for y in ys]
    title = f"{metric} over {across} and {down}"
    words = [[info.format(mean) if mean is not None else formats.ABSENT for mean in row] for row in means]
    others = [f"{name}={value}" for name, value in at.items() if name not in (across, down)]
    where = f" At {', '.join(others)}." if others else ""
    return Plot(
        name=f"heat-{across}-{down}".replace(".", "-"),
        title=label(title),
        described=f"{title}: " + "; ".join(f"{x}, {y}: {found[(x, y)]['mean']:.4g}" for x, y in list(found)[:8]),
        caption=f"{info.description}.{where} Empty: not measured, or the cell failed.",
        traces=(
            {
                "type": "heatmap", "name": label(metric), "colorscale": "@heat", "xgap": 2, "ygap": 2,
                "x": [label(x) for x in xs], "y": [label(y) for y in ys],
                "z": [[None if mean is None else _scaled(info)(mean) for mean in row] for row in means],
                "text": [["" if mean is None else text for mean, text in zip(*both, strict=True)]
                         for both in zip(means, words, strict=True)],
                "texttemplate": "%{text}", "hovertemplate": "%{x}, %{y}: %{text}<extra></extra>",
                "colorbar": {"title": {"text": _unit(info)}},
            },
        ),
        layout={"xaxis": axis(label(across), type="category"), "yaxis": axis(label(down), type="category")},
        table=table(title, (f"{down} / {across}", *xs), [(y, *row) for y, row in zip(ys, words, strict=True)], len(xs)),
        height=max(260, 110 + 46 * len(ys)),
    )  # fmt: skip


def _values(document: Json, name: str) -> list[str]:
    return next(list(one["values"]) for one in document["axes"] if one["name"] == name)


def _standing(document: Json, at: Mapping[str, str], free: set[str]) -> Iterable[Json]:
    return (
        cell
        for cell in document["cells"]
        if all(cell["values"][name] == value for name, value in at.items() if name not in free)
    )


def _lines(document: Json, name: str, metric: str) -> dict[At, list[Json]]:
    """Cells with a point along one axis, in its order, by where the others stand."""
    order = _values(document, name)
    numbers = _numbers(order)
    place = dict(zip(order, numbers or range(len(order)), strict=True))
    found: dict[At, list[Json]] = {}
    for cell in sorted(document["cells"], key=lambda cell: place[cell["values"][name]]):
        if measured(cell, metric):
            at = tuple((other, value) for other, value in cell["values"].items() if other != name)
            found.setdefault(at, []).append(cell)
    return found


def _numbers(values: Sequence[str]) -> list[float] | None:
    try:
        found = [float(value) for value in values]
    except ValueError:
        return None
    return found if all(math.isfinite(number) and number > 0 for number in found) else None


def _scale(numbers: Sequence[float] | None) -> Json:
    if numbers is None:
        return {"type": "category"}
    wide = max(numbers) / min(numbers) > _LOGARITHMIC_FROM
    ticks = sorted({*numbers})
    apart = all(after / before > 1.15 for before, after in pairwise(ticks))
    shown = {"tickvals": ticks, "ticktext": [f"{tick:g}" for tick in ticks]} if apart else {}
    return {"type": "log" if wide else "linear", **shown}


def _points(name: str, metric: str, at: At, cells: Sequence[Json], number: int, *, numeric: bool) -> Json:
    scaled = _scaled(describe(metric))
    found = [cell["summary"][metric] for cell in cells]
    ends = [one["ci95"] or (one["mean"], one["mean"]) for one in found]
    texts = [cell["values"][name] for cell in cells]
    return {
        "type": "scatter", "mode": "lines+markers", "name": label(_at_words(at) or metric),
        "line": {"color": colour(number)}, "marker": {"color": colour(number), "size": 7},
        "x": [float(text) for text in texts] if numeric else [label(text) for text in texts],
        "y": [scaled(one["mean"]) for one in found],
        "error_y": {"type": "data", "symmetric": False, "color": colour(number),
                    "array": [scaled(high - one["mean"]) for one, (_, high) in zip(found, ends, strict=True)],
                    "arrayminus": [scaled(one["mean"] - low) for one, (low, _) in zip(found, ends, strict=True)]},
    }  # fmt: skip


def _fit(document: Json, name: str, metric: str, at: At, number: int) -> Json | None:
    """The fitted cost along the line, as the metric that it is the cost of."""
    curve = next(
        (one for one in document["curves"] if (one["axis"], one["metric"], one["at"]) == (name, metric, dict(at))), None
    )
    growth = curve["growth"] if curve else None
    if not curve or not growth or growth["shown"] == Shown.NOTHING:
        return None
    low, high = min(curve["sizes"]), max(curve["sizes"])
    sizes = [low * (high / low) ** (step / (_POINTS_OF_A_FIT - 1)) for step in range(_POINTS_OF_A_FIT)]
    costs = curve_at(growth["model"], growth["a"]["value"], growth["b"]["value"] if growth["b"] else 0.0, sizes)
    info = describe(metric)
    values = [NS_PER_SECOND / cost if info.kind == "rate" else cost for cost in costs]
    return {
        "type": "scatter", "mode": "lines", "name": label(f"fit: {growth['model']}"), "showlegend": False,
        "line": {"color": colour(number), "width": 1, "dash": "dot"}, "hoverinfo": "skip",
        "x": [float(f"{size:.6g}") for size in sizes], "y": [_scaled(info)(value) for value in values],
    }  # fmt: skip


def _figures(cell: Json, metric: str) -> tuple[str, str, str]:
    found, info = cell["summary"][metric], describe(metric)
    low, high = found["ci95"] or (None, None)
    interval = formats.ABSENT if low is None else f"{info.format(low)} to {info.format(high)}"
    return info.format(found["mean"]), interval, str(found["n"])


def _at_words(at: At) -> str:
    return ", ".join(f"{name}={value}" for name, value in at)


def _scaled(info: MetricInfo) -> Callable[[float], float]:
    factor = NS_PER_MS if info.unit == "ns" else 1
    return lambda value: float(f"{value / factor:.6g}")


def _unit(info: MetricInfo) -> str:
    return "ms" if info.unit == "ns" else info.unit
