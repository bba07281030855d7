"""The course of one `compare --against`: check, fork, open the target, measure in turns, count, write, show."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

import click

from pgflow_stress.cli.assemble import outcome, target_parameters, tool
from pgflow_stress.cli.output import check_json, write_json
from pgflow_stress.cli.progress import make_watch
from pgflow_stress.cli.request import RunRequest, run_request
from pgflow_stress.cli.running import surroundings
from pgflow_stress.cli.sources import given
from pgflow_stress.cli.streams import complain, show
from pgflow_stress.core.errors import StressError, UsageFault
from pgflow_stress.core.exit_codes import ExitCode, worst
from pgflow_stress.core.result import Json
from pgflow_stress.engine.measurement import Ending
from pgflow_stress.engine.rivals import RIVALS
from pgflow_stress.scenario.plan import Plan

if TYPE_CHECKING:
    from pgflow_stress.engine.against import Course
    from pgflow_stress.engine.rivals.base import Rival
    from pgflow_stress.report.against import Told

SCENARIO = "single-flow"
# Every other option is about a load, or a question, that is not there with a rival.
_FITTING = frozenset(
    {"steps", "creation", "completion", "completion_batch_size", "poll_size", "in_flight_statements", "payload"}
    | {"seed", "pin", "pgflow", "dsn", "isolation", "yes_on", "allow_remote", "pg_setting", "realtime_send"}
    | {"timeout", "drain_timeout", "stall_timeout", "telemetry", "telemetry_interval", "warmup", "workers", "scale"}
    | {"quiet", "progress", "config", "results", "against", "json", "repetitions"}
)
_BATCHING = frozenset({"pgbench", "server"})


@dataclass(frozen=True, slots=True)
class AgainstRequest:
    """One call."""

    name: str  # of the rival
    run: RunRequest  # of one plan
    json: str | None


def against_request(ctx: click.Context) -> AgainstRequest:
    """The request of a parsed `compare --against`.

    Raises:
        UsageFault: a scenario, an option or sizes that there are not with a rival.
    """
    values = ctx.params
    if any(str(name) != SCENARIO for name in values["results"]):
        raise UsageFault(f"compare --against measures {SCENARIO} now and reads no results: leave the others out")
    for parameter in ctx.command.params:
        if parameter.name and parameter.name not in _FITTING and given(ctx, parameter.name):
            raise UsageFault(f"{max(parameter.opts, key=len)} does not go with --against: leave it out")
    if not isinstance(values["repetitions"], int):
        raise UsageFault("compare --against takes a number of pairs: give --repetitions N")
    if given(ctx, "workers") and values["workers"] != 1:
        raise UsageFault("compare --against has one connection that works on either side: leave --workers out")
    ctx.params.update(scenario=(SCENARIO,), workers=1)
    run = run_request(ctx)
    _check_sizes(values["against"], run.plans[0])
    return AgainstRequest(values["against"], run, values["json"])


def _check_sizes(name: str, plan: Plan) -> None:
    options = plan.options
    if name not in _BATCHING:
        return
    if options.poll_size != options.completion_batch_size:
        raise UsageFault(
            f"--against {name} completes what a poll brings in one go: give --poll-size and --completion-batch-size "
            "the same number"
        )
    if plan.expected_tasks % options.completion_batch_size:
        raise UsageFault(
            f"--against {name} has whole batches alone: give --steps a multiple of {options.completion_batch_size}"
        )


def execute(request: AgainstRequest) -> ExitCode:
    """Measure in turns, tell what was found; the worst code of both sides.

    Raises:
        UsageFault: the document could not be written where it is to go; nothing was touched.
    """
    if request.json:
        check_json(request.json)
    # The engine forks before anything here has a thread or a connection, so what may have one is imported after.
    from pgflow_stress.engine.engine import Engine  # noqa: PLC0415
    from pgflow_stress.target.opening import open_target  # noqa: PLC0415

    about, plan, told = tool(), request.run.plans[0], None
    watch = make_watch(request.run.quiet, request.run.progress_seconds)
    endings: list[Ending] = []
    try:
        with Engine([plan]) as engine, watch, open_target(request.run.target, watch.note) as target:
            from pgflow_stress.engine.against import Against, Course, measure_against  # noqa: PLC0415

            rival = _rival(request)
            around = surroundings(target, plan)
            course = Course()
            against = Against(plan, target, request.name, rival)
            try:
                measure_against(engine, against, watch, course)
            finally:  # what was measured before a bug of ours is kept
                endings += course.endings
                told = _told(request, about, rival, around, course)
    except StressError as fault:
        endings.append(Ending(fault.exit_code, str(fault)))
    if told is not None:
        _deliver(request, told)
    for ending in endings:
        complain(ending.reason)
    return worst(ending.code for ending in endings)


def _rival(request: AgainstRequest) -> Rival:
    from pgflow_stress.target.choice import choose_target  # noqa: PLC0415

    module, _, function = RIVALS[request.name].partition(":")
    wants_tls = choose_target(request.run.target, os.environ).wants_tls
    made: Rival = getattr(import_module(module), function)(request.run.plans[0].options, wants_tls)
    return made


def _told(request: AgainstRequest, about: Json, rival: Rival, around: Json, course: Course) -> Told:
    from pgflow_stress.analysis.against import figure  # noqa: PLC0415  scipy
    from pgflow_stress.analysis.summary import metrics_of  # noqa: PLC0415
    from pgflow_stress.report.against import Told  # noqa: PLC0415

    plan = request.run.plans[0]
    counted = [pair for pair in course.pairs if not pair.warmup]
    ours = [dict(metrics_of(pair.ours)) if pair.ours and pair.ours.counted else {} for pair in counted]
    theirs = [pair.theirs.figures if pair.theirs else {} for pair in counted]
    figures = [
        figure(name, [(one.get(name), other.get(name)) for one, other in zip(ours, theirs, strict=True)])
        for name in rival.metrics
    ]
    tasks = [
        (pair.ours.tasks.completed if pair.ours else None, pair.theirs.counted.tasks if pair.theirs else None)
        for pair in counted
    ]
    return Told(
        tool=about,
        name=request.name,
        about=rival.about(),
        scenario={"name": SCENARIO, "parameters": {**target_parameters(request.run.target), **plan.parameters()}},
        environment=around,
        figures=tuple(figures),
        expected=plan.expected_tasks,
        tasks=tuple(tasks),
        outcome=outcome(course.endings),
    )


def _deliver(request: AgainstRequest, told: Told) -> None:
    from pgflow_stress.report.against import against_json, render_against  # noqa: PLC0415

    if request.json:
        write_json(against_json(told), request.json)
    if not request.run.quiet:
        show(partial(render_against, told))
