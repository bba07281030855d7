"""Ages a database: tasks that a crew of ours finishes through pgflow, under slugs of their own, before it counts."""

from __future__ import annotations

import time
from dataclasses import replace

from pgflow_stress.core.errors import Interrupted, RunFailed
from pgflow_stress.core.exit_codes import ExitCode
from pgflow_stress.core.progress import Progress, Watch
from pgflow_stress.core.recording import Recording
from pgflow_stress.core.result import Repetition
from pgflow_stress.engine.repetition import Surroundings, run_repetition
from pgflow_stress.scenario.past import past_of
from pgflow_stress.scenario.plan import Plan
from pgflow_stress.target.base import Database

_SAY_EVERY_SECONDS = 30.0


class AgingWatch:
    """Of what is not measured only how far it is, now and then: millions of tasks take long."""

    def __init__(self, watch: Watch) -> None:
        """Nothing is said in the first seconds."""
        self._watch = watch
        self._next_at = time.monotonic() + _SAY_EVERY_SECONDS

    def place(self, label: str, done: int, of: int | None) -> None:
        """Not shown."""

    def phase(self, name: str, scenario: str, repetition: int) -> None:
        """Not shown."""

    def tick(self, progress: Progress) -> None:
        """What is done of the phase."""
        now = time.monotonic()
        if now >= self._next_at:
            self._next_at = now + _SAY_EVERY_SECONDS
            self._watch.note(
                f"aging the database of {progress.scenario}: phase {progress.phase}, "
                f"{progress.done:,} of {progress.total:,} in {progress.elapsed_seconds:,.0f} s"
            )

    def ended(self, repetition: Repetition) -> None:
        """Not shown."""

    def note(self, line: str) -> None:
        """Not shown: what goes wrong ends it."""


def make_history(around: Surroundings, plan: Plan, database: Database, nonce: int) -> None:
    """Finish the plan's history in a database, audited as a repetition is, and leave it.

    Args:
        around: of the engine; its watch is told how far it is; its plan and record are not used.
    Raises:
        RunFailed: not all of it was finished.
        Interrupted: a signal came.
        SetUpFault: it could not be begun.
    """
    past = past_of(plan)
    aging = replace(around, plan=past, watch=AgingWatch(around.watch), record=_keep_nothing)
    done = run_repetition(aging, database, nonce, 0, warmup=True)
    for ending in done.endings:
        if ending.code is ExitCode.INTERRUPTED:
            raise Interrupted("interrupted while the database was aged")
        raise RunFailed(f"the database could not be aged: {ending.reason}")


def _keep_nothing(_recording: Recording) -> None:
    """No timing of it is a measurement."""
