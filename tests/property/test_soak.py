"""What a soak says, on series whose drift is known: found where it is, not where it is not, whatever the noise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgflow_stress.analysis.soak import QUANTITIES, SECONDS_PER_HOUR, State, judge_soak, slope

LEVEL = 0.95
WINDOWS = 60
WINDOW_SECONDS = 30.0
BY_NAME = {one.name: one for one in QUANTITIES}


def _noise(seed: int, count: int, spread: float, correlation: float) -> Any:
    """Autoregressive noise of the first order, its standard deviation `spread`."""
    drawn = np.random.default_rng(seed)
    values, last = np.empty(count), drawn.normal(0, spread)
    for place in range(count):
        last = correlation * last + drawn.normal(0, spread * np.sqrt(1 - correlation**2))
        values[place] = last
    return values


def _books(seed: int, *, changes: dict[str, float], retention: bool = True, spread: float = 0.03) -> dict[str, Any]:
    """The books of a soak: each quantity a level that changes by a share over the whole, with noise."""
    at = np.arange(WINDOWS + 1) / WINDOWS

    def column(name: str, level: float, number: int) -> list[float]:
        # What an open load completes in a window is what was offered, but for its borders.
        width = spread / 3 if name == "tasks_per_second" else spread
        noise = np.exp(_noise(seed * 100 + number, WINDOWS + 1, width, 0.3))
        return [float(v) for v in level * (1 + changes.get(name, 0.0) * at) * noise]

    windows = {
        name: column(name, level, number)[:WINDOWS]
        for number, (name, level) in enumerate(
            (("tasks_per_second", 500.0), ("response_p50_ns", 4e6), ("response_p99_ns", 2e7), ("cycle_p99_ns", 1e7))
        )
    }
    readings = {
        name: column(name, level, number + 10)
        for number, (name, level) in enumerate((("rows_live", 1e5), ("table_bytes", 5e7), ("index_bytes", 3e7)))
    }
    seconds = [WINDOW_SECONDS * number for number in range(WINDOWS + 1)]
    grows = [float(1_000 * second) for second in seconds]
    readings |= {
        "seconds": seconds, "xids": grows, "database_bytes": grows, "frozen_age": grows,
        "disk_free_bytes": [1e9] * len(seconds),
    }  # fmt: skip
    return {
        "window_seconds": WINDOW_SECONDS, "retention": retention, "windows": windows, "readings": readings,
        "autovacuum_freeze_max_age": 200_000_000,
    }  # fmt: skip


@given(
    per_hour=st.floats(-0.5, 3.0),
    level=st.floats(1.0, 1e9),
    count=st.integers(10, 120),
    window_seconds=st.floats(1.0, 300.0),
)
@settings(deadline=None)
def test_a_straight_line_without_noise_is_told_as_it_is(
    per_hour: float, level: float, count: int, window_seconds: float
) -> None:
    hours = (np.arange(count) + 0.5) * window_seconds / SECONDS_PER_HOUR
    values = level * (1 + per_hour * hours / max(1.0, 2 * hours[-1]))
    truth = level * per_hour / max(1.0, 2 * hours[-1])

    found = slope(BY_NAME["rows_live"], np.asarray(values), window_seconds, LEVEL)

    assert found.per_hour == pytest.approx(truth, rel=1e-6, abs=1e-6 * level)


@pytest.mark.parametrize("correlation", [0.0, 0.5])
def test_a_known_slope_lies_within_its_interval_about_as_often_as_the_level_says(correlation: float) -> None:
    inside, times, truth = 0, 200, 0.3
    hours = WINDOWS * WINDOW_SECONDS / SECONDS_PER_HOUR
    at = (np.arange(WINDOWS) + 0.5) / WINDOWS

    for seed in range(times):
        values = np.exp(truth * at + _noise(seed, WINDOWS, 0.1, correlation))
        found = slope(BY_NAME["response_p99_ns"], values, WINDOW_SECONDS, LEVEL)
        inside += (found.change_low or 0) <= np.expm1(truth) <= (found.change_high or 0)
        assert found.share_per_hour == pytest.approx(np.log1p(found.change or 0) / hours)

    assert inside >= 0.85 * times


def test_without_a_drift_next_to_nothing_is_called_degrading_and_most_is_called_stationary() -> None:
    states = [judge_soak(_books(seed, changes={})).state for seed in range(60)]

    assert states.count(State.DEGRADING) <= 3
    assert states.count(State.STATIONARY) >= 50


@pytest.mark.parametrize(
    ("name", "change"),
    [("tasks_per_second", -0.3), ("response_p50_ns", 1.0), ("response_p99_ns", 3.0), ("rows_live", 2.0)],
)
def test_what_drifts_for_the_worse_is_found_and_named(name: str, change: float) -> None:
    for seed in range(20):
        found = judge_soak(_books(seed, changes={name: change}))

        assert found.state is State.DEGRADING
        assert found.of == BY_NAME[name].title
        assert found.share_per_hour is not None
        assert found.share_per_hour * BY_NAME[name].worse > 0


def test_what_is_kept_grows_by_design_where_nothing_removes_it() -> None:
    found = judge_soak(_books(1, changes={"rows_live": 5.0, "table_bytes": 5.0, "index_bytes": 5.0}, retention=False))

    assert found.state is State.STATIONARY
    assert not any(one.decides for one in found.slopes if one.name in ("rows_live", "table_bytes", "index_bytes"))


def test_sizes_decide_only_over_some_rounds_of_autovacuum() -> None:
    books = _books(1, changes={"index_bytes": 5.0})

    long = judge_soak({**books, "autovacuum_naptime_seconds": 60.0})
    short = judge_soak({**books, "autovacuum_naptime_seconds": 300.0})

    assert (long.state, long.of) == (State.DEGRADING, "indexes")
    assert short.state is State.STATIONARY


def test_a_load_that_is_still_settling_has_no_state() -> None:
    found = judge_soak(_books(1, changes={"response_p50_ns": -0.8}))

    assert found.state is State.CANNOT_TELL
    assert "still settling" in found.reasons[0]


def test_noise_that_hides_what_matters_is_said_to() -> None:
    states = [judge_soak(_books(seed, changes={}, spread=1.0)).state for seed in range(20)]

    assert states.count(State.CANNOT_TELL) >= 15


def test_a_sawtooth_that_a_job_of_retention_makes_is_stationary_and_a_leak_under_it_is_not() -> None:
    def books(leak: float) -> dict[str, Any]:
        whole = _books(3, changes={})
        kept = 1e5 + 1e5 * (np.arange(WINDOWS + 1) % 4) / 4 + leak * np.arange(WINDOWS + 1)
        whole["readings"]["rows_live"] = [float(v) for v in kept]
        return {**whole, "prunes": [{"every_seconds": 4 * WINDOW_SECONDS}, {"every_seconds": 1e4}]}

    assert judge_soak(books(0.0)).state is State.STATIONARY
    assert judge_soak(books(5e3)).state is State.DEGRADING


@given(st.integers(0, 1000), st.sets(st.integers(0, WINDOWS - 1), max_size=WINDOWS))
@settings(deadline=None, max_examples=50)
def test_windows_without_a_value_never_make_a_verdict_out_of_nothing(seed: int, gaps: set[int]) -> None:
    books = _books(seed, changes={})
    books["windows"]["response_p50_ns"] = [
        None if place in gaps else value for place, value in enumerate(books["windows"]["response_p50_ns"])
    ]

    found = judge_soak(books)

    looked_at = sum(place >= WINDOWS // 3 for place in gaps)
    if looked_at > 0.2 * (WINDOWS - WINDOWS // 3):
        assert found.state is not State.STATIONARY


def test_when_the_disk_is_full_and_when_freezing_is_forced_follow_from_the_slopes() -> None:
    found = judge_soak(_books(1, changes={}))

    assert found.disk_full is not None
    assert found.disk_full.hours == pytest.approx(1e9 / (1_000 * SECONDS_PER_HOUR), rel=1e-6)
    assert found.freeze is not None
    last = 1_000 * WINDOWS * WINDOW_SECONDS
    assert found.freeze.hours == pytest.approx((200_000_000 - last) / (1_000 * SECONDS_PER_HOUR), rel=1e-6)


def test_a_percentile_that_no_window_has_runs_enough_for_was_not_asked_for() -> None:
    books = _books(1, changes={})
    books["windows"]["response_p99_ns"] = [None] * WINDOWS

    assert judge_soak(books).state is State.STATIONARY


def test_a_soak_that_was_cut_short_says_so_and_nothing_else() -> None:
    books = _books(1, changes={})
    books["windows"] = {name: values[:5] for name, values in books["windows"].items()}
    books["readings"] = {name: values[:6] for name, values in books["readings"].items()}

    found = judge_soak(books)

    assert found.state is State.CANNOT_TELL
    assert "a slope takes 10" in found.reasons[0]
    assert judge_soak({}).state is State.CANNOT_TELL
