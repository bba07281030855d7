"""The breakdown in summary and verdict: its metrics, and what is said where it does not add up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pgflow_stress.analysis.breakdown_rules import breakdown_adds_up
from pgflow_stress.analysis.compare import compare
from pgflow_stress.analysis.evidence import DEFAULT_LIMITS, Evidence
from pgflow_stress.analysis.metrics import METRICS
from pgflow_stress.analysis.summary import summarise
from pgflow_stress.core.result import Repetition
from tests.fixtures.breakdowns import MEAN_MS, RESPONSE_MS, broken_down, broken_down_result
from tests.fixtures.results import build_repetition


def _evidence(*repetitions: Repetition, most: float = DEFAULT_LIMITS.max_breakdown_residual) -> Evidence:
    limits = replace(DEFAULT_LIMITS, max_breakdown_residual=most)
    return Evidence({}, repetitions, {}, summarise(repetitions), limits)


def test_each_hop_is_a_metric_and_their_means_add_up_to_the_response_time() -> None:
    summary = summarise([broken_down(1), broken_down(2)])
    found = {name: metric.mean for name, metric in summary.items() if name.startswith("breakdown.")}

    assert {hop: found[f"breakdown.{hop}_ns.mean"] for hop in MEAN_MS} == {k: v * 1e6 for k, v in MEAN_MS.items()}
    assert found["breakdown.response_ns.mean"] == found["breakdown.response_ns.tail"] == RESPONSE_MS * 1e6
    assert found["breakdown.delivery_ns.mean"] == 1e6
    assert found["breakdown.residual_share"] == 0
    assert set(found) <= set(METRICS)


def test_without_a_tail_or_runs_nothing_is_made_up() -> None:
    few = summarise([broken_down(1, tail=None)])
    none = summarise([broken_down(1, runs=0)])

    assert few["breakdown.claim_ns.tail"].mean is None
    assert not any(name.startswith("breakdown.") for name in none)
    assert not any(name.startswith("client.breakdown") for name in (*few, *none))


def test_what_is_left_over_beyond_the_limit_spoils_the_breakdown_and_nothing_else() -> None:
    (finding,) = breakdown_adds_up(_evidence(broken_down(1), broken_down(2, residual_share=0.021)))

    assert "does not add up: 2.1 %" in finding.text
    assert "over 2" in finding.text
    assert "repetition 2" in finding.text
    assert finding.metrics == {name for name in METRICS if name.startswith("breakdown.")}


@pytest.mark.parametrize("share", [0.0, 0.02, None])
def test_what_is_within_the_limit_is_no_finding(share: float | None) -> None:
    assert not list(breakdown_adds_up(_evidence(broken_down(1, residual_share=share), build_repetition(2))))


def test_the_limit_can_be_another_one() -> None:
    assert list(breakdown_adds_up(_evidence(broken_down(1, residual_share=0.01), most=0.005)))


def test_what_spoils_the_response_time_spoils_its_parts() -> None:
    hasty = replace(broken_down(1), phases=build_repetition(1, process_seconds=0.5).phases)
    result = broken_down_result(hasty)

    assert any("too short" in reason for reason in result.verdict.metrics["breakdown.claim_ns.mean"].reasons)


def test_a_comparison_is_not_made_wider_by_the_hops() -> None:
    result = broken_down_result(*(broken_down(index) for index in range(1, 7)))

    names = [metric.name for metric in compare(result, result).metrics]

    assert names
    assert not any(name.startswith("breakdown.") for name in names)
