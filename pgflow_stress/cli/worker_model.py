"""The worker models' own defaults, and what does not go with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from pgflow_stress.cli.sources import given
from pgflow_stress.core.errors import UsageFault
from pgflow_stress.scenario.options import EmptyPoll

# pgflow's own, of the pinned version's createFlowWorker: batchSize, visibilityTimeout, maxPollSeconds and
# pollIntervalMs, maxConcurrent; a completion a task.
EDGE_WORKER: Mapping[str, Any] = {
    "completion": "single",
    "poll_size": 10,
    "vt": 2,
    "empty_poll": EmptyPoll("read-with-poll", max_poll_seconds=2, poll_interval_ms=100),
    "concurrency": 10,
}
_ITS_OWN = ("max_pg_connections", "heartbeat_interval")


def with_worker_model(ctx: click.Context, values: Mapping[str, Any]) -> Mapping[str, Any]:
    """A command's values with the worker model's defaults where nothing was given.

    Raises:
        UsageFault: options that do not go with the model.
    """
    if values["worker_model"] == "edge-worker":
        _check_edge_worker(ctx, values)
        own = {key: value for key, value in EDGE_WORKER.items() if not _is_given(ctx, values, key)}
        return {**values, **own}
    _check_ceiling(ctx, values)
    if values["work"] and values["concurrency"] is None:
        return {**values, "concurrency": values["poll_size"]}
    return values


def _is_given(ctx: click.Context, values: Mapping[str, Any], key: str) -> bool:
    """By anybody: a preset too."""
    return given(ctx, key) or values[key] != ctx.params[key]


def _check_edge_worker(ctx: click.Context, values: Mapping[str, Any]) -> None:
    if _is_given(ctx, values, "completion") and values["completion"] != "single":
        raise UsageFault(
            f"--worker-model edge-worker completes each task by itself: leave --completion {values['completion']} out"
        )
    if _is_given(ctx, values, "empty_poll") and values["empty_poll"].kind != "read-with-poll":
        raise UsageFault(
            f"--worker-model edge-worker polls in the server: leave --empty-poll {values['empty_poll']} out, or give "
            "read-with-poll:S,MS"
        )


def _check_ceiling(ctx: click.Context, values: Mapping[str, Any]) -> None:
    for key in _ITS_OWN:
        if given(ctx, key):
            raise UsageFault(f"--{key.replace('_', '-')} is of --worker-model edge-worker, and this one is ceiling")
    if values["concurrency"] is not None and not values["work"]:
        raise UsageFault(
            "--concurrency is how many tasks work at once: give --work as well, or --worker-model edge-worker"
        )
    if values["work"] and values["empty_poll"].kind == "read-with-poll":
        raise UsageFault(
            "--work with a poll that waits in the server would hold up completions on the worker's one connection: "
            "give --empty-poll sleep:MS or spin, or --worker-model edge-worker"
        )
