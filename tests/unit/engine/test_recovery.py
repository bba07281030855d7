"""How long a fault was felt, on completions at times that are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgflow_stress.core.units import NS_PER_MS, NS_PER_SECOND
from pgflow_stress.engine.faults.recovery import recovery


def _at(*seconds: np.ndarray) -> np.ndarray:
    return (np.concatenate(seconds) * NS_PER_SECOND).astype(np.int64)


def test_a_gap_is_as_long_as_it_is_and_the_rate_is_back_when_it_is_back() -> None:
    """100 a second for 4 s, nothing for 1.5 s, 20 a second for 2 s, then 100 a second again."""
    done = _at(np.arange(0, 4, 0.01), np.arange(5.5, 7.5, 0.05), np.arange(7.5, 12, 0.01))

    found = recovery(done, None, 0, 4 * NS_PER_SECOND, 4 * NS_PER_SECOND + NS_PER_MS)

    assert found["rate_before_per_second"] == pytest.approx(100, rel=0.01)
    assert found["first_task_seconds"] == pytest.approx(1.5)
    assert found["rate_back_seconds"] == pytest.approx(3.5, abs=0.1)
    assert "first_task_of_subject_seconds" not in found


def test_the_struck_workers_own_first_task_is_told_apart() -> None:
    done = _at(np.arange(0, 10, 0.01))
    own = _at(np.arange(0, 2, 0.02), np.arange(4.25, 10, 0.02))

    found = recovery(done, own, 0, 2 * NS_PER_SECOND, 2 * NS_PER_SECOND + 5 * NS_PER_MS)

    assert found["first_task_seconds"] == pytest.approx(0.01, abs=0.001)
    assert found["first_task_of_subject_seconds"] == pytest.approx(2.25, abs=0.001)
    assert found["rate_back_seconds"] == pytest.approx(0.01, abs=0.001)


def test_what_never_came_back_and_what_was_too_short_to_know_are_none() -> None:
    done = _at(np.arange(0, 4, 0.01))
    struck = 4 * NS_PER_SECOND

    assert recovery(done, done[:0], 0, struck, struck) == {
        "first_task_seconds": None,
        "first_task_of_subject_seconds": None,
        "rate_before_per_second": pytest.approx(100, rel=0.01),
        "rate_back_seconds": None,
    }
    assert recovery(done, None, 0, 50 * NS_PER_MS, 50 * NS_PER_MS)["rate_before_per_second"] is None
    assert recovery(done[:0], None, 0, struck, struck)["first_task_seconds"] is None


def test_an_answer_that_was_on_its_way_when_the_fault_struck_is_no_recovery() -> None:
    done = _at(np.arange(0, 2, 0.01), np.array([2.003, 3.0]))

    found = recovery(done, None, 0, 2 * NS_PER_SECOND, 2 * NS_PER_SECOND + 5 * NS_PER_MS)

    assert found["first_task_seconds"] == pytest.approx(1.0)


@given(
    gaps_ms=st.lists(st.integers(1, 400), min_size=1, max_size=120),
    struck_ms=st.integers(0, 20_000),
    held_ms=st.integers(0, 500),
)
def test_nothing_comes_back_before_its_first_task(gaps_ms: list[int], struck_ms: int, held_ms: int) -> None:
    done = np.cumsum(np.array(gaps_ms, dtype=np.int64)) * NS_PER_MS
    struck = struck_ms * NS_PER_MS

    found = recovery(done, None, 0, struck, struck + held_ms * NS_PER_MS)

    first, back = found["first_task_seconds"], found["rate_back_seconds"]
    assert first is None or first >= held_ms / 1000
    assert back is None or (first is not None and back >= first)
