"""What the engine tells whoever shows a run's progress. Called between reads of the arena, never in the hot path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a repetition stands; counts since the repetition's origin."""

    scenario: str
    repetition: int
    repetitions: int  # warm-up included
    warmup: bool
    phase: str
    done: int  # of what the phase counts: steps created, runs started, tasks completed
    total: int
    elapsed_seconds: float  # of the phase
    backlog: int  # tasks of started runs that are not completed
    errors: int  # statements refused, retried ones included


class Watch(Protocol):
    """Shows progress; must return at once."""

    def phase(self, name: str, scenario: str, repetition: int) -> None:
        """A phase of a repetition begins: set-up, prime, create, start, process, audit, clean-up."""

    def tick(self, progress: Progress) -> None:
        """About ten times a second while statements are being sent."""

    def note(self, line: str) -> None:
        """One line that the user must see: a worker lost, a retry limit reached."""
