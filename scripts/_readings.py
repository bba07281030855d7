"""Readings of a run's processes that share nothing with the tool's own: for prove_telemetry.

CPU time is what the kernel accounts by ticks (utime and stime), where the tool reads the scheduler's clock; resident
memory is the walk of the page tables (smaps_rollup), where the tool reads the kernel's count.
"""

from __future__ import annotations

import bisect
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import psutil

_CPU_SECONDS, _MEMORY_SECONDS = 0.05, 0.5  # between two looks
_LEAST_CPU_SECONDS = 1.0  # of a process, that a share of 5 % is told of: a tick is 10 ms
_LEAST_RSS_BYTES = 4 << 20
_STEADY = 0.02  # memory that changed more than that between two looks is compared with nothing
_NEAR_NS = 700_000_000
_TITLE = "pgflow-stress: "
_WHO = "select pid, backend_type, application_name from pg_stat_activity"


@dataclass
class _Read:
    """Of one process; stamps are the wall clock's, ns."""

    cpu: list[tuple[int, float]] = field(default_factory=list)
    rss: list[tuple[int, int]] = field(default_factory=list)


class Reader:
    """Looks at a run's processes, and at those of the server that it uses, from a thread of this process."""

    def __init__(self, conninfo: str) -> None:
        import psycopg

        self._connection = psycopg.connect(conninfo, autocommit=True)
        self._tool: psutil.Process | None = None
        self._server = psutil.Process(self._connection.info.backend_pid).parent()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.read: dict[int, _Read] = defaultdict(_Read)
        self.subject: dict[int, tuple[str, str]] = {}

    def __enter__(self) -> Self:
        """Nothing is read before `watch`."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Stop looking."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
        self._connection.close()

    def watch(self, pid: int) -> None:
        """Read the processes of this run from here on."""
        self._tool = psutil.Process(pid)
        self._thread.start()

    def _look(self) -> None:
        found: list[psutil.Process] = []
        memory_due = 0.0
        while not self._over.wait(_CPU_SECONDS):
            memory = time.monotonic() >= memory_due
            try:
                if memory:
                    memory_due = time.monotonic() + _MEMORY_SECONDS
                    found = self._processes()
            except psutil.Error:
                return  # the run is over
            for one in found:
                try:
                    self._one(one, memory=memory)
                except (psutil.Error, OSError):
                    continue

    def _processes(self) -> list[psutil.Process]:
        assert self._tool is not None
        assert self._server is not None
        of_tool = [self._tool, *self._tool.children(recursive=True)]
        for one in of_tool:
            title = " ".join(one.cmdline()).strip()
            if title.startswith(_TITLE):
                subject = title.removeprefix(_TITLE)
                self.subject[one.pid] = (subject.split()[0], subject)
        for pid, kind, name in self._connection.execute(_WHO).fetchall():
            is_ours = bool(name) and name.startswith(_TITLE)
            self.subject[pid] = ("postgres", f"backend of {name.removeprefix(_TITLE)}" if is_ours else kind)
        self.subject[self._server.pid] = ("postgres", "postmaster")
        return [*of_tool, self._server, *self._server.children()]

    def _one(self, process: psutil.Process, *, memory: bool) -> None:
        used, now_ns = process.cpu_times(), time.time_ns()
        self.read[process.pid].cpu.append((now_ns, used.user + used.system))
        if memory:
            text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
            (line,) = [line for line in text.splitlines() if line.startswith("Rss:")]
            self.read[process.pid].rss.append((time.time_ns(), int(line.split()[1]) * 1024))

    def of(self, role: str, subject: str) -> list[_Read]:
        """What was read of the processes of one subject."""
        name = "observer" if role == "observer" else subject
        return [
            self.read[pid]
            for pid, (has_role, has) in self.subject.items()
            if pid in self.read and has_role == role and (has == name or (role == "observer" and has.startswith(name)))
        ]


@dataclass
class Compared:
    """By process, the tool's reading ÷ the other one."""

    cpu: dict[str, float]
    rss: dict[str, float]  # the median over the readings that can be compared
    small: dict[str, list[float]]  # CPU seconds by the tool and by the other, too few for a share

    @property
    def worst_cpu(self) -> float:
        """The largest difference, as a share."""
        return max((abs(ratio - 1) for ratio in self.cpu.values()), default=1.0)

    @property
    def worst_rss(self) -> float:
        """Likewise."""
        return max((abs(ratio - 1) for ratio in self.rss.values()), default=1.0)


def compared(series: Path, telemetry: Any, reader: Reader) -> Compared:
    """The series of one repetition against what a reader saw of the same processes at the same times."""
    import pyarrow.parquet as pq

    points: dict[tuple[str, str, str], list[tuple[int, float]]] = defaultdict(list)
    for row in pq.read_table(series, filters=[("metric", "in", ["cpu_total", "rss"])]).to_pylist():
        key = (row["role"], row["subject"], row["metric"])
        points[key].append((row["t_ns"] + telemetry["origin_unix_ns"], row["value"]))
    found = Compared({}, {}, {})
    for (role, subject, metric), values in points.items():
        others = reader.of(role, subject)
        name = subject if role != "postgres" else f"postgres: {subject}"
        if len(others) != 1:  # came and went, or several of a kind
            continue
        if metric == "rss":
            ratios = _rss_ratios(values, others[0].rss)
            if ratios:
                found.rss[name] = round(float(np.median(ratios)), 4)
        elif others[0].cpu:
            ours = (values[-1][1] - values[0][1]) / 1e9
            theirs = _between(others[0].cpu, values[0][0], values[-1][0])
            if theirs is None:
                continue
            if theirs >= _LEAST_CPU_SECONDS:
                found.cpu[name] = round(ours / theirs, 4)
            else:
                found.small[name] = [round(ours, 3), round(theirs, 3)]
    return found


def _between(read: list[tuple[int, float]], from_ns: int, to_ns: int) -> float | None:
    """What a counter rose by between two moments, its readings connected by lines; None where they do not reach.

    At both ends a process of the job is idle: readings that end a moment earlier reach far enough.
    """
    times, values = zip(*read, strict=True)
    if times[0] > from_ns + _NEAR_NS or times[-1] < to_ns - _NEAR_NS:
        return None
    first, last = np.interp([from_ns, to_ns], times, values)
    return float(last - first)


def _rss_ratios(ours: list[tuple[int, float]], theirs: list[tuple[int, int]]) -> list[float]:
    """Ratios at those moments around which the other readings agree with each other."""
    times = [at_ns for at_ns, _ in theirs]
    ratios = []
    for at_ns, value in ours:
        place = bisect.bisect(times, at_ns)
        if not 0 < place < len(times):
            continue
        (before_ns, before), (after_ns, after) = theirs[place - 1], theirs[place]
        is_near = at_ns - before_ns < _NEAR_NS and after_ns - at_ns < _NEAR_NS
        if is_near and min(before, after) >= _LEAST_RSS_BYTES and abs(after / before - 1) <= _STEADY:
            ratios.append(value / ((before + after) / 2))
    return ratios
