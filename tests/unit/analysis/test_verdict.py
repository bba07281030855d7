from __future__ import annotations

from dataclasses import replace

import pytest

from pgflow_stress.analysis.evidence import Limits, co_located
from pgflow_stress.analysis.verdict import judge
from pgflow_stress.core.result import Check, Repetition, Verdict
from tests.fixtures.results import ENVIRONMENT, PARAMETERS, build_repetition


def long_ones(n: int = 3) -> list[Repetition]:
    return [build_repetition(i, process_seconds=12 + 0.1 * i) for i in range(1, n + 1)]


def verdict_on(*repetitions: Repetition, limits: Limits | None = None) -> Verdict:
    return judge(PARAMETERS, repetitions, ENVIRONMENT, limits or Limits())


def test_three_long_repetitions_that_agree_are_valid() -> None:
    verdict = verdict_on(*long_ones())

    assert (verdict.valid, verdict.reasons, verdict.quick_look) == (True, (), False)
    assert verdict.metrics["process.per_second"].valid


def test_a_short_phase_is_a_quick_look_and_spoils_rates_and_latencies_but_no_costs() -> None:
    verdict = verdict_on(*(build_repetition(i, process_seconds=2) for i in (1, 2, 3)))

    assert verdict.quick_look
    assert not verdict.valid
    assert "too short, under 10 s: process 2 s, execute 3 s, end_to_end 5 s" in verdict.reasons
    assert not verdict.metrics["process.per_second"].valid
    assert verdict.metrics["process.per_second"].comparable
    assert not verdict.metrics["process.latency_ns.p50"].valid
    assert verdict.metrics["client.rss_peak_bytes"].valid
    assert verdict.metrics["server.wal_bytes_per_task"].valid


def test_a_short_create_spoils_its_own_metrics_and_not_the_measurement() -> None:
    verdict = verdict_on(*long_ones())

    assert verdict.metrics["create.per_second"].reasons == ("too short, under 10 s: create 2 s",)
    assert verdict.valid


def test_too_few_cycles_a_worker_are_a_quick_look() -> None:
    verdict = verdict_on(*(build_repetition(i, tasks=7_980) for i in (1, 2, 3)))  # 399 cycles, 2 workers

    assert verdict.reasons == ("199 cycles a worker, under 200",)
    assert verdict.quick_look


def test_littles_law_off_by_more_than_five_per_cent_is_a_reason() -> None:
    good, off = long_ones(3), replace(long_ones(1)[0], client={"littles_law": {"ratio": 0.9, "samples": 200}})

    assert verdict_on(*good, off).reasons == ("Little's law is off by 10% (ratio 0.90), over 5%",)
    for too_little in ({"ratio": None, "samples": 0}, {"ratio": 0.9, "samples": 199}):
        assert verdict_on(*good, replace(off, client={"littles_law": too_little})).valid


def test_repetitions_that_differ_spoil_the_metric_that_differs() -> None:
    verdict = verdict_on(*(build_repetition(i, process_seconds=seconds) for i, seconds in ((1, 11), (2, 16), (3, 22))))

    assert any(reason.startswith("process.per_second varies: stdev is 3") for reason in verdict.reasons)
    assert not verdict.quick_look
    assert verdict.metrics["start.per_second"].reasons == ("too short, under 10 s: start 1 s",)


def test_a_failed_audit_leaves_nothing_to_trust_even_in_a_warm_up() -> None:
    failed = build_repetition(0, warmup=True, failed_check=Check("no message is left", False, 0, 3))

    verdict = verdict_on(failed, *long_ones())

    assert verdict.reasons == ("the audit failed in repetition 0",)
    assert not any(metric.valid or metric.comparable for metric in verdict.metrics.values())


def test_nothing_counted_is_not_valid() -> None:
    verdict = verdict_on(build_repetition(0, warmup=True), build_repetition(1, interrupted=True))

    assert not verdict.valid
    assert verdict.reasons[0].startswith("no repetition counts")


def test_two_repetitions_are_noted_and_invalidate_nothing() -> None:
    verdict = verdict_on(*long_ones(2))

    assert verdict.valid
    assert verdict.notes[0].startswith("2 counted repetitions: an interval")


def test_a_percentile_that_one_repetition_lacks_is_marked() -> None:
    few = build_repetition(9, tasks=12_000)  # 600 cycles: no p99

    verdict = verdict_on(*long_ones(), few)

    assert (
        "process.latency_ns.p99 has a value in 3 of 4 repetitions" in verdict.metrics["process.latency_ns.p99"].reasons
    )


def test_rows_left_out_are_noted() -> None:
    repetition = long_ones(1)[0]
    repetition = replace(repetition, client={**repetition.client, "rows_left_out": 1_234})

    assert any(note.startswith("1,234 rows of timings") for note in verdict_on(repetition).notes)


def test_other_limits_can_be_asked_for() -> None:
    repetitions = [build_repetition(i, process_seconds=2) for i in (1, 2, 3)]

    verdict = verdict_on(*repetitions, limits=Limits(min_phase_seconds=1, min_cycles_per_worker=10))

    assert verdict.valid


@pytest.mark.parametrize(
    ("pin", "environment", "shared"),
    [
        ({}, {"postgres": {"server_is_local": True}}, True),
        ({}, {"postgres": {}}, False),
        ({"worker": [0], "postgres": [1]}, {"postgres": {"server_is_local": True}}, False),
        ({"worker": [0, 1], "postgres": [1]}, {"postgres": {"server_is_local": True}}, True),
        ({}, {"postgres": {"server_is_local": True}, "co_located": False}, False),
    ],
)
def test_sharing_cores_is_told_from_pins_and_fingerprint(
    pin: dict[str, list[int]], environment: dict[str, object], shared: bool
) -> None:
    assert co_located({"pin": pin}, environment) is shared
