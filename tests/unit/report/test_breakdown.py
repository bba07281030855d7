"""How a breakdown is shown: adding up, under true names, and never without its doubt."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import pytest
from rich.console import Console

from pgflow_stress.analysis.threshold import caution, parse
from pgflow_stress.core.result import Result
from pgflow_stress.report.breakdown import breakdown_view, lines, notes
from pgflow_stress.report.html import render_html
from pgflow_stress.report.subject import Subject
from pgflow_stress.report.terminal import render_summary
from pgflow_stress.report.words import gates
from tests.fixtures.breakdowns import MEAN_MS, RESPONSE_MS, broken_down, broken_down_result
from tests.fixtures.results import build_result


def shown(result: Result) -> str:
    stream = io.StringIO()
    render_summary(result, Console(file=stream, width=80))
    return stream.getvalue()


def test_the_lines_add_up_to_the_last_but_delivery_which_is_beyond_it() -> None:
    told = lines(broken_down_result())

    assert [line.title for line in told] == [
        "wait for start", "start", "queue wait", "claim", "work", "completion", "left over", "= response time",
        "+ delivery",
    ]  # fmt: skip
    assert sum(line.mean_ns for line in told[:-2]) == told[-2].mean_ns == RESPONSE_MS * 1e6
    assert told[3].cells[:2] == ("9.00 ms", f"{100 * MEAN_MS['claim'] / RESPONSE_MS:.1f} %")
    assert told[-1].cells[1] == ""


def test_the_summary_has_a_line_a_hop_and_fits_the_screen() -> None:
    text = shown(broken_down_result())

    assert "where it went" in text
    assert "left over" in text
    assert "3,000 runs" in text
    assert max(map(len, text.splitlines())) <= 80


def test_a_drained_backlog_calls_the_wait_by_its_name() -> None:
    text = shown(broken_down_result(load_model="backlog-drain"))

    assert "place in backlog" in text
    assert "= time in a drained backlog" in text
    assert "queue wait" not in text


def test_runs_that_are_left_out_are_told_with_their_reason() -> None:
    some = broken_down(1, completed_runs=1_200, looked_at=1_200, left_out={"retried": 150, "adopted": 50})
    drawn = broken_down(1, completed_runs=1_200, looked_at=1_000)

    assert notes(broken_down_result(some)) == [
        "1,000 of 1,200 runs; 150 left out: a completion was sent again; 50 left out: completed for a dead worker"
    ]
    assert notes(broken_down_result(drawn)) == ["1,000 of 1,200 runs; a sample of 1,000"]


def test_what_does_not_add_up_is_marked_and_says_so() -> None:
    found = broken_down(1, residual_share=0.3, residual_ns=-10e6, response_ns=(RESPONSE_MS - 10) * 1e6)
    result = broken_down_result(found)

    text = shown(result)

    assert "does not add up: 30 % of the response time left over" in " ".join(text.split())
    assert "-10.0 ms" in text
    assert "9.00 ms*" in text


def test_where_every_run_was_left_out_it_is_said_and_nothing_shown() -> None:
    result = broken_down_result(broken_down(1, runs=0, left_out={"retried": 1_000}))

    assert lines(result) == []
    assert breakdown_view(result) is None
    assert notes(result) == ["0 of 1,000 runs; 1,000 left out: a completion was sent again"]
    assert "1,000 left out" in shown(result)


def test_the_report_has_the_hops_and_each_step_of_the_path() -> None:
    view = breakdown_view(broken_down_result())
    page = render_html([Subject(broken_down_result(), {})])

    assert view is not None
    assert [(place["position"], place["step"], place["cells"][3]) for place in view["positions"]] == [
        (1, "a", "8.00 ms"), (2, "b", "8.00 ms"), (3, "c", "8.00 ms"),
    ]  # fmt: skip
    assert "Where the time of a run went" in page
    assert "Step by step of the path" in page


def test_a_result_without_one_shows_none() -> None:
    assert not lines(build_result())
    assert not notes(build_result())
    assert breakdown_view(build_result()) is None
    assert "where it went" not in shown(build_result())


@pytest.mark.parametrize(
    "metric", ["execute.latency_ns.p99", "end_to_end.latency_ns.p50", "breakdown.queue_wait_ns.mean"]
)
def test_a_gate_on_a_place_in_a_backlog_says_what_it_is(metric: str) -> None:
    said = caution(parse(f"{metric}<1s"), "backlog-drain")
    gate: Mapping[str, Any] = {"text": f"{metric}<1s", "held": True, "note": said}

    assert said is not None
    assert gates({"gates": [gate]}) == [f"{metric}<1s: held ({said})"]
    assert "place in it" in said
    assert caution(parse(f"{metric}<1s"), "open") is None


def test_a_gate_on_starts_says_that_all_are_started_at_once_and_one_on_cycles_nothing() -> None:
    assert "at once" in str(caution(parse("start.latency_ns.p99<1s"), "backlog-drain"))
    assert caution(parse("process.latency_ns.p99<1s"), "backlog-drain") is None
