"""Noise between sessions: from synthetic sessions, and that `compare` takes it from five sessions on."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from pgflow_stress.analysis.compare import compare
from pgflow_stress.analysis.comparison import Verdict
from pgflow_stress.analysis.fingerprints import UNMEASURED_NOISE
from pgflow_stress.analysis.noise import LEAST_SHARE, noise_between_sessions
from pgflow_stress.core.result import Json
from tests.fixtures.comparisons import measured

RATE = "execute.per_second"


def sessions(count: int, spread: float, seed: int, repetitions: int = 5) -> list[dict[str, list[float]]]:
    generator = np.random.default_rng(seed)
    centres = generator.normal(math.log(1000), spread, count)
    return [{RATE: np.exp(generator.normal(centre, 0.01, repetitions)).tolist()} for centre in centres]


def environment(count: float, share: float) -> Json:
    figures = {"sessions": count, RATE: share}
    return {"host": {"name": "here"}, "calibration": {"noise": {"measured_at": "2026-11-24", "figures": figures}}}


def test_the_share_is_the_t_interval_of_the_ratio_of_two_further_sessions() -> None:
    seen = sessions(7, 0.03, 1)
    centres = [float(np.log(one[RATE]).mean()) for one in seen]

    share = noise_between_sessions(seen)[RATE]

    assert math.log1p(share) == pytest.approx(stats.t.ppf(0.975, 6) * math.sqrt(2) * np.std(centres, ddof=1))


def test_two_further_sessions_lie_within_it_19_times_in_20() -> None:
    generator, inside, times = np.random.default_rng(3), 0, 1_000
    for seed in range(times):
        share = noise_between_sessions(sessions(5, 0.02, seed))[RATE]
        deviation = math.hypot(0.02, 0.01 / math.sqrt(5))
        one, other = generator.normal(0, deviation, 2)
        inside += abs(one - other) <= math.log1p(share)

    interval = stats.binomtest(inside, times).proportion_ci(0.99)
    assert interval.low <= 0.95 <= interval.high


def test_fewer_than_five_sessions_show_nothing() -> None:
    assert noise_between_sessions(sessions(4, 0.03, 1)) == {}
    assert noise_between_sessions([]) == {}


def test_only_what_all_sessions_have_and_has_a_ratio_is_there() -> None:
    seen = [{**one, "zero": [0.0], "same": [5.0, 5.0]} for one in sessions(5, 0.03, 1)]
    seen[0]["once"] = [1.0]

    found = noise_between_sessions(seen)

    assert set(found) == {RATE, "same"}
    assert found["same"] == LEAST_SHARE


@pytest.mark.parametrize(
    ("count", "verdict", "share", "is_measured"),
    [(5, Verdict.WORSE, 0.03, True), (4, Verdict.NO_DIFFERENCE, UNMEASURED_NOISE, False)],
)
def test_compare_takes_it_from_five_sessions_on(
    count: float, verdict: Verdict, share: float, is_measured: bool
) -> None:
    base = measured(1.0, environment=environment(count, 0.03))
    slower = measured(0.85, seed=2, environment=environment(count, 0.03))

    metric = compare(base, slower).metrics[0]

    assert metric.verdict is verdict
    assert metric.noise is not None
    assert (metric.noise.share, metric.noise.measured) == (share, is_measured)
