"""A flow's shape: its steps in definition order, and what a run of it must produce."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """One step; `deps` are indexes of steps defined before it; `tasks` is how many tasks it has."""

    slug: str
    deps: tuple[int, ...] = ()
    kind: str = "single"  # or "map"
    tasks: int = 1


@dataclass(frozen=True, slots=True)
class FlowShape:
    """The steps of one flow definition, parents before children."""

    steps: tuple[Step, ...]

    @property
    def tasks_per_run(self) -> int:
        """Tasks that one run of it has."""
        return sum(step.tasks for step in self.steps)

    @property
    def roots(self) -> int:
        """Steps that are ready as soon as a run starts."""
        return sum(not step.deps for step in self.steps)

    def step_offsets(self) -> tuple[int, ...]:
        """Where each step's tasks begin among those of its run."""
        offsets = []
        total = 0
        for step in self.steps:
            offsets.append(total)
            total += step.tasks
        return tuple(offsets)

    def sample(self, most_steps: int) -> FlowShape:
        """The same shape with at most `most_steps` steps: its first ones, for priming."""
        return FlowShape(self.steps[:most_steps])


def independent_steps(count: int) -> FlowShape:
    """`count` steps without dependencies between them."""
    return FlowShape(tuple(Step(f"s{index}") for index in range(count)))


def chained_steps(count: int) -> FlowShape:
    """`count` steps, each depending on the one before it."""
    return FlowShape(tuple(Step(f"s{index}", (index - 1,) if index else ()) for index in range(count)))


def fanned_steps(width: int) -> FlowShape:
    """A root, `width` steps that depend on it, and one that depends on all of these."""
    middle = tuple(Step(f"s{index}", (0,)) for index in range(1, width + 1))
    return FlowShape((Step("s0"), *middle, Step(f"s{width + 1}", tuple(range(1, width + 1)))))
