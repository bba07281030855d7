"""The plan of one scenario: every default resolved, every expected count known before anything is touched."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from pgflow_stress.core.errors import UsageFault
from pgflow_stress.core.probes import MORE_CLIENT_COST, Probe
from pgflow_stress.core.units import NS_PER_US
from pgflow_stress.scenario.flow import FlowShape
from pgflow_stress.scenario.options import Mode, RunOptions
from pgflow_stress.scenario.probing import probe_at, repetitions_of_each
from pgflow_stress.scenario.schedule import Stage, offsets_ns, scheduled_runs
from pgflow_stress.scenario.shapes import SHAPES

MOST_TASKS = 100_000_000
MOST_STEPS = 1_000_000  # of one flow: its shape is held in memory by every process
MOST_STARTERS = 16
_START_SECONDS = 0.02  # that one start_flow is taken to last, to have starters enough
_CLOSED_RUNS_PER_SECOND = 500  # room for those of a closed load that only a duration bounds
_MOST_CLOSED_RUNS = 1_000_000
MOST_USUAL_HISTORY = 20_000  # tasks; without being asked for no more are made
MOST_HISTORY = 10_000_000
HISTORY_TIMEOUT_SECONDS = 24 * 3600.0
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
    probe: Probe = Probe.AS_IS  # what --probe-client changed in it, of a repetition's plan

    @property
    def expected_tasks(self) -> int:
        """Tasks that exist when every run is started."""
        return self.runs * self.shape.tasks_per_run

    @property
    def concurrent(self) -> bool:
        """Whether runs are started by starters while workers work; else all are started before."""
        return self.load_model != "backlog-drain"

    @property
    def starters(self) -> int:
        """Starter processes: connections enough that the schedule need not wait for one."""
        options = self.options
        if not self.concurrent:
            return 0
        if options.starters is not None:
            return options.starters
        if self.load_model == "closed":
            return max(1, min(MOST_STARTERS, options.in_flight or 1, 4))
        busiest = max(stage.per_second for stage in options.stages)
        return max(2, min(MOST_STARTERS, math.ceil(busiest * _START_SECONDS) + 1))

    def schedule_ns(self) -> Any:
        """int64[runs]: when each run is intended, ns from the schedule's begin; None unless the load is open."""
        options = self.options
        if self.load_model != "open":
            return None
        stages = options.stages
        if options.duration_seconds is None:
            # As long as it takes: exponential gaps add up to more than their mean now and then.
            long_enough = 2 * self.runs / stages[0].per_second + 60 / stages[0].per_second
            stages = (Stage(long_enough, stages[0].per_second),)
        return offsets_ns(stages, options.arrival, options.seed)[: self.runs]

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
        """All of them: warm-up, counted, and with the options that interleave others as many of each of those."""
        return self.options.warmup + self.options.repetitions * repetitions_of_each(self.options)

    def observes(self, index: int) -> bool:
        """Whether a repetition is observed: with --observer-cost in the order with, without, without, with."""
        return self.observed and not (self.options.observer_cost and self._is_without(index))

    @property
    def sampled(self) -> bool:
        """Whether a sampler takes telemetry of its repetitions, or of some of them."""
        return self.options.telemetry != "off"

    def samples(self, index: int) -> bool:
        """Whether telemetry is taken of a repetition: with --telemetry-cost in the same order."""
        return self.sampled and not (self.options.telemetry_cost and self._is_without(index))

    def is_baseline(self, index: int) -> bool:
        """Whether a repetition runs without what the others are to tell the cost of."""
        in_pairs = self.options.observer_cost or self.options.telemetry_cost
        return in_pairs and self._is_without(index)

    def _is_without(self, index: int) -> bool:
        return index >= self.options.warmup and (index - self.options.warmup) % 4 in (1, 2)

    @property
    def most_workers(self) -> int:
        """Of any of its repetitions."""
        more = self.options.probe_client and self.probe is not Probe.MORE_WORKERS
        return self.options.workers + (1 if more else 0)

    def at(self, index: int, client_ns_per_task: float) -> Plan:
        """The plan of one repetition: as it is, or with what --probe-client changes in it.

        Args:
            client_ns_per_task: what a task costs the client as it is, of which a share is added.
        """
        probe, options = probe_at(self.options, index), self.options
        if probe is Probe.MORE_WORKERS:
            options = replace(options, workers=options.workers + 1)
        elif probe is Probe.MORE_COST:
            added_ns = max(1, round(MORE_CLIENT_COST * client_ns_per_task))
            options = replace(options, client_delay_ns=options.client_delay_ns + added_ns)
        return replace(self, options=options, probe=probe)

    @property
    def history(self) -> int:
        """Finished tasks that its database is aged by, at least: asked for, else what the purpose asks for."""
        if self.options.history is not None:
            return self.options.history
        return min(MOST_USUAL_HISTORY, 2 * self.expected_tasks) if self.options.purpose == "capacity" else 0

    def of_history(self) -> Plan:
        """The plan of what ages the database: a drained backlog of its own flows and runs, as fast as it goes."""
        runs = max(1, math.ceil(self.history / self.shape.tasks_per_run))
        options = replace(
            self.options, purpose="compare", history=0, repetitions=1, warmup=0, in_flight=None, stages=(),
            duration_seconds=None, starters=None, events="none", observer_cost=False, probe_client=False,
            telemetry="off", telemetry_cost=False, client_delay_ns=0, creation=Mode.BATCH, completion=Mode.BATCH,
            timeout_seconds=HISTORY_TIMEOUT_SECONDS,
        )  # fmt: skip
        return replace(self, runs=runs, flows=min(self.flows, runs), load_model="backlog-drain", options=options)

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
            "client_delay_us": options.client_delay_ns / NS_PER_US,
            "probe_client": options.probe_client,
            "history": self.history,
            "telemetry": options.telemetry,
            "telemetry_interval": options.telemetry_interval_seconds,
            "telemetry_cost": options.telemetry_cost,
            "repetitions": options.repetitions,
            "precision": options.precision,
            "warmup": options.warmup,
            "seed": options.seed,
            "in_flight": options.in_flight,
            "stages": [str(stage) for stage in options.stages],
            "arrival": str(options.arrival),
            "late": str(options.late),
            "starters": self.starters,
            "duration": options.duration_seconds,
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
    load_model = load_model_of(options)
    if load_model == "open":
        runs = max(runs, 1)
        if options.duration_seconds is None:  # the runs bound it, and the schedule lasts for them
            rate = options.stages[0].per_second
            options = replace(options, stages=(Stage(runs / rate, rate),))
        else:
            runs = scheduled_runs(options.stages, options.arrival, options.seed)
    elif load_model == "closed" and options.duration_seconds is not None and options.runs is None:
        runs = max(runs, min(_MOST_CLOSED_RUNS, round(options.duration_seconds * _CLOSED_RUNS_PER_SECOND)))
    plan = Plan(scenario, shape, flows, max(runs, 1), load_model, options)
    if plan.flows > MOST_FLOWS:
        raise UsageFault(f"--flows {plan.flows}: at most {MOST_FLOWS} (each is a queue of two tables)")
    if plan.expected_tasks > MOST_TASKS:
        raise UsageFault(f"{plan.expected_tasks} tasks: at most {MOST_TASKS}; lower --steps or --runs")
    return plan


def load_model_of(options: RunOptions) -> str:
    """backlog-drain: all is started, then processed. closed: a number of runs in flight. open: by a schedule."""
    if options.stages:
        return "open"
    return "backlog-drain" if options.in_flight is None else "closed"


def _scaled(count: int, scale: float) -> int:
    return max(1, round(count * scale))
