"""`run --full`: sizes each scenario to the validity rules by a pilot, and says first how long the whole takes.

The pilot is one repetition at the size that was asked for; it is discarded, and the result's parameters name it. The
rate of a larger backlog may differ from the pilot's: the rules judge what was measured, not what was meant.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pgflow_stress.analysis.evidence import Limits
from pgflow_stress.core.result import Json, Repetition
from pgflow_stress.scenario.plan import MOST_STEPS, MOST_TASKS, Plan, make_plan
from pgflow_stress.scenario.shapes import SHAPES

ROOM_PER_SECOND = 3_000  # tasks a worker: no pgflow on one core has reached it, so that a pilot's plan finds its room
_MARGIN = 1.2  # above what the rules ask for
_FASTEST = 0.1  # seconds of a pilot's process phase, at least: a shorter one is taken for that


@dataclass(frozen=True, slots=True)
class Pilot:
    """What one repetition at the asked size showed."""

    tasks: int
    seconds: float  # of process
    window_seconds: float
    around_seconds: float  # set-up, priming, audit
    cycles: int  # samples of the process latency

    def as_json(self) -> Json:
        """As the result's parameters have it."""
        return {"discarded": True, "tasks": self.tasks, "process_per_second": self.tasks / self.seconds}


def pilot_plan(plan: Plan) -> Plan:
    """One repetition of it, as a measurement of its own."""
    options = replace(plan.options, repetitions=1, warmup=0, observer_cost=False)
    return replace(plan, options=options)


def pilot_of(repetition: Repetition, wall_seconds: float) -> Pilot | None:
    """What a repetition showed that took so long altogether; None where it completed nothing."""
    process = repetition.phases.get("process")
    if process is None or not process.count:
        return None
    window = float(repetition.window["seconds"])
    return Pilot(
        tasks=process.count,
        seconds=process.seconds,
        window_seconds=window,
        around_seconds=max(0.0, wall_seconds - window),
        cycles=max(1, process.latency_ns.samples),
    )


def room_plan(plan: Plan, limits: Limits) -> Plan:
    """The largest plan that a pilot can ask for: the arena is mapped for it before anything is measured."""
    per_second = ROOM_PER_SECOND * plan.options.workers
    cycles = _MARGIN * limits.min_cycles_per_worker * plan.options.workers
    tasks = max(per_second * _MARGIN * limits.min_phase_seconds, cycles * plan.options.poll_size)
    return _of_tasks(plan, math.ceil(tasks))


def sized(plan: Plan, pilot: Pilot, limits: Limits) -> Plan:
    """The plan with as many tasks as the rules ask for at the pilot's rate, and never fewer than it had."""
    rate = pilot.tasks / max(pilot.seconds, _FASTEST)
    for_seconds = rate * _MARGIN * limits.min_phase_seconds
    for_cycles = _MARGIN * limits.min_cycles_per_worker * plan.options.workers * pilot.tasks / pilot.cycles
    most = room_plan(plan, limits).expected_tasks
    return _of_tasks(plan, min(math.ceil(max(for_seconds, for_cycles)), most))


def _of_tasks(plan: Plan, tasks: int) -> Plan:
    """At least so many tasks: more steps where the scenario is one of steps, else more runs of the same flows."""
    factor = max(1.0, min(tasks, MOST_TASKS) / plan.expected_tasks)
    steps, runs = len(plan.shape.steps), plan.runs
    if SHAPES[plan.scenario].scales_steps:
        steps = min(MOST_STEPS, math.ceil(steps * factor))
    else:
        runs = math.ceil(runs * factor)
    options = replace(plan.options, steps=steps, flows=plan.flows, runs=runs, scale=1.0)
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
    return f"full: about {_long(sum(seconds for _, seconds in sizes))}, at the rates of the pilots: {parts}"


def _long(seconds: float) -> str:
    minutes = math.ceil(seconds / 60)
    if minutes > 90:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min" if seconds > 90 else f"{math.ceil(seconds)} s"
