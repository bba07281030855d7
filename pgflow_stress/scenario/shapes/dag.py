"""Flows written out step by step."""

from __future__ import annotations

from pgflow_stress.core.errors import UsageFault
from pgflow_stress.scenario.failing import MOST_ATTEMPTS, Failing
from pgflow_stress.scenario.flow import written_steps
from pgflow_stress.scenario.shapes.base import Built, Parameter, Shape, Values
from pgflow_stress.scenario.workload import with_distinct_slugs


def _build(values: Values, seed: int) -> Built:
    texts = [text for text in str(values["dag"]).split(";") if text.strip()]
    if not texts:
        raise UsageFault("dag: give at least one step, as in 'a b:a c:a d:b,c'")
    shapes = with_distinct_slugs(tuple(written_steps(text) for text in texts))
    probability, doomed = float(values["failure-probability"]), float(values["failing-runs"])
    failing = Failing(
        probability=probability,
        doomed=doomed,
        max_attempts=int(values["attempts"]),
        base_delay_seconds=int(values["base-delay"]),
        seed=seed,
        shapes=tuple(range(len(shapes))),
    )
    return Built(shapes, (1.0,) * len(shapes), failing if probability or doomed else None)


SHAPE = Shape(
    summary="flows written out: --dag 'a b:a c:a d:b,c', a step a word, several flows with ';' between",
    explains=(
        "A step is its name, after a colon the steps that it waits for; name*5 is a map of five elements. Whatever "
        "pgflow can run can be written, and may fail as in retries."
    ),
    parameters=(
        Parameter("dag", "The steps of each flow.", "a b:a c:a d:b,c"),
        Parameter("failure-probability", "Of each attempt.", 0.0, 0, 1),
        Parameter("attempts", "Attempts of a task at most.", 3, 1, MOST_ATTEMPTS),
        Parameter("base-delay", "Seconds that pgflow's delays are multiples of.", 1, 0, 3600),
        Parameter("failing-runs", "Share of the runs in which one task fails at every attempt.", 0.0, 0, 1),
    ),
    default_flows=10,
    default_runs=100,
    build=_build,
)
