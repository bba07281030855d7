"""What the engine hands on when a scenario has ended."""

from __future__ import annotations

from dataclasses import dataclass

from pgflow_stress.core.exit_codes import ExitCode
from pgflow_stress.core.result import Json, Repetition
from pgflow_stress.scenario.plan import Plan


@dataclass(frozen=True, slots=True)
class Ending:
    """One reason for a code other than 0: the line the user reads."""

    code: ExitCode
    reason: str


@dataclass(frozen=True, slots=True)
class Measurement:
    """A scenario's repetitions, and why it ended as it did; no endings means 0."""

    plan: Plan
    repetitions: tuple[Repetition, ...]
    endings: tuple[Ending, ...]
    parameters: Json  # plan.parameters() with what was measured filled in: vt, isolation
    tasks_by_worker: tuple[int, ...]
