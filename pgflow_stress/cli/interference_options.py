"""--interference: which kinds there are, what each takes, and what it makes of the other options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pgflow_stress.core.errors import UsageFault
from pgflow_stress.scenario.interference import MOST_KINDS, InterferenceSpec, parse_interference
from pgflow_stress.scenario.plan import Plan
from pgflow_stress.target.base import TargetOptions

_OWN_CONNECTIONS = 12  # coordinator, sampler, observer, plans, faults, and what looks at an interference
_HISTORY, _IDLE = "history", "idle-connections"


def checked_interference(values: Mapping[str, Any]) -> tuple[InterferenceSpec, ...]:
    """What is asked for.

    Raises:
        UsageFault: no such kind, a number where there is none or none where there is one, a time where it has none.
    """
    if not values.get("interference"):  # of a command that has none
        return ()
    from pgflow_stress.engine.interference import INTERFERENCES  # noqa: PLC0415  pulls in numpy

    specs = tuple(parse_interference(text) for text in values["interference"])
    if len(specs) > MOST_KINDS:
        raise UsageFault(f"{len(specs)} interferences: at most {MOST_KINDS}")
    for spec in specs:
        kind = INTERFERENCES.get(spec.name)
        named = f"--interference {spec.text!r}"
        if kind is None:
            there = ", ".join(f"{one.name}:N" if one.counts else one.name for one in INTERFERENCES.values())
            raise UsageFault(f"{named}: no such interference; there are {there}")
        if kind.counts and (spec.count is None or not 1 <= spec.count <= kind.most):
            raise UsageFault(f"{named}: how many {kind.counts}? give {kind.name}:N, 1 to {kind.most:,}")
        if not kind.counts and spec.count is not None:
            raise UsageFault(f"{named}: {kind.name} takes no number: leave :{spec.count} out")
        if spec.at_seconds is not None and not kind.timed:
            raise UsageFault(f"{named}: {kind.name} is there for the whole window: leave @… out")
    return specs


def history_of(specs: tuple[InterferenceSpec, ...], values: Mapping[str, Any]) -> int | None:
    """Finished tasks that the database is aged by: the more of what is asked for either way."""
    asked = [spec.count for spec in specs if spec.name == _HISTORY and spec.count is not None]
    return max([*asked, values["history"] or 0]) if asked else values["history"]


def with_interference(
    target: TargetOptions, specs: tuple[InterferenceSpec, ...], plans: tuple[Plan, ...]
) -> TargetOptions:
    """The target's options, with what it must be able to bear."""
    if not specs:
        return target
    idle = next((spec.count or 0 for spec in specs if spec.name == _IDLE), 0)
    ours = max(plan.most_workers * plan.options.max_pg_connections + plan.starters for plan in plans)
    return replace(
        target,
        interference=tuple(spec.name for spec in specs),
        connections=idle + ours + _OWN_CONNECTIONS if idle else 0,
    )
