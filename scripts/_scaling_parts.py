"""What `prove scaling` sweeps, the short parts first: for prove_scaling."""

from __future__ import annotations

from dataclasses import dataclass

FLAT, GROWS = "flat", "grows"


@dataclass(frozen=True)
class Expected:
    """What pgflow is known to do: how the cost goes, and by which model where it is known so exactly."""

    shown: str
    model: str = ""


@dataclass(frozen=True)
class Part:
    """One sweep over one axis, and versions of pgflow.

    `metrics` are told, each with what is expected of it; None: it is told as it is found. `each_ms` is what one of the
    axis's units takes here, about, times `many` of them a cell, for the forecast of the time. `each` divides the costs
    by the size: what one of so many takes. `bend` are two sizes between which something may give.
    """

    name: str
    title: str
    job: tuple[object, ...]
    axis: str
    sizes: tuple[int, ...]
    small: tuple[int, ...]  # of a try
    metrics: dict[str, Expected | None]
    each_ms: float
    many: int = 1
    repetitions: int = 5
    each: str = ""
    bend: tuple[int, int] | None = None
    once_ms: float = 0.0  # of each unit, before its cell is measured first
    cell_seconds: float = 0.0  # whatever the size

    def seconds(self, sizes: tuple[int, ...], repetitions: int) -> float:
        """About how long it takes on two cores, of one pgflow."""
        rounds = repetitions + 1
        work = sum(sizes) * self.many * self.each_ms * rounds + sum(sizes) * self.once_ms
        return work / 1000 + (_REPETITION_SECONDS + self.cell_seconds) * len(sizes) * rounds


_REPETITION_SECONDS = 1.2  # set-up, priming, audit
_CELL = ("--workers", 1, "--warmup", 1, "--confirm", 0)
# Plans are kept from priming on, and in an empty database they are for tables of a few rows; an aged one has planner
# statistics, as any database that is used.
_AGED = ("--history", 2_000)
_CYCLE, _LONGEST, _TASK = "process.latency_ns.p50", "process.latency_ns.max", "process.per_second"
_CPU = "server.cpu_ns_per_task"  # waits for no core: steadier than a time where something else runs
_ADD_STEP, _START = "create.latency_ns.p50", "start.latency_ns.p50"  # a median takes 20 statements
_START_A_RUN = "start.per_second"

PARTS = (
    Part(
        "root-maps", "Root maps: a task, over the elements of the run's input",
        ("map", "--source", "run", "--reduce", "no", "--flows", 1, "--runs", 2, *_CELL),
        "elements", (100, 300, 1_000, 3_000), (40, 120, 400), {_TASK: Expected(FLAT), _CPU: None}, 1.5, many=2,
    ),
    Part(
        "dependent-maps", "Dependent maps: a task, over the elements of a step's output",
        ("map", "--source", "step", "--reduce", "no", "--flows", 1, "--runs", 1, *_CELL),
        "elements", (100, 300, 1_000, 2_000, 3_000), (100, 400, 1_200), {_TASK: Expected(GROWS), _CPU: None}, 5.0,
    ),
    Part(
        "maps-of-maps", "Maps of maps: a task, over the elements, two levels",
        ("map", "--source", "step", "--levels", 2, "--reduce", "no", "--flows", 1, "--runs", 1, *_CELL),
        "elements", (25, 50, 100, 200, 400), (20, 60, 180), {_TASK: Expected(GROWS), _CPU: None}, 30.0,
    ),
    Part(
        "add-step", "add_step: a call of its own, over the steps of the flow",
        ("definition", "--flows", 2, "--dependencies", 0, "--creation", "single", *_CELL),
        "steps", (100, 300, 1_000, 2_000, 5_000), (50, 150, 500), {_ADD_STEP: None}, 0.45, many=2,
        repetitions=12,
    ),
    Part(
        "start-width", "start_flow: a run, over its independent steps",
        ("concurrent-flows", "--flows", 1, "--runs", 4, "--creation", "single", *_CELL),
        "steps", (10, 30, 100, 300, 1_000, 3_000), (10, 40, 160), {_START_A_RUN: Expected(GROWS, "n")}, 1.6, many=4,
        each="a root",
    ),
    Part(
        "subtransactions", "Subtransactions past 64: start_flow by so many roots, while others complete",
        ("concurrent-flows", "--flows", 1, "--runs", 24, "--in-flight", 8, "--starters", 4, "--workers", 4,
         "--warmup", 1, "--confirm", 0),
        "steps", (32, 48, 63, 64, 65, 80, 128, 192), (32, 64, 65, 128), {_START: None, _TASK: None}, 1.2, many=24,
        each="a root", bend=(64, 65),
    ),
    Part(
        "completion-batches", "Subtransactions past 64: a task, over the completions of one statement",
        ("concurrent-flows", "--flows", 1, "--runs", 20, "--steps", 200, "--poll-size", 256, "--workers", 4,
         "--warmup", 1, "--confirm", 0),
        "completion-batch-size", (8, 16, 32, 64, 65, 96, 128, 256), (16, 64, 65, 128), {_TASK: None}, 0.0,
        bend=(64, 65), cell_seconds=4.0,
    ),
    Part(
        "complete-task", "complete_task: a call of its own, over the steps of the run; and the last call of a run",
        ("single-flow", "--completion", "single", "--poll-size", 1, *_CELL),
        "steps", (100, 300, 1_000, 3_000, 10_000), (50, 150, 500),
        {_CYCLE: Expected(FLAT), _LONGEST: Expected(GROWS), _CPU: None}, 2.4,
    ),
    Part(
        "aged-run", "The same in an aged database: a task, over the steps of the run",
        ("single-flow", "--completion", "single", "--poll-size", 1, *_CELL, *_AGED),
        "steps", (100, 300, 1_000, 3_000), (50, 150, 500), {_CYCLE: None, _CPU: None}, 3.5, repetitions=3, once_ms=2.0,
    ),
    Part(
        "history", "An aged database: a task and a start, over the tasks that it finished before",
        ("concurrent-flows", "--flows", 4, "--runs", 80, "--steps", 5, "--creation", "single", *_CELL),
        "history", (0, 1_000, 10_000, 100_000, 1_000_000), (0, 200, 600, 2_000),
        {_TASK: None, _CYCLE: None, _START: None}, 0.02, once_ms=1.5,
    ),
)  # fmt: skip
BY_NAME = {part.name: part for part in PARTS}
