"""A user's own flows: from what was read to shapes, workloads and failures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pgflow_stress.core.errors import UsageFault
from pgflow_stress.engine.own_definitions import arguments_of
from pgflow_stress.engine.places import Places, expected_outcomes
from pgflow_stress.engine.private_books import new_books
from pgflow_stress.scenario.flow import NO_OPTIONS, FlowOptions, StepOptions
from pgflow_stress.scenario.options import RunOptions
from pgflow_stress.scenario.own import OwnFlow, OwnStep
from pgflow_stress.scenario.plan import Plan, make_plan

TWICE = OwnStep("twice", ("once",), "single", StepOptions(max_attempts=2, start_delay_seconds=4))
FLOW = OwnFlow(
    "orders",
    FlowOptions(5, 1, 60),
    (OwnStep("once", (), "single", StepOptions(max_attempts=1)), TWICE, OwnStep("m", ("once",), "map", NO_OPTIONS)),
    "orders.sql",
)


def _plan(*flows: OwnFlow, **parameters: float | str) -> Plan:
    given = tuple((name.replace("_", "-"), value) for name, value in parameters.items())
    return make_plan("own-flow", RunOptions(own_flows=flows, runs=40, parameters=given))


def test_a_flow_is_run_with_its_steps_and_every_map_has_the_elements_asked_for() -> None:
    plan = _plan(FLOW, elements=7)

    assert (plan.expected_tasks, plan.flows, plan.steps_created) == (40 * 9, 1, 3)
    assert plan.parameters()["own_flows"] == [{"flow": "orders", "steps": 3, "source": "orders.sql", "sha256": None}]


def test_attempts_are_each_steps_own_and_both_halves_decide_by_them() -> None:
    plan = _plan(FLOW, elements=2, failure_probability=0.6, failing_runs=0.3)
    assert plan.work.failing is not None
    outcomes = expected_outcomes(plan.work, Places(plan.work))
    books = new_books(plan.work, [b"f0"], nonce=1)
    assert outcomes is not None

    most = np.tile([1, 2, 5, 5], 40)
    assert plan.work.failing.attempts == (1, 2, 5)
    assert (outcomes.failed_attempts <= most).all()
    assert (outcomes.doomed == (outcomes.failed_attempts == most)).all()
    assert [books.account.fails(place) for place in range(160)] == (outcomes.failed_attempts > 0).tolist()


def test_options_are_arguments_by_slug_of_the_measured_flows_alone() -> None:
    other = replace(FLOW, slug="others", options=FlowOptions(2, 9, 60), steps=(OwnStep("z", (), "single", NO_OPTIONS),))

    arguments = arguments_of(_plan(FLOW, other).work, "ps1_", "$1", "$2")

    assert arguments is not None
    assert arguments.of_step.decode() == (
        ", max_attempts => case when starts_with($1, 'ps1_f') then "
        '(\'{"once": 1, "twice": 2}\'::jsonb ->> $2)::int end'
        ", start_delay => case when starts_with($1, 'ps1_f') then ('{\"twice\": 4}'::jsonb ->> $2)::int end"
    )
    assert "base_delay => (array[1,9])[1 + width_bucket(" in arguments.of_flow.decode()
    assert "timeout => 60" in arguments.of_flow.decode()


def test_conditions_name_the_steps_as_they_are_called_where_flows_share_slugs() -> None:
    after = OwnStep("after", ("once",), "single", StepOptions(required='{"once": {"ok": true}}'))
    root = OwnStep("once", (), "single", StepOptions(required='{"once": 1}'))
    flows = [replace(FLOW, slug=slug, steps=(root, after)) for slug in ("a", "b")]

    steps = _plan(*flows).work.steps

    assert [step.slug for step in steps] == ["x0_once", "x0_after", "x1_once", "x1_after"]
    assert steps[3].options.required == '{"x1_once": {"ok": true}}'
    assert steps[2].options.required == '{"once": 1}'


def test_what_a_result_is_primed_on_has_no_options() -> None:
    assert all(step.options == NO_OPTIONS for step in _plan(FLOW).work.sample(48).steps)


@pytest.mark.parametrize(
    ("flows", "said"),
    [
        ((), "give --flow FILE.sql"),
        (
            (FLOW, replace(FLOW, slug="Orders", source="b.sql")),
            "b.sql: flows 'orders' and 'Orders' differ in case alone",
        ),
        ((FLOW, FLOW), "is defined twice"),
        ((replace(FLOW, steps=()),), "orders.sql: flow 'orders': a flow needs at least one step"),
        ((replace(FLOW, weight=0.0),), "add up to 0"),
        ((replace(FLOW, deployed=True), replace(FLOW, slug="b")), "one flow of a database at a time"),
    ],
)
def test_flows_that_cannot_be_run_are_refused(flows: tuple[OwnFlow, ...], said: str) -> None:
    with pytest.raises(UsageFault, match=said):
        _plan(*flows)


def test_failures_by_design_are_refused_where_an_exhausted_step_is_skipped_or_attempts_are_too_many() -> None:
    for options, said in (
        (StepOptions(when_exhausted="skip"), "when_exhausted"),
        (StepOptions(max_attempts=16), "16 attempts"),
    ):
        flow = replace(FLOW, steps=(OwnStep("a", (), "single", options),))
        with pytest.raises(UsageFault, match=said):
            _plan(flow, failure_probability=0.1)
        assert _plan(flow).expected_tasks == 40


def test_a_deployed_flow_is_not_created() -> None:
    plan = _plan(replace(FLOW, deployed=True))

    assert (plan.work.deployed, plan.flows, plan.steps_created) == ("orders", 1, 0)
    with pytest.raises(UsageFault, match="--flows 3"):
        make_plan("own-flow", RunOptions(own_flows=(replace(FLOW, deployed=True),), flows=3))
    with pytest.raises(UsageFault, match="take others' messages"):
        make_plan("own-flow", RunOptions(own_flows=(replace(FLOW, deployed=True),), worker_model="edge-worker"))
