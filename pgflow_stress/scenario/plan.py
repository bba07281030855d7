"""The plan of one scenario: every default resolved, every expected count known before anything is touched."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from pgflow_stress.core.errors import UsageFault
from pgflow_stress.core.probes import MORE_CLIENT_COST, Probe
from pgflow_stress.core.units import NS_PER_US
from pgflow_stress.scenario.faults import Strike, check_times, timeline
from pgflow_stress.scenario.flow import FlowShape
from pgflow_stress.scenario.interference import check_interference
from pgflow_stress.scenario.options import RunOptions
from pgflow_stress.scenario.presets import names, shape_of
from pgflow_stress.scenario.probing import probe_at, repetitions_of_each
from pgflow_stress.scenario.schedule import Stage, offsets_ns, scheduled_runs
from pgflow_stress.scenario.shapes.base import Built, Shape, Value
from pgflow_stress.scenario.workload import Workload

MOST_TASKS = 100_000_000
MOST_STEPS = 1_000_000  # of one flow: its shape is held in memory by every process
MOST_STARTERS = 16
_START_SECONDS = 0.02  # that one start_flow is taken to last, to have starters enough
_CLOSED_RUNS_PER_SECOND = 500  # room for those of a closed load that only a duration bounds
_MOST_CLOSED_RUNS = 1_000_000
MOST_USUAL_HISTORY = 20_000  # tasks; without being asked for no more are made
MOST_HISTORY = 10_000_000
MOST_FLOWS = 20_000  # each flow is a queue: two tables, their indexes and sequences


@dataclass(frozen=True, slots=True)
class Plan:
    """What one scenario does in each repetition."""

    scenario: str
    work: Workload  # flows, runs, and which run is of which flow
    load_model: str
    options: RunOptions
    values: tuple[tuple[str, Value], ...] = ()  # of the scenario's parameters
    probe: Probe = Probe.AS_IS  # what --probe-client changed in it, of a repetition's plan

    @property
    def shape(self) -> FlowShape:
        """The shape of the first flow; but for a mix every flow has it."""
        return self.work.shapes[0]

    @property
    def flows(self) -> int:
        """Flow definitions."""
        return self.work.flows

    @property
    def runs(self) -> int:
        """Runs that are started."""
        return self.work.runs

    @property
    def expected_tasks(self) -> int:
        """Tasks that exist when every run is started."""
        return self.work.expected_tasks

    @property
    def tasks_per_run(self) -> float:
        """Of a mix the mean; 0 where none is started."""
        tasks = self.expected_tasks / max(1, self.runs)
        return int(tasks) if tasks == int(tasks) else tasks

    @property
    def concurrent(self) -> bool:
        """Whether runs are started by starters while workers work; else all are started before."""
        return self.load_model != "backlog-drain"

    @property
    def is_edge_worker(self) -> bool:
        """Whether its workers are pgflow's own, reproduced."""
        return self.options.worker_model == "edge-worker"

    @property
    def sessions(self) -> int:
        """Connections that workers and starters hold at once."""
        options = self.options
        each = options.max_pg_connections if options.worker_model == "edge-worker" else 1
        return self.most_workers * each + self.starters

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
        return offsets_ns(stages, options.arrival, options.arrival_seed)[: self.runs]

    @property
    def observed(self) -> bool:
        """Whether an observer watches the events of its repetitions, or of some of them."""
        return self.options.events != "none"

    @property
    def steps_created(self) -> int:
        """Steps that create makes, over all flows."""
        return self.work.steps_created

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

    def strikes(self, index: int) -> tuple[Strike, ...]:
        """The faults of one repetition, in order of time."""
        options = self.options
        return timeline(options.faults, options.seed, index, options.duration_seconds, options.timeout_seconds)

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
        if self.options.soak:  # it ages by itself, and that is what is looked at
            return 0
        return min(MOST_USUAL_HISTORY, 2 * self.expected_tasks) if self.options.purpose == "capacity" else 0

    def parameters(self) -> dict[str, Any]:
        """Every effective parameter, as the result names them."""
        options = self.options
        return {
            "workers": options.workers,
            **{name.replace("-", "_"): value for name, value in self.values},
            **({"scenario_file": options.scenario_file} if options.scenario_file else {}),
            **({"own_flows": [flow.as_parameter() for flow in options.own_flows]} if options.own_flows else {}),
            # Where they are no option of the scenario they are told all the same.
            **({} if "steps" in dict(self.values) else {"steps": self.work.most_steps, "derived": ["steps"]}),
            "deal": str(options.deal),
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
            "work": str(options.work) if options.work else None,
            "concurrency": options.concurrency,
            "max_pg_connections": options.max_pg_connections if self.is_edge_worker else None,
            "heartbeat_interval": options.heartbeat_seconds if self.is_edge_worker else None,
            "events": options.events,
            **(
                {
                    "realtime_url": options.realtime.place,
                    "realtime_private": options.realtime.private,
                    "allow_rate_limit": options.allow_rate_limit,
                }
                if options.realtime is not None
                else {}
            ),
            "observer_delay_ms": options.observer_delay_ms,
            "observer_cost": options.observer_cost,
            "client_delay_us": options.client_delay_ns / NS_PER_US,
            "probe_client": options.probe_client,
            "history": self.history,
            **({"planner_statistics": options.planner_statistics} if options.planner_statistics != "none" else {}),
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
            "faults": [spec.text for spec in options.faults],
            **({"interference": [spec.text for spec in options.interference]} if options.interference else {}),
            **({"soak": True, "prune": [prune.text for prune in options.prunes]} if options.soak else {}),
            "reconnect_budget": options.reconnect_seconds,
            "pin": {role: list(cpus) for role, cpus in options.pin},
            "purpose": options.purpose,
            **({"profiled": True} if options.profiled else {}),
            **({} if options.host_id is None else {"host_id": options.host_id}),
        }


def make_plan(scenario: str, options: RunOptions) -> Plan:
    """Resolve a scenario's defaults and check the whole.

    Raises:
        UsageFault: unknown scenario, parameters that are none, or sizes that cannot be run.
    """
    shape = shape_of(scenario)
    if shape is None:
        raise UsageFault(f"unknown scenario {scenario!r}; there are: {', '.join(names())}")
    try:
        values = _values(shape, options)
        if shape.build_own is not None:
            built = shape.build_own(values, options.seed, options.own_flows)
        else:
            built = shape.build(values, options.seed)
    except UsageFault as fault:
        raise UsageFault(f"{scenario}: {fault}") from None
    flows = _flows(shape, built, options)
    load_model = load_model_of(options)
    if options.planner_statistics == "backlog" and load_model != "backlog-drain":
        raise UsageFault(f"--planner-statistics backlog is of a drained backlog, and this load is {load_model}")
    check_times(options.faults, options.duration_seconds, options.timeout_seconds)
    check_interference(options.interference, options.duration_seconds)
    runs, options = _runs(shape, options, load_model, flows)
    if not shape.starts:
        _refuse_runs(scenario, options, load_model)
    most_steps = max(len(one.steps) for one in built.shapes)
    if most_steps > MOST_STEPS:
        raise UsageFault(f"{most_steps} steps: at most {MOST_STEPS} in a flow; lower --steps or --scale")
    if flows > MOST_FLOWS:
        raise UsageFault(f"--flows {flows}: at most {MOST_FLOWS} (each is a queue of two tables)")
    most_tasks = runs * max(one.tasks_per_run for one in built.shapes)
    if most_tasks > MOST_TASKS:
        raise UsageFault(f"{most_tasks} tasks: at most {MOST_TASKS}; lower --steps or --runs")
    options.work.check([step.slug for one in built.shapes for step in one.steps])
    if options.worker_model == "edge-worker" and load_model != "backlog-drain" and flows > options.workers:
        raise UsageFault(
            f"--worker-model edge-worker: a worker serves one flow, and would leave runs of {flows} flows unseen while "
            f"it waits for those of one: give --workers {flows}, or fewer --flows"
        )
    if options.history and not most_tasks:
        raise UsageFault(f"{scenario} finishes no task that a database could be aged by: leave --history out")
    return Plan(scenario, _workload(built, flows, runs, options), load_model, options, tuple(values.items()))


def _flows(shape: Shape, built: Built, options: RunOptions) -> int:
    if built.deployed is None:
        flows = _scaled(options.flows if options.flows is not None else shape.default_flows, options.scale)
        return max(flows, len(built.shapes))
    if options.flows not in (None, 1):
        raise UsageFault(f"--flows {options.flows}: the flow of --flow-slug is one")
    if options.worker_model == "edge-worker":
        raise UsageFault(
            "--worker-model edge-worker sends pgflow's own statements, which would take others' messages as well: "
            "leave it out with --flow-slug, or give --flow FILE.sql"
        )
    return 1


def _values(shape: Shape, options: RunOptions) -> dict[str, Value]:
    given = dict(options.parameters)
    if options.steps is not None:
        if shape.size is None:
            raise UsageFault("it has no --steps")
        if given.setdefault(shape.size, options.steps) != options.steps:
            raise UsageFault(f"--steps {options.steps} is its {shape.size}, and that is given as {given[shape.size]}")
    values = shape.values(given)
    if shape.size is not None and shape.scales_steps:
        values[shape.size] = _scaled(int(values[shape.size]), options.scale)
    return values


def _runs(shape: Shape, options: RunOptions, load_model: str, flows: int) -> tuple[int, RunOptions]:
    """How many are started, and the options with the schedule that they make."""
    if not shape.starts:
        return 0, options
    runs = flows
    if options.runs is not None or shape.default_runs is not None:
        runs = _scaled(options.runs if options.runs is not None else shape.default_runs or 1, options.scale)
    if load_model == "open":
        if options.duration_seconds is None:  # the runs bound it, and the schedule lasts for them
            rate = options.stages[0].per_second
            options = replace(options, stages=(Stage(runs / rate, rate),))
        else:
            runs = scheduled_runs(options.stages, options.arrival, options.arrival_seed)
    elif load_model == "closed" and options.duration_seconds is not None and options.runs is None:
        runs = max(runs, min(_MOST_CLOSED_RUNS, round(options.duration_seconds * _CLOSED_RUNS_PER_SECOND)))
    return runs, options


def _refuse_runs(scenario: str, options: RunOptions, load_model: str) -> None:
    if options.runs is not None or load_model != "backlog-drain":
        raise UsageFault(f"{scenario} starts no run: leave --runs, --rate, --stages and --in-flight out")
    if options.faults:
        raise UsageFault(f"{scenario} starts no run, and faults strike while tasks are worked on: leave --fault out")
    if options.interference or options.soak:
        raise UsageFault(f"{scenario} starts no run to interfere with, or to last: leave --interference and --soak out")
    if options.probe_client:
        raise UsageFault(f"{scenario} starts no run, and --probe-client is about what a task costs: leave it out")


def _workload(built: Built, flows: int, runs: int, options: RunOptions) -> Workload:
    """Flows dealt to the shapes by weight, at least one each; runs by weight and as --deal says."""
    shares = [weight / sum(built.weights) for weight in built.weights]
    counts = [max(1, int(share * flows)) for share in shares]
    while sum(counts) < flows:
        counts[max(range(len(counts)), key=lambda index: shares[index] / counts[index])] += 1
    while sum(counts) > flows:
        several = [index for index, count in enumerate(counts) if count > 1]
        counts[min(several, key=lambda index: shares[index] / counts[index])] -= 1
    shape_of_flow = tuple(index for index, count in enumerate(counts) for _ in range(count))
    weights: tuple[float, ...] = ()
    skewed = options.deal.weights(flows)
    if skewed or len(shares) > 1:
        by_flow = [shares[shape] / counts[shape] for shape in shape_of_flow]
        weights = tuple(weight * skew for weight, skew in zip(by_flow, skewed or (1.0,) * flows, strict=True))
    return Workload(built.shapes, shape_of_flow, runs, weights, built.failing, built.deployed)


def load_model_of(options: RunOptions) -> str:
    """backlog-drain: all is started, then processed. closed: a number of runs in flight. open: by a schedule."""
    if options.stages:
        return "open"
    return "backlog-drain" if options.in_flight is None else "closed"


def _scaled(count: int, scale: float) -> int:
    return max(1, round(count * scale))
