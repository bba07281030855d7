"""Which events a run of a flow emits: pgflow's rules, in one place.

A completed run sends run:started and run:completed; each of its steps started and completed, but for a map without
elements, which only completes, and a step whose condition is not met, which is skipped and says only that. start_tasks,
retries and the tasks of a map send nothing. (pgflow's own SQL: start_flow,
start_ready_steps, complete_task, maybe_complete_run and cascade_complete_taskless_steps.)
"""

from __future__ import annotations

from pgflow_stress.core.events import EventKind, place_in_run, places_per_run
from pgflow_stress.scenario.flow import FlowShape
from pgflow_stress.scenario.workload import Workload


def completed_run_places(shape: FlowShape) -> list[bool]:
    """For each place of a run (core.events) whether a completed run of this shape sends its event, once."""
    expected = [False] * places_per_run(len(shape.steps))
    expected[place_in_run(EventKind.RUN_STARTED)] = True
    expected[place_in_run(EventKind.RUN_COMPLETED)] = True
    for index, step in enumerate(shape.steps):
        expected[place_in_run(EventKind.STEP_STARTED, index)] = step.tasks > 0
        expected[place_in_run(EventKind.STEP_SKIPPED if step.skipped else EventKind.STEP_COMPLETED, index)] = True
    return expected


def events_per_run(shape: FlowShape) -> int:
    """Events of a completed run: 2 + 2 a step, less one for each empty map and each step that is skipped."""
    return sum(completed_run_places(shape))


def started_with_run(shape: FlowShape) -> int:
    """Events that start_flow itself sends where no map is empty: run:started and each root's step:started."""
    return 1 + shape.roots


def events_expected(work: Workload) -> int:
    """Events of all runs, once they have completed."""
    return sum(events_per_run(shape) * runs for shape, runs in _runs_by_shape(work))


def started_with_runs(work: Workload) -> int:
    """Those of them that start_flow itself sends."""
    return sum(started_with_run(shape) * runs for shape, runs in _runs_by_shape(work))


def _runs_by_shape(work: Workload) -> list[tuple[FlowShape, int]]:
    if len(work.shapes) == 1:
        return [(work.shapes[0], work.runs)]
    shape_of = work.shape_of
    counts = [0] * len(work.shapes)
    for flow in work.run_flow().tolist():
        counts[shape_of[flow]] += 1
    return list(zip(work.shapes, counts, strict=True))
