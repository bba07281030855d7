"""What a live view reads beside counts, on an arena in this process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pgflow_stress.core.arena import Arena, ArenaSize, Stat
from pgflow_stress.core.hdr import bucket_index
from pgflow_stress.core.operations import Operation
from pgflow_stress.core.telemetry import SamplerWord
from pgflow_stress.core.units import NS_PER_SECOND
from pgflow_stress.engine import sampler_book
from pgflow_stress.engine.gauges import GaugeReader
from pgflow_stress.engine.sampler_book import Book


@pytest.fixture
def arena() -> Iterator[Arena]:
    arena = Arena(ArenaSize(processes=3, flows=1, runs=1, tasks=1, rows=1, points=64))
    yield arena
    arena.close()


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The book's clock, ns: what is in the list."""
    at_ns = [0]
    monkeypatch.setattr(sampler_book, "monotonic_ns", lambda: at_ns[0])
    return at_ns


def record(arena: Arena, process: int, operation: Operation, latency_ns: int, items: int) -> None:
    arena.counts[process, operation, bucket_index([latency_ns])[0]] += items
    stats = arena.stats[process, operation]
    stats[Stat.SAMPLES] += 1
    stats[Stat.TOTAL_NS] += latency_ns * items
    stats[Stat.MAX_NS] = max(stats[Stat.MAX_NS], latency_ns)


def test_latencies_are_of_what_the_phase_times_over_all_processes(arena: Arena) -> None:
    for sample in range(20):
        record(arena, sample % 2, Operation.TASK, 1_000 * (sample + 1), items=10)
    record(arena, 2, Operation.ADD_STEP, 7_000_000, items=1)

    reader = GaugeReader(arena)
    task, step = reader.read("process").latency, reader.read("create").latency

    assert (task.count, task.samples, task.max) == (200, 20, 20_000)
    assert task.p50 == pytest.approx(10_000, rel=0.001)
    assert task.p99 is None, "fewer than ten samples are beyond it"
    assert (step.count, step.max) == (1, 7_000_000)
    assert reader.read("start").latency.count == reader.read("deliver").latency.count == 0


def test_cores_are_what_a_role_used_between_the_last_two_readings(arena: Arena, now: list[int]) -> None:
    book, reader = Book(arena), GaugeReader(arena)
    found = []
    for second, (zero, one, server) in enumerate([(5.0, 1.0, 40.0), (5.5, 1.25, 41.5), (5.5, 1.25, 41.75)]):
        now[0] = second * NS_PER_SECOND
        book.put("worker", "worker 0", "cpu_total", zero * NS_PER_SECOND, "ns")
        book.put("worker", "worker 0", "rss", 1e9, "bytes")
        book.put("worker", "worker 1", "cpu_total", one * NS_PER_SECOND, "ns")
        book.put("postgres", "checkpointer", "cpu_total", server * NS_PER_SECOND, "ns")
        book.flush()
        found.append(dict(reader.read("process").cores))

    assert found == [{}, {"worker": 0.75, "postgres": 1.5}, {"worker": 0.0, "postgres": 0.25}]
    assert reader.read("process").cores == found[-1], "until the sampler reads again"


def test_series_have_their_last_value_and_gauges_that_are_not_read_any_more_are_left_out(
    arena: Arena, now: list[int]
) -> None:
    book, reader = Book(arena), GaugeReader(arena)
    for tick in range(12):
        now[0], book.tick = tick * NS_PER_SECOND, tick
        book.put("worker", "worker 0", "rss", 100.0 + tick, "bytes")
        if tick == 0:
            book.put("postgres", "idle in transaction", "connections", 3.0, "connections")
            book.put("worker", "CPU", "wait_samples_total", 9.0, "samples")
        if tick == 10:
            book.put("postgres", "pgflow.runs", "vacuum_running", 1.0, "mark")
            book.put("postgres", "pgflow.runs", "size", 4096.0, "bytes")
        book.flush()
        found = {(series.subject, series.metric): value for series, value in reader.series().items()}
        assert ("idle in transaction", "connections") in found or tick == 11
        assert (("pgflow.runs", "vacuum_running") in found) == (tick == 10), "a mark is of its tick alone"

    assert found == {
        ("worker 0", "rss"): 111.0,
        ("CPU", "wait_samples_total"): 9.0,
        ("pgflow.runs", "size"): 4096.0,
    }


def test_a_book_that_was_thinned_is_read_on(arena: Arena, now: list[int]) -> None:
    book, reader = Book(arena), GaugeReader(arena)
    for tick in range(200):
        now[0] = tick * NS_PER_SECOND
        book.tick = tick
        book.put("worker", "worker 0", "cpu_total", 0.5 * tick * NS_PER_SECOND, "ns")
        book.flush()
        reader.read("process")

    assert arena.sampler[SamplerWord.THINNED] >= 2
    assert reader.read("process").cores == {"worker": 0.5}
