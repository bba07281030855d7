"""How much room a plan needs in the arena."""

from __future__ import annotations

from pgflow_stress.core.arena import ArenaSize, rows_for
from pgflow_stress.scenario.plan import Plan

LEAST_SPARES = 4


def arena_size(plan: Plan) -> ArenaSize:
    """Room for a plan: its workers, and a spare region for each replacement that there may be."""
    return ArenaSize(
        processes=plan.options.workers + max(LEAST_SPARES, plan.options.workers),
        flows=plan.flows,
        runs=plan.runs,
        tasks=plan.expected_tasks,
        rows=rows_for(plan.expected_tasks, plan.steps_created, plan.flows, plan.runs),
    )
