"""Which run is of which flow, where its tasks have their places, and what is asked of a plan."""

from __future__ import annotations

import numpy as np
import pytest

from pgflow_stress.core.errors import UsageFault
from pgflow_stress.scenario.events import events_expected, started_with_runs
from pgflow_stress.scenario.flow import FlowShape, Step, chained_steps, independent_steps
from pgflow_stress.scenario.options import Deal, RunOptions, parse_deal
from pgflow_stress.scenario.plan import make_plan
from pgflow_stress.scenario.workload import Workload, with_distinct_slugs, workload


def test_runs_of_one_shape_go_round_the_flows() -> None:
    work = workload(independent_steps(4), flows=3, runs=7)

    assert work.run_flow().tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert work.first_task().tolist() == [0, 4, 8, 12, 16, 20, 24, 28]
    assert work.flow_steps().tolist() == [[0, 4]] * 3


def test_flows_of_different_shapes_have_steps_of_their_own_under_one_index() -> None:
    shapes = with_distinct_slugs((chained_steps(2), FlowShape((Step("s0"), Step("m", (0,), "map", 3)))))
    work = Workload(shapes, (0, 1), runs=3)

    assert [step.slug for step in work.steps] == ["x0_s0", "x0_s1", "x1_s0", "x1_m"]
    assert [step.deps for step in work.steps] == [(), (0,), (), (2,)]
    assert work.flow_steps().tolist() == [[0, 2], [2, 2]]
    assert work.step_offsets() == (0, 1, 0, 1)
    assert work.first_task().tolist() == [0, 2, 6, 8]
    assert (work.expected_tasks, work.steps_created, work.most_steps) == (8, 4, 2)
    assert (events_expected(work), started_with_runs(work)) == (18, 6)


def test_runs_are_dealt_by_weight_and_evenly_over_time() -> None:
    work = Workload((independent_steps(1),), (0, 0, 0), runs=60, weights=(3.0, 2.0, 1.0))

    dealt = work.run_flow()

    assert np.bincount(dealt).tolist() == [30, 20, 10]
    for half in (dealt[:30], dealt[30:]):
        assert abs(np.bincount(half, minlength=3) - [15, 10, 5]).max() <= 1


def test_a_flow_without_weight_gets_no_run() -> None:
    work = Workload((independent_steps(1),), (0, 0), runs=9, weights=(1.0, 0.0))

    assert work.run_flow().tolist() == [0] * 9


@pytest.mark.parametrize(
    ("text", "weights"),
    [("even", ()), ("hot:0.7", (0.7, 0.15, 0.15)), ("zipf:1", (1.0, 0.5, 1 / 3))],
)
def test_a_deal_gives_each_flow_its_weight(text: str, weights: tuple[float, ...]) -> None:
    assert parse_deal(text).weights(3) == pytest.approx(weights)
    assert str(parse_deal(text)) == text


@pytest.mark.parametrize("text", ["", "hot", "hot:1", "hot:0", "zipf:-1", "zipf:nan", "even:1", "cold:2"])
def test_what_is_no_deal_is_refused(text: str) -> None:
    with pytest.raises(UsageFault, match="--deal"):
        parse_deal(text)


def test_a_skewed_deal_gives_the_first_flow_most_of_the_runs() -> None:
    plan = make_plan("concurrent-flows", RunOptions(workers=1, flows=10, runs=100, deal=Deal("hot", 0.91)))

    assert np.bincount(plan.work.run_flow(), minlength=10).tolist() == [91, *[1] * 9]


def test_priming_takes_a_small_flow_of_each_of_the_first_shapes() -> None:
    work = Workload((independent_steps(100), FlowShape((Step("m", (), "map", 10_000),))), (0, 0, 1), runs=50)

    sample = work.sample(48)

    assert [shape.tasks_per_run for shape in sample.shapes] == [48, 48]
    assert (sample.flows, sample.runs) == (2, 2)


def test_a_scenario_that_starts_no_run_has_none() -> None:
    plan = make_plan("definition", RunOptions(workers=1, flows=5, steps=3))

    assert (plan.runs, plan.expected_tasks, plan.steps_created) == (0, 0, 15)
    with pytest.raises(UsageFault, match="starts no run"):
        make_plan("definition", RunOptions(workers=1, runs=4))


def test_every_part_of_a_mix_has_a_flow_and_its_share_of_the_runs() -> None:
    given = (("weights", "chain:3,fan:1"), ("chain.depth", "2"), ("fan.width", "4"))
    plan = make_plan("mix", RunOptions(workers=1, flows=8, runs=40, parameters=given))

    assert plan.work.shape_of == (0,) * 6 + (1,) * 2
    assert np.bincount(np.array(plan.work.shape_of)[plan.work.run_flow()]).tolist() == [30, 10]
    assert plan.expected_tasks == 30 * 2 + 10 * 6
    assert plan.parameters()["chain.depth"] == 2


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"weights": "chain:0,fan:0"}, "add up to 0"),
        ({"weights": "chain:1,chain:2"}, "twice"),
        ({"weights": "chain"}, "chain:2,fan:1"),
        ({"weights": "chain:-1"}, "chain:2,fan:1"),
        ({"weights": "mix:1"}, "cannot be mixed"),
        ({"fan.depth": "3"}, "fan: no parameter 'depth'"),
        ({"chain.depth": "none"}, "whole number"),
    ],
)
def test_a_mix_that_cannot_be_run_is_refused(given: dict[str, str], said: str) -> None:
    with pytest.raises(UsageFault, match=said):
        make_plan("mix", RunOptions(workers=1, parameters=tuple(given.items())))
