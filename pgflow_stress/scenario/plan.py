"""The plan of one scenario: every default resolved, every expected count known before anything is touched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pgflow_stress.core.errors import UsageFault
from pgflow_stress.scenario.flow import FlowShape
from pgflow_stress.scenario.options import RunOptions
from pgflow_stress.scenario.shapes import SHAPES

MOST_TASKS = 100_000_000
MOST_STEPS = 1_000_000  # of one flow: its shape is held in memory by every process
MOST_FLOWS = 20_000  # each flow is a queue: two tables, their indexes and sequences


@dataclass(frozen=True, slots=True)
class Plan:
    """What one scenario does in each repetition."""

    scenario: str
    shape: FlowShape  # every flow has it
    flows: int
    runs: int  # dealt round the flows: run r is of flow r % flows
    load_model: str
    options: RunOptions

    @property
    def expected_tasks(self) -> int:
        """Tasks that exist when every run is started."""
        return self.runs * self.shape.tasks_per_run

    @property
    def observed(self) -> bool:
        """Whether an observer watches the events of its repetitions, or of some of them."""
        return self.options.events != "none"

    @property
    def steps_created(self) -> int:
        """Steps that create makes, over all flows."""
        return self.flows * len(self.shape.steps)

    @property
    def repetitions(self) -> int:
        """All of them: warm-up, counted, and with --observer-cost as many again that nobody observes."""
        return self.options.warmup + self.options.repetitions * (2 if self.options.observer_cost else 1)

    def observes(self, index: int) -> bool:
        """Whether a repetition is observed: with --observer-cost in the order with, without, without, with."""
        if not self.observed or not self.options.observer_cost or index < self.options.warmup:
            return self.observed
        return (index - self.options.warmup) % 4 in (0, 3)

    def parameters(self) -> dict[str, Any]:
        """Every effective parameter, as the result names them."""
        options = self.options
        return {
            "workers": options.workers,
            "steps": len(self.shape.steps),
            "flows": self.flows,
            "runs": self.runs,
            "scale": options.scale,
            "creation": str(options.creation),
            "completion": str(options.completion),
            "completion_batch_size": options.completion_batch_size,
            "poll_size": options.poll_size,
            "in_flight_statements": options.in_flight_statements,
            "empty_poll": str(options.empty_poll),
            "vt": options.vt_seconds,
            "payload": options.payload_bytes,
            "orphans": str(options.orphans),
            "timeout": options.timeout_seconds,
            "drain_timeout": options.drain_timeout_seconds,
            "stall_timeout": options.stall_timeout_seconds,
            "worker_model": options.worker_model,
            "events": options.events,
            "observer_delay_ms": options.observer_delay_ms,
            "observer_cost": options.observer_cost,
            "repetitions": options.repetitions,
            "warmup": options.warmup,
            "seed": options.seed,
            "pin": {role: list(cpus) for role, cpus in options.pin},
            "purpose": options.purpose,
        }


def make_plan(scenario: str, options: RunOptions) -> Plan:
    """Resolve a scenario's defaults and check the whole.

    Raises:
        UsageFault: unknown scenario, or sizes that cannot be run.
    """
    shape_of = SHAPES.get(scenario)
    if shape_of is None:
        raise UsageFault(f"unknown scenario {scenario!r}; there are: {', '.join(SHAPES)}")
    flows = _scaled(options.flows if options.flows is not None else shape_of.default_flows, options.scale)
    runs = _scaled(options.runs, options.scale) if options.runs is not None else flows
    steps = options.steps if options.steps is not None else shape_of.default_steps
    if shape_of.scales_steps:
        steps = _scaled(steps, options.scale)
    if steps > MOST_STEPS:
        raise UsageFault(f"{steps} steps: at most {MOST_STEPS} in a flow; lower --steps or --scale")
    shape = shape_of.build(steps)
    plan = Plan(scenario, shape, flows, max(runs, 1), "backlog-drain", options)
    if plan.flows > MOST_FLOWS:
        raise UsageFault(f"--flows {plan.flows}: at most {MOST_FLOWS} (each is a queue of two tables)")
    if plan.expected_tasks > MOST_TASKS:
        raise UsageFault(f"{plan.expected_tasks} tasks: at most {MOST_TASKS}; lower --steps or --runs")
    return plan


def _scaled(count: int, scale: float) -> int:
    return max(1, round(count * scale))
