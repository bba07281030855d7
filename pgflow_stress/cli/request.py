"""What `run` was asked to do: every source resolved, everything checked that can be without touching anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pgflow_stress.cli.fault_options import checked_faults, reconnect_seconds
from pgflow_stress.cli.host_options import HostPart, checked_hosts
from pgflow_stress.cli.interference_options import checked_interference, history_of, with_interference
from pgflow_stress.cli.old_script import scenario_size
from pgflow_stress.cli.own_flows import implied_scenario, own_flows
from pgflow_stress.cli.param_types import AUTO
from pgflow_stress.cli.realtime_options import check_runs, realtime_access
from pgflow_stress.cli.scenario_files import is_file, placed, put_in
from pgflow_stress.cli.scenario_parameters import check_parameters, scenario_parameters, with_preset
from pgflow_stress.cli.soak_options import checked_soak, settle_soak
from pgflow_stress.cli.sources import given, typed
from pgflow_stress.cli.worker_model import with_worker_model
from pgflow_stress.core.errors import UsageFault
from pgflow_stress.core.units import NS_PER_US
from pgflow_stress.scenario.durations import NO_WORK
from pgflow_stress.scenario.options import Mode, Orphans, RunOptions, parse_deal
from pgflow_stress.scenario.plan import Plan, make_plan
from pgflow_stress.scenario.presets import shape_of
from pgflow_stress.scenario.schedule import Arrival, Late, Stage, parse_stages
from pgflow_stress.target.base import Isolation, TargetOptions

if TYPE_CHECKING:  # numpy is not wanted before it is needed
    from pgflow_stress.analysis.evidence import Limits
    from pgflow_stress.analysis.threshold import Threshold

STOCK_JOB = ("single-flow", "concurrent-flows")
PILOT_REPETITIONS = 10  # of --repetitions auto
_LEAST_FOR_COST = 2  # counted repetitions: of a single pair there is no interval
_SECONDS_PER_DAY = 86_400


@dataclass(frozen=True, slots=True)
class RunRequest:
    """One call of `run`."""

    plans: tuple[Plan, ...]
    target: TargetOptions
    limits: Limits
    thresholds: tuple[Threshold, ...] = ()
    strict: bool = False
    full: bool = False
    output: str | None = None
    json: str | None = None
    quiet: bool = False
    progress_seconds: float | None = None
    prometheus: int | None = None  # the port of the endpoint
    part: HostPart | None = None  # where this is one host of several
    hosts: str | None = None  # where this asks several
    workers_given: bool = False  # and not a core each


def run_request(ctx: click.Context) -> RunRequest:
    """The request that the parsed command line of `run` makes.

    Raises:
        UsageFault: unknown scenario, sizes that cannot be run, a bad threshold or limit, or options that do not go
            together.
    """
    values = ctx.params
    typed_names: tuple[str, ...] = values["scenario"]
    names = put_in(ctx, typed_names) or implied_scenario(values) or STOCK_JOB
    settle_soak(ctx)
    _check_observer(values)
    disturbed: dict[str, Any] = {"faults": checked_faults(values), "interference": checked_interference(values)}
    _check_telemetry(values)
    check_parameters(ctx, names)
    part = checked_hosts(values, target_options(ctx), len(names))
    limits, thresholds = _limits(values["limit"]), _thresholds(values["threshold"], values["events"])
    file = Path(typed_names[0]).name if typed_names and is_file(typed_names[0]) else None
    try:
        plans = tuple(_plan(ctx, name, file, disturbed) for name in names)  # last: a flow of the user's own is read
        check_runs(plans)
    except UsageFault as fault:
        raise (placed(ctx, typed_names[0], fault) if file else fault) from None
    return RunRequest(
        plans=plans,
        target=replace(
            with_interference(target_options(ctx), disturbed["interference"], plans),
            events=values["events"],
            days_ahead=max(_days_ahead(plan.options) for plan in plans),
            aged=any(plan.options.history for plan in plans),
            analyzed=values["planner_statistics"] != "none",
            deployed=next((plan.work.deployed for plan in plans if plan.work.deployed is not None), None),
            sessions=max(plan.sessions for plan in plans),
            names_backends=_about_backends(values),
        ),
        limits=limits,
        thresholds=thresholds,
        strict=values["strict"],
        full=values["full"],
        output=values["output"],
        json=values["json"],
        quiet=values["quiet"],
        progress_seconds=values["progress"],
        prometheus=values["prometheus"],
        part=part,
        hosts=values.get("hosts"),
        workers_given=given(ctx, "workers"),
    )


def _check_observer(values: dict[str, Any]) -> None:
    if values["events"] == "none":
        for option, name in (("--observer-delay", "observer_delay"), ("--observer-cost", "observer_cost")):
            if values[name]:
                raise UsageFault(f"{option} is about an observer: give --events notify or --events wal as well")
    if values["observer_cost"] and values["repetitions"] == AUTO:
        raise UsageFault("--observer-cost has pairs of its own: give --repetitions a number")
    if values["observer_cost"] and values["repetitions"] < _LEAST_FOR_COST:
        raise UsageFault(
            f"--observer-cost compares pairs of repetitions, with the observer and without: "
            f"--repetitions {values['repetitions']} is too few, give at least {_LEAST_FOR_COST}"
        )


def _check_telemetry(values: dict[str, Any]) -> None:
    if values["prometheus"] == 0 and values["quiet"]:
        raise UsageFault("--prometheus 0 tells its port on standard error: leave --quiet out, or name a port")
    if values["telemetry"] == "off":
        for option, name in (("--telemetry-cost", "telemetry_cost"), ("--pooler-admin-dsn", "pooler_admin_dsn")):
            if values[name]:
                raise UsageFault(f"{option} is about telemetry: leave --telemetry off out")
    if values["telemetry_cost"] and values["observer_cost"]:
        raise UsageFault(
            "--telemetry-cost and --observer-cost each interleave repetitions of their own: give one of them"
        )
    if values["telemetry_cost"] and values["repetitions"] == AUTO:
        raise UsageFault("--telemetry-cost has pairs of its own: give --repetitions a number")
    if values["telemetry_cost"] and values["repetitions"] < _LEAST_FOR_COST:
        raise UsageFault(
            f"--telemetry-cost compares pairs of repetitions, with telemetry and without: "
            f"--repetitions {values['repetitions']} is too few, give at least {_LEAST_FOR_COST}"
        )


def _repetitions(ctx: click.Context) -> dict[str, Any]:
    """The options of RunOptions that say how many repetitions."""
    values = ctx.params
    if values["repetitions"] == AUTO:
        return {"repetitions": PILOT_REPETITIONS, "precision": values["precision"]}
    if given(ctx, "precision"):
        raise UsageFault("--precision says how many repetitions auto takes: give --repetitions auto as well")
    return {"repetitions": values["repetitions"]}


def _check_probe(values: Mapping[str, Any]) -> None:
    if not values["probe_client"]:
        return
    for other in ("observer-cost", "telemetry-cost"):
        if values[other.replace("-", "_")]:
            raise UsageFault(f"--probe-client and --{other} each interleave repetitions of their own: give one of them")
    if values["rate"] is not None or values["stages"]:
        raise UsageFault("--probe-client asks what holds the rate, and the rate of an open load is its schedule's")
    if values["repetitions"] == AUTO:
        raise UsageFault("--probe-client interleaves repetitions of its own: give --repetitions a number")
    if values["repetitions"] < _LEAST_FOR_COST or not values["warmup"]:
        raise UsageFault(
            f"--probe-client compares pairs of repetitions, and a warm-up says what a task costs: give at least "
            f"--repetitions {_LEAST_FOR_COST} and --warmup 1"
        )


def _load(ctx: click.Context, values: Mapping[str, Any]) -> dict[str, Any]:
    """The options of RunOptions that say the load model.

    Raises:
        UsageFault: options of two load models, or one without its load.
    """
    rate, in_flight, duration = values["rate"], values["in_flight"], values["duration"]
    stages = parse_stages(values["stages"]) if values["stages"] else ()
    if (rate is not None) + (in_flight is not None) + bool(stages) > 1:
        raise UsageFault("--rate, --stages and --in-flight are loads of their own: give one of them")
    if stages and duration is not None:
        raise UsageFault("--stages say how long they last: leave --duration out")
    if rate is None and in_flight is None and not stages:
        for name in ("duration", "starters", "arrival", "late"):
            if given(ctx, name):
                raise UsageFault(
                    f"--{name} is for an open or closed load: give --rate, --stages or --in-flight as well"
                )
    if in_flight is not None and (given(ctx, "arrival") or given(ctx, "late")):
        raise UsageFault("--arrival and --late belong to an open load: --in-flight has no schedule")
    if rate is not None:
        stages = (Stage(duration or 1.0, rate),)
    elif stages:
        duration = sum(stage.seconds for stage in stages)
    return {
        "in_flight": in_flight,
        "stages": stages,
        "arrival": Arrival(values["arrival"]),
        "late": Late(values["late"]),
        "starters": values["starters"],
        "duration_seconds": duration,
    }


def _days_ahead(options: RunOptions) -> int:
    """For how many days after today events must find a partition: a repetition may go on past midnight."""
    return 1 + int((options.timeout_seconds + (options.duration_seconds or 0.0)) // _SECONDS_PER_DAY)


def _about_backends(values: Mapping[str, Any]) -> tuple[str, ...]:
    """Options that are about the workers' own backends."""
    pinned = any(role == "postgres" for role, _ in values["pin"] or ())
    return (*(["--fault"] if values.get("fault") else []), *(["--pin postgres="] if pinned else []))


def _shared_options(values: Mapping[str, Any]) -> RunOptions:
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
        warmup=values["warmup"],
        seed=values["seed"],
        deal=parse_deal(values["deal"]),
        events=values["events"],
        realtime=realtime_access(values),
        allow_rate_limit=bool(values.get("allow_rate_limit")),
        observer_delay_ms=values["observer_delay"],
        observer_cost=values["observer_cost"],
        telemetry=values["telemetry"],
        telemetry_interval_seconds=values["telemetry_interval"],
        telemetry_cost=values["telemetry_cost"],
        pooler_admin_dsn=values["pooler_admin_dsn"] or None,
        worker_model=values["worker_model"],
        work=values["work"] or NO_WORK,
        concurrency=values["concurrency"],
        max_pg_connections=values["max_pg_connections"],
        heartbeat_seconds=values["heartbeat_interval"],
        client_delay_ns=round(values["client_delay"] * NS_PER_US),
        probe_client=values["probe_client"],
        planner_statistics=values["planner_statistics"],
        soak=bool(values.get("soak")),
        pin=values["pin"] or (),
        purpose=values["purpose"],
        reconnect_seconds=reconnect_seconds(values),
        host_id=values.get("host_id"),
    )


def _plan(ctx: click.Context, name: str, file: str | None, disturbed: Mapping[str, Any]) -> Plan:
    """`disturbed`: the options of RunOptions that say what else happens to it, or goes on."""
    values = with_worker_model(ctx, with_preset(ctx, name))
    _check_probe(values)
    load = _load(ctx, values)
    shared = replace(
        _shared_options(values),
        **load,
        **_repetitions(ctx),
        **disturbed,
        history=history_of(disturbed["interference"], values),
        prunes=checked_soak(values, load["duration_seconds"]),
    )
    shape = shape_of(name)
    if shape is None:
        return make_plan(name, shared)  # it knows what to say
    steps = values["steps"] if values["steps"] is not None else scenario_size(ctx, "steps", shape)
    flows = values["flows"] if values["flows"] is not None else scenario_size(ctx, "flows", shape)
    parameters = scenario_parameters(values, shape)
    own = own_flows(ctx, shape, parameters, target_options(ctx))
    return make_plan(
        name, replace(shared, steps=steps, flows=flows, parameters=parameters, own_flows=own, scenario_file=file)
    )


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
        direct_dsn=values.get("direct_dsn") or None,
        pooler_admin_dsn=values.get("pooler_admin_dsn") or None,
        pgflow=values["pgflow"],
        pg_settings=tuple((name.strip(), value.strip()) for name, _, value in settings),
        realtime_send=values.get("realtime_send", TargetOptions().realtime_send),
        purpose=values.get("purpose", TargetOptions().purpose),  # of commands that have the option
    )


def _limits(texts: tuple[str, ...]) -> Limits:
    from pgflow_stress.analysis.limits import with_limits  # noqa: PLC0415  as below

    return with_limits(texts)


def _thresholds(texts: tuple[str, ...], events: str) -> tuple[Threshold, ...]:
    if not texts:
        return ()
    from pgflow_stress.analysis.threshold import parse  # noqa: PLC0415  pulls in numpy

    thresholds = tuple(parse(text) for text in texts)
    for threshold in thresholds:
        if events == "none" and threshold.metric.startswith("deliver."):
            raise UsageFault(
                f"threshold {threshold.text!r}: nobody observes events; give --events notify or wal as well"
            )
    return thresholds
