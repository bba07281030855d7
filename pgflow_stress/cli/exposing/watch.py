"""Keeps the latest snapshot: in the coordinator's own loop, where the arena may be read; nobody else reads it."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Self

from pgflow_stress.cli.progress import Clock, IntervalRate, QuietWatch
from pgflow_stress.core.progress import Progress
from pgflow_stress.core.result import Latency, Repetition, Tasks

if TYPE_CHECKING:
    from pgflow_stress.cli.exposing.endpoint import Endpoint
    from pgflow_stress.cli.exposing.snapshot import Snapshot

READING_SECONDS = 1.0  # between two readings of what takes longer than counts
MOST_SHARE = 0.01  # of a core: a reading that cost more than its part is followed by a longer pause


class ExposingWatch(QuietWatch):
    """Serves between its two ends; whoever reads of a phase on standard error finds it here as well."""

    def __init__(
        self, inner: QuietWatch, endpoint: Endpoint, clock: Clock = time.monotonic, cost: Clock = time.thread_time
    ) -> None:
        """`cost`: CPU seconds of this thread so far."""
        self._inner = inner
        self._endpoint = endpoint
        self._clock = clock
        self._cost = cost
        self._rate = IntervalRate()
        self._due = float("-inf")
        self._before: Counter[tuple[str, str]] = (
            Counter()
        )  # by scenario and name, counts of repetitions before this one
        self._current: dict[tuple[str, str], int] = {}
        self._outcomes: Counter[tuple[str, str]] = Counter()
        self._ended: Counter[str] = Counter()
        self._failed_checks: Counter[str] = Counter()

    def __enter__(self) -> Self:
        """From here on it is served: whatever forks has forked."""
        self._inner.__enter__()
        self._endpoint.serve()
        self._inner.note(f"metrics at {self._endpoint.address}")
        return self

    def __exit__(self, *exception: object) -> None:
        """It ends with the run."""
        self._endpoint.close()
        self._inner.__exit__(*exception)

    def place(self, label: str, done: int, of: int | None) -> None:
        """Passed on."""
        self._inner.place(label, done, of)

    def phase(self, name: str, scenario: str, repetition: int) -> None:
        """A phase; with that of priming the arena is another repetition's."""
        if name == "prime":
            self._before.update(self._current)
            self._current = {}
        now = self._endpoint.snapshot
        known = now.repetitions if scenario == now.scenario else 0
        self._show(
            replace(
                now, scenario=scenario, phase=name, repetition=repetition, repetitions=known, per_second=None,
                latency=Latency(), backlog=0, cores={}, series={},
            )
        )  # fmt: skip
        self._due = float("-inf")
        self._inner.phase(name, scenario, repetition)

    def tick(self, progress: Progress) -> None:
        """Counts each time, the rest once a second or less often."""
        self._current = {(progress.scenario, name): count for name, count in progress.counts.items()}
        now = replace(
            self._endpoint.snapshot,
            scenario=progress.scenario,
            phase=progress.phase,
            repetition=progress.repetition,
            repetitions=progress.repetitions,
            backlog=progress.backlog,
        )
        if self._clock() >= self._due:
            began = self._cost()
            gauges = progress.read_gauges()
            now = replace(
                now,
                per_second=self._rate.of(progress),
                latency=gauges.latency,
                cores=dict(gauges.cores),
                series=progress.read_series(),
            )
            self._due = self._clock() + max(READING_SECONDS, (self._cost() - began) / MOST_SHARE)
        self._show(now)
        self._inner.tick(progress)

    def ended(self, repetition: Repetition) -> None:
        """What became of its tasks."""
        self._inner.ended(repetition)
        scenario = self._endpoint.snapshot.scenario
        for one in fields(Tasks):
            if one.name != "expected":
                self._outcomes[(scenario, one.name)] += getattr(repetition.tasks, one.name)
        self._ended[scenario] += 1
        self._failed_checks[scenario] += sum(not check.ok for check in repetition.audit.checks)
        self._show(self._endpoint.snapshot)

    def note(self, line: str) -> None:
        """Passed on."""
        self._inner.note(line)

    def _show(self, now: Snapshot) -> None:
        self._endpoint.snapshot = replace(
            now,
            counts={of: self._before[of] + self._current.get(of, 0) for of in {**self._before, **self._current}},
            outcomes=dict(self._outcomes),
            ended=dict(self._ended),
            failed_checks=dict(self._failed_checks),
            at_unix_seconds=time.time(),
        )
