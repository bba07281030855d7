"""What `plan` was asked: the target's own plan, and the loads that its costs are measured under."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from pgflow_stress.cli.request import RunRequest, run_request
from pgflow_stress.core.errors import UsageFault
from pgflow_stress.scenario.plan import Plan
from pgflow_stress.scenario.presets import shape_of
from pgflow_stress.scenario.wanted import Wanted, parse_wanted

FULL_POLLS = 16  # runs in flight a worker: enough that a poll finds as much as it may bring, of most scenarios
_NOTHING = {
    "rate": None, "stages": None, "in_flight": None, "late": "keep", "arrival": "constant", "starters": None,
    "runs": None, "duration": None, "full": False, "threshold": (), "strict": False, "observer_cost": False,
    "telemetry_cost": False, "telemetry": "light", "probe_client": False, "precision": None, "fault": (),
    "reconnect_budget": None, "scale": 1.0, "events": "none", "observer_delay": 0.0, "output": None, "history": None,
    "limit": (), "planner_statistics": "none",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """One call of `plan`."""

    wanted: Wanted
    plan: Plan  # of the target: what a run is
    results: tuple[Path, ...]  # empty: costs are measured now
    loads: tuple[RunRequest, ...]  # each of one plan
    json: str | None
    quiet: bool


def plan_request(ctx: click.Context) -> PlanRequest:
    """The request that the parsed command line makes.

    Raises:
        UsageFault: a target that is none, or what `run` refuses.
    """
    values = ctx.params
    wanted = parse_wanted(values["target"])
    shape = shape_of(wanted.scenario)
    if shape is not None and not shape.starts:
        raise UsageFault(f"--target {wanted.text!r}: {wanted.scenario} starts no run")
    if not isinstance(values["repetitions"], int):
        raise UsageFault("plan takes a number of repetitions: give --repetitions N")
    results: tuple[Path, ...] = values["results"]
    seconds = values["seconds"]
    ctx.params.update(_NOTHING, scenario=(wanted.scenario,), steps=None, param=wanted.parameters)
    if wanted.size is not None:
        if shape is not None and shape.size is None:
            raise UsageFault(f"--target {wanted.text!r}: {wanted.scenario} has no size; give NAME=VALUE")
        if not (wanted.size.isdigit() and int(wanted.size)):
            raise UsageFault(f"--target {wanted.text!r}: {wanted.size!r} is no whole number above 0")
        ctx.params["steps"] = int(wanted.size)
    target = run_request(ctx)
    loads = []
    for in_flight in () if results else sorted({values["workers"], FULL_POLLS * values["workers"]}):
        ctx.params.update(in_flight=in_flight, duration=seconds)
        loads.append(run_request(ctx))
    return PlanRequest(wanted, target.plans[0], results, tuple(loads), values["json"], values["quiet"])
