"""The check that a measurement does of itself."""

from __future__ import annotations

import random

import pytest

from pgflow_stress.engine.littles_law import LEAST_SAMPLES, Gauge, check, mean_pause_seconds, pause_seconds


def test_what_is_sampled_and_what_is_stamped_agree_within_five_percent() -> None:
    gauge = Gauge(task_seconds=20.4, seconds=1.0, samples=LEAST_SAMPLES)

    agreed = check(gauge, residence_ns=20 * 10**9, process_seconds=1)

    assert agreed["ok"] is True
    assert abs(agreed["ratio"] - 1.02) < 1e-9


def test_a_gauge_that_disagrees_is_said() -> None:
    assert check(Gauge(22.0, 1.0, 500), residence_ns=20 * 10**9, process_seconds=1)["ok"] is False


def test_samples_after_the_last_completion_do_not_count_and_gaps_before_it_do() -> None:
    gauge = Gauge()

    for in_hand in (0, 4, 0, 0, 8, 0, 0, 0):
        gauge.add(in_hand, 0.5)

    assert (gauge.task_seconds, gauge.seconds, gauge.samples) == (6.0, 2.5, 5)


def test_a_sample_counts_for_the_time_it_stands_for() -> None:
    gauge = Gauge()
    random_source = random.Random(1)
    seconds = 0.0
    while seconds < 60.0:
        mean_seconds = mean_pause_seconds(seconds)
        seconds += pause_seconds(random_source, mean_seconds)
        gauge.add(10 if seconds < 20.0 else 40, mean_seconds)

    residence_ns = (20 * 10 + 40 * 40) * 10**9
    assert check(gauge, residence_ns, process_seconds=60)["ratio"] == pytest.approx(1, abs=0.01)
    assert gauge.samples < 60 / 0.015


def test_a_phase_of_a_few_seconds_has_enough_samples() -> None:
    seconds, samples = 0.0, 0
    while seconds < 1.5:
        seconds += mean_pause_seconds(seconds)
        samples += 1

    assert samples >= LEAST_SAMPLES


def test_too_few_samples_decide_nothing() -> None:
    assert check(Gauge(40.0, 1.0, 1), residence_ns=20 * 10**9, process_seconds=1)["ok"] is None


def test_nothing_processed_is_nothing_to_compare() -> None:
    assert check(Gauge(), residence_ns=0, process_seconds=0) == {"ratio": None, "samples": 0, "ok": None}
