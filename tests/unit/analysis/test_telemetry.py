from __future__ import annotations

import pytest

from pgflow_stress.analysis.telemetry import (
    cores_of,
    incomplete,
    peaks_of,
    sampled,
    serialisation_of,
    unseen,
    waits_of,
)
from tests.fixtures.results import build_repetition, build_result
from tests.fixtures.telemetry import build_sampled, telemetry_of


def test_cores_are_cpu_time_by_the_sampled_time_over_all_repetitions() -> None:
    result = build_result([build_sampled(1), build_sampled(2, seconds=20.0)])

    assert cores_of(result) == {"postgres": pytest.approx(1.0), "worker": pytest.approx(4 / 30)}


def test_the_largest_peak_is_named_with_whose_and_since_when() -> None:
    larger = telemetry_of()["processes"]
    larger["worker"] |= {"rss_peak_bytes": 90 << 20, "rss_peak_of": "worker 7", "rss_peak_since": "process start"}
    result = build_result([build_sampled(1), build_sampled(2, processes=larger)])

    assert peaks_of(result)["worker"] == (90 << 20, "worker 7", "process start")


def test_waits_are_means_over_the_repetitions_that_have_some_most_first() -> None:
    result = build_result(
        [build_sampled(1), build_sampled(2, waits={"CPU": 0.5, "Lock:tuple": 0.5}), build_sampled(3, waits={})]
    )

    found = waits_of(result, "worker")

    assert [event for event, _ in found] == ["CPU", "Lock:tuple", "Client:ClientRead"]
    assert [share for _, share in found] == pytest.approx([0.6, 0.25, 0.15])
    assert waits_of(result, "starter") == []


def test_the_most_of_one_run_is_that_of_the_mean_hold_time() -> None:
    slower = {"wait_share": 0.6, "hold_ns_per_task": 1_500_000.0, "most_per_second_of_one_run": 666.0}
    found = serialisation_of(build_result([build_sampled(1), build_sampled(2, serialisation=slower)]))

    assert found is not None
    assert found.hold_ns_per_task == pytest.approx(1_000_000)
    assert found.most_per_second_of_one_run == pytest.approx(1_000)
    assert serialisation_of(build_result([build_sampled(1, serialisation=None)])) is None


def test_what_is_incomplete_or_unseen_is_known_and_repetitions_without_a_sampler_say_nothing() -> None:
    result = build_result(
        [build_repetition(0), build_sampled(1), build_sampled(2, complete=False, incomplete_because="killed")]
    )

    assert [one.index for one in sampled(result)] == [1, 2]
    assert incomplete(result) == [(2, "killed")]
    assert unseen(result) == ["host: the cores' frequency: this kernel has no cpufreq"]
