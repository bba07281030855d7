"""An observer's time series: what it has received, what waits for it and where, what it costs.

Taken by a thread beside the loop, which holds no lock of Python's. When the arena's table is full every second sample
is dropped and the interval doubled.
"""

from __future__ import annotations

import contextlib
import fcntl
import resource
import struct
import termios
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import psycopg

from pgflow_stress.core.arena import MOST_SAMPLES, Arena, Int64s, Sample, Word
from pgflow_stress.core.result import Json
from pgflow_stress.core.units import NS_PER_SECOND
from pgflow_stress.engine.orders import ObserverOrder
from pgflow_stress.scenario.events import events_expected, started_with_runs
from pgflow_stress_hot.clock import monotonic_ns

SAMPLE_SECONDS = 0.25
_LAG = "select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::int8, pg_notification_queue_usage()"


class Sampler:
    """Samples one observer into its arena until told to stop."""

    def __init__(self, arena: Arena, order: ObserverOrder, stop: threading.Event) -> None:
        """Nothing is sampled before `run`."""
        self._arena = arena
        self._order = order
        self._stop = stop
        self._words = arena.words[order.region]
        self._interval_seconds = SAMPLE_SECONDS
        self._taken = self._inherited()
        # Of the mean run.
        runs, tasks = max(1, order.work.runs), max(1, order.work.expected_tasks)
        self._at_start = started_with_runs(order.work) / runs
        self._per_task = (events_expected(order.work) - started_with_runs(order.work)) / tasks

    def _inherited(self) -> int:
        # A replacement goes on where the dead one stopped.
        of = self._order.replaces_region
        return 0 if of is None else int(self._arena.words[of, Word.SAMPLES])

    def run(self) -> None:
        """Sample at even intervals; a server that does not answer leaves its columns at -1."""
        connection = None
        with contextlib.suppress(psycopg.Error):
            connection = psycopg.connect(
                self._order.conninfo, autocommit=True, application_name="pgflow-stress: sampler", connect_timeout=5
            )
        try:
            while not self._stop.wait(self._interval_seconds):
                self._sample(connection)
        finally:
            if connection is not None:
                connection.close()

    def _sample(self, connection: psycopg.Connection | None) -> None:
        server_lsn, queue = -1, -1.0
        if connection is not None and not connection.closed:
            with contextlib.suppress(psycopg.Error):
                row: Any = connection.execute(_LAG).fetchone()
                server_lsn, queue = int(row[0]), float(row[1])
        self._make_room()
        received = int(self._arena.words[:, Word.RECEIVED].sum())
        confirmed = int(self._words[Word.CONFIRMED_LSN])
        used = resource.getrusage(resource.RUSAGE_SELF)
        sample = self._arena.samples[self._taken]
        sample[Sample.AT_NS] = monotonic_ns()
        sample[Sample.RECEIVED] = received
        sample[Sample.PENDING] = max(0, self._emitted() - received)
        known = self._order.transport == "wal" and server_lsn >= 0 and confirmed > 0
        sample[Sample.LAG_BYTES] = max(0, server_lsn - confirmed) if known else -1
        sample[Sample.SOCKET_BYTES] = _unread_bytes(int(self._words[Word.BACKEND_SOCKET]))
        sample[Sample.QUEUE_PPM] = round(queue * 1e6) if queue >= 0 else -1
        sample[Sample.CPU_NS] = round((used.ru_utime + used.ru_stime) * NS_PER_SECOND)
        sample[Sample.DELIVERY_NS] = self._words[Word.LAST_DELIVERY_NS]
        sample[Sample.SERVER_LSN] = server_lsn
        self._taken += 1
        self._words[Word.SAMPLES] = self._taken

    def _emitted(self) -> int:
        # Exact for independent steps; between a run's start and its end other shapes are interpolated.
        words = self._arena.words
        return round(
            int(words[:, Word.RUNS_STARTED].sum()) * self._at_start
            + int(words[:, Word.TASKS_COMPLETED].sum()) * self._per_task
        )

    def _make_room(self) -> None:
        if self._taken < MOST_SAMPLES:
            return
        half = MOST_SAMPLES // 2
        self._arena.samples[:half] = self._arena.samples[1::2].copy()
        self._taken = half
        self._interval_seconds *= 2


def _unread_bytes(descriptor: int) -> int:
    if descriptor <= 0:
        return -1
    try:
        return int(struct.unpack("i", fcntl.ioctl(descriptor, termios.FIONREAD, b"\0" * 4))[0])
    except OSError:
        return -1  # between two connections


def series(samples: Int64s, origin_ns: int) -> Json:
    """The samples as the result has them.

    Args:
        samples: int64[n, 16] of Sample.
        origin_ns: the repetition's, CLOCK_MONOTONIC.
    """
    at = samples[:, Sample.AT_NS]
    cpu = np.diff(samples[:, Sample.CPU_NS], prepend=0) / np.maximum(1, np.diff(at, prepend=origin_ns))
    return {
        "seconds": _rounded((at - origin_ns) / NS_PER_SECOND, 3),
        "received": samples[:, Sample.RECEIVED].tolist(),
        "events": samples[:, Sample.PENDING].tolist(),
        "lag_bytes": samples[:, Sample.LAG_BYTES].tolist(),
        "socket_bytes": samples[:, Sample.SOCKET_BYTES].tolist(),
        "queue_usage": _rounded(np.maximum(samples[:, Sample.QUEUE_PPM], 0) / 1e6, 6),
        "cpu_share": _rounded(np.clip(cpu, 0, None), 3),
        "latency_ns": samples[:, Sample.DELIVERY_NS].tolist(),
    }


def _rounded(values: Any, digits: int) -> Sequence[float]:
    return [round(float(value), digits) for value in values]
