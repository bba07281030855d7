"""What one repetition recorded, as columns: handed from the engine to whoever writes files.

An event row is one cache line. The arena stores rows of this type, and so do the Parquet files (by column).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pgflow_stress.core.telemetry import Telemetry

EVENT_DTYPE = np.dtype(
    [
        ("intended_ns", "<i8"),  # when it was due; 0 where nothing was scheduled
        ("sent_ns", "<i8"),
        ("done_ns", "<i8"),
        ("msg_id", "<i8"),  # -1 where the row is not about one message
        ("run_index", "<i4"),  # -1 where the row is not about one run; likewise the next two
        ("step_index", "<i4"),
        ("task_index", "<i4"),
        ("batch", "<i4"),  # the worker's cycle: joins a task with its read, start_tasks and complete
        ("operation", "<i2"),  # core.operations.Operation
        ("status", "<i2"),  # core.operations.Status
        ("items", "<i4"),  # how many tasks, steps, runs or messages the statement carried
        ("flow_index", "<i4"),
        ("spare", "<i4"),
    ]
)
assert EVENT_DTYPE.itemsize == 64


@dataclass(frozen=True, slots=True)
class Histogram:
    """HDR counts (core.hdr) of one operation, with what the counts cannot give."""

    counts: npt.NDArray[np.int64]
    count: int  # sum of counts: items
    samples: int  # statements
    total_ns: int  # sum of latency * items
    max_ns: int


@dataclass(frozen=True, slots=True)
class Recording:
    """One repetition's timings. Stamps are CLOCK_MONOTONIC ns; subtract origin_ns for the result's."""

    index: int
    warmup: bool
    origin_ns: int
    origin_unix_ns: int  # the same moment by the wall clock, for log headers only
    to_ns: int
    histograms: dict[str, Histogram]  # by operation name; and "execute", a run's response time
    left_out: int  # rows that found no room; the histograms have them
    rows: Callable[[], Iterator[tuple[str, npt.NDArray[np.void]]]]  # (process title, EVENT_DTYPE rows), in parts
    telemetry: Telemetry | None = None
    call_graphs: dict[str, Any] | None = None  # a document for speedscope
