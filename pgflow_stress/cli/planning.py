"""The course of one `plan`: costs out of results, or measured now; arithmetic on them; told."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from pgflow_stress.cli.assemble import outcome, tool
from pgflow_stress.cli.output import check_json, write_json
from pgflow_stress.cli.plan_request import PlanRequest
from pgflow_stress.cli.running import Session
from pgflow_stress.cli.streams import complain, say, show
from pgflow_stress.core.errors import UsageFault
from pgflow_stress.core.exit_codes import ExitCode, worst
from pgflow_stress.core.result import Json, Result
from pgflow_stress.engine.measurement import Ending
from pgflow_stress.scenario.events import events_expected
from pgflow_stress.scenario.plan import Plan

if TYPE_CHECKING:
    from pgflow_stress.cli.request import RunRequest
    from pgflow_stress.report.plan import Planned

_FREEZE = "autovacuum_freeze_max_age"


def execute(request: PlanRequest) -> ExitCode:
    """Tell what the rate asks for; the worst code of what was measured for it.

    Raises:
        UsageFault: a result that is none, or of something else; the document could not be written.
    """
    if request.json:
        check_json(request.json)
    endings: Sequence[Ending] = ()
    if request.results:
        labelled = _read(request)
    else:
        labelled, endings = _measured(request)
    if labelled:
        planned = _planned(request, labelled, endings)
        if request.json:
            from pgflow_stress.report.plan import plan_json  # noqa: PLC0415  --help is to be quick

            write_json(plan_json(planned), request.json)
        if not request.quiet:
            _show(planned)
    for ending in endings:
        complain(ending.reason)
    return worst(ending.code for ending in endings)


def _read(request: PlanRequest) -> list[tuple[str, Result]]:
    from pgflow_stress.report.saved import load  # noqa: PLC0415

    found = []
    for path in request.results:
        for saved in load([path]):
            _require_fitting(str(path), saved.result, request.plan)
            found.append((str(path), saved.result))
    return found


def _require_fitting(name: str, result: Result, plan: Plan) -> None:
    """Costs are of one shape of run.

    Raises:
        UsageFault: it is another scenario's, or of another size.
    """
    was = result.scenario.get("name")
    if was != plan.scenario:
        raise UsageFault(f"{name} is of {was}, and the target of {plan.scenario}: give a result of that")
    parameters: dict[str, Any] = result.scenario.get("parameters") or {}
    for parameter, value in plan.values:
        found = parameters.get(parameter.replace("-", "_"))
        if found != value:
            raise UsageFault(f"{name} has {parameter} {found}, and the target {value}: a run is another there")
    if not any(repetition.counted for repetition in result.repetitions):
        raise UsageFault(f"{name} has no counted repetition: nothing follows from it")


class _Loads(Session):
    """One load, measured as `run` does, its result kept here alone."""

    def __init__(self, request: RunRequest) -> None:
        super().__init__(request, _Nowhere())  # type: ignore[arg-type]

    @property
    def results(self) -> list[Result]:
        """What was measured."""
        return self._results

    @property
    def endings(self) -> list[Ending]:
        """Why it ended as it did."""
        return [*self._told, *self._untold]


class _Nowhere:
    """No directory and no document: what is told is the plan."""

    def directory(self, _scenario: str) -> None:
        """None is made."""


def _measured(request: PlanRequest) -> tuple[list[tuple[str, Result]], list[Ending]]:
    found: list[tuple[str, Result]] = []
    endings: list[Ending] = []
    for load in request.loads:
        in_flight = load.plans[0].options.in_flight
        if not request.quiet:
            say(f"plan: measuring costs with {in_flight} runs in flight")
        session = _Loads(load)
        session.measure()
        endings += session.endings
        found += [(f"measured now, {in_flight} runs in flight", result) for result in session.results]
        if session.endings:
            break
    return [] if endings else found, endings


def _planned(request: PlanRequest, labelled: Sequence[tuple[str, Result]], endings: Sequence[Ending]) -> Planned:
    from pgflow_stress.analysis.costs import cost, costs_of  # noqa: PLC0415  scipy
    from pgflow_stress.analysis.planning import Wish, figures, quotas  # noqa: PLC0415
    from pgflow_stress.report.plan import Planned  # noqa: PLC0415

    plan = request.plan
    groups = [[costs_of(one) for one in result.repetitions if one.counted] for _, result in labelled]
    names = list(groups[0][0])
    costs = {name: cost(name, [[one[name] for one in group] for group in groups]) for name in names}
    environment = labelled[0][1].environment
    wish = Wish(
        request.wanted.runs_per_second(plan.tasks_per_run),
        plan.tasks_per_run,
        events_expected(plan.work) / plan.runs,
        **_freeze(environment.get("settings") or {}),
    )
    return Planned(
        tool=tool(),
        target=request.wanted.text,
        scenario={"name": plan.scenario, "parameters": dict(plan.values)},
        figures=tuple(figures(wish, costs)),
        quotas=tuple(quotas(wish)),
        costs=tuple(costs.values()),
        rests_on=tuple(_about(name, result) for name, result in labelled),
        environment=environment,
        outcome=outcome(endings),
    )


def _freeze(settings: Json) -> dict[str, int]:
    """The server's own limit, where the fingerprint has it."""
    try:
        return {"freeze_max_age": int(settings[_FREEZE])} if _FREEZE in settings else {}
    except (TypeError, ValueError):
        return {}


def _about(name: str, result: Result) -> Json:
    counted = [one for one in result.repetitions if one.counted]
    rates = [rate for one in counted if (rate := one.phases["process"].per_second)]
    return {
        "label": name,
        "load_model": result.load_model,
        "tasks_per_second": sum(rates) / len(rates) if rates else 0.0,
        "repetitions": len(counted),
        "workers": result.scenario["parameters"].get("workers"),
        "valid": result.verdict.valid,
    }


def _show(planned: Planned) -> None:
    from pgflow_stress.report.plan import render_plan  # noqa: PLC0415

    show(partial(render_plan, planned))
