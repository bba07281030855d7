"""Tasks that fail: some are tried again and complete, some fail for good and their runs with them."""

from __future__ import annotations

from pgflow_stress.scenario.failing import MOST_ATTEMPTS, Failing
from pgflow_stress.scenario.flow import FlowShape, Step
from pgflow_stress.scenario.shapes.base import Built, Parameter, Shape, Values


def _build(values: Values, seed: int) -> Built:
    width = int(values["steps"])
    middle = tuple(Step(f"s{index}", (0,)) for index in range(1, width + 1))
    failing = Failing(
        probability=float(values["failure-probability"]),
        doomed=float(values["failing-runs"]),
        max_attempts=int(values["attempts"]),
        base_delay_seconds=int(values["base-delay"]),
        seed=seed,
    )
    return Built((FlowShape((Step("s0"), *middle)),), failing=failing)


SHAPE = Shape(
    summary="attempts that fail: most tasks complete at a later one, some runs fail for good",
    explains=(
        "Which attempt of which task fails is decided by --seed, so every outcome is known beforehand and audited. "
        "fail_task puts the message off by base-delay * 2 ^ attempt seconds; a task whose last attempt fails takes its "
        "run with it, and what that run had left is abandoned. Failing by design is an outcome, no error."
    ),
    parameters=(
        Parameter("steps", "Steps at once after a first one.", 4, 1, 100_000),
        Parameter("failure-probability", "Of each attempt.", 0.1, 0, 1),
        Parameter("attempts", "Attempts of a task at most.", 3, 1, MOST_ATTEMPTS),
        Parameter("base-delay", "Seconds that pgflow's delays are multiples of.", 1, 0, 3600),
        Parameter("failing-runs", "Share of the runs in which one task fails at every attempt.", 0.05, 0, 1),
    ),
    size="steps",
    default_flows=10,
    default_runs=200,
    build=_build,
)
