"""A sampler's book, and what is made of it: on an arena in this process."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from pgflow_stress.core.arena import Arena, ArenaSize
from pgflow_stress.core.phase import nothing
from pgflow_stress.core.result import Latency, Phase
from pgflow_stress.core.telemetry import LAST_TICK, MOST_SERIES, MOST_UNSEEN, SamplerWord
from pgflow_stress.core.units import NS_PER_SECOND
from pgflow_stress.engine import sampler_book
from pgflow_stress.engine.sampler_book import Book
from pgflow_stress.engine.telemetry_accounts import (
    backends,
    blocked_by,
    ends_of,
    hosts,
    lock_waits,
    processes,
    serialisation,
    take_telemetry,
    wait_events,
    with_marks,
)

ROOM = 64


@pytest.fixture
def arena() -> Iterator[Arena]:
    arena = Arena(ArenaSize(processes=2, flows=1, runs=1, tasks=1, rows=1, points=ROOM))
    yield arena
    arena.close()


def put_all(book: Book, *points: tuple[str, str, str, float]) -> None:
    for role, subject, metric, value in points:
        book.put(role, subject, metric, value, "unit")


def phase_of(per_second: float) -> Phase:
    return Phase(0, NS_PER_SECOND, 1.0, int(per_second), per_second, per_second, Latency())


def test_points_come_back_as_they_were_put_down(arena: Arena) -> None:
    book = Book(arena)
    put_all(book, ("worker", "worker 0", "rss", 5.0), ("host", "cpu0", "cpu_busy_total", 7.0))
    assert not arena.sampler[SamplerWord.POINTS], "nothing is there before the tick is whole"

    book.flush()

    taken = take_telemetry(arena)
    assert [taken.series[place].subject for place in taken.points["series"]] == ["worker 0", "cpu0"]
    assert taken.points["value"].tolist() == [5.0, 7.0]
    assert (np.diff(taken.points["t_ns"]) >= 0).all()


def test_a_full_book_drops_every_second_tick_and_no_counter_loses_anything(arena: Arena) -> None:
    book = Book(arena)
    for tick in range(200):
        book.tick = tick
        put_all(book, ("worker", "worker 0", "cpu_total", float(tick)))
        book.flush()
    book.tick = LAST_TICK
    put_all(book, ("worker", "worker 0", "cpu_total", 1000.0))
    book.flush()

    ends = ends_of(take_telemetry(arena))

    assert arena.sampler[SamplerWord.THINNED] >= 2
    assert list(ends.gained("cpu_total").values()) == [1000.0]


def test_what_cannot_be_thinned_out_any_more_is_left_out_and_counted(arena: Arena) -> None:
    book = Book(arena)
    for number in range(ROOM + 5):
        put_all(book, ("worker", "worker 0", "rss", float(number)))
        book.flush()

    assert arena.sampler[SamplerWord.POINTS] == ROOM
    assert arena.sampler[SamplerWord.LEFT_OUT] == 5
    assert take_telemetry(arena).points["value"].tolist() == [float(n) for n in range(ROOM)]


def test_a_series_without_room_is_counted(arena: Arena) -> None:
    book = Book(arena)
    for number in range(MOST_SERIES + 3):
        book.put("postgres", f"t{number}", "size", 1.0, "bytes")

    assert arena.sampler[SamplerWord.LEFT_OUT] == 3


def test_what_cannot_be_seen_is_told_once_and_has_a_limit(arena: Arena) -> None:
    book = Book(arena)
    for line in ["host: no cpufreq", "host: no cpufreq", *(f"line {n}" for n in range(2 * MOST_UNSEEN))]:
        book.unseen(line)

    assert arena.sampler[SamplerWord.UNSEEN] == MOST_UNSEEN
    assert arena.unseen[:2].tolist() == [b"host: no cpufreq", b"line 0"]


def test_a_process_that_came_within_the_window_counts_from_nothing(arena: Arena) -> None:
    book = Book(arena)
    put_all(book, ("postgres", "checkpointer", "cpu_total", 100.0))
    book.flush()
    book.tick = 1
    put_all(
        book, ("postgres", "checkpointer", "cpu_total", 130.0), ("postgres", "autovacuum worker", "cpu_total", 40.0)
    )
    book.flush()

    assert processes(ends_of(take_telemetry(arena)))["postgres"]["cpu_ns"] == 70


def test_one_peak_since_the_start_makes_the_roles_peak_such_a_one(arena: Arena) -> None:
    book = Book(arena)
    put_all(book, ("worker", "worker 0", "rss_peak", 100.0), ("worker", "worker 1", "rss_peak_since_start", 300.0))
    put_all(book, ("coordinator", "coordinator", "rss_peak", 50.0))
    book.flush()

    found = processes(ends_of(take_telemetry(arena)))

    assert found["worker"] == {
        "rss_peak_bytes": 300, "rss_peak_of": "worker 1", "rss_peak_total_bytes": 400,
        "rss_peak_since": "process start",
    }  # fmt: skip
    assert found["coordinator"]["rss_peak_since"] == "window"


def test_shares_of_waits_are_of_a_roles_samples_and_need_enough_of_them(arena: Arena) -> None:
    book = Book(arena)
    put_all(book, ("worker", "all", "samples_total", 200.0), ("worker", "CPU", "wait_samples_total", 150.0))
    put_all(book, ("worker", "Client:ClientRead", "wait_samples_total", 50.0))
    put_all(book, ("worker", "pgflow.runs", "lock_wait_samples_total", 20.0))
    put_all(book, ("observer", "all", "samples_total", 3.0), ("observer", "CPU", "wait_samples_total", 3.0))
    book.flush()
    ends = ends_of(take_telemetry(arena))

    assert wait_events(ends) == {"worker": {"CPU": 0.75, "Client:ClientRead": 0.25}}
    assert lock_waits(ends) == {"pgflow.runs": 0.1}


def test_the_hold_time_is_littles_law_of_those_who_hold(arena: Arena) -> None:
    book = Book(arena)
    put_all(book, ("worker", "complete_task", "completing_samples_total", 800.0))
    put_all(
        book, ("worker", "all", "samples_total", 2000.0), ("worker", "pgflow.runs", "lock_wait_samples_total", 900.0)
    )
    book.flush()

    found = serialisation(ends_of(take_telemetry(arena)), 1000, phase_of(400.0))

    assert found is not None
    assert found["hold_ns_per_task"] == pytest.approx(0.8 / 400 * NS_PER_SECOND)
    assert found["most_per_second_of_one_run"] == pytest.approx(500.0)
    assert found["wait_share"] == pytest.approx(0.45)


def test_nothing_is_said_of_a_row_that_nobody_was_seen_to_hold(arena: Arena) -> None:
    assert serialisation(ends_of(take_telemetry(arena)), 1000, phase_of(400.0)) is None


def test_each_phase_that_was_has_a_mark_at_either_end(arena: Arena) -> None:
    marked = with_marks(take_telemetry(arena), {"process": phase_of(10.0), "start": nothing()}, origin_ns=1_000)

    assert [(one.role, one.subject, one.metric) for one in marked.series] == [("run", "process", "phase")]
    assert marked.points["t_ns"].tolist() == [1_000, 1_000 + NS_PER_SECOND]
    assert marked.points["value"].tolist() == [1.0, 0.0]


def test_backends_are_told_by_who_drives_them_and_lock_waits_by_who_held_them_up(arena: Arena) -> None:
    book = Book(arena)
    put_all(
        book,
        ("postgres", "backend of worker 0", "cpu_total", 5.0), ("postgres", "backend of worker 1", "cpu_total", 1.0),
        ("postgres", "checkpointer", "cpu_total", 9.0), ("worker", "backend of worker 1", "blocked_by_total", 0.0),
    )  # fmt: skip
    book.tick = LAST_TICK
    put_all(
        book,
        ("postgres", "backend of worker 0", "cpu_total", 25.0), ("postgres", "backend of worker 1", "cpu_total", 4.0),
        ("postgres", "backend of worker 0", "run_queue_total", 2.0),
        ("worker", "backend of worker 1", "blocked_by_total", 3.0),
        ("worker", "backend, other", "blocked_by_total", 1.0),
    )  # fmt: skip
    book.flush()
    ends = ends_of(take_telemetry(arena))

    assert backends(ends) == {"worker": {"cpu_ns": 23, "run_queue_ns": 2}}
    assert blocked_by(ends) == {"backend of worker 1": 0.75, "backend, other": 0.25}


def test_a_host_s_shares_are_of_all_its_cores_from_the_first_reading_to_the_last(
    arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    book, second = Book(arena), [0]
    monkeypatch.setattr(sampler_book, "monotonic_ns", lambda: second[0] * NS_PER_SECOND)
    for tick, (busy, steal, held_up, written) in enumerate([(100.0, 5.0, 50.0, 1e6), (110.0, 7.0, 55.0, 3e6)]):
        second[0], book.tick = 10 * tick, tick
        for core in ("cpu0", "cpu1"):
            book.put("server host", core, "cpu_busy_total", busy * NS_PER_SECOND / 2, "ns")
            book.put("server host", core, "cpu_iowait_total", 0.0, "ns")
            book.put("server host", core, "cpu_steal_total", steal * NS_PER_SECOND / 2, "ns")
        book.put("server host", "io", "pressure_some_total", held_up * NS_PER_SECOND, "ns")
        book.put("server host", "sda", "read_total", 7.0, "bytes")
        book.put("server host", "sda", "written_total", written, "bytes")
        book.flush()
    taken = take_telemetry(arena)

    (found,) = hosts(taken, ends_of(taken)).items()

    assert found[0] == "server host", "ours was not read"
    assert found[1]["cores"] == 2
    assert found[1]["busy_share"] == pytest.approx(0.5 + 0.1)
    assert (found[1]["steal_share"], found[1]["iowait_share"]) == (pytest.approx(0.1), 0.0)
    assert found[1]["pressure"] == {"io": pytest.approx(0.5)}
    assert found[1]["disks"] == {"sda": {"read_bytes": 0, "written_bytes": 2_000_000, "busy_share": 0.0}}
