"""A user's own flows: what was read of their definitions, and the shapes that they give.

How they are read, from a file or a database, is the target's business: nothing here knows a connection.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from pgflow_stress.core.errors import UsageFault
from pgflow_stress.scenario.conditions import fitted
from pgflow_stress.scenario.flow import FlowOptions, FlowShape, Step, StepOptions, checked

LONGEST_FLOW_SLUG = 47  # of a queue's name, by pgmq


@dataclass(frozen=True, slots=True)
class OwnStep:
    """One row of pgflow.steps, with the slugs that it depends on in the order of their definition."""

    slug: str
    deps: tuple[str, ...]
    kind: str
    options: StepOptions


@dataclass(frozen=True, slots=True)
class OwnFlow:
    """One flow as it is defined."""

    slug: str
    options: FlowOptions
    steps: tuple[OwnStep, ...]
    source: str  # the file's name, or the database in words
    sha256: str | None = None  # of the file
    weight: float = 1.0
    deployed: bool = False  # it is in the given database and driven there, under its own slug

    def shape(self, elements: int) -> FlowShape:
        """Its steps, each map of so many elements.

        Raises:
            UsageFault: no flow that pgflow can run, or one whose runs all fail.
        """
        places = {step.slug: index for index, step in enumerate(self.steps)}
        steps = tuple(
            Step(
                step.slug,
                tuple(places[dep] for dep in step.deps),
                step.kind,
                elements if step.kind == "map" else 1,
                step.options,
            )
            for step in self.steps
        )
        try:
            return fitted(checked(FlowShape(steps, self.options)))
        except UsageFault as fault:
            raise UsageFault(f"{self.source}: flow {self.slug!r}: {fault}") from None

    def as_parameter(self) -> dict[str, object]:
        """What a result says of it."""
        return {"flow": self.slug, "steps": len(self.steps), "source": self.source, "sha256": self.sha256}


def check_slugs(flows: Sequence[OwnFlow]) -> None:
    """Refuse flows that pgflow would mix up.

    Raises:
        UsageFault: two of one slug, or of slugs that differ in case alone.
    """
    seen: dict[str, OwnFlow] = {}
    for flow in flows:
        other = seen.get(flow.slug.lower())
        if other is None:
            seen[flow.slug.lower()] = flow
            continue
        if other.slug == flow.slug:
            raise UsageFault(f"{flow.source}: flow {flow.slug!r} is defined twice ({other.source})")
        raise UsageFault(
            f"{flow.source}: flows {other.slug!r} and {flow.slug!r} differ in case alone: pgflow gives both one queue"
        )


def nearest(name: str, known: Sequence[str]) -> str:
    """`; nearest: a, b`, or nothing where nothing is near."""
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    return f"; nearest: {', '.join(near)}" if near else ""
