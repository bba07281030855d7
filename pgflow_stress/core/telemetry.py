"""What a sampler leaves: points of named series, as the arena holds them and as they are handed on.

A metric whose name ends in `_total` is a counter since some moment before the window: the difference of two of its
points is what happened between them, whatever ticks were missed or thinned out. Every other metric is a gauge.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

MOST_POINTS = 1_000_000  # beyond it every second tick is dropped
MOST_SERIES = 4096
MOST_UNSEEN = 32
SAMPLER_WORDS = 16
FIRST_TICK = 0  # of the readings before the window
LAST_TICK = -(1 << 30)  # of those after it: however often ticks are thinned out, it stays
VITAL_WORDS = 64
POOL_BACKENDS = 16  # where a worker's backends beside its first one begin, among its vital words

COUNTER = "_total"  # how the name of a counter ends
MARK = "mark"  # unit of what is there at some ticks and not at others

POINT_DTYPE = np.dtype([("t_ns", "<i8"), ("value", "<f8"), ("series", "<i4"), ("tick", "<i4")])
SERIES_DTYPE = np.dtype([("role", "S32"), ("subject", "S96"), ("metric", "S48"), ("unit", "S16")])
UNSEEN_DTYPE = np.dtype("S200")


class SamplerWord(IntEnum):
    """Words that the sampler alone writes."""

    POINTS = 0
    SERIES = 1
    UNSEEN = 2
    TICKS = 3
    MISSED = 4
    CPU_NS = 5  # of the sampler's process, from its first tick on
    FINISHED = 6  # its last readings are taken
    LEFT_OUT = 7  # points of series that found no room
    THINNED = 8  # how often every second tick was dropped
    BEATS = 9  # samples of what backends wait for
    TASK_BEATS = 10  # of those, while tasks were processed


class Vital(IntEnum):
    """Words that one process writes about its own Python side; inside the window, as far as it can tell."""

    COLLECTIONS = 0  # pauses of the cyclic collector
    COLLECTION_NS = 1
    LONGEST_COLLECTION_NS = 2
    SLEEPS = 3
    LATE_NS = 4  # woken later than asked for
    LONGEST_LATE_NS = 5
    PEAK_RESET = 6  # 1: the kernel's peak of its memory counts from just before the window
    HOT_NS = 7  # inside the extension's loops
    RSS_PEAK_BYTES = 8  # at the window's end; of the coordinator
    WORK_NS = 9  # that the simulated work of the tasks it had in hand takes
    TAKEN_BACK_NS = 10  # of a worker: when it had taken back what a crash lost
    # Of an observer of Supabase Realtime: what it was answered that is no event.
    CHANNEL_ERRORS = 11
    JOINS_TIMED_OUT = 12
    CHANNELS_CLOSED = 13
    OVERFLOWS = 14
    RATE_LIMITED = 15


class House(IntEnum):
    """Rows of vitals that belong to no region."""

    COORDINATOR = 0
    NURSERY = 1
    TO_SAMPLER = 2  # no vitals: what the coordinator tells the sampler, orders.Sampling in its first word


@dataclass(frozen=True, slots=True)
class Series:
    """One series; its points are those with its place in the list of all."""

    role: str
    subject: str
    metric: str
    unit: str


@dataclass(frozen=True, slots=True)
class Telemetry:
    """The points of one repetition, in order of time; stamps are CLOCK_MONOTONIC ns."""

    series: tuple[Series, ...]
    points: npt.NDArray[np.void]  # POINT_DTYPE[n]
