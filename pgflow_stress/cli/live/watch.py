"""The watch of a terminal: no thread, and drawn when the engine ticks, seldom enough to cost next to nothing."""

from __future__ import annotations

import time
from typing import Self, TextIO

from pgflow_stress.cli.live.course import Course, Forecast
from pgflow_stress.cli.live.screen import Screen
from pgflow_stress.cli.live.view import FINE, PLAIN, Scene, render
from pgflow_stress.cli.progress import Clock, LineWatch
from pgflow_stress.core.progress import Gauges, Progress
from pgflow_stress.report.printable import is_plain

REFRESH_SECONDS = 0.25
MOST_SHARE = 0.01  # of a core: a drawing that cost more than its part is followed by a longer pause


class LiveWatch(LineWatch):
    """Draws where a run stands; lines of `every_seconds` and notes stay above."""

    def __init__(
        self, every_seconds: float | None, stream: TextIO, clock: Clock = time.monotonic, cost: Clock = time.thread_time
    ) -> None:
        """`cost`: CPU seconds of this thread so far."""
        self._screen = Screen(stream)
        super().__init__(every_seconds, self._screen.above, clock)
        self._cost = cost
        self._glyphs = PLAIN if is_plain(stream.encoding or "ascii") else FINE
        self._began = clock()
        self._drawing_due = float("-inf")
        self._forecast = Forecast()
        self._course = Course()
        self._label = ""
        self._at = ("", "", 0)  # phase, scenario, repetition
        self._last: Progress | None = None  # of this scenario

    def __enter__(self) -> Self:
        """Nothing is shown before there is something to say."""
        return self

    def __exit__(self, *_: object) -> None:
        """Give the terminal back as it was."""
        self._screen.close()

    def place(self, label: str, done: int, of: int | None) -> None:
        """Name it from the next phase on."""
        self._label = label
        self._forecast.place(done, of, self._clock())

    def phase(self, name: str, scenario: str, repetition: int) -> None:
        """Name the phase at once: set-up and audit do not tick."""
        if name == "set-up":
            self._forecast.begin(self._clock())
        if scenario != self._at[1]:
            self._last = None
        self._at, self._course = (name, scenario, repetition), Course()
        self._draw(None)

    def tick(self, progress: Progress) -> None:
        """Draw, where the last time is long enough ago."""
        super().tick(progress)
        if self._clock() < self._drawing_due:
            return
        self._last = progress
        self._course.add(progress.elapsed_seconds, progress.done)
        self._draw(progress)

    def _draw(self, progress: Progress | None) -> None:
        began = self._cost()
        scene = self._scene(progress, progress.read_gauges() if progress else None)
        self._screen.show(render(scene, self._screen.size(), self._glyphs))
        self._drawing_due = self._clock() + max(REFRESH_SECONDS, (self._cost() - began) / MOST_SHARE)

    def _scene(self, progress: Progress | None, gauges: Gauges | None) -> Scene:
        now, last = self._clock(), self._last
        phase, scenario, repetition = self._at
        return Scene(
            label=self._label,
            scenario=scenario,
            phase=phase,
            repetition=repetition,
            repetitions=last.repetitions if last else None,
            warmup=progress.warmup if progress else False,
            elapsed_seconds=now - self._began,
            left_seconds=self._forecast.left_seconds(now),
            course=self._course,
            progress=progress,
            gauges=gauges,
        )
