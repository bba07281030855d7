"""The backlog's mean in each bin, against counting by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgflow_stress.engine.backlog_series import backlog_series

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
