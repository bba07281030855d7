"""The check that a measurement does of itself."""

from __future__ import annotations

from pgflow_stress.engine.littles_law import LEAST_SAMPLES, Gauge, check


def test_what_is_sampled_and_what_is_stamped_agree_within_five_percent() -> None:
    agreed = check(Gauge(total=20.4 * LEAST_SAMPLES, samples=LEAST_SAMPLES), residence_ns=20 * 10**9, process_seconds=1)

    assert agreed["ok"] is True
    assert abs(agreed["ratio"] - 1.02) < 1e-9


def test_a_gauge_that_disagrees_is_said() -> None:
    assert check(Gauge(22.0 * 500, 500), residence_ns=20 * 10**9, process_seconds=1)["ok"] is False


def test_samples_after_the_last_completion_do_not_count_and_gaps_before_it_do() -> None:
    gauge = Gauge()

    for in_hand in (0, 4, 0, 0, 8, 0, 0, 0):
        gauge.add(in_hand)

    assert (gauge.total, gauge.samples) == (12, 5)


def test_too_few_samples_decide_nothing() -> None:
    assert check(Gauge(40.0, 1), residence_ns=20 * 10**9, process_seconds=1)["ok"] is None


def test_nothing_processed_is_nothing_to_compare() -> None:
    assert check(Gauge(), residence_ns=0, process_seconds=0) == {"ratio": None, "samples": 0, "ok": None}
