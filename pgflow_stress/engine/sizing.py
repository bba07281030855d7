"""How much room a plan needs in the arena."""

from __future__ import annotations

from pgflow_stress.core.arena import ArenaSize, rows_for
from pgflow_stress.core.events import places_per_run
from pgflow_stress.scenario.plan import Plan

LEAST_SPARES = 4
OBSERVERS = 8  # the observer, and spare regions for its replacements


def arena_size(plan: Plan) -> ArenaSize:
    """Room for a plan: its workers, and a spare region for each replacement that there may be; observers come last."""
    workers = plan.most_workers + max(LEAST_SPARES, plan.most_workers) + plan.starters
    places = places_per_run(len(plan.shape.steps)) if plan.observed else 0
    return ArenaSize(
        processes=workers + (OBSERVERS if plan.observed else 0),
        flows=plan.flows,
        runs=plan.runs,
        tasks=plan.expected_tasks,
        rows=rows_for(plan.expected_tasks, plan.steps_created, plan.flows, plan.runs, plan.runs * places),
        places=places,
        starters=plan.starters,
    )


def starter_regions(size: ArenaSize) -> range:
    """The regions of the starters: between the workers' and the observers'."""
    end = size.processes - len(observer_regions(size))
    return range(end - size.starters, end)


def observer_regions(size: ArenaSize) -> range:
    """The regions of the observer and its replacements; none where nobody observes."""
    return range(size.processes - OBSERVERS, size.processes) if size.places else range(0)
