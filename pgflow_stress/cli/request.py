"""What `run` was asked to do: every source resolved, everything checked that can be without touching anything."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from pgflow_stress.cli.later import NOT_YET
from pgflow_stress.cli.old_script import scenario_size
from pgflow_stress.cli.sources import given, typed
from pgflow_stress.core.errors import UsageFault
from pgflow_stress.scenario.options import Mode, Orphans, RunOptions
from pgflow_stress.scenario.plan import Plan, make_plan
from pgflow_stress.scenario.shapes import SHAPES
from pgflow_stress.target.base import Isolation, TargetOptions

if TYPE_CHECKING:  # numpy is not wanted before it is needed
    from pgflow_stress.analysis.threshold import Threshold

STOCK_JOB = ("single-flow", "concurrent-flows")
_LATER_OPTIONS = ("rate", "arrival", "starters", "duration")


@dataclass(frozen=True, slots=True)
class RunRequest:
    """One call of `run`."""

    plans: tuple[Plan, ...]
    target: TargetOptions
    thresholds: tuple[Threshold, ...] = ()
    strict: bool = False
    output: str | None = None
    json: str | None = None
    quiet: bool = False
    progress_seconds: float | None = None


def run_request(ctx: click.Context) -> RunRequest:
    """The request that the parsed command line of `run` makes.

    Raises:
        UsageFault: unknown scenario, sizes that cannot be run, a bad threshold, an option that comes later.
    """
    values = ctx.params
    _refuse_later(ctx)
    shared = _shared_options(values)
    names: tuple[str, ...] = values["scenario"] or STOCK_JOB
    return RunRequest(
        plans=tuple(_plan(ctx, name, shared) for name in names),
        target=target_options(ctx),
        thresholds=_thresholds(values["threshold"]),
        strict=values["strict"],
        output=values["output"],
        json=values["json"],
        quiet=values["quiet"],
        progress_seconds=values["progress"],
    )


def _refuse_later(ctx: click.Context) -> None:
    for name in _LATER_OPTIONS:
        if given(ctx, name):
            raise UsageFault(f"--{name} {NOT_YET}")
    values = ctx.params
    if values["full"]:
        raise UsageFault(f"--full {NOT_YET}")
    if values["events"] != "none":
        raise UsageFault(f"--events {values['events']} {NOT_YET}; only none is")
    if values["worker_model"] != "ceiling":
        raise UsageFault(f"--worker-model {values['worker_model']} {NOT_YET}; only ceiling is")


def _shared_options(values: dict[str, Any]) -> RunOptions:
    return RunOptions(
        workers=values["workers"],
        runs=values["runs"],
        scale=values["scale"],
        creation=Mode(values["creation"]),
        completion=Mode(values["completion"]),
        completion_batch_size=values["completion_batch_size"],
        poll_size=values["poll_size"],
        in_flight_statements=values["in_flight_statements"],
        empty_poll=values["empty_poll"],
        vt_seconds=values["vt"],
        payload_bytes=values["payload"],
        orphans=Orphans(values["orphans"]),
        timeout_seconds=values["timeout"],
        drain_timeout_seconds=values["drain_timeout"],
        stall_timeout_seconds=values["stall_timeout"],
        repetitions=values["repetitions"],
        warmup=values["warmup"],
        seed=values["seed"],
        events=values["events"],
        worker_model=values["worker_model"],
        pin=values["pin"] or (),
        purpose=values["purpose"],
    )


def _plan(ctx: click.Context, name: str, shared: RunOptions) -> Plan:
    shape = SHAPES.get(name)
    if shape is None:
        return make_plan(name, shared)  # it knows what to say
    steps, flows = scenario_size(ctx, "steps", shape), scenario_size(ctx, "flows", shape)
    return make_plan(name, replace(shared, steps=steps, flows=flows))


def target_options(ctx: click.Context) -> TargetOptions:
    """Which database, and what may be done to it."""
    values = ctx.params
    settings = (text.partition("=") for text in values["pg_setting"])
    return TargetOptions(
        dsn=values["dsn"] or None,
        dsn_typed=typed(ctx, "dsn"),
        isolation=Isolation(values["isolation"]) if values["isolation"] else None,
        yes_on=values["yes_on"],
        allow_remote=values["allow_remote"],
        pgflow=values["pgflow"],
        pg_settings=tuple((name.strip(), value.strip()) for name, _, value in settings),
        realtime_send=values["realtime_send"],
        purpose=values.get("purpose", TargetOptions().purpose),  # of commands that have the option
    )


def _thresholds(texts: tuple[str, ...]) -> tuple[Threshold, ...]:
    if not texts:
        return ()
    from pgflow_stress.analysis.threshold import parse  # noqa: PLC0415  pulls in numpy

    return tuple(parse(text) for text in texts)
