from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgflow_stress.core.errors import UsageFault
from pgflow_stress.core.latency import histogram_of
from pgflow_stress.core.operations import Operation
from pgflow_stress.report.exports.parquet import write_timings
from pgflow_stress.report.plots.backlog import highest_by_column
from pgflow_stress.report.plots.percentiles import Curve, percentile_plot, points
from pgflow_stress.report.plots.timeline import heat_map, throughput_plot
from pgflow_stress.report.timings import COLUMNS, TaskGrid, read_grids, row_floor_ns
from tests.fixtures.results import ORIGIN_NS, build_recording, build_repetition, build_rows

END_NS = 15 * 10**9


def grid_of(folder: Path, sent: list[int], took: list[int], end_ns: int = END_NS) -> TaskGrid:
    rows = build_rows(len(sent))
    rows["sent_ns"] = ORIGIN_NS + np.array(sent) + 1
    rows["done_ns"] = rows["sent_ns"] + np.array(took)
    write_timings(folder, build_recording(1, parts=[("worker 0", rows)]))
    return read_grids(folder.glob("*.parquet"), {1: end_ns})[1]


def test_every_task_is_in_its_cell_and_lowest_and_highest_are_kept(tmp_path: Path) -> None:
    took = [1_000_000, 1_500_000, 40_000_000, 900]

    grid = grid_of(tmp_path, [0, 0, 0, END_NS // 2], took)

    column = int(1_500_001 * COLUMNS / END_NS)
    assert grid.counts.sum() == 4
    assert grid.completed[column] == 3
    assert (grid.lowest_ns[column], grid.highest_ns[column]) == (1_000_000, 40_000_000)
    assert grid.lowest_ns[COLUMNS // 2] == grid.highest_ns[COLUMNS // 2] == 900
    row = int(np.flatnonzero(grid.counts[COLUMNS // 2])[0])
    assert row_floor_ns(row) <= 900 < row_floor_ns(row + 1)


def test_only_tasks_of_the_repetitions_that_are_asked_for_are_counted(tmp_path: Path) -> None:
    rows = build_rows(100)
    rows["operation"][:40] = Operation.READ
    recording = build_recording(1, parts=[("worker 0", rows)])
    rows["done_ns"][40:50] = 0  # never answered
    write_timings(tmp_path, recording)
    write_timings(tmp_path, build_recording(2))

    grids = read_grids(sorted(tmp_path.glob("*.parquet")), {1: END_NS, 3: END_NS})

    assert {index: int(grid.completed.sum()) for index, grid in grids.items()} == {1: 50}


def test_timings_that_cannot_be_read_are_a_usage_fault(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"PAR1")

    with pytest.raises(UsageFault, match="cannot read"):
        read_grids([tmp_path / "x.parquet"], {})


def test_a_heat_map_and_a_throughput_plot_keep_what_the_grid_has(tmp_path: Path) -> None:
    grid = grid_of(tmp_path, list(range(0, END_NS - 10**9, 10**7)), [5_000_000 + n for n in range(1400)])
    repetition = build_repetition(1)

    heat, rates = heat_map(repetition, grid), throughput_plot(repetition, [], {1: grid})

    assert heat is not None
    assert rates is not None
    assert sum(sum(row) for row in heat.traces[0]["text"]) == 1_400
    assert max(heat.traces[1]["y"]) == pytest.approx(5.001399, abs=1e-4)
    width_seconds = rates.traces[0]["x"][1] - rates.traces[0]["x"][0]
    assert sum(rates.traces[0]["y"]) * width_seconds == pytest.approx(1_400, rel=0.01)
    assert [shape["x0"] for shape in rates.layout["shapes"]] == sorted(shape["x0"] for shape in rates.layout["shapes"])
    assert "create ends" in str(rates.layout["annotations"])


def test_without_rows_the_throughput_is_drawn_from_the_result_s_own_bins() -> None:
    repetition = build_repetition(1)
    repetition.client["series"] = {"bin_seconds": 0.5, "completed": [10, 20, 30]}

    plot = throughput_plot(repetition, [], {})

    assert plot is not None
    assert plot.traces[0]["y"] == [20.0, 40.0, 60.0]
    assert throughput_plot(build_repetition(2), [], {}) is None


@given(values=st.lists(st.integers(0, 10**12), min_size=1, max_size=300))
def test_a_percentile_curve_rises_and_keeps_lowest_and_highest(values: list[int]) -> None:
    histogram = histogram_of(values)

    nines, latencies = points(histogram)
    plot = percentile_plot("p", "cycle time", [Curve("a", histogram, len(values))], "")

    assert (np.diff(nines) >= 0).all()
    assert (np.diff(latencies) >= 0).all()
    assert latencies[-1] == max(values)
    assert latencies[0] >= min(values) >= latencies[0] * (1 - 1 / 1024) - 1
    drawn = [y for trace in plot.traces for y in trace["y"]]
    assert max(drawn) == pytest.approx(max(values) / 1e6, rel=1e-5)
    assert all(
        trace["line"].get("dash") == "dot" for trace in plot.traces if max(trace["x"]) > max(1, len(values) / 10)
    )


@given(points_=st.lists(st.tuples(st.floats(0, 1e4), st.floats(0, 1e9)), min_size=1, max_size=1_500))
def test_a_long_series_is_thinned_and_keeps_its_highest(points_: list[tuple[float, float]]) -> None:
    points_.sort()

    kept = highest_by_column(points_, points_[-1][0])

    assert len(kept) <= 401
    assert max(value for _, value in kept) == max(value for _, value in points_)
