"""A snapshot as families of metrics, under Prometheus' names: base units in them, `_total` for what only rises."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from pgflow_stress.cli.exposing.snapshot import Snapshot
from pgflow_stress.core.telemetry import COUNTER
from pgflow_stress.core.units import NS_PER_SECOND
from pgflow_stress.report.printable import printable

PREFIX = "pgflow_stress"
TELEMETRY = f"{PREFIX}_telemetry"
_BASE = {"ns": ("seconds", 1 / NS_PER_SECOND), "bytes": ("bytes", 1.0), "hertz": ("hertz", 1.0)}
_QUANTILES = {"p50": "0.5", "p90": "0.9", "p95": "0.95", "p99": "0.99", "p999": "0.999", "p9999": "0.9999", "max": "1"}
_COUNTED = {
    "steps_created": "steps created by add_step",
    "runs_started": "runs started",
    "tasks_completed": "tasks completed",
    "events_received": "events received by the observer",
    "statements": "statements answered, of workers and starters",
    "polls": "polls",
    "empty_polls": "polls that found nothing",
    "errors_retried": "statements refused and retried",
    "errors_failed": "statements refused for good",
    "sampler_ticks": "readings of the sampler",
    "sampler_ticks_missed": "readings that the sampler missed",
}


class Exposed(Collector):
    """What the registry asks for at each scrape."""

    def __init__(self, snapshot: Callable[[], Snapshot]) -> None:
        """`snapshot` gives the latest one, on whatever thread it is called."""
        self._snapshot = snapshot

    def collect(self) -> Iterable[Family]:
        """Every family of one snapshot."""
        now = self._snapshot()
        yield from _place(now)
        yield from _rates(now)
        yield from _outcomes(now)
        yield from _telemetry(now)


def _place(now: Snapshot) -> Iterator[Family]:
    updated = GaugeMetricFamily(f"{PREFIX}_updated_timestamp_seconds", "when these figures were taken")
    updated.add_metric([], now.at_unix_seconds)
    yield updated
    if not now.phase:
        return
    phase = GaugeMetricFamily(f"{PREFIX}_phase", "1 for the phase that goes on", labels=["scenario", "phase"])
    phase.add_metric([_text(now.scenario), now.phase], 1.0)
    yield phase
    for name, value, what in (
        ("repetition", now.repetition, "the repetition that goes on, from 0"),
        ("repetitions", now.repetitions, "all repetitions of the scenario, warm-up included; 0 until it is known"),
        ("backlog_tasks", now.backlog, "tasks of started runs that are not completed"),
    ):
        family = GaugeMetricFamily(f"{PREFIX}_{name}", what, labels=["scenario"])
        family.add_metric([_text(now.scenario)], float(value))
        yield family


def _rates(now: Snapshot) -> Iterator[Family]:
    labels = [_text(now.scenario), now.phase]
    if now.per_second is not None:
        rate = GaugeMetricFamily(
            f"{PREFIX}_per_second",
            "what the phase counts (steps created, runs started, tasks completed, events received), lately",
            labels=["scenario", "phase"],
        )
        rate.add_metric(labels, now.per_second)
        yield rate
    latency = GaugeMetricFamily(
        f"{PREFIX}_latency_seconds",
        "what the phase times, so far in this repetition; left out with fewer than 10 samples beyond it",
        labels=["scenario", "phase", "quantile"],
    )
    for name, quantile in _QUANTILES.items():
        value = getattr(now.latency, name)
        if value is not None:
            latency.add_metric([*labels, quantile], value / NS_PER_SECOND)
    if latency.samples:
        yield latency
        samples = GaugeMetricFamily(
            f"{PREFIX}_latency_samples", "distinct statements that timed them", labels=["scenario", "phase"]
        )
        samples.add_metric(labels, float(now.latency.samples))
        yield samples


def _outcomes(now: Snapshot) -> Iterator[Family]:
    for name, what in _COUNTED.items():
        by_scenario = {scenario: count for (scenario, counted), count in now.counts.items() if counted == name}
        yield from _counter(name, what, by_scenario)
    yield from _counter("repetitions_ended", "repetitions that are over", now.ended)
    yield from _counter("audit_failed_checks", "checks of their audits that did not hold", now.failed_checks)
    tasks = CounterMetricFamily(
        f"{PREFIX}_tasks_ended", "tasks of the repetitions that are over", labels=["scenario", "outcome"]
    )
    for (scenario, outcome), count in now.outcomes.items():
        tasks.add_metric([_text(scenario), outcome], float(count))
    if tasks.samples:
        yield tasks


def _counter(name: str, what: str, by_scenario: Mapping[str, int]) -> Iterator[Family]:
    if by_scenario:
        family = CounterMetricFamily(f"{PREFIX}_{name}", what, labels=["scenario"])
        for scenario, count in by_scenario.items():
            family.add_metric([_text(scenario)], float(count))
        yield family


def _telemetry(now: Snapshot) -> Iterator[Family]:
    """The sampler's series: a family a metric, labelled with role and subject."""
    if now.cores:
        cores = GaugeMetricFamily(f"{PREFIX}_cores", "cores that a role's processes keep busy", labels=["role"])
        for role, busy in now.cores.items():
            cores.add_metric([role], busy)
        yield cores
    families: dict[str, GaugeMetricFamily | CounterMetricFamily] = {}
    for series, value in now.series.items():
        is_counter = series.metric.endswith(COUNTER)
        unit, factor = _BASE.get(series.unit, ("", 1.0))
        name = "_".join(part for part in (TELEMETRY, series.metric.removesuffix(COUNTER), unit) if part)
        name = re.sub(r"[^a-zA-Z0-9_]", "_", name)
        if name not in families:
            make = CounterMetricFamily if is_counter else GaugeMetricFamily
            what = f"{series.metric} of docs/telemetry.md, in {unit or series.unit}"
            families[name] = make(name, _text(what), labels=["role", "subject"])
        families[name].add_metric([_text(series.role), _text(series.subject)], value * factor)
    yield from families.values()


def _text(text: str) -> str:
    return printable(text)
