"""A soak's books: each run in the window in which it was over, and the times of a job of retention, bounded."""

from __future__ import annotations

import numpy as np

from pgflow_stress.core.latency import empty_histogram, histogram_of
from pgflow_stress.core.units import NS_PER_MS, NS_PER_SECOND
from pgflow_stress.engine.interference.bystander import Span
from pgflow_stress.engine.soak.pruning import MOST_KEPT, Times
from pgflow_stress.engine.soak.watching import Border, windows_of
from tests.fixtures.arenas import CHAIN, Story


def _border(second: int, tasks: int, latencies_ns: list[int]) -> Border:
    return Border(second * NS_PER_SECOND, tasks, histogram_of(latencies_ns) if latencies_ns else empty_histogram())


def test_a_run_counts_in_the_window_in_which_its_last_task_was_answered_from_when_it_was_due() -> None:
    story = Story(CHAIN, runs=3)
    for run, over in enumerate((1.5, 1.6, 2.5)):
        over_ns = round(over * NS_PER_SECOND)
        story.start(run, NS_PER_SECOND, NS_PER_SECOND + 5, intended_ns=over_ns - (run + 1) * NS_PER_MS)
        for step in range(3):
            story.task(NS_PER_SECOND + 6, over_ns - 2 + step, (run, step, 0))
    cycles = [NS_PER_MS] * 30
    borders = [_border(1, 0, []), _border(2, 6, cycles), _border(3, 9, [*cycles, *[9 * NS_PER_MS] * 40])]

    found = windows_of(story.arena, borders, origin_ns=NS_PER_SECOND)

    assert found["from_seconds"] == [0.0, 1.0]
    assert found["runs"] == [2, 1]
    assert found["tasks"] == [6, 3]
    assert found["tasks_per_second"] == [6.0, 3.0]
    assert found["response_p99_ns"] == [None, None]  # of fewer than 1,000 runs there is none
    first, second = found["cycle_p50_ns"]
    assert abs(first - NS_PER_MS) < 0.01 * NS_PER_MS
    assert abs(second - 9 * NS_PER_MS) < 0.01 * 9 * NS_PER_MS  # only what came since the border before


def test_the_times_of_a_job_are_all_counted_and_not_all_kept() -> None:
    times = Times()

    for number in range(MOST_KEPT + 100):
        times.add(number, 0.5, 2, "deadlock detected" if number == 3 else "")

    assert (times.count, times.failed, times.rows) == (MOST_KEPT + 100, 1, 2 * (MOST_KEPT + 100))
    assert len(times.each) == MOST_KEPT
    assert times.first_error == "deadlock detected"


def test_a_bystanders_span_forgets_no_update_when_it_folds_them() -> None:
    span = Span(from_ns=0, to_ns=NS_PER_SECOND)
    drawn = np.random.default_rng(1).integers(1_000, 1_000_000, size=5_000).tolist()

    for number, value in enumerate(drawn):
        span.kept.append((value + 7, value))
        if number % 1_000 == 0:
            span.fold()
    told = span.as_json(origin_ns=0)

    assert told["updates"] == 5_000
    assert told["service_ns"]["max"] == max(drawn)
    assert told["response_ns"]["max"] == max(drawn) + 7
    assert told["service_ns"]["mean"] == sum(drawn) / len(drawn)
