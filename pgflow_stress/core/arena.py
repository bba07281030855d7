"""The arena: one anonymous shared mapping in which every process writes what it did, laid out here and nowhere else.

    header          int64[64]                       the coordinator alone
    words           int64[processes][64]            each row one process alone (ProcessWord), cache lines of its own
    errors          ERROR_DTYPE[processes][16]      likewise
    stats, counts   int64[processes][operations][4] and [buckets]    likewise: HDR counts
    started, done   int64[processes][flows]         likewise: tasks of runs started, tasks completed
    steps_created   int64[flows]                    the worker that creates the flow
    runs            int64[runs][8]                  RunWord; shared, by atomic operations
    run_flow        int64[runs]                     the flow that a run is of: the coordinator alone
    first_task      int64[runs + 1]                 where a run's tasks begin in the ledger: likewise
    ledger          uint8[tasks]                    LedgerBit; shared, by atomic operations
    caused          int64[tasks]                    when a task's completion was sent; only where observed
    received        uint8[runs][places of a run]    EventBit: the observer alone
    strays          STRAY_DTYPE[256]                likewise: events of our runs that have no place
    samples         int64[4096][16]                 Sample: likewise
    gaps            int64[64][2]                    likewise: when it was away, from and to
    house, vitals   int64[3 or processes][16]       Vital: coordinator and nursery, or each process; a row one alone
    sampler, points, series, unseen                 core.telemetry: the sampler alone
    rows            EVENT_DTYPE[processes][capacity]   one process alone, in order of time

It is a memfd made before the first fork: no crash can leave it, and a container's small /dev/shm does not matter. Pages
that nobody touches cost nothing, so regions are sized for the worst case. A region of rows that fills stops recording
rows and counts what it left out; histograms and ledger go on.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from pgflow_stress.core.hdr import bucket_count
from pgflow_stress.core.memory import require_memory
from pgflow_stress.core.operations import Operation
from pgflow_stress.core.recording import EVENT_DTYPE
from pgflow_stress.core.telemetry import (
    MOST_SERIES,
    MOST_UNSEEN,
    POINT_DTYPE,
    SAMPLER_WORDS,
    SERIES_DTYPE,
    UNSEEN_DTYPE,
    VITAL_WORDS,
    House,
)
from pgflow_stress.core.units import NS_PER_SECOND

Int64s = npt.NDArray[np.int64]

PROCESS_WORDS = 64
RUN_WORDS = 8
WRITTEN_OFF = 1 << 30  # in a run's COMPLETED, above the count
ERROR_SLOTS = 16
STATS = 4
LONGEST_NS = 3600 * NS_PER_SECOND  # of a histogram; above it values count in its last bucket
BUCKETS = bucket_count(LONGEST_NS)
MOST_ROWS = 4_000_000  # of one process
PART_ROWS = 262_144  # read at once
_PAGE = mmap.PAGESIZE

ERROR_DTYPE = np.dtype(
    [
        ("count", "<i8"),
        ("first_ns", "<i8"),
        ("operation", "<i4"),
        ("retried", "<i4"),
        ("sqlstate", "S8"),
        ("text", "S224"),
    ]
)
MOST_STRAYS = 256
STRAY_DTYPE = np.dtype([("run_index", "<i8"), ("count", "<i8"), ("event", "S240")])
MOST_SAMPLES = 4096
SAMPLE_WORDS = 16
MOST_GAPS = 64


class Header(IntEnum):
    """Words that the coordinator writes and everybody reads; NEXT_RUN and IN_FLIGHT are counted in by all."""

    STOP = 0
    PHASE = 1
    STARTS_DONE = 2
    VT_SECONDS = 3
    ONE_SECOND_IN = 24  # of so many seconds one is recorded row by row; 0 and 1: all
    IN_FLIGHT_LIMIT = 5  # most runs in flight; 0: no limit
    STARTS_CLOSED = 6  # no more runs are started
    LATE_SKIP_NS = 7  # a run later than this is skipped; 0: none is
    NEXT_RUN = 8  # the next run of the schedule
    IN_FLIGHT = 16  # runs that were started and are not completed
    MARKER = 4  # the number of the marker that ends what an observer is to receive; 0: none sent yet


class Stop(IntEnum):
    """The stop word."""

    RUN = 0
    DRAIN = 1  # claimed tasks are completed, nothing more is polled or started
    NOW = 2  # nothing more is waited for


class Word(IntEnum):
    """Words of one process."""

    STATE = 0
    PID = 1
    BACKEND_PID = 2
    ROWS = 3
    ROWS_LEFT_OUT = 4
    CLAIMED = 5
    POLLS = 6
    EMPTY_POLLS = 7
    MESSAGES_READ = 8
    TASKS_CLAIMED = 9
    TASKS_COMPLETED = 10
    STATEMENTS = 11
    ERRORS_RETRIED = 12
    ERRORS_FAILED = 13
    CPU_FROM_NS = 14
    CPU_TO_NS = 15
    CREATE_FROM_NS = 16
    CREATE_TO_NS = 17
    START_FROM_NS = 18
    START_TO_NS = 19
    PROCESS_FROM_NS = 20
    PROCESS_TO_NS = 21
    STEPS_CREATED = 22
    FLOWS_CREATED = 23
    RUNS_STARTED = 24
    CYCLES = 25
    RESIDENCE_NS = 26
    IDLE_NS = 27
    COMPLETED_TWICE = 28
    NOT_OURS = 29
    UNCLAIMED = 30
    LONGEST_CYCLE_NS = 31
    RSS_PEAK_BYTES = 32
    PRIMED_TASK_NS = 33
    FIRST_IDLE_NS = 34
    NOTICES = 35
    BIRTH_NS = 36
    REPLACES = 37  # 1 + the region of the worker that this one replaces
    WARNINGS = 38  # realtime.send's: an event that it could not store
    # Of an observer.
    RECEIVED = 39  # events with a place
    RECEIVED_FOREIGN = 40  # of runs that are not this repetition's
    RECEIVED_STRAY = 41  # of our runs, of an unknown name
    RECEIVED_UNTIMED = 42  # whose cause nobody stamped, or that came again
    FIRST_RECEIVED_NS = 43
    LAST_RECEIVED_NS = 44
    LAST_DELIVERY_NS = 45  # of the last event that was timed
    RECEIVED_BYTES = 46
    REDELIVERED = 47  # transactions that came again after a cut, passed over by their place in the log
    COMMIT_LSN = 48  # the transaction that the last event was of
    COMMIT_POSITION = 49  # and its place in it
    CONFIRMED_LSN = 50  # all before it was received
    MARKER = 51  # the last marker received
    RECONNECTS = 52
    GAPS = 53
    SAMPLES = 54
    SUBSCRIBE_NS = 55
    CLOCK_OFFSET_NS = 56  # the server's wall clock less ours
    CLOCK_ERROR_NS = 57
    OBSERVER_CPU_NS = 58
    STRAYS_LEFT_OUT = 59
    RUNS_SKIPPED = 61
    BACKEND_SOCKET = 60  # its descriptor of the connection
    WAITED_FOR_NS = 62  # of the process phase, in which work was in hand and nothing in flight
    RUN_QUEUE_NS = 63  # of the process phase, runnable and not run; -1 where the kernel does not tell


class Sample(IntEnum):
    """One sample of an observer, a column each."""

    AT_NS = 0
    RECEIVED = 1
    PENDING = 2  # events emitted and not received, estimated
    LAG_BYTES = 3  # written to the log and not received; -1 where there is no log
    SOCKET_BYTES = 4  # in the kernel, not read
    QUEUE_PPM = 5  # pg_notification_queue_usage(), in millionths
    CPU_NS = 6
    DELIVERY_NS = 7  # of the last event that was timed
    SERVER_LSN = 8


class EventBit(IntEnum):
    """What an observer knows of an event."""

    COUNT = 15  # how often it was received; 15: that often or more
    EARLY = 128  # when it was first received, one that comes before it had not been


class RunWord(IntEnum):
    """Words of one run."""

    INTENDED_NS = 0
    SENT_NS = 1
    STARTED_NS = 2
    LAST_DONE_NS = 3
    COMPLETED = 4  # tasks; WRITTEN_OFF is added where the run failed
    CLAIMED_NS = 5  # by a starter
    SKIPPED = 6
    FAILED_NS = 7  # when a worker was told that the run failed


class Stat(IntEnum):
    """Of a histogram, what its counts cannot give."""

    SAMPLES = 0  # statements; how many items they carried is the sum of the counts
    TOTAL_NS = 1  # sum of latency * items
    MAX_NS = 2


class LedgerBit(IntEnum):
    """What the ledger knows of a task."""

    CLAIMED = 1
    COMPLETED = 2
    SETTLED = 4
    TWICE = 8  # completed again by us: pgflow 0.8 sends its event again
    FAILED = 16  # and above: how many attempts were failed by design


@dataclass(frozen=True, slots=True)
class ArenaSize:
    """What the arena must hold."""

    processes: int  # workers and spare regions for their replacements
    flows: int
    runs: int
    tasks: int
    rows: int  # most rows of one process
    places: int = 0  # of the events of one run; 0 where nobody observes
    starters: int = 0  # processes among them that start runs
    points: int = 0  # of telemetry; 0 where nobody samples

    @property
    def causes(self) -> int:
        """Tasks whose completion's sending is stamped."""
        return self.tasks if self.places else 0


def rows_for(tasks: int, steps: int, flows: int, runs: int, events: int = 0) -> int:
    """Rows that one process needs if it does everything alone: per task its own, its completion's and a poll's.

    An observer writes one an event.
    """
    return min(MOST_ROWS, max(4 * tasks + steps + flows + runs, events) + 4096)


class Arena:
    """The mapping and its views. Made by the coordinator before the nursery is forked; children inherit it."""

    def __init__(self, largest: ArenaSize) -> None:
        """Map room for the largest of the sizes that will be laid out in it.

        Raises:
            UsageFault: it would not fit into this machine's (or container's) memory.
        """
        self._bytes = _layout(largest)[1]
        _refuse_beyond_memory(largest)
        self._fd = os.memfd_create("pgflow-stress-arena")
        os.ftruncate(self._fd, self._bytes)
        self._map = mmap.mmap(self._fd, self._bytes, mmap.MAP_SHARED)
        self.lay_out(largest)

    def lay_out(self, size: ArenaSize) -> None:
        """Point the views at the places that this size gives; in every process alike."""
        places, total = _layout(size)
        if total > self._bytes:
            raise ValueError("larger than what was mapped")
        self.size = size
        self._places = places

        def view(name: str, kind: Any, *shape: int) -> Any:
            count = int(np.prod(shape))
            if not count:
                return np.zeros(shape, dtype=kind)
            return np.frombuffer(self._map, dtype=kind, count=count, offset=places[name]).reshape(shape)

        processes, operations = size.processes, len(Operation)
        self.header: Int64s = view("header", np.int64, PROCESS_WORDS)
        self.words: Int64s = view("words", np.int64, processes, PROCESS_WORDS)
        self.errors: npt.NDArray[np.void] = view("errors", ERROR_DTYPE, processes, ERROR_SLOTS)
        self.stats: Int64s = view("stats", np.int64, processes, operations, STATS)
        self.counts: Int64s = view("counts", np.int64, processes, operations, BUCKETS)
        self.started: Int64s = view("started", np.int64, processes, size.flows)
        self.done: Int64s = view("done", np.int64, processes, size.flows)
        self.steps_created: Int64s = view("steps_created", np.int64, size.flows)
        self.runs: Int64s = view("runs", np.int64, size.runs, RUN_WORDS)
        self.run_flow: Int64s = view("run_flow", np.int64, size.runs)
        self.first_task: Int64s = view("first_task", np.int64, size.runs + 1)
        self.ledger: npt.NDArray[np.uint8] = view("ledger", np.uint8, size.tasks)
        self.caused: Int64s = view("caused", np.int64, size.causes)
        self.received: npt.NDArray[np.uint8] = view("received", np.uint8, size.runs, size.places)
        self.strays: npt.NDArray[np.void] = view("strays", STRAY_DTYPE, MOST_STRAYS)
        self.samples: Int64s = view("samples", np.int64, MOST_SAMPLES, SAMPLE_WORDS)
        self.gaps: Int64s = view("gaps", np.int64, MOST_GAPS, 2)
        self.house: Int64s = view("house", np.int64, len(House), VITAL_WORDS)
        self.vitals: Int64s = view("vitals", np.int64, processes, VITAL_WORDS)
        self.sampler: Int64s = view("sampler", np.int64, SAMPLER_WORDS)
        self.points: npt.NDArray[np.void] = view("points", POINT_DTYPE, size.points)
        self.series: npt.NDArray[np.void] = view("series", SERIES_DTYPE, MOST_SERIES)
        self.unseen: npt.NDArray[np.bytes_] = view("unseen", UNSEEN_DTYPE, MOST_UNSEEN)

    def deal(self, run_flow: Int64s, first_task: Int64s) -> None:
        """Say which flow each run is of and where its tasks begin; the coordinator, before anybody reads it."""
        self.run_flow[:] = run_flow
        self.first_task[:] = first_task

    @property
    def tasks_of_runs(self) -> Int64s:
        """int64[runs]: tasks that each run has."""
        return np.diff(self.first_task)

    def row_bytes(self, process: int) -> npt.NDArray[np.uint8]:
        """The rows of one process as uint8[rows * 64], to be written."""
        length = self.size.rows * EVENT_DTYPE.itemsize
        offset = self._places["rows"] + process * _up(length)
        return np.frombuffer(self._map, dtype=np.uint8, count=length, offset=offset)

    def read_rows(self, process: int) -> Iterator[npt.NDArray[np.void]]:
        """The rows that one process wrote, in parts; read through the file, so that no page of ours is mapped."""
        count = int(self.words[process, Word.ROWS])
        length = self.size.rows * EVENT_DTYPE.itemsize
        offset = self._places["rows"] + process * _up(length)
        for first in range(0, count, PART_ROWS):
            part = min(PART_ROWS, count - first)
            begin = offset + first * EVENT_DTYPE.itemsize
            yield np.frombuffer(os.pread(self._fd, part * EVENT_DTYPE.itemsize, begin), dtype=EVENT_DTYPE)

    def clear(self) -> None:
        """All zero, and its memory given back; only while no child writes."""
        os.ftruncate(self._fd, 0)
        os.ftruncate(self._fd, self._bytes)

    def close(self) -> None:
        """Give the memory back. Views that still exist keep the mapping until they are gone."""
        os.ftruncate(self._fd, 0)
        os.close(self._fd)


def _up(value: int) -> int:
    return -(-value // _PAGE) * _PAGE


def _layout(size: ArenaSize) -> tuple[dict[str, int], int]:
    operations = len(Operation)
    lengths = {
        "header": PROCESS_WORDS * 8,
        "house": len(House) * VITAL_WORDS * 8,  # before all that depends on a size: the nursery lays nothing out
        "words": size.processes * PROCESS_WORDS * 8,
        "errors": size.processes * ERROR_SLOTS * ERROR_DTYPE.itemsize,
        "stats": size.processes * operations * STATS * 8,
        "counts": size.processes * operations * BUCKETS * 8,
        "started": size.processes * size.flows * 8,
        "done": size.processes * size.flows * 8,
        "steps_created": size.flows * 8,
        "runs": size.runs * RUN_WORDS * 8,
        "run_flow": size.runs * 8,
        "first_task": (size.runs + 1) * 8,
        "ledger": size.tasks,
        "caused": size.causes * 8,
        "received": size.runs * size.places,
        "strays": MOST_STRAYS * STRAY_DTYPE.itemsize,
        "samples": MOST_SAMPLES * SAMPLE_WORDS * 8,
        "gaps": MOST_GAPS * 2 * 8,
        "vitals": size.processes * VITAL_WORDS * 8,
        "sampler": SAMPLER_WORDS * 8,
        "points": size.points * POINT_DTYPE.itemsize,
        "series": MOST_SERIES * SERIES_DTYPE.itemsize,
        "unseen": MOST_UNSEEN * UNSEEN_DTYPE.itemsize,
        "rows": size.processes * _up(size.rows * EVENT_DTYPE.itemsize),
    }
    places = {}
    total = 0
    for name, length in lengths.items():
        places[name] = total
        total += _up(length)
    return places, total


def _refuse_beyond_memory(size: ArenaSize) -> None:
    # What is really touched: the shared parts, and as many rows as all processes together can write.
    touched = (
        size.tasks
        + size.causes * 8
        + size.runs * size.places
        + size.runs * (RUN_WORDS + 2) * 8
        + size.points * POINT_DTYPE.itemsize
        + min(size.rows * 2, size.processes * size.rows) * 64
    )
    require_memory(touched)
