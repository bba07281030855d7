"""A schedule that offers what its rate says."""

from __future__ import annotations

import pytest

from pgflow_stress.scenario.schedule import Arrival, Stage, even_seed, offsets_ns


@pytest.mark.parametrize(("seconds", "rate"), [(10, 100), (3.3, 40), (60, 0.5), (1, 3), (20, 900)])
def test_a_drawn_schedule_has_the_runs_of_its_rate(seconds: float, rate: float) -> None:
    stage = Stage(seconds, rate)

    seed, runs = even_seed(stage, Arrival.POISSON, 5)

    assert runs == len(offsets_ns((stage,), Arrival.POISSON, seed))
    assert abs(runs - seconds * rate) <= max(1.0, 0.005 * seconds * rate)


def test_one_seed_draws_one_schedule() -> None:
    stage = Stage(10, 100)

    assert even_seed(stage, Arrival.POISSON, 5) == even_seed(stage, Arrival.POISSON, 5)
    assert even_seed(stage, Arrival.POISSON, 5) != even_seed(stage, Arrival.POISSON, 6)
