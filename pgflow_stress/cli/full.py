"""`run --full`: sizes each scenario to the validity rules by a pilot, and says first how long the whole takes.

The pilot is two repetitions at the size that was asked for, of which the faster counts: the first on a server is slow.
They are discarded, and the result's parameters name them. The rate of a larger backlog may differ all the same: the
rules judge what was measured, not what was meant.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pgflow_stress.analysis.evidence import Limits
from pgflow_stress.core.errors import UsageFault
from pgflow_stress.core.result import Json, Repetition
from pgflow_stress.scenario.options import Mode
from pgflow_stress.scenario.plan import MOST_STEPS, MOST_TASKS, Plan, make_plan
from pgflow_stress.scenario.presets import shape_of

ROOM_PER_SECOND = 3_000  # tasks a worker: no pgflow on one core has reached it, so that a pilot's plan finds its room
PILOT_REPETITIONS = 2
_MARGIN = 1.5  # above what the rules ask for: a window faster than its pilot is long enough still
_FASTEST = 0.1  # seconds of a pilot's process phase, at least: a shorter one is taken for that


@dataclass(frozen=True, slots=True)
class Pilot:
    """What a repetition at the asked size showed."""

    tasks: int
    seconds: float  # of process
    window_seconds: float
    around_seconds: float  # set-up, priming, audit

    @property
    def per_second(self) -> float:
        """Tasks, over process."""
        return self.tasks / self.seconds

    def as_json(self) -> Json:
        """As the result's parameters have it."""
        return {"discarded": True, "tasks": self.tasks, "process_per_second": self.per_second}


def pilot_plan(plan: Plan) -> Plan:
    """A few repetitions of it, as a measurement of its own."""
    options = replace(
        plan.options,
        repetitions=PILOT_REPETITIONS,
        warmup=0,
        observer_cost=False,
        telemetry_cost=False,
        probe_client=False,
        profiled=False,
        history=0,
    )
    return replace(plan, options=options)


def pilot_of(repetitions: Sequence[Repetition], wall_seconds: float) -> Pilot | None:
    """What the faster of these showed, that took so long altogether; None where nothing was completed."""
    windows = [float(repetition.window["seconds"]) for repetition in repetitions]
    around = max(0.0, wall_seconds - sum(windows)) / max(1, len(windows))
    pilots = [
        Pilot(process.count, process.seconds, window, around)
        for process, window in zip((r.phases.get("process") for r in repetitions), windows, strict=True)
        if process is not None and process.count
    ]
    return max(pilots, key=lambda pilot: pilot.per_second, default=None)


def room_plan(plan: Plan, limits: Limits) -> Plan:
    """The largest plan that a pilot can ask for: the arena is mapped for it before anything is measured.

    Raises:
        UsageFault: the load is no drained backlog: how long its window is, is for --duration to say.
    """
    if not plan.runs:
        raise UsageFault(f"--full sizes runs, and {plan.scenario} starts none: give --flows instead")
    if plan.load_model != "backlog-drain":
        raise UsageFault(f"--full sizes a drained backlog, and this load is {plan.load_model}: give --duration instead")
    return _of_tasks(plan, _tasks(plan, ROOM_PER_SECOND * plan.options.workers, limits))


def sized(plan: Plan, pilot: Pilot, limits: Limits) -> Plan:
    """The plan with as many tasks as the rules ask for at the pilot's rate, and never fewer than it had."""
    rate = min(pilot.tasks / max(pilot.seconds, _FASTEST), ROOM_PER_SECOND * plan.options.workers)
    return _of_tasks(plan, _tasks(plan, rate, limits))


def _tasks(plan: Plan, per_second: float, limits: Limits) -> int:
    """Tasks for the seconds and for the cycles that the rules ask for."""
    options = plan.options
    batch = min(options.poll_size, options.completion_batch_size) if options.completion is Mode.BATCH else 1
    cycles = limits.min_cycles_per_worker * options.workers
    return math.ceil(_MARGIN * max(per_second * limits.min_phase_seconds, cycles * batch))


def _of_tasks(plan: Plan, tasks: int) -> Plan:
    """At least so many tasks: more steps where the scenario is one of steps, else more runs of the same flows."""
    factor = max(1.0, min(tasks, MOST_TASKS) / plan.expected_tasks)
    values, runs = dict(plan.values), plan.runs
    shape = shape_of(plan.scenario)
    if shape is not None and shape.size is not None and shape.scales_steps:
        values[shape.size] = min(MOST_STEPS, math.ceil(int(values[shape.size]) * factor))
    else:
        runs = math.ceil(runs * factor)
    options = replace(
        plan.options, steps=None, parameters=tuple(values.items()), flows=plan.flows, runs=runs, scale=1.0
    )
    return make_plan(plan.scenario, options)


def expected_seconds(plan: Plan, full: Plan, pilot: Pilot) -> float:
    """How long all repetitions of the sized plan will take, if its rates are the pilot's."""
    factor = full.expected_tasks / plan.expected_tasks
    return full.repetitions * (pilot.around_seconds + pilot.window_seconds * factor)


def announcement(sizes: Sequence[tuple[Plan, float]]) -> str:
    """How long it will take, in one line."""
    parts = ", ".join(
        f"{plan.scenario} {plan.repetitions} repetitions of {plan.expected_tasks:,} tasks" for plan, _ in sizes
    )
    return f"full: about {lasting(sum(seconds for _, seconds in sizes))}, at the rates of the pilots: {parts}"


def lasting(seconds: float) -> str:
    """A duration as a person says it, rounded up."""
    minutes = math.ceil(seconds / 60)
    if minutes > 90:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min" if seconds > 90 else f"{math.ceil(seconds)} s"
