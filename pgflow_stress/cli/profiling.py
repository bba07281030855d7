"""What `profile` was asked to do: the request of `run`, saturating, with all that is to be seen."""

from __future__ import annotations

import os
from dataclasses import replace

import click

from pgflow_stress.cli.own_flows import implied_scenario
from pgflow_stress.cli.param_types import AUTO
from pgflow_stress.cli.request import RunRequest, run_request
from pgflow_stress.cli.sources import given
from pgflow_stress.core.errors import UsageFault
from pgflow_stress.scenario.plan import Plan
from pgflow_stress.scenario.presets import PRESETS, shape_of

_WORKERS_PER_CORE = 2  # one executes while another's backend waits for the disk, a lock or its worker
_MOST_WORKERS = 64
_MOST_CYCLES = 50  # that a worker is to have, whatever the rules of a rate ask for
_SIZES = ("steps", "flows", "runs", "scale", "in_flight", "duration", "full")


def profile_request(ctx: click.Context) -> RunRequest:
    """The request that the parsed command line of `profile` makes.

    Raises:
        UsageFault: whatever `run` refuses, or a scenario that starts nothing.
        click.UsageError: no scenario.
    """
    values = ctx.params
    if values["scenario"] is None:
        values["scenario"] = next(iter(implied_scenario(values)), None)
    if values["scenario"] is None:
        raise click.UsageError("Missing argument 'SCENARIO'.", ctx)
    shape = shape_of(values["scenario"])
    if shape is not None and not shape.starts:
        raise UsageFault(f"{values['scenario']} starts no run, and a profile is of tasks: take another")
    if values["repetitions"] == AUTO:
        raise UsageFault("a profile is no estimate of a rate: give --repetitions a number")
    values.update(scenario=(values["scenario"],), rate=None, stages=None, arrival="constant", late="keep")
    values.update(telemetry="full", precision=None, observer_cost=False, telemetry_cost=False, probe_client=False)
    if not given(ctx, "workers"):
        values["workers"] = min(_MOST_WORKERS, _WORKERS_PER_CORE * len(os.sched_getaffinity(0)))
    if not _is_sized(ctx):
        values["full"] = True
        values["warmup"] = values["warmup"] if given(ctx, "warmup") else 0  # the pilot is one
    request = run_request(ctx)
    plans = tuple(_profiled(plan, call_graphs=values["perf"]) for plan in request.plans)
    # A profile tells of a rate's causes, not of its interval: a window of some seconds is long enough.
    limits = replace(request.limits, min_cycles_per_worker=min(_MOST_CYCLES, request.limits.min_cycles_per_worker))
    return replace(request, plans=plans, target=replace(request.target, profiled=True), limits=limits)


def _is_sized(ctx: click.Context) -> bool:
    """Whether it was said how much there is to do; a preset's load of its own says it too."""
    preset = PRESETS.get(ctx.params["scenario"][0])
    own = {option.replace("-", "_") for option, _ in preset.options} if preset is not None else set()
    return any(given(ctx, name) for name in _SIZES) or "in_flight" in own


def _profiled(plan: Plan, *, call_graphs: bool) -> Plan:
    return replace(plan, options=replace(plan.options, profiled=True, call_graphs=call_graphs))
