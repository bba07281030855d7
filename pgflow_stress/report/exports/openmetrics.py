"""Gauges in OpenMetrics' text format: what a Prometheus takes in, to follow a metric from run to run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields

from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from pgflow_stress.analysis.metrics import describe
from pgflow_stress.core.result import Metric, Result, Tasks
from pgflow_stress.report import words
from pgflow_stress.report.printable import printable
from pgflow_stress.report.saved import Saved

_PREFIX = "pgflow_stress"
_LABELS = ("result", "scenario")


def render(saved: Sequence[Saved]) -> str:
    """A family a metric, a sample a result and statistic (mean, ci95_low, ci95_high, stdev), in its own unit."""
    registry = CollectorRegistry()
    registry.register(_Collected(saved))
    text: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]
    return text.decode()


class _Collected(Collector):
    """What the registry asks for."""

    def __init__(self, saved: Sequence[Saved]) -> None:
        self._results = [one.result for one in saved]

    def collect(self) -> Iterable[Family]:
        """Every family, those of several results together."""
        labelled = [((str(number), _name(result)), result) for number, result in enumerate(self._results, 1)]
        yield from _facts(labelled)
        names = dict.fromkeys(name for result in self._results for name in result.summary)
        for name in names:
            unit = describe(name).unit
            text = f"{describe(name).description}{f', {unit}' if unit else ''}"
            family = GaugeMetricFamily(_identifier(name), printable(text), labels=[*_LABELS, "statistic"])
            for labels, result in labelled:
                for statistic, value in _statistics(result.summary.get(name)):
                    family.add_metric([*labels, statistic], value)
            if family.samples:
                yield family


Labelled = Sequence[tuple[tuple[str, str], Result]]


def _facts(labelled: Labelled) -> Iterator[Family]:
    info = InfoMetricFamily(f"{_PREFIX}_result", "what was measured, and how", labels=_LABELS)
    valid = GaugeMetricFamily(f"{_PREFIX}_valid", "1 where the measurement is valid for its purpose", labels=_LABELS)
    metric = GaugeMetricFamily(
        f"{_PREFIX}_metric_valid", "1 where a metric can be relied on", labels=[*_LABELS, "metric"]
    )
    failed = GaugeMetricFamily(f"{_PREFIX}_audit_failed_checks", "checks that did not hold", labels=_LABELS)
    tasks = GaugeMetricFamily(f"{_PREFIX}_tasks", "tasks of all repetitions by outcome", labels=[*_LABELS, "outcome"])
    for labels, result in labelled:
        info.add_metric(labels, _described(result))
        valid.add_metric(labels, float(result.verdict.valid))
        failed.add_metric(labels, float(sum(not check.ok for r in result.repetitions for check in r.audit.checks)))
        totals = words.task_totals(result)
        for one in fields(Tasks):
            tasks.add_metric([*labels, one.name], float(getattr(totals, one.name)))
        for name, verdict in result.verdict.metrics.items():
            metric.add_metric([*labels, name], float(verdict.valid))
    yield from (info, valid, metric, failed, tasks)


def _described(result: Result) -> dict[str, str]:
    environment = result.environment
    told = {
        "version": result.tool.get("version"),
        "revision": result.tool.get("revision"),
        "load_model": result.load_model,
        "pgflow": (environment.get("pgflow") or {}).get("version"),
        "postgres": (environment.get("postgres") or {}).get("version"),
        "headline": words.headline(result),
    }
    parameters = result.scenario["parameters"]
    told |= {"interference": " ".join(parameters["interference"])} if parameters.get("interference") else {}
    told |= {"soak": result.outcome["soak"]["state"]} if "soak" in result.outcome else {}
    return {name: printable(str(value)) for name, value in told.items()}


def _statistics(metric: Metric | None) -> Iterator[tuple[str, float]]:
    if metric is None or metric.mean is None:
        return
    yield "mean", float(metric.mean)
    if metric.ci95 is not None:
        yield "ci95_low", float(metric.ci95[0])
        yield "ci95_high", float(metric.ci95[1])
    if metric.stdev is not None:
        yield "stdev", float(metric.stdev)


def _name(result: Result) -> str:
    return printable(str(result.scenario["name"]))


def _identifier(name: str) -> str:
    """A metric's name as Prometheus takes one."""
    return f"{_PREFIX}_{re.sub(r'[^a-zA-Z0-9_]', '_', name)}"
