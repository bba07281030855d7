"""What `find-max` was asked to do: the base of every window's plan, the limits, and how long windows are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import click

from pgflow_stress.cli.request import RunRequest, run_request
from pgflow_stress.core.errors import UsageFault
from pgflow_stress.scenario.options import RunOptions
from pgflow_stress.scenario.plan import Plan, make_plan
from pgflow_stress.scenario.presets import shape_of
from pgflow_stress.scenario.schedule import Stage, even_seed

if TYPE_CHECKING:  # numpy is not wanted before it is needed
    from pgflow_stress.analysis.holding import HoldRules
    from pgflow_stress.analysis.threshold import Threshold

ROOM_PER_SECOND = 3_000  # tasks a worker: no pgflow on one core has reached it
LEAST_SECONDS = 10.0
LEAST_RUNS = 1_000
PILOT_SECONDS = 3.0
_PILOT_IN_FLIGHT = 8  # runs a worker: enough to keep it busy
_LEAST_DRAIN_SECONDS = 10.0
_PART = {"doubling": 1 / 3, "probe": 1 / 2, "confirm": 1.0}  # of a confirming window
_ROOM = 1.1


@dataclass(frozen=True, slots=True)
class Windows:
    """How long a window lasts at a rate."""

    runs_needed: int  # so that ten samples lie beyond every percentile that is limited
    duration_seconds: float | None  # asked for; None: as computed

    def seconds(self, phase: str, per_second: float) -> float:
        """Of a window of this phase of the search."""
        whole = self.duration_seconds
        if whole is None:
            whole = max(LEAST_SECONDS, max(LEAST_RUNS, 2 * self.runs_needed) / per_second)
        # 5 % above the need: a schedule may have a run too few.
        return round(max(whole * _PART[phase], 1.05 * self.runs_needed / per_second), 3)


@dataclass(frozen=True, slots=True)
class FindMaxRequest:
    """One call of `find-max`."""

    run: RunRequest  # of one plan, whose options are every window's but for its load
    limits: tuple[Threshold, ...]
    hold: HoldRules
    windows: Windows
    budget_seconds: float
    start_per_second: float | None
    least_per_second: float | None
    most_per_second: float
    probes: int
    step: float  # a share
    timeout_seconds: float | None

    @property
    def scenario(self) -> str:
        """Its name."""
        return self.run.plans[0].scenario

    def window_plan(self, phase: str, per_second: float, seed: int) -> Plan:
        """One window: an open load of one repetition, whose schedule has the runs that the rate says."""
        stage = Stage(self.windows.seconds(phase, per_second), per_second)
        options = self.run.plans[0].options
        drawn, _ = even_seed(stage, options.arrival, seed)
        return make_plan(self.scenario, replace(self._window(stage), seed=drawn))

    def room_plan(self) -> Plan:
        """The largest window that there can be: the arena is mapped for it before anything is measured."""
        seconds = self.windows.seconds("confirm", self.most_per_second)
        stage = Stage(_ROOM * seconds + 100 / self.most_per_second, self.most_per_second)
        return make_plan(self.scenario, self._window(stage))

    def pilot_plan(self) -> Plan:
        """A short closed load, that says about what rate is possible."""
        options = self._window(Stage(PILOT_SECONDS, 1.0))
        in_flight = _PILOT_IN_FLIGHT * options.workers
        return make_plan(self.scenario, replace(options, stages=(), in_flight=in_flight, starters=None))

    def _window(self, stage: Stage) -> RunOptions:
        return replace(
            self.run.plans[0].options,
            runs=None,
            stages=(stage,),
            duration_seconds=stage.seconds,
            repetitions=1,
            warmup=0,
            timeout_seconds=self.timeout_seconds or max(_LEAST_DRAIN_SECONDS, stage.seconds),
        )


def find_max_request(ctx: click.Context) -> FindMaxRequest:
    """The request that the parsed command line of `find-max` makes.

    Raises:
        UsageFault: whatever `run` refuses, a limit that is none, or rates that do not go together.
    """
    from pgflow_stress.analysis.holding import HoldRules, parse_limit, runs_needed  # noqa: PLC0415  numpy

    values = dict(ctx.params)
    shape = shape_of(values["scenario"])
    if shape is not None and not shape.starts:
        raise UsageFault(f"{values['scenario']} starts no run, and find-max looks for a rate of runs: take another")
    limits = tuple(parse_limit(text) for text in values["latency_limit"])
    ctx.params.update(scenario=(values["scenario"],), rate=1.0, stages=None, in_flight=None, late="keep", runs=None)
    ctx.params.update(duration=None, repetitions=1, warmup=0, full=False, threshold=())
    ctx.params.update(observer_cost=False, telemetry_cost=False, probe_client=False, planner_statistics="none")
    ctx.params["timeout"] = values["timeout"] or RunOptions(workers=1).timeout_seconds
    run = run_request(ctx)
    plan = run.plans[0]
    if plan.work.failing is not None and plan.work.failing.fails:
        raise UsageFault(
            f"{plan.scenario}: tasks fail by design, and no rate holds where one fails for good: "
            "give --failure-probability 0 and --failing-runs 0, or take another scenario"
        )
    if plan.options.events == "none" and (of := [one.text for one in limits if one.metric.startswith("deliver.")]):
        raise UsageFault(f"limit {of[0]!r}: nobody observes events; give --events notify or wal as well")
    most = values["max_rate"] or ROOM_PER_SECOND * plan.options.workers / max(1, plan.tasks_per_run)
    _check_rates(values["min_rate"], values["start_rate"], most)
    request = FindMaxRequest(
        run=run,
        limits=limits,
        hold=HoldRules(max_growth_share=values["max_growth"], max_late_share=run.limits.max_late_share),
        windows=Windows(runs_needed(limits), values["duration"]),
        budget_seconds=values["budget"],
        start_per_second=values["start_rate"],
        least_per_second=values["min_rate"],
        most_per_second=most,
        probes=values["probes"],
        step=values["step"],
        timeout_seconds=values["timeout"],
    )
    request.room_plan()  # what cannot be scheduled is refused here
    return request


def _check_rates(least: float | None, start: float | None, most: float) -> None:
    ordered = [("--min-rate", least), ("--start-rate", start), ("--max-rate", most)]
    given = [(name, rate) for name, rate in ordered if rate is not None]
    for (name, rate), (other, above) in pairwise(given):
        if rate > above:
            raise UsageFault(f"{name} {rate:g} is above {other} {above:g}")
