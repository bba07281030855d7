"""Every metric that a summary may hold: name, unit, which way is better, how it is written, what it says.

The terminal, the HTML report, exports and thresholds all read it here. A name that is not registered (a numeric leaf of
`client` or `server` that a probe added) is described by its name's ending.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pgflow_stress.analysis import formats

Better = Literal["higher", "lower"]
Kind = Literal["rate", "latency", "duration", "cost", "size", "work", "share", "count"]

PHASES = ("create", "start", "process", "execute", "end_to_end", "deliver")
ALWAYS_PHASES = PHASES[:-1]  # deliver is there where events are observed
LATENCY_LEAVES = ("mean", "p50", "p90", "p95", "p99", "p999", "p9999", "max")
PHASE_COUNTS = {
    "create": "steps",
    "start": "runs",
    "process": "tasks",
    "execute": "tasks",
    "end_to_end": "tasks",
    "deliver": "events",
}
_PART_OF = {"steady": "process", "breakdown": "execute"}  # what spoils a phase spoils its parts


@dataclass(frozen=True, slots=True)
class MetricInfo:
    """What is known of a metric before it is measured."""

    name: str
    unit: str  # of the stored number: "ns", "s", "bytes", "tasks/s", "" for a plain number
    kind: Kind
    better: Better | None  # None: neither way is
    description: str

    @property
    def phase(self) -> str | None:
        """The phase it belongs to; None for the client's and the server's."""
        head = self.name.partition(".")[0]
        return _PART_OF.get(head, head if head in PHASES else None)

    @property
    def is_counted(self) -> bool:
        """Whether it is counted, not timed: then it may well be the same in every repetition."""
        return self.kind in ("size", "work")

    def format(self, value: float | None, digits: int = 3) -> str:
        """The value with its unit, as a person reads it."""
        return formats.ABSENT if value is None else FORMATTERS[self.kind](value, self.unit, digits)


FORMATTERS: dict[Kind, Callable[[float, str, int], str]] = {
    "rate": formats.rate,
    "latency": formats.duration_ns,
    "duration": formats.with_unit,
    "cost": formats.duration_ns,
    "size": formats.size,
    "work": formats.count,
    "share": formats.share,
    "count": formats.count,
}

_SPAN = {
    "create": "first create_flow sent to last add_step answered",
    "start": "first start_flow sent to last answered",
    "process": "first poll sent to last completion answered",
    "execute": "first start_flow sent to last completion answered",
    "end_to_end": "first statement sent to last completion answered",
    "deliver": "first emitting statement sent to last event received",
}
_LATENCY = {
    "create": "one create statement, sent to answered",
    "start": "one start_flow, sent to answered",
    "process": "cycle time: one task's poll sent to its completion answered",
    "execute": "one run, start_flow sent to its last completion answered",
    "end_to_end": "as execute",
    "deliver": "one event, the statement that caused it sent to received",
}


def _phase_metrics(phase: str) -> list[MetricInfo]:
    counts, span = PHASE_COUNTS[phase], _SPAN[phase]
    unit = f"{counts}/s"
    return [
        MetricInfo(f"{phase}.per_second", unit, "rate", "higher", f"{counts} a second, {span}"),
        MetricInfo(f"{phase}.per_second_common", unit, "rate", "higher", f"{counts} a second over the common window"),
        MetricInfo(f"{phase}.seconds", "s", "duration", None, f"{span}"),
        *(
            MetricInfo(f"{phase}.latency_ns.{leaf}", "ns", "latency", "lower", f"{_LATENCY[phase]}: {leaf}")
            for leaf in LATENCY_LEAVES
        ),
    ]


_HOPS = {
    "wait": "due to start_flow sent",
    "start": "start_flow sent to answered",
    "queue_wait": "each step of the path released to its poll sent",
    "claim": "poll sent (or the release, where that came later) to start_tasks answered",
    "work": "start_tasks answered to the completion sent",
    "completion": "the completion sent to answered",
    "response": "all hops: due (else start_flow sent) to the last completion answered",
    "delivery": "the last completion answered to run:completed received, beyond the response time",
}
_RUNS = {"mean": "mean of the runs", "tail": "mean of the runs between p98.5 and p99.5 of the response time"}


def _breakdown_metrics() -> list[MetricInfo]:
    return [
        MetricInfo(
            f"breakdown.{hop}_ns.{leaf}",
            "ns",
            "latency",
            "lower",
            f"along a run's critical path, {what}: {runs}",
        )
        for hop, what in _HOPS.items()
        for leaf, runs in _RUNS.items()
    ]


METRICS: dict[str, MetricInfo] = {
    info.name: info
    for info in (
        *(metric for phase in PHASES for metric in _phase_metrics(phase)),
        *_breakdown_metrics(),
        MetricInfo("breakdown.residual_share", "", "share", "lower", "share of the response times left over"),
        MetricInfo(
            "steady.per_second", "tasks/s", "rate", "higher", "tasks a second, first poll sent to first idle worker"
        ),
        MetricInfo("steady.seconds", "s", "duration", None, "first poll sent to first idle worker"),
        MetricInfo("client.cpu_ns_per_task", "ns", "cost", "lower", "CPU time of the workers a completed task"),
        MetricInfo("client.utilization", "", "share", None, "share of the process phase that a worker spent on CPU"),
        MetricInfo(
            "client.server_waited_share", "", "share", None, "share of the workers' time: work in hand, nothing sent"
        ),
        MetricInfo("client.run_queue_share", "", "share", None, "share of the workers' time: runnable and not run"),
        MetricInfo("client.rss_peak_bytes", "bytes", "size", "lower", "most memory resident of the largest worker"),
        MetricInfo("client.host.busy_share", "", "share", None, "share of this host's CPU time that was not idle"),
        MetricInfo("client.host.steal_share", "", "share", None, "share of this host's CPU time given to other guests"),
        MetricInfo("server.checkpoints", "", "count", None, "checkpoints begun inside the window"),
        MetricInfo(
            "server.cpu_ns_per_task", "ns", "cost", "lower", "CPU time of all the server's processes a completed task"
        ),
        MetricInfo("server.wal_bytes_per_task", "bytes", "size", "lower", "WAL written a completed task"),
        *(
            MetricInfo(name, "", "work", "lower", f"{what} a completed task")
            for name, what in (
                ("client.statements_per_task", "statements sent but for polls that found nothing,"),
                ("server.wal_records_per_task", "WAL records"),
                ("server.wal_fpi_per_task", "full-page images in the WAL"),
                ("server.xids_per_task", "transactions and subtransactions that wrote,"),
                ("server.rows_per_task", "rows inserted, updated or deleted"),
                ("server.buffers_per_task", "pages asked for"),
                ("server.dead_rows_per_task", "dead row versions left behind"),
                ("server.commits_per_task", "transactions committed"),
            )
        ),
    )
}
REQUIRED = (
    *(metric.name for phase in ALWAYS_PHASES for metric in _phase_metrics(phase)),
    "client.cpu_ns_per_task",
    "client.utilization",
    "client.rss_peak_bytes",
    "server.cpu_ns_per_task",
    "server.wal_bytes_per_task",
)


_BY_ENDING: tuple[tuple[tuple[str, ...], str, Kind, Better | None], ...] = (  # first match wins
    ((".count", ".samples"), "", "count", None),
    (tuple(f"_ns.{leaf}" for leaf in LATENCY_LEAVES), "ns", "latency", "lower"),
    (("_per_second",), "/s", "rate", None),
    (("_ns", "_ns_per_task"), "ns", "cost", "lower"),
    (("_bytes", "_bytes_per_task"), "bytes", "size", "lower"),
    (("seconds",), "s", "duration", None),
    (("utilization", "_share"), "", "share", None),
    (("",), "", "count", None),
)


def describe(name: str) -> MetricInfo:
    """The registered metric, or what the ending of its name says."""
    if name in METRICS:
        return METRICS[name]
    _, unit, kind, better = next(entry for entry in _BY_ENDING if name.endswith(entry[0]))
    return MetricInfo(name, unit, kind, better, name.partition(".")[2].replace("_", " ").replace(".", ": "))
