from __future__ import annotations

import io

import pytest
from rich.console import Console

from pgflow_stress.core.calibration import Calibration, Figure, Part, not_measured, ratio
from pgflow_stress.report.calibration import render_calibration


def shown(parts: dict[str, Part], encoding: str = "utf-8", pin: dict[str, tuple[int, ...]] | None = None) -> str:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    calibration = Calibration({}, "2026-01-01T00:00:00Z", 0.5, pin or {}, {}, parts)
    render_calibration(calibration, Console(file=stream, width=80))
    stream.flush()
    return raw.getvalue().decode(encoding)


WIDEST = {
    "client": Part(
        {
            "pipeline_sync_each.pgbench_queries_per_second": Figure("1/s", (123_456.0, 100_123.0, 699_999.0)),
            "pipeline_sync_each.pgbench_client_cpu_ns_per_query": Figure("ns", (1_234.0, 23_456.0)),
            "pipeline_sync_each.throughput_to_pgbench": ratio([10.0, 3.0], [11.0, 90.0], reach=0.98),
        }
    ),
    "disk": Part({"connections_16.wal_flush_p99_ns": Figure("ns", (11_234_567.0, 12_345_678.0, 999_999_999.0))}),
}


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_every_line_fits_eighty_columns_in_any_encoding(encoding: str) -> None:
    text = shown(WIDEST, encoding)

    assert max(map(len, text.splitlines())) <= 80
    assert "16 connections" in text
    assert "100 in flight, a Sync each" in text
    assert "…" not in text


def test_a_figure_is_shown_as_median_range_and_n() -> None:
    (line,) = [line for line in shown({"clock": Part({"read_cost_ns": Figure("ns", (30.0, 20.0, 25.0))})}).splitlines()
               if line.startswith("read cost")]  # fmt: skip

    assert line.split() == ["read", "cost", "25.0", "ns", "20.0", "ns", "–", "30.0", "ns", "3"]


def test_only_what_was_not_reached_is_called_missed() -> None:
    reached = shown({"recorder": Part({"record_to_clock_ratio": Figure("ratio", (1.1,), reach=1.2, at_most=True)})})
    missed = shown({"recorder": Part({"record_to_clock_ratio": Figure("ratio", (1.3,), reach=1.2, at_most=True)})})

    assert "≤ 1.2" in reached
    assert "missed" not in reached
    assert "≤ 1.2  missed" in missed


def test_what_was_not_measured_says_why_once() -> None:
    reason = "no pgbench was found that can reach this server"
    figures = {f"single.{name}_to_pgbench": not_measured("ratio", reason) for name in ("throughput", "client_cpu")}

    text = shown({"client": Part(figures), "disk": Part(reason="the server is gone")})

    assert " ".join(text.split()).count(reason) == 1
    assert "not measured: the server is gone" in text


def test_where_nothing_was_pinned_the_reader_is_warned() -> None:
    assert "not pinned" in shown(WIDEST)
    assert "pinned: worker on 0,1, postgres on 2" in shown(WIDEST, pin={"worker": (0, 1), "postgres": (2,)})
