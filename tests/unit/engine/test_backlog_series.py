"""The backlog's mean in each bin, against counting by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgflow_stress.core.arena import WRITTEN_OFF, RunWord
from pgflow_stress.engine.backlog_series import backlog_of, backlog_series
from pgflow_stress.scenario.flow import FlowShape, Step
from pgflow_stress.scenario.workload import Workload
from tests.fixtures.arenas import CHAIN, Story

SECOND = 1_000_000_000


def stamps(*seconds: float) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array([round(one * SECOND) for one in seconds], dtype=np.int64)


def test_a_run_is_in_the_backlog_from_when_it_was_due_until_it_was_done() -> None:
    series = backlog_series(stamps(0, 1, 4), stamps(0.5, 3), bins=4)

    assert series["bin_seconds"] == 1.0
    assert series["mean"] == pytest.approx([0.5, 1, 1, 0])
    assert series["left"] == 1  # due at the very end


@given(st.lists(st.tuples(st.floats(0, 50), st.one_of(st.none(), st.floats(0, 60))), min_size=2, max_size=40))
def test_the_means_add_up_to_all_the_time_that_runs_spent_there(drawn: list[tuple[float, float | None]]) -> None:
    due = stamps(*(at for at, _ in drawn))
    if due.min() == due.max():
        return
    done = stamps(*(at + took for at, took in drawn if took is not None))
    end = int(due.max())
    ends = [end if took is None else min(end, round((at + took) * SECOND)) for at, took in drawn]
    spent = sum(max(0, until - int(at)) for until, at in zip(ends, due, strict=True)) / SECOND

    series = backlog_series(due, done, bins=10)

    assert sum(series["mean"]) * series["bin_seconds"] == pytest.approx(spent, abs=1e-6)
    assert series["left"] == sum(took is None or round((at + took) * SECOND) > end for at, took in drawn)


def test_each_run_leaves_the_backlog_with_its_own_last_task_its_failure_or_its_start() -> None:
    empty = FlowShape((Step("none", (), "map", 0),))
    work = Workload((CHAIN, empty), (0, 1), 6, (1.0, 1.0))
    story = Story(work, 6)
    chains, empties = (np.flatnonzero(work.run_flow() == flow).tolist() for flow in (0, 1))
    words = story.arena.runs
    words[:, RunWord.INTENDED_NS] = np.arange(1, 7) * SECOND
    words[[*chains, empties[0]], RunWord.STARTED_NS] = words[[*chains, empties[0]], RunWord.INTENDED_NS]
    words[chains[0], [RunWord.COMPLETED, RunWord.LAST_DONE_NS]] = 3, 5 * SECOND
    words[chains[1], [RunWord.COMPLETED, RunWord.FAILED_NS]] = WRITTEN_OFF + 1, 5 * SECOND
    words[chains[2], [RunWord.COMPLETED, RunWord.LAST_DONE_NS]] = 1, 5 * SECOND  # two tasks are left

    series = backlog_of(story.arena)

    assert series is not None
    assert series["left"] == 3  # that one, and the two that were never started
