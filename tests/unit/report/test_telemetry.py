from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pgflow_stress.core.errors import RunFailed
from pgflow_stress.report import words
from pgflow_stress.report.html import render_html
from pgflow_stress.report.subject import Subject
from pgflow_stress.report.telemetry import telemetry_lines, telemetry_view, why_one_run_does_not_scale
from pgflow_stress.report.telemetry_file import Kept, write_telemetry
from tests.fixtures.results import ORIGIN_NS, build_repetition, build_result
from tests.fixtures.telemetry import build_sampled, recorded


def test_two_lines_say_what_was_used_and_what_was_waited_for() -> None:
    used, waits = telemetry_lines(build_result([build_sampled(1), build_sampled(2)]))

    assert used == "cores: server 1.5, workers 0.20; peak memory: backend of worker 0 60.0 MiB, worker 1 48.0 MiB"
    assert waits == "workers' backends: CPU 70 %, Client:ClientRead 30 %"


def test_incomplete_telemetry_says_so_and_none_says_nothing() -> None:
    dead = build_sampled(1, complete=False, incomplete_because="the sampler was killed by signal 9")

    assert telemetry_lines(build_result([dead]))[-1] == "incomplete in repetition 1: the sampler was killed by signal 9"
    assert telemetry_lines(build_result([build_repetition(1)])) == []
    assert telemetry_view(build_result([build_repetition(1)])) is None


def test_a_sampler_that_never_sampled_is_told() -> None:
    never = build_sampled(1, ticks=0, complete=False, incomplete_because="the sampler ended with 4")

    assert telemetry_lines(build_result([never])) == ["incomplete: the sampler ended with 4"]


def test_what_one_run_can_reach_stands_beside_what_it_did() -> None:
    one_run = build_result([build_sampled(1), build_sampled(2)], parameters={"runs": 1, "flows": 1})
    environment = {**one_run.environment, "host": {}}

    said = words.limited_by(replace(one_run, environment=environment))

    assert "workers waited for it 40 % of the time" in said
    assert "a task holds it 500 us, so one run reaches at most 2,000 tasks/s" in said


def test_what_the_server_s_own_host_did_is_told_and_what_it_hides_is_named() -> None:
    host = {
        "cores": 8,
        "busy_share": 0.95,
        "iowait_share": 0.02,
        "steal_share": 0.0,
        "pressure": {"cpu": 0.5, "io": 0.0},
    }
    seen = build_result([build_sampled(1, hosts={"host": {**host, "busy_share": 0.1}, "server host": host})])
    hidden = build_result([build_sampled(1, unseen=["host: no cpufreq", "the server's host: CPU: permission denied"])])

    line = (
        "the server's host: 8 cores busy 95 %, waiting for disks 2.0 %; some process held up for want of cpu 50 % of "
        "the time"
    )
    assert line in telemetry_lines(seen)
    assert line[1:] in render_html([Subject(seen, {})]).replace("&#39;", "'")
    assert words.limited_by(replace(seen, environment={**seen.environment, "host": {}})).startswith(
        "the CPU of the server's host: 8 cores busy 95 %"
    )
    assert telemetry_lines(hidden)[-1] == "not seen: the server's host: CPU: permission denied"


def test_a_rate_over_many_runs_is_not_held_against_what_one_can() -> None:
    many = build_result([build_sampled(1), build_sampled(2)])

    said = why_one_run_does_not_scale(many)

    assert said.startswith("complete_task locks its row in pgflow.runs until it commits: workers waited for it 40 %")
    assert said.endswith("measured, over 100 runs")


def test_the_report_has_a_section_of_it_and_of_none_no_section() -> None:
    page = render_html([Subject(build_result([build_sampled(1)]), {})])

    assert "<h2>Resources, waits and locks</h2>" in page
    for text in ("Client:ClientRead", "vacuum pgflow.runs", "no cpufreq", "12 ticks, 0 missed"):
        assert text in page
    assert "<h2>Resources, waits and locks</h2>" not in render_html([Subject(build_result([build_repetition(1)]), {})])


def test_the_table_is_long_and_its_times_are_from_the_origin(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.parquet"
    write_telemetry(path, [Kept(0, True, ORIGIN_NS, recorded()), Kept(1, False, ORIGIN_NS, recorded())])

    rows = pq.read_table(path).to_pylist()
    assert len(rows) == 6
    assert rows[0] == {
        "repetition": 0, "warmup": True, "t_ns": -5, "role": "worker", "subject": "worker 0", "metric": "rss",
        "value": 7.0, "unit": "bytes",
    }  # fmt: skip
    assert [(row["subject"], row["t_ns"]) for row in rows[3:]] == [("worker 0", -5), ("cpu0", 3), ("worker 0", 4)]


def test_nothing_sampled_makes_no_file_and_a_failure_leaves_none(tmp_path: Path) -> None:
    write_telemetry(tmp_path / "telemetry.parquet", [])
    with pytest.raises(RunFailed, match="could not be written"):
        write_telemetry(tmp_path / "missing" / "telemetry.parquet", [Kept(0, False, ORIGIN_NS, recorded())])

    assert list(tmp_path.iterdir()) == []
