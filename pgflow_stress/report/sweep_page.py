"""A sweep as a page: what is recommended, every cell, each metric along each axis, heat maps over two of them."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

from pgflow_stress.core.errors import UsageFault
from pgflow_stress.core.result import Json
from pgflow_stress.report.document import placed, render_page
from pgflow_stress.report.layout import RESULT_FILE, SWEEP_FILE
from pgflow_stress.report.plots import Plot
from pgflow_stress.report.plots.grid import axis_plot, heat_plot
from pgflow_stress.report.result_file import read_json
from pgflow_stress.report.sweep import SCHEMA
from pgflow_stress.report.sweep_terminal import best_lines, cell_figures, curve_lines, scaling_lines
from pgflow_stress.report.tables import Table, table

BESIDE = ("process.latency_ns.p50", "server.cpu_ns_per_task", "create.per_second")  # what else is drawn along an axis
_MOST_PLOTS = 24


def read_sweep(path: Path) -> Json | None:
    """The sweep of a directory or a file; None where it is something else.

    Raises:
        UsageFault: it cannot be read, or is no JSON.
    """
    file = path / SWEEP_FILE if path.is_dir() else path
    if file.name == RESULT_FILE or not file.is_file():
        return None
    document = read_json(file)
    return document if isinstance(document, dict) and document.get("schema") == SCHEMA else None


def page_of(path: Path, document: Json) -> str:
    """The page of a sweep that was read.

    Raises:
        UsageFault: it is not whole.
        RunFailed: plotly's files are not there.
    """
    try:
        return render_sweep_page(document)
    except (KeyError, TypeError, AttributeError, ValueError, IndexError, StopIteration) as error:
        raise UsageFault(f"{path}: not a whole sweep: {type(error).__name__} {error}") from None


def render_sweep_page(document: Json) -> str:
    """The page of one `pgflow-stress/sweep/1`.

    Raises:
        RunFailed: plotly's files are not there.
    """
    plots = _plots(document)[:_MOST_PLOTS]
    axes = [(axis["name"], ", ".join(axis["values"])) for axis in document["axes"]]
    return render_page(
        "sweep.html",
        f"pgflow-stress: sweep over {', '.join(name for name, _ in axes)}",
        placed("sweep", plots),
        metric=document["metric"],
        axes=axes,
        tool=document["tool"],
        seed=document["seed"],
        best=best_lines(document),
        ended=[f"exit code {document['outcome']['exit_code']}", *document["outcome"]["reasons"]],
        growth=curve_lines(document),
        scaling=scaling_lines(document),
        plots=plots,
        cells=_cells(document),
    )


def _plots(document: Json) -> list[Plot]:
    """Heat maps first, then the metric that was asked for along every axis, then what else there is."""
    names, metric = [axis["name"] for axis in document["axes"]], document["metric"]
    at = _stands_at(document)
    heats = [heat_plot(document, across, down, at, metric) for across, down in combinations(names, 2)]
    along = [axis_plot(document, name, one) for one in dict.fromkeys((metric, *BESIDE)) for name in names]
    return [plot for plot in (*heats, *along) if plot]


def _stands_at(document: Json) -> Json:
    """The best cell's values: where axes stand that a heat map does not show."""
    best = document["best"]
    chosen = [cell for cell in (best["recommended"], *best["grid"]["ties"]) if cell is not None]
    by_index = {cell["index"]: cell["values"] for cell in document["cells"]}
    return dict(by_index[chosen[0]] if chosen else document["cells"][0]["values"])


def _cells(document: Json) -> Table:
    metric = document["metric"]
    rows = [(cell["label"], *cell_figures(cell, metric)) for cell in document["cells"]]
    return table("Every cell", ("cell", metric, "95 %", "n", "state"), rows, 3, 1)
