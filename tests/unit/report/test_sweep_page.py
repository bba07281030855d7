"""A sweep's page: its plots hold the cells' numbers, and what is not whole is told in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from pgflow_stress.cli.app import app
from pgflow_stress.core.errors import UsageFault
from pgflow_stress.report.layout import SWEEP_FILE
from pgflow_stress.report.plots.grid import axis_plot, heat_plot
from pgflow_stress.report.sweep_page import page_of, read_sweep, render_sweep_page
from pgflow_stress.report.sweep_terminal import best_lines
from tests.fixtures.sweeps import build_sweep

METRIC = "execute.per_second"


def test_along_an_axis_each_line_is_a_combination_of_the_others_with_its_intervals_and_fit() -> None:
    document = build_sweep()

    plot = axis_plot(document, "steps", METRIC)

    assert plot is not None
    lines = [trace for trace in plot.traces if trace["mode"] == "lines+markers"]
    assert [trace["name"] for trace in lines] == ["completion=single", "completion=batch"]
    for number, trace in enumerate(lines):
        found = [cell["summary"][METRIC] for cell in document["cells"][number::2]]
        assert trace["x"] == [100, 1000, 10000]
        assert trace["y"] == pytest.approx([one["mean"] for one in found], rel=1e-5)
        high = [y + error for y, error in zip(trace["y"], trace["error_y"]["array"], strict=True)]
        assert high == pytest.approx([one["ci95"][1] for one in found], rel=1e-4)
    fits = [trace for trace in plot.traces if trace["mode"] == "lines"]
    assert len(fits) == 2
    assert fits[0]["y"][0] == pytest.approx(lines[0]["y"][0], rel=0.05)
    assert fits[0]["y"][-1] == pytest.approx(lines[0]["y"][-1], rel=0.05)
    assert plot.layout["xaxis"]["type"] == "log"
    assert plot.table is not None and len(plot.table.rows) == 6


def test_latencies_are_drawn_in_milliseconds() -> None:
    document = build_sweep()

    plot = axis_plot(document, "steps", "process.latency_ns.p50")

    assert plot is not None
    assert plot.layout["yaxis"]["title"]["text"] == "ms"
    mean_ns = document["cells"][0]["summary"]["process.latency_ns.p50"]["mean"]
    assert plot.traces[0]["y"][0] == pytest.approx(mean_ns / 1e6, rel=1e-5)


def test_a_heat_map_has_a_cell_a_combination_and_a_failed_one_is_empty() -> None:
    document = build_sweep(failed=[3])

    plot = heat_plot(document, "steps", "completion", document["cells"][0]["values"], METRIC)

    assert plot is not None
    (heat,) = plot.traces
    means = [cell["summary"][METRIC]["mean"] for cell in document["cells"]]
    assert heat["x"] == ["100", "1000", "10000"]
    assert heat["y"] == ["single", "batch"]
    assert heat["z"][0] == pytest.approx(means[0::2], rel=1e-5)
    assert heat["z"][1][1] is None
    assert heat["text"][1][1] == ""
    assert heat["z"][1][2] == pytest.approx(means[5], rel=1e-5)


def test_of_more_axes_a_heat_map_stands_at_the_best_cell() -> None:
    axes = {"steps": ("10", "20"), "workers": ("1", "2"), "completion": ("single", "batch")}

    page = render_sweep_page(build_sweep(axes))

    assert page.count('class="plot"') == 3 + 3 + 3
    assert "At completion=batch" in page


def test_the_page_names_every_cell_the_best_one_and_what_failed() -> None:
    document = build_sweep(failed=[0])

    page = render_sweep_page(document)

    assert all(cell["label"] in page for cell in document["cells"])
    assert "in the grid: steps=100, completion=batch" in page
    assert "ended with 4: an audit failed" in page


def test_values_of_others_are_text_and_no_markup() -> None:
    page = render_sweep_page(build_sweep({"dsn": ("<img src=x onerror=alert(1)>", "b"), "x": ("1", "2")}))

    assert "<img src=x" not in page


def test_a_directory_of_a_sweep_becomes_its_page(tmp_path: Path) -> None:
    (tmp_path / SWEEP_FILE).write_text(json.dumps(build_sweep()))

    done = CliRunner().invoke(app, ["report", str(tmp_path)])

    assert (done.exit_code, done.stdout) == (0, "")
    assert "Sweep over" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize("lost", ["cells", "axes", "best", "metric", "outcome"])
def test_a_sweep_that_is_not_whole_is_one_line(lost: str, tmp_path: Path) -> None:
    document = build_sweep()
    del document[lost]

    with pytest.raises(UsageFault, match="not a whole sweep"):
        page_of(tmp_path, document)


def test_what_is_no_sweep_is_left_to_others_and_what_is_no_json_is_told(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text('{"schema": "something/1"}')
    (tmp_path / "torn.json").write_text('{"schema": ')

    assert read_sweep(tmp_path) is None
    assert read_sweep(tmp_path / "other.json") is None
    with pytest.raises(UsageFault, match="is not JSON"):
        read_sweep(tmp_path / "torn.json")


def test_a_sweep_that_confirms_nothing_says_so_and_recommends_nothing() -> None:
    document = build_sweep()

    said = best_lines(document)
    later = best_lines({**document, "confirm": 5})

    assert said[-1] == "nothing is recommended: --confirm 0: no cell is measured again"
    assert later[-1] == "nothing is recommended: no cell was measured again in fresh repetitions"


def test_an_axis_from_0_has_a_line_of_the_others_and_every_cell_in_its_plot() -> None:
    document = build_sweep({"history": ("0", "100", "1000", "10000")})

    assert [curve["sizes"] for curve in document["curves"]] == [[100, 1000, 10000]] * 2
    plot = axis_plot(document, "history", METRIC)
    assert plot is not None
    assert plot.traces[0]["x"] == ["0", "100", "1000", "10000"]
