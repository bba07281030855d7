"""Percentiles of values of either sign agree with those of the sorted values, to a bucket's width."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pgflow_stress.core.latency import QUANTILES, histogram_of, signed_latency_of

VALUES = st.lists(st.integers(-10_000_000, 10_000_000), min_size=1, max_size=300)
BUCKET = 1 / 1024  # relative width above 2,048


@given(VALUES)
def test_percentiles_mean_and_maximum_of_signed_values(values: list[int]) -> None:
    negative = histogram_of([-value for value in values if value < 0])
    positive = histogram_of([value for value in values if value >= 0])

    found = signed_latency_of(negative, positive)

    ordered = sorted(values)
    assert found.count == found.samples == len(values)
    assert found.mean is not None
    assert math.isclose(found.mean, float(np.mean(values)), rel_tol=1e-9, abs_tol=1e-6)
    assert found.max is not None
    assert abs(found.max - ordered[-1]) <= abs(ordered[-1]) * BUCKET + 1
    for name, quantile in QUANTILES.items():
        stated = getattr(found, name)
        if stated is None:
            assert len(values) * (10_000 - quantile) < 100_000
            continue
        exact = ordered[max(0, -(-len(values) * quantile // 10_000) - 1)]
        assert exact - 1 <= stated <= exact + abs(exact) * BUCKET + 1


def test_nothing_has_no_percentiles() -> None:
    empty = histogram_of([])

    assert signed_latency_of(empty, empty).count == 0
