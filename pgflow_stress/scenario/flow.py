"""A flow's shape: its steps in definition order, and what a run of it must produce."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pgflow_stress.core.errors import UsageFault

SLUG = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
LONGEST_STEP_SLUG = 128


@dataclass(frozen=True, slots=True)
class StepOptions:
    """What a definition says of a step besides; None where it leaves it to the flow, or to pgflow."""

    max_attempts: int | None = None
    base_delay_seconds: int | None = None
    timeout_seconds: int | None = None
    start_delay_seconds: int | None = None
    required: str | None = None  # JSON that its input must contain, else `when_unmet`
    forbidden: str | None = None  # and must not
    when_unmet: str | None = None  # fail, skip or skip-cascade
    when_exhausted: str | None = None  # likewise, once its last attempt has failed


@dataclass(frozen=True, slots=True)
class FlowOptions:
    """What a definition says of a whole flow."""

    max_attempts: int
    base_delay_seconds: int
    timeout_seconds: int


NO_OPTIONS = StepOptions()


@dataclass(frozen=True, slots=True)
class Step:
    """One step; `deps` are indexes of steps defined before it; `tasks` is how many tasks it has."""

    slug: str
    deps: tuple[int, ...] = ()
    kind: str = "single"  # or "map"
    tasks: int = 1
    options: StepOptions = NO_OPTIONS
    output: str | None = None  # JSON of an object that its tasks' outputs must contain, for the conditions after it
    skipped: bool = False  # by a condition of its own or before it: it has no task, and says so


@dataclass(frozen=True, slots=True)
class FlowShape:
    """The steps of one flow definition, parents before children."""

    steps: tuple[Step, ...]
    options: FlowOptions | None = None  # None: pgflow's own
    input: str | None = None  # JSON of an object that what a run is given must contain, for the conditions of its roots

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

    @property
    def input_elements(self) -> int | None:
        """Of the array that a run must be given for its root maps; None where any value will do."""
        return max((step.tasks for step in self.steps if step.kind == "map" and not step.deps), default=None)

    def output_elements(self) -> tuple[int | None, ...]:
        """For each step, of the array that its task must give to a map over it; None where any value will do.

        A map gives its dependants an array of its tasks' outputs by itself.
        """
        wanted: list[int | None] = [None] * len(self.steps)
        for step in self.steps:
            if step.kind == "map" and step.deps and self.steps[step.deps[0]].kind == "single":
                wanted[step.deps[0]] = max(step.tasks, wanted[step.deps[0]] or 0)  # one that is skipped has none
        return tuple(wanted)

    def sample(self, most: int) -> FlowShape:
        """The same shape with at most `most` steps, its first ones, and so many elements a map: for priming.

        Without options, so that nothing is waited for or skipped.
        """
        return FlowShape(
            tuple(
                Step(step.slug, step.deps, step.kind, min(step.tasks, most) if step.kind == "map" else 1)
                for step in self.steps[:most]
            )
        )


def checked(shape: FlowShape) -> FlowShape:
    """The same shape, once it is known that pgflow can run it.

    Raises:
        UsageFault: a slug that is none or there twice, a dependency on itself, on a later step or twice, a map with two
            dependencies or with other elements than it is given.
    """
    if not shape.steps:
        raise UsageFault("a flow needs at least one step")
    seen: set[str] = set()
    for index, step in enumerate(shape.steps):
        if not SLUG.fullmatch(step.slug) or len(step.slug) > LONGEST_STEP_SLUG or step.slug == "run":
            raise UsageFault(
                f"step {step.slug!r}: a slug is letters, digits and _, at most {LONGEST_STEP_SLUG}, and not 'run'"
            )
        if step.slug in seen:
            raise UsageFault(f"step {step.slug!r} is there twice")
        seen.add(step.slug)
        if len(set(step.deps)) < len(step.deps):
            raise UsageFault(f"step {step.slug!r} names a dependency twice")
        if any(not 0 <= dep < index for dep in step.deps):
            raise UsageFault(f"step {step.slug!r} depends on a step that is not defined before it: no cycle can be run")
        if step.kind == "map" and len(step.deps) > 1:
            raise UsageFault(f"step {step.slug!r}: a map has one dependency at most")
        if step.kind == "single" and step.tasks != 1 and not step.skipped:
            raise UsageFault(f"step {step.slug!r}: a step that is no map has one task")
    _check_elements(shape)
    return shape


def _check_elements(shape: FlowShape) -> None:
    given: dict[int, int] = {}  # by the step that gives them, -1: the run's input
    for step in shape.steps:
        if step.kind != "map":
            continue
        source = step.deps[0] if step.deps else -1
        if source >= 0 and shape.steps[source].kind == "map":
            given[source] = shape.steps[source].tasks
        elements = given.setdefault(source, step.tasks)
        if elements != step.tasks:
            raise UsageFault(
                f"step {step.slug!r} is a map over {step.tasks} elements and is given {elements}: maps over one array "
                "have as many tasks"
            )


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


def mapped_steps(elements: int, levels: int, *, root: bool, reduced: bool) -> FlowShape:
    """Maps of `elements` tasks, `levels` of them one after another.

    Args:
        elements: tasks of each map; 0 is a map that completes by itself.
        levels: maps in a row, at least 1.
        root: the first is given the run's input; else the array that a single step before it gives.
        reduced: whether a single step takes the last one's outputs.
    """
    steps: list[Step] = [] if root else [Step("list")]
    for level in range(levels):
        steps.append(Step(f"m{level}", (len(steps) - 1,) if steps else (), "map", elements))
    if reduced:
        steps.append(Step("sum", (len(steps) - 1,)))
    return FlowShape(tuple(steps))


def written_steps(text: str) -> FlowShape:
    """Read `a b:a m*5:b sum:m,a`: a step a word, `*N` a map of N elements, its dependencies after the colon.

    Raises:
        UsageFault: not of this form, or no flow that pgflow can run.
    """
    words = [word.partition(":") for word in text.split()]
    names = [name.partition("*") for name, _, _ in words]
    places = {name: index for index, (name, _, _) in reversed(list(enumerate(names)))}
    steps = []
    for (name, star, count), (_, colon, deps) in zip(names, words, strict=True):
        if (star and not count.isdecimal()) or (colon and not deps):
            raise UsageFault(f"step {name!r}: give name, name:dependency,dependency or name*elements:dependency")
        steps.append(Step(name, _places(name, deps, places), "map" if star else "single", int(count) if star else 1))
    return checked(FlowShape(tuple(steps)))


def _places(name: str, deps: str, places: dict[str, int]) -> tuple[int, ...]:
    wanted: Sequence[str] = deps.split(",") if deps else ()
    for dep in wanted:
        if dep not in places:
            raise UsageFault(f"step {name!r} depends on {dep!r}, and there is no such step")
    return tuple(places[dep] for dep in wanted)
