"""Ages a database: tasks that a crew of ours finishes through pgflow, under slugs of their own, before it counts."""

from __future__ import annotations

from dataclasses import replace

from pgflow_stress.core.errors import Interrupted, RunFailed
from pgflow_stress.core.exit_codes import ExitCode
from pgflow_stress.core.progress import Progress
from pgflow_stress.core.recording import Recording
from pgflow_stress.core.result import Repetition
from pgflow_stress.engine.repetition import Surroundings, run_repetition
from pgflow_stress.scenario.plan import Plan
from pgflow_stress.target.base import Database


class _Silent:
    """A watch that shows nothing: what is not measured is no phase of a repetition."""

    def place(self, label: str, done: int, of: int | None) -> None:
        """Not shown."""

    def phase(self, name: str, scenario: str, repetition: int) -> None:
        """Not shown."""

    def tick(self, progress: Progress) -> None:
        """Not shown."""

    def ended(self, repetition: Repetition) -> None:
        """Not shown."""

    def note(self, line: str) -> None:
        """Not shown: what goes wrong ends it."""


def make_history(around: Surroundings, plan: Plan, database: Database, nonce: int) -> None:
    """Finish the plan's history in a database, audited as a repetition is, and leave it.

    Args:
        around: of the engine; its plan, watch and record are not used.
    Raises:
        RunFailed: not all of it was finished.
        Interrupted: a signal came.
        SetUpFault: it could not be begun.
    """
    past = plan.of_history()
    done = run_repetition(
        replace(around, plan=past, watch=_Silent(), record=_keep_nothing), database, nonce, 0, warmup=True
    )
    for ending in done.endings:
        if ending.code is ExitCode.INTERRUPTED:
            raise Interrupted("interrupted while the database was aged")
        raise RunFailed(f"the database could not be aged: {ending.reason}")


def _keep_nothing(_recording: Recording) -> None:
    """No timing of it is a measurement."""
