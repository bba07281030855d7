"""What the clients of several hosts used, polled and sent: sums, and shares weighted by what they are shares of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from pgflow_stress.analysis.hosts.part import Part
from pgflow_stress.core.latency import latency_of, merge
from pgflow_stress.core.result import Json, Latency

_SUMS = ("statements", "idle_seconds", "notices", "rows_left_out", "rss_peak_total_bytes")
_LATENCIES = {"start_tasks": "start_tasks", "fail": "fail", "complete": "complete"}
_OF_A_SCHEDULE = {
    "lag_busy_ns": "lag_busy",
    "lag_late_ns": "lag_late",
    "start_service_ns": "start_service",
    "service_ns": "execute_service",
}


def client_of(parts: Sequence[Part]) -> Json:
    """The clients of one repetition together; what cannot be told of several hosts is left out, not guessed."""
    clients = [part.repetition.client for part in parts]
    tasks = [part.repetition.tasks.completed for part in parts]
    lasted = [_worker_seconds(part) for part in parts]
    polls = _polls(parts)
    statements = sum(_numbers(clients, "statements"))
    merged: Json = {
        "cpu_ns_per_task": _weighted(clients, "cpu_ns_per_task", tasks),
        "utilization": _weighted(clients, "utilization", lasted),
        "run_queue_share": _weighted(clients, "run_queue_share", lasted),
        "server_waited_share": _weighted(clients, "server_waited_share", lasted),
        "by_worker": _by_worker(clients),
        "rss_peak_bytes": max(_numbers(clients, "rss_peak_bytes"), default=0),
        "rss_peak_since": clients[0].get("rss_peak_since"),
        "work_ns_per_task": _weighted(clients, "work_ns_per_task", tasks),
        **{name: sum(_numbers(clients, name)) for name in _SUMS},
        "statements_per_task": (statements - polls["empty"]) / sum(tasks) if sum(tasks) else None,
        "longest_cycle_ns": max(_numbers(clients, "longest_cycle_ns"), default=0),
        "polls": polls,
        **{name: {"latency_ns": _latency(parts, operation)} for name, operation in _LATENCIES.items()},
        "round_trip_ns": _latency(parts, "round_trip"),
        "round_trip_ns_by_connection": [ns for c in clients for ns in c.get("round_trip_ns_by_connection") or ()],
        "errors": [{**one, "host": part.host} for part in parts for one in part.repetition.client.get("errors") or ()],
        "littles_law": _worst_law(clients),
        "host": _worst_of(clients, "host"),
    }
    if any("schedule" in client for client in clients):
        merged["schedule"] = _schedule(parts)
    return merged


def _worker_seconds(part: Part) -> float:
    by_worker = part.repetition.client.get("by_worker") or {}
    process = part.repetition.phases.get("process")
    return (process.seconds if process else 0.0) * len(by_worker.get("cpu_share") or ())


def _numbers(documents: Iterable[Json], name: str) -> list[Any]:
    return [value for document in documents if isinstance(value := document.get(name), int | float)]


def _weighted(documents: Sequence[Json], name: str, weights: Sequence[float]) -> float | None:
    """The mean of a share; None where a host does not tell it, or it is a share of nothing."""
    values = [document.get(name) for document in documents]
    if sum(weights) <= 0 or any(value is None and weight for value, weight in zip(values, weights, strict=True)):
        return None
    return float(sum((value or 0.0) * w for value, w in zip(values, weights, strict=True)) / sum(weights))


def _by_worker(clients: Sequence[Json]) -> Json:
    told = [client.get("by_worker") or {} for client in clients]
    names = set(told[0]).intersection(*told[1:])
    return {name: [share for one in told for share in one[name]] for name in told[0] if name in names}


def _latency(parts: Sequence[Part], operation: str) -> Json:
    found: Latency = latency_of(merge(part.histograms[operation] for part in parts if operation in part.histograms))
    return asdict(found)


def _polls(parts: Sequence[Part]) -> Json:
    told = [part.repetition.client.get("polls") or {} for part in parts]
    count, empty, messages, unclaimed = (
        sum(_numbers(told, name)) for name in ("count", "empty", "messages", "unclaimed")
    )
    return {
        "count": count,
        "empty": empty,
        "messages": messages,
        "tasks_per_poll": messages / (count - empty) if count > empty else None,
        "unclaimed": unclaimed,
        "latency_ns": _latency(parts, "read"),
    }


def _worst_law(clients: Sequence[Json]) -> Json:
    laws: list[Json] = [client.get("littles_law") or {} for client in clients]
    return max(laws, key=lambda law: abs((law.get("ratio") or 1.0) - 1.0))


def _worst_of(clients: Sequence[Json], name: str) -> Json:
    told = [client.get(name) or {} for client in clients]
    names = dict.fromkeys(key for one in told for key in one)
    return {key: max(values) for key in names if (values := _numbers(told, key))}


def _schedule(parts: Sequence[Part]) -> Json:
    told = [part.repetition.client.get("schedule") or {} for part in parts]
    rates: Json = {}
    for name in ("offered_per_second", "started_per_second"):
        found = _numbers(told, name)
        rates[name] = sum(found) if len(found) == len(told) else None
    return {
        **{name: sum(_numbers(told, name)) for name in ("started", "skipped", "not_started")},
        **rates,
        **{name: _latency(parts, operation) for name, operation in _OF_A_SCHEDULE.items()},
    }
