"""What a reader is told of the workers' model and of simulated work, in plain lines: for every form of report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pgflow_stress.analysis import formats
from pgflow_stress.core.result import Result
from pgflow_stress.core.units import NS_PER_SECOND

_FULL = 0.8  # of the workers' places for tasks at work: what is left is polling and completing


def is_edge_worker(parameters: Mapping[str, Any]) -> bool:
    """Whether the workers were pgflow's own, reproduced."""
    return parameters.get("worker_model") == "edge-worker"


def workers(parameters: Mapping[str, Any]) -> str:
    """How many worked, of which model, and how."""
    p = parameters
    plural = "" if p["workers"] == 1 else "s"
    at_once = f", {p['concurrency']} at once" if p.get("concurrency") else ""
    work = f", work {p['work']}" if p.get("work") else ""
    if is_edge_worker(p):
        pool = f" over {p['max_pg_connections']} connection{'' if p['max_pg_connections'] == 1 else 's'}"
        return f"{p['workers']} edge-worker{plural}{at_once}{pool}, poll {p['poll_size']}{work}"
    return f"{p['workers']} worker{plural}, completion {p['completion']}, poll {p['poll_size']}{at_once}{work}"


def model_labels(parameters: Mapping[str, Any]) -> list[str]:
    """How far the numbers carry because of how the workers worked."""
    said = []
    if is_edge_worker(parameters):
        said.append("pgflow's own worker reproduced: its statements and its waits, without its JavaScript")
    elif parameters.get("completion") == "batch":
        said.append("one statement for many completions: not what pgflow's own worker does")
    if parameters.get("work"):
        said.append("simulated work: what real handlers cost this host or ask of the database is not in it")
    return said


def model_steps(parameters: Mapping[str, Any]) -> list[str]:
    """Which other model to try next."""
    if is_edge_worker(parameters):
        return ["how far the database itself goes: --worker-model ceiling"]
    if parameters.get("completion") == "batch":
        return ["as pgflow's own worker works: --worker-model edge-worker"]
    return []


def at_work(result: Result) -> str | None:
    """That the workers' places were full of simulated work, where that held the rate."""
    p = result.scenario["parameters"]
    if not p.get("work") or not p.get("concurrency"):
        return None
    shares = []
    for one in result.repetitions:
        process, work_ns = one.phases.get("process"), one.client.get("work_ns_per_task")
        if one.counted and process is not None and process.seconds and work_ns:
            shares.append(work_ns * process.count / (process.seconds * NS_PER_SECOND * p["workers"] * p["concurrency"]))
    share = sum(shares) / len(shares) if shares else 0.0
    if share < _FULL:
        return None
    places = p["workers"] * p["concurrency"]
    return f"the simulated work: {places:,} tasks at once is all that the workers take, {formats.share(share)} at work"
