"""What a database is aged by: a plan's own job, as many tasks of it as were asked for, as fast as it goes."""

from __future__ import annotations

import math
from dataclasses import replace

from pgflow_stress.scenario.durations import NO_WORK
from pgflow_stress.scenario.options import EmptyPoll, Mode, default_workers
from pgflow_stress.scenario.plan import Plan

HISTORY_TIMEOUT_SECONDS = 24 * 3600.0


def past_of(plan: Plan) -> Plan:
    """The plan of what ages the database: a drained backlog of its own flows and runs, as fast as it goes.

    Nothing of it fails by design.
    """
    least = max(1, min(shape.tasks_per_run for shape in plan.work.shapes))
    work = replace(plan.work, runs=max(1, math.ceil(plan.history / least)), failing=None)
    if work.weights:  # dealt alike however many there are: no more than are needed
        work = replace(work, runs=max(1, int(work.first_task().searchsorted(plan.history))))
    else:
        work = replace(work, shape_of=work.shape_of[: work.runs])
    options = replace(
        plan.options, workers=max(plan.options.workers, default_workers()), purpose="compare", history=0,
        repetitions=1, warmup=0, in_flight=None, stages=(), duration_seconds=None, starters=None, events="none",
        observer_cost=False, probe_client=False, telemetry="off", telemetry_cost=False, client_delay_ns=0,
        creation=Mode.BATCH, completion=Mode.BATCH, worker_model="ceiling", work=NO_WORK, concurrency=None,
        empty_poll=EmptyPoll(), vt_seconds=None, timeout_seconds=HISTORY_TIMEOUT_SECONDS, faults=(),
        reconnect_seconds=0.0, interference=(), soak=False, prunes=(), planner_statistics="backlog",
    )  # fmt: skip
    return replace(plan, work=work, load_model="backlog-drain", options=options)
