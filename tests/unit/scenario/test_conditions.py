"""Conditions of steps: what runs and outputs hold for them, what is then skipped, and what cannot be met."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pgflow_stress.core.errors import UsageFault
from pgflow_stress.scenario.conditions import contains, fitted
from pgflow_stress.scenario.events import events_per_run
from pgflow_stress.scenario.flow import FlowShape, Step, StepOptions


@pytest.mark.parametrize(
    ("value", "pattern", "does"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": {"b": [1, 2, {"c": 3}]}}, {"a": {"b": [{"c": 3}, 1]}}, True),
        ({"a": 1}, {"a": 1, "b": None}, False),
        ({"a": True}, {"a": 1}, False),
        ([1, 2, 2], [2], True),
        ({"a": [1, 2]}, {"a": 2}, False),
        ({"a": [[1]]}, {"a": [1]}, False),
        ([], {}, False),
        ([1], {}, False),
        ({}, {}, True),
        ({"a": "x"}, {"a": ["x"]}, False),
        (None, None, True),
    ],
)
def test_containment_is_that_of_jsonb(value: Any, pattern: Any, does: bool) -> None:
    assert contains(value, pattern) is does


def _step(slug: str, deps: tuple[int, ...] = (), **options: Any) -> Step:
    for name in ("required", "forbidden"):
        if name in options:
            options[name] = json.dumps(options[name])
    return Step(slug, deps, options=StepOptions(**options))


def test_runs_and_outputs_hold_what_the_conditions_want() -> None:
    shape = fitted(
        FlowShape(
            (
                _step("a", required={"plan": {"paid": True}}),
                _step("b", (0,), required={"a": {"score": 7}}),
                _step("c", (0, 1), required={"b": {"ok": True}}, forbidden={"a": {"score": 8}}),
            )
        )
    )

    assert json.loads(shape.input or "") == {"plan": {"paid": True}}
    assert [step.output and json.loads(step.output) for step in shape.steps] == [{"score": 7}, {"ok": True}, None]
    assert not any(step.skipped for step in shape.steps)
    assert events_per_run(shape) == 8


def test_of_two_branches_that_exclude_one_another_the_second_is_skipped_with_what_cascades() -> None:
    shape = fitted(
        FlowShape(
            (
                Step("a"),
                _step("yes", (0,), required={"a": {"paid": True}}),
                _step("no", (0,), forbidden={"a": {"paid": True}}, when_unmet="skip-cascade"),
                _step("other", (0,), required={"a": {"paid": False}}, when_unmet="skip"),
                Step("after_no", (2, 1)),
                Step("after_other", (3,)),
                Step("items", (3,), "map", 5),
            )
        )
    )

    assert [step.slug for step in shape.steps if step.skipped] == ["no", "other", "after_no"]
    assert [step.tasks for step in shape.steps] == [1, 1, 0, 0, 0, 1, 0]
    assert events_per_run(shape) == 2 + 2 * 3 + 3 + 1


def test_a_condition_that_would_fail_every_run_is_refused() -> None:
    with pytest.raises(UsageFault, match="step 'b': its condition is not met"):
        fitted(FlowShape((_step("a", required={"x": 1}), _step("b", required={"x": 2}, when_unmet="fail"))))


def test_a_flow_without_conditions_is_as_it_was() -> None:
    shape = FlowShape((Step("a"), Step("m", (0,), "map", 3)))

    assert fitted(shape) is shape
