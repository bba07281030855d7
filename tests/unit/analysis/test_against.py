"""The ratio of ours to a rival's over pairs."""

from __future__ import annotations

import pytest

from pgflow_stress.analysis.against import figure


def test_the_ratio_is_that_of_geometric_means_and_lies_in_its_interval() -> None:
    found = figure("process.per_second", [(2.0, 1.0), (8.0, 2.0)])

    assert found.ratio == pytest.approx((2 * 4) ** 0.5)
    assert found.ci95 is not None and found.ratio is not None
    assert found.ci95[0] < found.ratio < found.ci95[1]
    assert found.medians == (5.0, 1.5)


def test_a_pair_without_one_side_is_left_out_whole() -> None:
    found = figure("process.per_second", [(2.0, 1.0), (None, 5.0), (3.0, 1.0)])

    assert (found.ours, found.theirs) == ((2.0, 3.0), (1.0, 1.0))


def test_too_few_pairs_have_a_reason_and_no_ratio() -> None:
    found = figure("process.per_second", [(2.0, 1.0)])

    assert (found.ratio, found.ci95) == (None, None)
    assert found.reason
