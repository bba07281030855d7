from __future__ import annotations

import pytest

from pgflow_stress.analysis.summary import metric
from pgflow_stress.analysis.threshold import decide, parse
from pgflow_stress.core.errors import UsageFault

SUMMARY = {"process.per_second": metric([900.0, 1000.0, 1100.0]), "process.latency_ns.p9999": metric([None, None])}


@pytest.mark.parametrize(
    ("text", "name", "op", "limit"),
    [
        ("process.per_second>900", "process.per_second", ">", 900),
        (" process.per_second >= 1.5k ", "process.per_second", ">=", 1_500),
        ("process.per_second>1e3", "process.per_second", ">", 1_000),
        ("process.latency_ns.p99<250ms", "process.latency_ns.p99", "<", 250_000_000),
        ("process.latency_ns.p99<=1.5s", "process.latency_ns.p99", "<=", 1_500_000_000),
        ("process.latency_ns.p99<700", "process.latency_ns.p99", "<", 700),
        ("client.rss_peak_bytes<200MiB", "client.rss_peak_bytes", "<", 200 * 1024 * 1024),
        ("process.seconds>500ms", "process.seconds", ">", 0.5),
        ("deliver.latency_ns.p99<20ms", "deliver.latency_ns.p99", "<", 20_000_000),
        ("deliver.per_second>2k", "deliver.per_second", ">", 2_000),
    ],
)
def test_a_condition_is_read_in_the_metrics_own_unit(text: str, name: str, op: str, limit: float) -> None:
    threshold = parse(text)

    assert (threshold.metric, threshold.op) == (name, op)
    assert threshold.limit == pytest.approx(limit)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("process.per_second", "write METRIC OP NUMBER"),
        ("process.per_second=900", "write METRIC OP NUMBER"),
        ("process.per_second>much", "write METRIC OP NUMBER"),
        ("process.per_second>--5", "is not a number"),
        ("process.per_second>1e999", "too large"),
        ("process.per_second>5ms", "takes k, M, not 'ms'"),
        ("process.latency_ns.p99<5k", "takes ns, us"),
        ("proces.per_second>900", "near it: process.per_second"),
        ("zzz>1", "near it: process.per_second"),
    ],
)
def test_what_cannot_be_decided_is_refused_before_a_run(text: str, told: str) -> None:
    with pytest.raises(UsageFault, match=told):
        parse(text)


@pytest.mark.parametrize(
    ("text", "held", "held_strictly"),
    [
        ("process.per_second>500", True, True),
        ("process.per_second>990", True, None),  # the interval reaches from 752 to 1248
        ("process.per_second>1100", False, None),
        ("process.per_second>2000", False, False),
        ("process.per_second<2000", True, True),
        ("process.per_second>=1000", True, None),
        ("process.per_second>1000", False, None),
        ("process.latency_ns.p9999<1s", False, None),
        ("create.per_second>1", False, None),
    ],
)
def test_the_mean_decides_and_strictly_the_whole_interval(text: str, held: bool, held_strictly: bool | None) -> None:
    threshold = parse(text)

    assert decide(threshold, SUMMARY, strict=False).held is held
    assert decide(threshold, SUMMARY, strict=True).held is held_strictly


def test_one_repetition_decides_nothing_strictly() -> None:
    gate = decide(parse("process.per_second>1"), {"process.per_second": metric([900.0])}, strict=True)

    assert (gate.held, gate.mean, gate.ci95) == (None, 900.0, None)
