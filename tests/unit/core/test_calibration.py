from __future__ import annotations

import json

import pytest

from pgflow_stress.core.calibration import SCHEMA, Calibration, Figure, Part, not_measured, ratio


def test_a_figure_is_quoted_as_median_range_and_n() -> None:
    document = Figure("ns", (5.0, 1.0, 3.0)).as_json()

    assert (document["median"], document["low"], document["high"], document["n"]) == (3.0, 1.0, 5.0, 3)
    assert document["values"] == [5.0, 1.0, 3.0]


def test_what_was_not_measured_is_null_and_says_why() -> None:
    document = not_measured("1/s", "no table").as_json()

    assert (document["median"], document["low"], document["high"], document["n"]) == (None, None, None, 0)
    assert document["reason"] == "no table"


def test_a_ratio_has_a_value_a_pair_and_quotes_the_ratio_of_medians() -> None:
    found = ratio([10.0, 20.0, 90.0], [10.0, 10.0, 30.0])

    assert found.values == (1.0, 2.0, 3.0)
    assert found.headline == 2.0
    assert ratio([1.0, 4.0, 6.0], [1.0, 2.0, 2.0]).headline == 2.0


@pytest.mark.parametrize(("ours", "theirs"), [([1.0], []), ([], []), ([1.0], [0.0])])
def test_a_ratio_of_nothing_is_refused(ours: list[float], theirs: list[float]) -> None:
    with pytest.raises(ValueError, match="need as many"):
        ratio(ours, theirs)


@pytest.mark.parametrize(
    ("value", "at_most", "reached"), [(1.1, True, True), (1.3, True, False), (1.3, False, True), (1.1, False, False)]
)
def test_what_is_to_be_reached_is_at_least_or_at_most(value: float, at_most: bool, reached: bool) -> None:
    assert Figure("ratio", (value,), reach=1.2, at_most=at_most).reached is reached


def test_nothing_is_reached_where_nothing_was_measured_or_asked() -> None:
    assert Figure("ratio", reason="no pgbench", reach=1.2).reached is None
    assert Figure("ns", (3.0,)).reached is None


def test_the_document_is_strict_json_with_its_schema() -> None:
    parts = {"clock": Part({"read_cost_ns": Figure("ns", (20.0,))}, {"reads": 5}), "disk": Part(reason="gone")}

    document = Calibration({}, "2026-01-01T00:00:00Z", 0.5, {"worker": (0, 1)}, {}, parts).as_json()

    assert document["schema"] == SCHEMA
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert document["measurements"]["disk"] == {"figures": {}, "facts": {}, "reason": "gone"}
