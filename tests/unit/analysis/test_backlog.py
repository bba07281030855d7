"""The slope of a backlog and its bounds, on simulated servers."""

from __future__ import annotations

import numpy as np
import pytest

from pgflow_stress.analysis.backlog import Growth, growth
from pgflow_stress.engine.backlog_series import backlog_series
from tests.fixtures.queues import always, serve

SERVICE = 0.01


def of_server(load: float, seconds: float, seed: int) -> Growth:
    served = serve(load / SERVICE, always(SERVICE), seconds, np.random.default_rng(seed))
    due, done = (np.asarray(stamps * 1e9, dtype=np.int64) for stamps in (served.due, served.done))
    series = backlog_series(due, done, 100)
    found = growth(series["mean"], series["bin_seconds"])
    assert found is not None
    return found


def test_a_stable_server_is_shown_not_to_grow() -> None:
    shown = [of_server(0.7, 20, seed).upper < 0.01 * 70 for seed in range(50)]

    assert np.mean(shown) >= 0.95


def test_an_overloaded_server_grows_by_what_it_cannot_serve() -> None:
    for seed in range(20):
        found = of_server(1.3, 20, seed)

        assert found.per_second == pytest.approx(30, rel=0.35)
        assert found.lower > 0.01 * 130


def test_the_upper_bound_is_above_the_true_slope_as_often_as_it_says() -> None:
    # Stable: the true slope is 0. The backlog's own values are much alike at this load.
    below = [of_server(0.85, 30, seed).upper < 0 for seed in range(300)]

    assert np.mean(below) <= 0.08


def test_a_constant_backlog_does_not_grow_and_too_few_bins_say_nothing() -> None:
    found = growth([3.0] * 100, 0.1)

    assert found is not None
    assert found.upper == pytest.approx(0.0, abs=1e-9)
    assert growth([3.0] * 23, 0.1) is None
    assert growth([], 0.1) is None


def test_a_steady_rise_is_found_exactly() -> None:
    found = growth([0.5 * place for place in range(100)], 0.25)

    assert found is not None
    assert found.per_second == pytest.approx(2.0)
    assert found.upper == pytest.approx(2.0)
