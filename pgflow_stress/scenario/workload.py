"""What is created and run: flows, each of a shape, and which run is of which flow.

Everything that is looked up by run or flow while it is measured is a table here. Steps have one index over all shapes:
those of the first shape, then those of the second; slugs are distinct among them, so that a step found by its slug is
one of its run's own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pgflow_stress.scenario.conditions import of_renamed
from pgflow_stress.scenario.failing import Failing
from pgflow_stress.scenario.flow import FlowShape, Step

if TYPE_CHECKING:  # numpy is not wanted before it is needed
    import numpy as np
    import numpy.typing as npt

MOST_PRIMED_SHAPES = 3


@dataclass(frozen=True, slots=True)
class Workload:
    """Flows and runs of one repetition."""

    shapes: tuple[FlowShape, ...]
    shape_of: tuple[int, ...]  # of each flow
    runs: int
    weights: tuple[float, ...] = ()  # of each flow: its share of the runs; empty: alike
    failing: Failing | None = None  # what fails by design
    deployed: str | None = None  # the slug of the one flow, where it is in the database already: it is not created

    @property
    def flows(self) -> int:
        """Flow definitions."""
        return len(self.shape_of)

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps of all shapes, one shape after another; `deps` are indexes into this."""
        if len(self.shapes) == 1:
            return self.shapes[0].steps
        found: list[Step] = []
        for shape in self.shapes:
            first = len(found)
            found += [replace(step, deps=tuple(first + dep for dep in step.deps)) for step in shape.steps]
        return tuple(found)

    def step_offsets(self) -> tuple[int, ...]:
        """Where each step's tasks begin among those of its run."""
        return tuple(offset for shape in self.shapes for offset in shape.step_offsets())

    @property
    def most_steps(self) -> int:
        """Of one flow."""
        return max(len(shape.steps) for shape in self.shapes)

    @property
    def steps_created(self) -> int:
        """Steps of all flows; none of one that is there already."""
        if self.deployed is not None:
            return 0
        counts = [len(shape.steps) for shape in self.shapes]
        return sum(counts[shape] for shape in self.shape_of)

    @property
    def expected_tasks(self) -> int:
        """Tasks that exist when every run is started."""
        if len(self.shapes) == 1:
            return self.runs * self.shapes[0].tasks_per_run
        return int(self.first_task()[-1])

    def flow_steps(self) -> npt.NDArray[np.int64]:
        """int64[flows, 2]: a flow's first step among all, and how many it has."""
        import numpy as np  # noqa: PLC0415

        counts = np.array([len(shape.steps) for shape in self.shapes], dtype=np.int64)
        firsts = np.cumsum(counts) - counts
        return np.stack([firsts, counts], axis=1)[np.array(self.shape_of, dtype=np.int64)]

    def run_flow(self) -> npt.NDArray[np.int64]:
        """int64[runs]: the flow of each run. Round the flows; by weight as a divisor method deals seats (Webster)."""
        import numpy as np  # noqa: PLC0415

        runs, flows = self.runs, self.flows
        if not self.weights:
            return np.arange(runs, dtype=np.int64) % flows
        share = np.array(self.weights) / sum(self.weights)
        counts = np.ceil(share * runs).astype(np.int64) + 1
        of = np.repeat(np.arange(flows, dtype=np.int64), counts)
        place = np.arange(len(of)) - np.repeat(np.cumsum(counts) - counts, counts)
        due = np.where(share[of] > 0, (place + 0.5) / np.where(share[of] > 0, share[of], 1), np.inf)
        return of[np.argsort(due, kind="stable")][:runs]

    def first_task(self, run_flow: npt.NDArray[np.int64] | None = None) -> npt.NDArray[np.int64]:
        """int64[runs + 1]: where the tasks of each run begin among all; the last is their number."""
        import numpy as np  # noqa: PLC0415

        tasks = np.array([shape.tasks_per_run for shape in self.shapes], dtype=np.int64)
        flows = self.run_flow() if run_flow is None else run_flow
        of_run = tasks[np.array(self.shape_of, dtype=np.int64)[flows]]
        return np.concatenate([[0], np.cumsum(of_run)]).astype(np.int64)

    def sample(self, most: int) -> Workload:
        """The first few shapes, small, a flow each: for priming. Nothing of it fails."""
        shapes = tuple(shape.sample(most) for shape in self.shapes[:MOST_PRIMED_SHAPES])
        runs = max(1, -(-most // max(1, *(shape.tasks_per_run for shape in shapes)))) * len(shapes)
        return Workload(shapes, tuple(range(len(shapes))), runs)


def workload(shape: FlowShape, flows: int = 1, runs: int = 1, failing: Failing | None = None) -> Workload:
    """Flows of one shape, the runs dealt round them."""
    return Workload((shape,), (0,) * flows, runs, failing=failing)


def with_distinct_slugs(shapes: tuple[FlowShape, ...]) -> tuple[FlowShape, ...]:
    """The same shapes; where they share a slug, every one's slugs begin with its number."""
    slugs = [step.slug for shape in shapes for step in shape.steps]
    if len(set(slugs)) == len(slugs):
        return shapes
    return tuple(_renamed(shape, f"x{index}_") for index, shape in enumerate(shapes))


def _renamed(shape: FlowShape, prefix: str) -> FlowShape:
    names = {step.slug: f"{prefix}{step.slug}" for step in shape.steps}
    steps = [
        replace(step, slug=names[step.slug], options=of_renamed(step.options, names) if step.deps else step.options)
        for step in shape.steps
    ]
    return replace(shape, steps=tuple(steps))
