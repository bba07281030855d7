"""Ours and a rival, measured in turns: a turn of each makes a pair, each turn on a fresh database.

Both sides' tasks are counted alike: what the database says is completed, and whether pgflow's invariants hold.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import psycopg

from pgflow_stress.core.errors import RunFailed, StressError
from pgflow_stress.core.exit_codes import ExitCode
from pgflow_stress.core.progress import Watch
from pgflow_stress.core.recording import Recording
from pgflow_stress.core.result import Repetition
from pgflow_stress.engine.engine import Engine
from pgflow_stress.engine.interleaving import turns
from pgflow_stress.engine.measurement import Ending
from pgflow_stress.engine.rivals.base import Counted, Figures, Job, Rival, count
from pgflow_stress.scenario.plan import Plan
from pgflow_stress.target.base import Target


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of the rival's."""

    figures: Figures
    counted: Counted


@dataclass(frozen=True, slots=True)
class Pair:
    """Both sides' turns; None where one did not come to its end."""

    warmup: bool
    ours: Repetition | None = None
    theirs: Turn | None = None


@dataclass(frozen=True, slots=True)
class Against:
    """What the plan was held against, and where."""

    plan: Plan
    target: Target
    name: str
    rival: Rival


@dataclass(slots=True)
class Course:
    """Pairs and endings as they come: what was measured before a fault is kept."""

    pairs: list[Pair] = field(default_factory=list)
    endings: list[Ending] = field(default_factory=list)


def measure_against(engine: Engine, against: Against, watch: Watch, course: Course) -> None:
    """Pair by pair, in random order; ends at the first fault, as no pair after it would mean anything.

    Args:
        engine: entered with the plan.
        course: filled as pairs are measured.
    """
    options = against.plan.options
    drawn = turns(options.warmup, options.repetitions, options.seed)
    try:
        for index, order in enumerate(drawn):
            watch.place(f"pair {index + 1} of {len(drawn)}", 2 * index, 2 * len(drawn))
            ours: Repetition | None = None
            theirs: Turn | None = None
            for which in order:
                if which == 0:
                    measured = engine.measure_one(against.plan, against.target, _nothing, watch, index)
                    course.endings += measured.endings
                    ours = measured.repetition
                else:
                    watch.phase(against.name, against.plan.scenario, index)
                    theirs = _turn(engine, against, course.endings.append)
                if course.endings:
                    break
            course.pairs.append(Pair(index < options.warmup, ours, theirs))
            if course.endings:
                return
    except StressError as fault:
        course.endings.append(Ending(fault.exit_code, str(fault)))


def _turn(engine: Engine, against: Against, end: Callable[[Ending], None]) -> Turn:
    with engine.lent(against.target) as (database, nonce):
        job = Job(database, nonce, against.plan.expected_tasks, against.plan.options)
        try:
            figures = against.rival.drive(job)
            counted = count(job)
        except psycopg.Error as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise RunFailed(f"{against.name} ended: {reason}") from None
    wrong = [
        f"{check.name}: expected {check.expected}, found {check.found}" for check in counted.checks if not check.ok
    ]
    if counted.tasks != job.steps or counted.runs != 1:
        wrong.append(f"{counted.tasks} of {job.steps} tasks and {counted.runs} of 1 run completed")
    for text in wrong:
        end(Ending(ExitCode.CHECK_FAILED, f"{against.name}: {text}"))
    return Turn(figures, counted)


def _nothing(_recording: Recording) -> None:
    """No timings are kept: the figures are what is told."""
