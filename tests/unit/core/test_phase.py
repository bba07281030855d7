from __future__ import annotations

import pytest

from pgflow_stress.core.phase import nothing, phase
from pgflow_stress.core.result import Latency, Phase

LATENCY = Latency(count=300, samples=15, mean=5.0, max=9)


def test_a_phase_is_what_it_counts_over_its_own_span_and_over_the_window() -> None:
    made = phase(500_000_000, 2_000_000_000, 300, window_seconds=3.0, latency=LATENCY)

    assert (made.seconds, made.per_second, made.per_second_common) == (1.5, 200.0, 100.0)
    assert (made.from_ns, made.to_ns, made.count, made.latency_ns) == (500_000_000, 2_000_000_000, 300, LATENCY)


@pytest.mark.parametrize(("from_ns", "to_ns", "count"), [(None, None, 0), (5, 9, 0), (5, None, 0), (5, None, 3)])
def test_a_phase_in_which_nothing_was_counted_did_not_happen(
    from_ns: int | None, to_ns: int | None, count: int
) -> None:
    assert phase(from_ns, to_ns, count, window_seconds=1.0, latency=LATENCY) == nothing()


def test_nothing_is_zeros_and_nulls() -> None:
    assert nothing() == Phase(None, None, 0.0, 0, None, None, Latency())


@pytest.mark.parametrize(("to_ns", "window"), [(5, 1.0), (4, 1.0), (9, 0.0)])
def test_a_count_in_no_time_is_refused(to_ns: int, window: float) -> None:
    with pytest.raises(ValueError, match="3 counted between 5 and"):
        phase(5, to_ns, 3, window_seconds=window, latency=LATENCY)
