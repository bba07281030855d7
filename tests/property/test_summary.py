"""analysis.summary against the standard library and scipy's own interval."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pgflow_stress.analysis.summary import interval, metric

numbers = st.floats(0.001, 1e9)


@given(values=st.lists(numbers, min_size=2, max_size=30))
def test_mean_and_deviation_are_the_standard_librarys(values: list[float]) -> None:
    summary = metric(values)

    assert summary.n == len(values)
    assert summary.mean == pytest.approx(statistics.mean(values))
    assert summary.stdev == pytest.approx(statistics.stdev(values))


@given(values=st.lists(numbers, min_size=2, max_size=30))
def test_the_interval_is_students_and_holds_the_mean(values: list[float]) -> None:
    found = interval(values)

    assert found is not None
    assert found[0] <= statistics.fmean(values) * (1 + 1e-12)
    assert found[1] >= statistics.fmean(values) * (1 - 1e-12)
    error = statistics.stdev(values) / len(values) ** 0.5
    if error > 0:
        expected = stats.t.interval(0.95, len(values) - 1, loc=statistics.fmean(values), scale=error)
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-6)


@given(values=st.lists(st.one_of(st.none(), numbers), max_size=20))
def test_absent_values_keep_their_place_and_count_for_nothing(values: list[float | None]) -> None:
    present = [value for value in values if value is not None]

    summary = metric(values)

    assert summary.values == tuple(values)
    assert summary.n == len(present)
    assert (summary.mean is None) == (not present)
    assert (summary.ci95 is None) == (summary.stdev is None) == (len(present) < 2)
