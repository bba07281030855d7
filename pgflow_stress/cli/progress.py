"""Shows how a run goes, on standard error: announcements in a file or pipe, a live view (`live`) on a terminal.

Nothing here starts a thread: what is shown is drawn when the engine ticks, at most a few times a second.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Self

from pgflow_stress.cli.streams import say
from pgflow_stress.core.progress import Progress
from pgflow_stress.core.redact import redact
from pgflow_stress.core.result import Repetition

Clock = Callable[[], float]  # seconds, monotonic
_NO_CURSOR = ("", "dumb", "unknown")  # a TERM that cannot move back


class QuietWatch:
    """Shows nothing: --quiet."""

    def __enter__(self) -> Self:
        """Nothing to prepare."""
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to put back."""

    def place(self, label: str, done: int, of: int | None) -> None:
        """Not shown."""

    def phase(self, name: str, scenario: str, repetition: int) -> None:
        """Not shown."""

    def tick(self, progress: Progress) -> None:
        """Not shown."""

    def ended(self, repetition: Repetition) -> None:
        """Not shown: the summary has it."""

    def note(self, line: str) -> None:
        """Not shown: what matters is in the result's incidents, and an ending has its own line."""


class IntervalRate:
    """Counts per second since it was last asked: what goes on now, not on average."""

    def __init__(self) -> None:
        """Nothing asked yet."""
        self._at: tuple[str, str, int] | None = None
        self._done = 0
        self._seconds = 0.0

    def of(self, progress: Progress) -> float:
        """The rate since the last call, or since the phase began."""
        at = (progress.phase, progress.scenario, progress.repetition)
        if at != self._at:
            self._at, self._done, self._seconds = at, 0, 0.0
        done, seconds = progress.done - self._done, progress.elapsed_seconds - self._seconds
        self._done, self._seconds = progress.done, progress.elapsed_seconds
        return done / seconds if seconds > 0 else 0.0


class LineWatch(QuietWatch):
    """A line a phase, and with `every_seconds` a line every so often."""

    def __init__(
        self, every_seconds: float | None, write: Callable[[str], None] = say, clock: Clock = time.monotonic
    ) -> None:
        """Every how many seconds a line is due; None for none."""
        self._every_seconds = every_seconds
        self._write = write
        self._clock = clock
        self._rate = IntervalRate()
        self._due = clock() + (every_seconds or 0.0)

    def phase(self, name: str, scenario: str, repetition: int) -> None:
        """Announce a phase; scripts wait for these lines."""
        self._write(f"phase {name} {scenario} {repetition}")

    def tick(self, progress: Progress) -> None:
        """A line where one is due."""
        if self._every_seconds is None or self._clock() < self._due:
            return
        self._due = self._clock() + self._every_seconds
        self._write(progress_line(progress, self._rate.of(progress)))

    def note(self, line: str) -> None:
        """The line, without a password."""
        self._write(redact(line))


def progress_line(progress: Progress, per_second: float) -> str:
    """What `--progress S` prints."""
    return (
        f"progress {progress.phase} {progress.scenario} {progress.repetition}: {progress.elapsed_seconds:.1f} s, "
        f"{progress.done} of {progress.total}, {per_second:.1f}/s, "
        f"backlog {progress.backlog}, errors {progress.errors}"
    )


def make_watch(quiet: bool, every_seconds: float | None) -> QuietWatch:
    """The watch that fits standard error."""
    if quiet:
        return QuietWatch()
    if sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM", "") not in _NO_CURSOR:
        # Imported here: a run that is not watched need not wait for rich.
        from pgflow_stress.cli.live.watch import LiveWatch  # noqa: PLC0415

        return LiveWatch(every_seconds, sys.stderr)
    return LineWatch(every_seconds)
