"""Simulated work: when it is due, and how long it takes, drawn alike by C and by Python."""

from __future__ import annotations

import heapq

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pgflow_stress.scenario.durations import Duration, SimulatedWork, drawn_ns, work_seed, work_tables
from pgflow_stress_hot.due import DueTimes
from pgflow_stress_hot.durations import Durations

CAPACITY = 50


@given(moments=st.lists(st.one_of(st.none(), st.integers(0, 20)), max_size=200))
def test_what_is_due_comes_in_order_and_of_one_moment_as_it_was_put_in(moments: list[int | None]) -> None:
    due, oracle = DueTimes(CAPACITY), list[tuple[int, int]]()

    for number, at_ns in enumerate(moments):  # None: one is taken
        if at_ns is not None and len(oracle) < CAPACITY:
            due.put(at_ns, number)
            heapq.heappush(oracle, (at_ns, number))
        elif at_ns is None and oracle:
            assert due.take() == heapq.heappop(oracle)
        assert len(due) == len(oracle)

    assert [due.take() for _ in range(len(due))] == sorted(oracle)


@given(
    kind=st.sampled_from(["constant", "exponential", "lognormal"]),
    scale_ns=st.integers(0, 10**11),
    sigma=st.floats(0, 10),
    seed=st.integers(0, 2**63 - 1),
    places=st.lists(st.integers(0, 10**8), min_size=1, max_size=20),
    attempt=st.integers(0, 15),
)
def test_both_halves_draw_alike(
    kind: str, scale_ns: int, sigma: float, seed: int, places: list[int], attempt: int
) -> None:
    duration = Duration(kind, scale_ns, sigma if kind == "lognormal" else 0.0)
    drawing = Durations(*work_tables(SimulatedWork((), duration), ["s"]), work_seed(seed))

    in_c = np.array([drawing.of_task(0, place, attempt) for place in places])
    in_python = drawn_ns(duration, seed, np.array(places), np.full(len(places), attempt))

    # Mathematical libraries differ in the last digit.
    assert np.all(np.abs(in_c - in_python) <= 1 + 1e-12 * in_python)
    assert np.all(in_c >= 0)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**63 - 1))
def test_what_is_drawn_has_the_distribution_that_was_asked_for(seed: int) -> None:
    places, first = np.arange(4000), np.zeros(4000, dtype=np.int64)

    exponential = drawn_ns(Duration("exponential", 10**9), seed, places, first) / 1e9
    lognormal = np.log(drawn_ns(Duration("lognormal", 10**9, 0.5), seed, places, first) / 1e9)

    least = 1e-6  # of 20 tests in all: one in 50,000 suites fails by chance
    assert stats.kstest(exponential, "expon").pvalue > least
    assert stats.kstest(lognormal, stats.norm(0, 0.5).cdf).pvalue > least
