"""A sweep as a person reads it at a glance: every cell, what the axes cost, which cell to take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pgflow_stress.analysis import formats
from pgflow_stress.analysis.growth import ALIKE, Shown
from pgflow_stress.analysis.metrics import describe
from pgflow_stress.core.result import Json
from pgflow_stress.report.page import Page

_LEAD = 13  # columns of the left-hand words
_MOST_CELLS = 60
_MOST_CURVES = 30
_MOST_TIES = 5


def render_sweep(document: Json, console: Console, where_written: str | None = None) -> None:
    """Print the document.

    Args:
        document: `pgflow-stress/sweep/1`.
        console: of standard error; its width, encoding and NO_COLOR are heeded.
        where_written: the sweep's directory, for the last line.
    """
    page = Page(console, _LEAD)
    console.print()
    _cells(page, document)
    console.print()
    page.lines("growth", curve_lines(document))
    page.lines("scaling", scaling_lines(document))
    page.lines("best", best_lines(document))
    page.lines("ended", [f"exit code {document['outcome']['exit_code']}", *document["outcome"]["reasons"]])
    if where_written is not None:
        page.lines("sweep", [where_written])


def _cells(page: Page, document: Json) -> None:
    metric = document["metric"]
    names = [axis["name"] for axis in document["axes"]]
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_edge=False, header_style="dim")
    numbers = (metric, "95 %", "n")
    for name in (*names, *numbers, ""):
        table.add_column(page.text(name), no_wrap=name != "", justify="right" if name in numbers else "left")
    for cell in document["cells"][:_MOST_CELLS]:
        table.add_row(*(Text(page.text(text)) for text in (*cell["values"].values(), *cell_figures(cell, metric))))
    page.console.print(table)
    if (more := len(document["cells"]) - _MOST_CELLS) > 0:
        page.lines("", [f"and {more} cells more, in sweep.json"])


def cell_figures(cell: Json, metric: str) -> tuple[str, str, str, str]:
    """Mean, half of the interval, repetitions, and what became of the cell."""
    found = cell["summary"].get(metric)
    state = _state(cell)
    if not found or not found["n"]:
        return formats.ABSENT, formats.ABSENT, "0", state
    verdict = (cell["verdict"] or {}).get("metrics", {}).get(metric)
    mark = "" if verdict and verdict["valid"] else "*"
    low, high = found["ci95"] or (None, None)
    half = "" if low is None else f"± {formats.share((high - low) / 2 / found['mean'])}"
    return f"{describe(metric).format(found['mean'])}{mark}", half, str(found["n"]), state


def _state(cell: Json) -> str:
    if cell["codes"]:
        return f"ended with {', '.join(map(str, cell['codes']))}: {cell['reasons'][0] if cell['reasons'] else ''}"
    return "" if cell["rounds"] else "not measured"


def _at(found: Json) -> str:
    at = ", ".join(f"{name}={value}" for name, value in found["at"].items())
    return f" at {at}" if at else ""


def curve_lines(document: Json) -> list[str]:
    """A line a cost and line of cells that something is shown of; of the others only how many they are."""
    told = [curve for curve in document["curves"] if curve["growth"] and curve["growth"]["shown"] != Shown.NOTHING]
    said = [curve_words(curve) for curve in told[:_MOST_CURVES]]
    if more := len(told) - len(said):
        said.append(f"and {more} more, in sweep.json")
    if untold := len(document["curves"]) - len(told):
        said.append(f"of {untold} costs cannot be told whether they grow: more repetitions, or sizes further apart")
    return said


def curve_words(curve: Json) -> str:
    """What one curve that has a growth says."""
    found, info = curve["growth"], describe(curve["metric"])
    per = found["per_decade"]
    unit = "ns" if info.kind == "rate" else info.unit
    change = f"{_percent(per['value'])} a decade [{_percent(per['low'])}, {_percent(per['high'])}]"
    close = f" ({found['runner_up']} fits alike)" if found["margin"] < ALIKE else ""
    what = f"cost of {curve['metric'].removesuffix('.per_second')}" if info.kind == "rate" else curve["metric"]
    return f"{what} over {curve['axis']}{_at(curve)}: {found['shown']}, {change}; {_model_words(found, unit)}{close}"


def _model_words(found: Json, unit: str) -> str:
    a = _value(found["a"], unit)
    if found["b"] is None:
        return f"constant: {a}"
    return f"{a} + {_value(found['b'], unit)} x {found['model']}"


def _value(parameter: Mapping[str, Any], unit: str) -> str:
    value = float(parameter["value"])
    return formats.duration_ns(value) if unit == "ns" else formats.with_unit(value, unit).strip()


def _percent(share: float) -> str:
    return f"{100 * share:+.3g} %"


def scaling_lines(document: Json) -> list[str]:
    """What the scalability law says of each line of workers, or why nothing."""
    said = []
    for one in document["scaling"]:
        if one["law"] is None:
            said.append(f"{one['metric']} over {one['axis']}{_at(one)}: cannot tell, {one['reason']}")
            continue
        law = one["law"]
        sigma, kappa = law["sigma"], law["kappa"]
        ahead = law["forecast"]
        peak = f"peak at {law['peak']:.3g}" if law["peak"] else f"no peak up to {ahead['workers']:g}"
        said.append(
            f"{one['metric']} over {one['axis']}{_at(one)}: sigma {sigma['value']:.3g} "
            f"[{sigma['low']:.2g}, {sigma['high']:.2g}], kappa {kappa['value']:.3g} "
            f"[{kappa['low']:.2g}, {kappa['high']:.2g}]; {peak}"
        )
    return said


def best_lines(document: Json) -> list[str]:
    """The grid's best and its ties, and what is recommended after fresh repetitions."""
    best, labels = document["best"], {cell["index"]: cell["label"] for cell in document["cells"]}
    grid, confirmed = best["grid"], best["confirmed"]
    if not grid["ties"]:
        return [f"cannot tell: {grid['reason']}"]
    first = labels[grid["ties"][0]]
    others = [labels[cell] for cell in grid["ties"][1:]]
    lines = [f"in the grid: {first}"]
    if others:
        more = f"; and {len(others) - _MOST_TIES} more" if len(others) > _MOST_TIES else ""
        lines.append(f"a tie with {len(others)}: {'; '.join(others[:_MOST_TIES])}{more}")
    if best["recommended"] is None:
        why = "--confirm 0: no cell is measured again" if document["confirm"] == 0 else confirmed["reason"]
        return [*lines, f"nothing is recommended: {why}"]
    tie = f", of {len(confirmed['ties'])} that are as good the smallest" if len(confirmed["ties"]) > 1 else ""
    return [*lines, f"recommended by fresh repetitions: {labels[best['recommended']]}{tie}"]
