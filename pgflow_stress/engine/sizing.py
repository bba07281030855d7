"""How much room a plan needs in the arena."""

from __future__ import annotations

from pgflow_stress.core.arena import ArenaSize, rows_for
from pgflow_stress.core.events import places_per_run
from pgflow_stress.core.telemetry import MOST_POINTS
from pgflow_stress.scenario.plan import Plan
from pgflow_stress.scenario.soak import MOST_ROWS as MOST_ROWS_OF_A_SOAK
from pgflow_stress.scenario.soak import keep_one_in

LEAST_SPARES = 4
MOST_LOST = 256
_MOST_POLLS_PER_SECOND = 1_000  # of an idle worker that sleeps a millisecond
OBSERVERS = 8  # the observer, and spare regions for its replacements


def arena_size(plan: Plan) -> ArenaSize:
    """Room for a plan: its workers, a spare region for each replacement that there may be; then the others'."""
    lost = len(plan.strikes(0)) * (1 if plan.options.reconnect_seconds else plan.most_workers)  # at most, by faults
    spares = max(LEAST_SPARES, plan.most_workers) + min(lost, MOST_LOST)
    workers = plan.most_workers + spares + plan.starters
    attempts = plan.work.failing.most_tries if plan.work.failing is not None else 1
    places = places_per_run(plan.work.most_steps) if plan.observed else 0
    return ArenaSize(
        processes=workers + (OBSERVERS if plan.observed else 0) + (1 if plan.sampled else 0),
        flows=plan.flows,
        runs=plan.runs,
        tasks=plan.expected_tasks,
        rows=_rows(plan, attempts, places),
        places=places,
        starters=plan.starters,
        points=MOST_POINTS if plan.sampled else 0,
    )


def one_second_in(plan: Plan) -> int:
    """Of how many seconds one is recorded row by row: of a long soak not all are."""
    attempts = plan.work.failing.most_tries if plan.work.failing is not None else 1
    if not plan.options.soak:
        return 1
    polls = round(plan.most_workers * (plan.options.duration_seconds or 0.0) * _MOST_POLLS_PER_SECOND)
    return keep_one_in(4 * attempts * plan.expected_tasks + plan.runs + polls)


def _rows(plan: Plan, attempts: int, places: int) -> int:
    rows = rows_for(attempts * plan.expected_tasks, plan.steps_created, plan.flows, plan.runs, plan.runs * places)
    one_in = one_second_in(plan)
    if one_in == 1:
        return rows
    # Of all that would be written so much is kept; twice the room, as no second is like the others.
    return min(rows, 2 * MOST_ROWS_OF_A_SOAK + plan.steps_created)


def starter_regions(size: ArenaSize) -> range:
    """The regions of the starters: between the workers' and the observers'."""
    end = size.processes - len(observer_regions(size)) - len(sampler_regions(size))
    return range(end - size.starters, end)


def observer_regions(size: ArenaSize) -> range:
    """The regions of the observer and its replacements; none where nobody observes."""
    end = size.processes - len(sampler_regions(size))
    return range(end - OBSERVERS, end) if size.places else range(0)


def sampler_regions(size: ArenaSize) -> range:
    """The sampler's region, the last one; none where nobody samples."""
    return range(size.processes - 1, size.processes) if size.points else range(0)
