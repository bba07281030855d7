"""Whether a schedule was kept: the server's part is no fault, ours is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pgflow_stress.analysis.evidence import DEFAULT_LIMITS, Evidence
from pgflow_stress.analysis.schedule_rules import every_run_was_started, schedule_was_kept, schedule_words
from pgflow_stress.analysis.summary import summarise
from pgflow_stress.core.result import Repetition
from tests.fixtures.results import build_repetition


def _scheduled(index: int, late_share: float, busy_ns: int = 0, skipped: int = 0, **more: int) -> Repetition:
    repetition = build_repetition(index)
    mean = repetition.phases["execute"].latency_ns.mean
    assert mean
    schedule: dict[str, Any] = {
        "started": 100,
        "skipped": skipped,
        **more,
        "offered_per_second": 10.0,
        "lag_late_ns": {"mean": late_share * mean, "max": 2_000_000},
        "lag_busy_ns": {"mean": float(busy_ns), "max": busy_ns},
    }
    return replace(repetition, client={**repetition.client, "schedule": schedule})


def _evidence(*repetitions: Repetition) -> Evidence:
    return Evidence({}, repetitions, {}, summarise(repetitions), DEFAULT_LIMITS)


def test_a_process_that_sends_late_invalidates_what_it_timed() -> None:
    (finding,) = schedule_was_kept(_evidence(_scheduled(0, 0.01), _scheduled(1, 0.2)))

    assert "20%" in finding.text
    assert "repetition 1" in finding.text
    assert "execute.latency_ns.p99" in finding.metrics or "execute.per_second" in finding.metrics
    assert not any(name.startswith("process.") for name in finding.metrics)


@pytest.mark.parametrize("busy_ns", [0, 10**12])
def test_starters_that_are_busy_in_the_server_are_no_fault(busy_ns: int) -> None:
    assert not list(schedule_was_kept(_evidence(_scheduled(0, 0.01, busy_ns))))


def test_without_a_schedule_nothing_is_said() -> None:
    plain = _evidence(build_repetition(0))

    assert not [*schedule_was_kept(plain), *every_run_was_started(plain)]
    assert schedule_words([build_repetition(0)]) == ""


def test_skipped_runs_are_a_note() -> None:
    (finding,) = every_run_was_started(_evidence(_scheduled(0, 0.0, skipped=7)))

    assert not finding.metrics
    assert finding.text.startswith("7 runs")
    assert "7 skipped" in schedule_words([_scheduled(0, 0.0, skipped=7)])


def test_runs_that_no_starter_came_to_are_a_note_but_for_those_after_an_interrupt() -> None:
    left = _scheduled(0, 0.0, not_started=9)

    (finding,) = every_run_was_started(_evidence(left, replace(left, interrupted=True)))

    assert not finding.metrics
    assert finding.text.startswith("9 runs")
