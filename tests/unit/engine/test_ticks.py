from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pgflow_stress.core.units import NS_PER_SECOND
from pgflow_stress.engine.ticks import Ticks

SECOND = NS_PER_SECOND


def test_the_first_tick_is_the_next_whole_second_of_the_wall_clock() -> None:
    ticks = Ticks(SECOND, now_ns=5_000, unix_ns=1_760_000_000 * SECOND + 300_000_000)

    assert ticks.due_ns == 5_000 + 700_000_000


def test_a_tick_that_is_taken_in_time_misses_nothing() -> None:
    ticks = Ticks(SECOND, 0, 0)

    ticks.pass_by(ticks.due_ns + 999_999_999)

    assert (ticks.missed, ticks.number, ticks.due_ns) == (0, 1, 2 * SECOND)


def test_a_pause_over_three_more_ticks_counts_them_and_keeps_the_alignment() -> None:
    ticks = Ticks(SECOND, 0, 0)

    ticks.pass_by(4 * SECOND + 1)

    assert (ticks.missed, ticks.number, ticks.due_ns) == (3, 4, 5 * SECOND)


@given(
    interval_ns=st.integers(1_000, 10 * SECOND),
    now_ns=st.integers(0, 10**15),
    offset_ns=st.integers(0, 10**18),
    late=st.lists(st.integers(0, 10**11), max_size=20),
)
def test_every_tick_lies_ahead_and_on_the_wall_clocks_grid_and_none_is_forgotten(
    interval_ns: int, now_ns: int, offset_ns: int, late: list[int]
) -> None:
    ticks = Ticks(interval_ns, now_ns, now_ns + offset_ns)
    first_ns = ticks.due_ns
    for more_ns in late:
        now_ns = ticks.due_ns + more_ns
        ticks.pass_by(now_ns)

    assert ticks.due_ns > now_ns
    assert ticks.due_ns - now_ns <= interval_ns
    assert (ticks.due_ns + offset_ns) % interval_ns == 0
    assert ticks.number == len(late) + ticks.missed
    assert ticks.due_ns == first_ns + ticks.number * interval_ns
