"""The order of a sweep's rounds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pgflow_stress.engine.rounds import order

STATES = st.lists(st.sampled_from([(), (("a", "1"),), (("a", "2"),)]), min_size=1, max_size=30)


@given(STATES, st.integers(0, 5), st.integers(0, 3))
def test_every_cell_comes_once_and_equal_states_stay_together(states: list, index: int, seed: int) -> None:  # type: ignore[type-arg]
    drawn = order(states, index, seed)

    assert sorted(drawn) == list(range(len(states)))
    changes = [states[at] for place, at in enumerate(drawn) if place == 0 or states[drawn[place - 1]] != states[at]]
    assert len(changes) == len(set(changes))


def test_one_seed_gives_one_order_and_rounds_differ() -> None:
    states: list[tuple[tuple[str, str], ...]] = [()] * 12

    assert order(states, 0, 1) == order(states, 0, 1)
    assert len({tuple(order(states, index, 1)) for index in range(6)}) > 1
    assert order(states, 0, 1) != order(states, 0, 1, "confirm")
