"""Shapes of flows: what they need as input and outputs, and which cannot be run."""

from __future__ import annotations

import pytest

from pgflow_stress.core.errors import UsageFault
from pgflow_stress.scenario.flow import (
    FlowShape,
    Step,
    chained_steps,
    checked,
    fanned_steps,
    mapped_steps,
    written_steps,
)


def test_a_fan_is_as_wide_as_it_is_told() -> None:
    shape = checked(fanned_steps(5))

    assert (shape.tasks_per_run, shape.roots) == (7, 1)
    assert shape.steps[-1].deps == (1, 2, 3, 4, 5)


def test_a_chain_is_as_deep_as_it_is_told() -> None:
    assert [step.deps for step in checked(chained_steps(4)).steps] == [(), (0,), (1,), (2,)]


def test_a_map_of_a_run_wants_an_array_as_its_input() -> None:
    shape = checked(mapped_steps(7, 2, root=True, reduced=True))

    assert shape.input_elements == 7
    assert shape.output_elements() == (None, None, None)
    assert shape.tasks_per_run == 15


def test_a_map_of_a_step_wants_an_array_as_that_steps_output() -> None:
    shape = checked(mapped_steps(0, 1, root=False, reduced=True))

    assert shape.input_elements is None
    assert shape.output_elements() == (0, None, None)
    assert shape.tasks_per_run == 2


def test_a_written_flow_is_read_step_by_step() -> None:
    shape = written_steps("a m*3:a n*3:m b:n,a")

    assert shape == FlowShape((Step("a"), Step("m", (0,), "map", 3), Step("n", (1,), "map", 3), Step("b", (2, 0))))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a:b b:a", "no cycle can be run"),
        ("a:a", "no cycle can be run"),
        ("a b:c", "no such step"),
        ("a b:a,a", "names a dependency twice"),
        ("a a", "is there twice"),
        ("a 1b", "a slug is letters"),
        ("run", "a slug is letters"),
        ("a" * 129, "at most 128"),
        ("a b m*2:a,b", "one dependency at most"),
        ("a m*2:a n*3:a", "maps over one array"),
        ("a m*2:a n*3:m", "maps over one array"),
        ("m*2 n*3", "maps over one array"),
        ("a m*x:a", "name"),
        ("a:", "name"),
    ],
)
def test_a_flow_that_pgflow_cannot_run_is_refused_with_the_step(text: str, said: str) -> None:
    with pytest.raises(UsageFault, match=said):
        written_steps(text)
