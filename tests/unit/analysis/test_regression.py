from __future__ import annotations

import pytest

from pgflow_stress.analysis.regression import parse, require_metric
from pgflow_stress.core.errors import UsageFault


@pytest.mark.parametrize(
    ("text", "metric", "limit"),
    [
        ("process.per_second<-5%", "process.per_second", -0.05),
        (" execute.per_second < - 2.5 % ", "execute.per_second", -0.025),
        ("process.latency_ns.p99>+10%", "process.latency_ns.p99", 0.10),
        ("server.wal_bytes_per_task>+0.5%", "server.wal_bytes_per_task", 0.005),
        ("server.wal_bytes_per_task>+250%", "server.wal_bytes_per_task", 2.5),
        ("execute.per_second<-0%", "execute.per_second", 0.0),
    ],
)
def test_a_gate_is_a_metric_and_a_change(text: str, metric: str, limit: float) -> None:
    gate = parse(text)

    assert (gate.metric, gate.text) == (metric, text.strip())
    assert gate.limit == pytest.approx(limit)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x", "write METRIC<-N%"),
        ("process.per_second<5%", "write METRIC<-N%"),
        ("process.per_second<-5", "write METRIC<-N%"),
        ("process.per_second<-nan%", "write METRIC<-N%"),
        ("process.per_second<=-5%", "write METRIC<-N%"),
        ("process.latency_ns.p99>10%", "write METRIC<-N%"),
        ("proces.per_second<-5%", "near it: process.per_second"),
        ("process.per_second>+5%", "higher is better for process.per_second; write process.per_second<-N%"),
        ("process.latency_ns.p99<-5%", "lower is better for process.latency_ns.p99; write process.latency_ns.p99>"),
        ("process.per_second<-100%", "no change is beyond 100 %"),
        ("process.seconds>+5%", "neither more nor less of process.seconds is better"),
        ("client.utilization>+5%", "neither more nor less"),
    ],
)
def test_what_could_never_fire_is_refused(text: str, told: str) -> None:
    with pytest.raises(UsageFault, match=told.replace("+", r"\+")) as raised:
        parse(text)

    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "ratio", "beyond"),
    [
        ("process.per_second<-5%", 0.94, True),
        ("process.per_second<-5%", 0.96, False),
        ("process.per_second<-5%", 1.5, False),
        ("process.per_second<-0%", 0.999, True),
        ("process.latency_ns.p99>+10%", 1.11, True),
        ("process.latency_ns.p99>+10%", 1.09, False),
        ("process.latency_ns.p99>+10%", 0.5, False),
    ],
)
def test_beyond_is_beyond_the_change(text: str, ratio: float, beyond: bool) -> None:
    assert parse(text).is_beyond(ratio) is beyond


def test_a_metric_that_a_probe_added_is_known_where_results_hold_it() -> None:
    require_metric("--primary", "server.probe_ns_per_task", ["server.probe_ns_per_task"])

    with pytest.raises(UsageFault, match="--primary: no metric"):
        require_metric("--primary", "server.probe_ns_per_task", [])
