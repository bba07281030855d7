"""The course of a soak: a thread of the coordinator that reads counters at each window's border, into bounded books."""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import psycopg

from pgflow_stress.core.arena import Arena, Header, RunWord, Word
from pgflow_stress.core.errors import SetUpFault
from pgflow_stress.core.hdr import highest_of
from pgflow_stress.core.latency import histogram_of, latency_of
from pgflow_stress.core.operations import Operation
from pgflow_stress.core.recording import Histogram
from pgflow_stress.core.result import Incident, Json
from pgflow_stress.core.units import NS_PER_SECOND
from pgflow_stress.engine.accounts import recorded
from pgflow_stress.engine.soak.pruning import Pruner
from pgflow_stress.engine.soak.readings import COLUMNS, Reader
from pgflow_stress.scenario.plan import Plan
from pgflow_stress.scenario.soak import window_seconds
from pgflow_stress.target.base import Database, Isolation
from pgflow_stress_hot.clock import monotonic_ns

_LOOK_SECONDS = 0.02
_JOIN_SECONDS = 30.0  # that what is under way at the end is waited for
_HURRIED_SECONDS = 0.5


@dataclass(slots=True)
class Border:
    """What was read at one border of windows."""

    at_ns: int
    tasks: int
    task: Histogram  # of cycle times so far
    state: dict[str, int | None] = field(default_factory=dict)


class SoakWatch:
    """Of one repetition."""

    def __init__(self, plan: Plan, database: Database) -> None:
        """Nothing is connected yet."""
        options = plan.options
        self._seconds = options.duration_seconds or 0.0
        self._window_seconds = window_seconds(self._seconds)
        self._reader = Reader(database.conninfo, database.isolation is not Isolation.PREFIX)
        self._pruners = [Pruner(spec, database.conninfo) for spec in options.prunes]
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._borders: list[Border] = []
        self._begin_ns = 0

    @property
    def backends(self) -> tuple[int, ...]:
        """Who only looks: a job of retention is part of what is measured."""
        return (self._reader.backend,) if self._reader.backend else ()

    def prepare(self) -> None:
        """Connect, before the window.

        Raises:
            SetUpFault: it cannot, or a job of retention is no statement.
        """
        try:
            self._reader.open()
        except psycopg.Error as error:
            raise SetUpFault(f"--soak: no connection: {str(error).strip().splitlines()[0]}") from None
        for pruner in self._pruners:
            pruner.prepare()

    def begin(self, arena: Arena) -> None:
        """Wait for the first poll, then read at every border until the end."""
        self._thread = threading.Thread(target=self._work, args=(arena,), name="soak", daemon=True)
        self._thread.start()

    def end(self, *, hurried: bool) -> None:
        """The window is over; `hurried`: nothing more is waited for."""
        self._over.set()
        if self._thread is not None:
            self._thread.join(_HURRIED_SECONDS if hurried else _JOIN_SECONDS)
        for pruner in self._pruners:
            pruner.end(_HURRIED_SECONDS if hurried else _JOIN_SECONDS)

    def close(self) -> None:
        """Close every connection."""
        self._over.set()
        for pruner in self._pruners:
            pruner.close()
        self._reader.close()

    def conclude(self, arena: Arena, origin_ns: int) -> tuple[Json, list[Incident]]:
        """As the result has it, and what a reader must know."""
        borders = self._borders
        told: Json = {
            "window_seconds": self._window_seconds,
            "one_second_in": max(1, int(arena.header[Header.ONE_SECOND_IN])),
            "retention": bool(self._pruners),
            "windows": windows_of(arena, borders, origin_ns),
            "readings": {
                "seconds": [_seconds(border.at_ns - origin_ns) for border in borders],
                **{name: [border.state.get(name) for border in borders] for name in COLUMNS},
            },
            **self._reader.about,
            "unseen": sorted(self._reader.unseen),
            "prunes": [pruner.as_json(origin_ns) for pruner in self._pruners],
        }
        return told, [incident for pruner in self._pruners for incident in _failures(pruner, origin_ns)]

    def _work(self, arena: Arena) -> None:
        begun = arena.words[:, Word.PROCESS_FROM_NS]
        while not begun.any():
            if self._over.wait(_LOOK_SECONDS):
                return
        self._begin_ns = int(begun[begun > 0].min())
        end_ns = self._begin_ns + round(self._seconds * NS_PER_SECOND)
        for pruner in self._pruners:
            pruner.begin(self._begin_ns, end_ns)
        period_ns = round(self._window_seconds * NS_PER_SECOND)
        for number in range(1 + int(self._seconds / self._window_seconds + 1e-9)):
            due_ns = self._begin_ns + number * period_ns
            if self._over.wait(max(0.0, (due_ns - monotonic_ns()) / NS_PER_SECOND)):
                return
            self._borders.append(self._read(arena))

    def _read(self, arena: Arena) -> Border:
        at_ns = monotonic_ns()
        tasks = int(arena.words[:, Word.TASKS_COMPLETED].sum())
        return Border(at_ns, tasks, recorded(arena, Operation.TASK), self._reader.read())


def windows_of(arena: Arena, borders: list[Border], origin_ns: int) -> Json:
    """Rates and latencies of each window, between one border and the next; response times by when a run was over."""
    runs, tasks = arena.runs, arena.tasks_of_runs
    whole = runs[(runs[:, RunWord.COMPLETED] >= tasks) & (runs[:, RunWord.FAILED_NS] == 0) & (tasks > 0)]
    intended, done = whole[:, RunWord.INTENDED_NS], whole[:, RunWord.LAST_DONE_NS]
    order = np.argsort(done)
    done, response = done[order], (done - np.where(intended > 0, intended, whole[:, RunWord.SENT_NS]))[order]
    columns: dict[str, list[Any]] = {
        name: []
        for name in (
            "from_seconds", "seconds", "tasks", "tasks_per_second", "runs", "response_p50_ns", "response_p99_ns",
            "cycle_p50_ns", "cycle_p99_ns",
        )
    }  # fmt: skip
    for first, second in itertools.pairwise(borders):
        seconds = (second.at_ns - first.at_ns) / NS_PER_SECOND
        within = slice(*(int(place) for place in np.searchsorted(done, [first.at_ns, second.at_ns])))
        responses, cycles = latency_of(histogram_of(response[within])), latency_of(_less(second.task, first.task))
        tasks_done = second.tasks - first.tasks
        row = (
            _seconds(first.at_ns - origin_ns), round(seconds, 4), tasks_done, tasks_done / seconds, responses.count,
            responses.p50, responses.p99, cycles.p50, cycles.p99,
        )  # fmt: skip
        for name, cell in zip(columns, row, strict=True):
            columns[name].append(cell)
    return columns


def _less(now: Histogram, before: Histogram) -> Histogram:
    """What was recorded in between; its largest value is the highest of its last bucket."""
    counts = now.counts.copy()
    counts[: before.counts.size] -= before.counts
    used = np.flatnonzero(counts > 0)
    return Histogram(
        counts=counts,
        count=int(counts.sum()),
        samples=now.samples - before.samples,
        total_ns=now.total_ns - before.total_ns,
        max_ns=int(highest_of(used[-1:])[0]) if used.size else 0,
    )


def _seconds(ns: int) -> float:
    return round(ns / NS_PER_SECOND, 4)


def _failures(pruner: Pruner, origin_ns: int) -> list[Incident]:
    times = pruner.times
    if not times.failed:
        return []
    first = next((one["at_ns"] for one in times.each if one["error"]), origin_ns)
    return [
        Incident(
            "prune failed",
            max(0, first - origin_ns),
            pruner.spec.text,
            f"{times.failed} of {times.count} times: {times.first_error}",
        )
    ]
