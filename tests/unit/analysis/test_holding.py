"""What holds, what fails, what cannot be told, and what says nothing at all."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from pgflow_stress.analysis.backlog import Growth
from pgflow_stress.analysis.holding import HoldRules, Seen, judge, parse_limit, runs_needed, seen_of
from pgflow_stress.analysis.searching import Outcome
from pgflow_stress.core.errors import UsageFault
from pgflow_stress.core.result import Audit, Check, Tasks
from tests.fixtures.results import build_repetition

RULES = HoldRules()
P99 = parse_limit("execute.latency_ns.p99<50ms")
MEAN = parse_limit("start.latency_ns.mean<=200us")
GOOD = Seen(
    offered_per_second=100,
    latencies_ns={P99.metric: 40e6, MEAN.metric: 100e3},
    growth=Growth(0.1, -0.3, 0.5),
    late_share=0.01,
)


def test_a_window_holds_if_nothing_speaks_against_it() -> None:
    held = judge(GOOD, [P99, MEAN], RULES)

    assert (held.outcome, held.reasons) == (Outcome.HELD, ())
    assert held.excess == pytest.approx(math.log(0.8))  # the worse of the two


@pytest.mark.parametrize(
    ("changed", "outcome", "reason"),
    [
        ({"latencies_ns": {P99.metric: 60e6}}, Outcome.FAILED, "execute.latency_ns.p99 was 60.0 ms, over 50.0 ms"),
        ({"growth": Growth(3, 2, 4)}, Outcome.FAILED, "the backlog grew by at least 2.0 runs/s"),
        ({"growth": Growth(0.5, -1, 2)}, Outcome.UNDECIDED, "the backlog may grow by 2.0 runs/s"),
        ({"undrained": 7}, Outcome.FAILED, "did not drain: 7 tasks"),
        ({"lost": ("audit: every task: expected 5, found 4",)}, Outcome.FAILED, "expected 5, found 4"),
        ({"broken": "a worker was lost"}, Outcome.INVALID, "a worker was lost"),
        ({"latencies_ns": {P99.metric: None}}, Outcome.INVALID, "too short: execute.latency_ns.p99"),
        ({"growth": None}, Outcome.INVALID, "too short: nothing is known of the backlog"),
        ({"latencies_ns": {P99.metric: 60e6}, "late_share": 0.2}, Outcome.INVALID, "client-bound"),
        ({"late_share": 0.2}, Outcome.HELD, ""),  # late, and held all the same
        ({"lost": ("3 tasks failed",), "late_share": 0.2}, Outcome.FAILED, "3 tasks failed"),  # no lag loses a task
    ],
)
def test_each_part_of_the_rule_decides(changed: dict[str, object], outcome: Outcome, reason: str) -> None:
    held = judge(replace(GOOD, **changed), [P99], RULES)  # type: ignore[arg-type]

    assert held.outcome is outcome
    assert reason in "; ".join(held.reasons)


def test_a_longer_leash_for_the_backlog_is_a_rule_of_its_own() -> None:
    grows = replace(GOOD, growth=Growth(0.5, -1, 2))

    assert judge(grows, [P99], HoldRules(max_growth_share=0.05)).outcome is Outcome.HELD


def test_what_a_repetition_shows_is_read_from_it() -> None:
    measured = build_repetition()
    failed = Audit(False, (Check("every task", False, 5, 4), Check("other", True, 1, 1)))
    schedule = {"backlog": {"mean": [2.0] * 100, "bin_seconds": 0.1}, "lag_late_ns": {"mean": 10.0}}
    measured = replace(
        measured,
        audit=failed,
        tasks=Tasks(10, completed=6, failed=1, timed_out=3),
        client={**measured.client, "schedule": schedule},
    )

    seen = seen_of(measured, [P99], 80)

    assert seen.lost == ("audit: every task: expected 5, found 4", "1 tasks failed")
    assert seen.undrained == 3
    assert seen.growth is not None
    assert seen.latencies_ns == {P99.metric: measured.phases["execute"].latency_ns.p99}
    assert seen_of(replace(measured, lost_worker=True), [P99], 80).broken == "a worker was lost"


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("execute.latency_ns.p99<50ms", 50e6),
        ("execute.latency_ns.p999 <= 1.5s", 1.5e9),
        ("start.latency_ns.mean<200us", 200e3),
        ("process.latency_ns.max<4000000", 4e6),
    ],
)
def test_a_limit_is_a_threshold_with_durations(text: str, limit: float) -> None:
    assert parse_limit(text).limit == pytest.approx(limit)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("execute.latency_ns.p99>50ms", "upper limit"),
        ("process.per_second<900", "no latency"),
        ("execute.latency_ns.p98<50ms", "no metric"),
        ("execute.latency_ns.p99<0ms", "no latency is that short"),
        ("execute.latency_ns.p99<50MiB", "takes ns, us"),
        ("fast", "write METRIC OP NUMBER"),
        ("", "write METRIC OP NUMBER"),
    ],
)
def test_what_is_no_latency_limit_is_refused_in_one_line(text: str, said: str) -> None:
    with pytest.raises(UsageFault, match=said):
        parse_limit(text)


def test_a_window_has_ten_runs_beyond_every_percentile() -> None:
    assert runs_needed([MEAN]) == 10
    assert runs_needed([P99]) == 1_000
    assert runs_needed([P99, parse_limit("execute.latency_ns.p999<1s"), MEAN]) == 10_000
