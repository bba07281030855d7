"""Shows how a run goes, on standard error: announcements in a file or pipe, a live line on a terminal.

Nothing here starts a thread: what is shown is drawn when the engine ticks, at most a few times a second.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from pgflow_stress.cli.redact import redact
from pgflow_stress.cli.streams import say
from pgflow_stress.core.progress import Progress

if TYPE_CHECKING:
    from rich.console import RenderableType

REFRESH_SECONDS = 0.25
Clock = Callable[[], float]  # seconds, monotonic


class QuietWatch:
    """Shows nothing: --quiet."""

    def __enter__(self) -> Self:
        """Nothing to prepare."""
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to put back."""

    def phase(self, name: str, scenario: str, repetition: int) -> None:
        """Not shown."""

    def tick(self, progress: Progress) -> None:
        """Not shown."""

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


class LiveWatch(LineWatch):
    """One line that is drawn over and over, below whatever else is written."""

    def __init__(self, every_seconds: float | None, clock: Clock = time.monotonic) -> None:
        """Lines of `every_seconds` go above the live one."""
        # Imported here: a run that is not watched need not wait for it.
        from rich.console import Console  # noqa: PLC0415
        from rich.live import Live  # noqa: PLC0415

        super().__init__(every_seconds, self._above, clock)
        self._console = Console(stderr=True, highlight=False)
        # No thread of its own: the coordinator's children are forked.
        self._live = Live(
            console=self._console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
        )
        self._drawn = float("-inf")
        self._live_rate = IntervalRate()

    def __enter__(self) -> Self:
        """Take the terminal's last line."""
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Give it back, the cursor too."""
        with contextlib.suppress(OSError):
            self._live.stop()

    def phase(self, name: str, scenario: str, repetition: int) -> None:
        """Name the phase at once: set-up and audit do not tick."""
        from rich.text import Text  # noqa: PLC0415

        self._draw(Text(f"{scenario}  repetition {repetition}  {name} …", no_wrap=True, overflow="ellipsis"))

    def tick(self, progress: Progress) -> None:
        """Draw, where the last time is long enough ago."""
        super().tick(progress)
        if self._clock() - self._drawn >= REFRESH_SECONDS:
            self._draw(_bar(progress, self._live_rate.of(progress)))

    def _draw(self, shown: RenderableType) -> None:
        self._drawn = self._clock()
        with contextlib.suppress(OSError):  # the terminal may have gone; the measurement has not
            self._live.update(shown, refresh=True)

    def _above(self, line: str) -> None:
        with contextlib.suppress(OSError):
            self._console.print(line, markup=False, soft_wrap=True)


def _bar(progress: Progress, per_second: float) -> RenderableType:
    from rich.progress_bar import ProgressBar  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    cells: list[RenderableType] = [
        f"{progress.scenario} {progress.repetition + 1}/{progress.repetitions} {progress.phase}",
        ProgressBar(total=max(progress.total, 1), completed=progress.done),
        f"{progress.done:,}/{progress.total:,}",
        f"{per_second:,.0f}/s",
        f"{progress.elapsed_seconds:.1f} s",
        f"backlog {progress.backlog:,}",
        *([f"errors {progress.errors:,}"] if progress.errors else []),
    ]
    line = Table.grid(padding=(0, 2, 0, 0), expand=True)
    for position in range(len(cells)):
        # The bar alone gives way: one line that stays one.
        line.add_column(no_wrap=True, overflow="ellipsis", ratio=1 if position == 1 else None)
    line.add_row(*cells)
    return line


def make_watch(quiet: bool, every_seconds: float | None) -> QuietWatch:
    """The watch that fits standard error."""
    if quiet:
        return QuietWatch()
    if sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        return LiveWatch(every_seconds)
    return LineWatch(every_seconds)
