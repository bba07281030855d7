"""A breakdown of any run of any shape: its hops telescope, and what they do not add up to is never hidden."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgflow_stress.core.critical_path import HOPS, NO_STEP, RunStamps, TaskStamps, critical_paths, hops_of, tail_of
from pgflow_stress.engine.breakdown import breakdown
from pgflow_stress.scenario.flow import FlowShape, Step
from tests.fixtures.arenas import Story


@st.composite
def shapes(draw: st.DrawFn) -> FlowShape:
    steps: list[Step] = []
    for index in range(draw(st.integers(1, 6))):
        deps = draw(st.sets(st.integers(0, index - 1), max_size=3)) if index else set()
        steps.append(Step(f"s{index}", tuple(sorted(deps)), "map", draw(st.integers(1, 3))))
    return FlowShape(tuple(steps))


def play(draw: st.DrawFn, shape: FlowShape, runs: int) -> Story:
    """Every task polled whenever, claimed after it was released, completed after that."""
    story, lasts = Story(shape, runs), st.integers(0, 1_000)
    for run in range(runs):
        intended_ns = draw(st.sampled_from([0, 5_000]))
        sent_ns = 5_000 + draw(lasts)
        started_ns = sent_ns + draw(lasts)
        story.start(run, sent_ns, started_ns, intended_ns)
        done_ns: list[int] = []
        for index, step in enumerate(shape.steps):
            release_ns = max([started_ns, *(done_ns[one] for one in step.deps)])
            ends = []
            for task in range(step.tasks):
                read_ns = release_ns + draw(lasts) - 500
                claimed_ns = max(read_ns, release_ns) + draw(lasts)
                completed_ns = claimed_ns + draw(lasts)
                ends.append(completed_ns + 1 + draw(lasts))
                story.cycle(read_ns, claimed_ns, (completed_ns, ends[-1], [(run, index, task)]))
            done_ns.append(max(ends))
    return story


@given(st.data(), shapes(), st.integers(1, 3))
def test_the_hops_telescope_to_the_response_time_exactly(data: Any, shape: FlowShape, runs: int) -> None:
    found = breakdown(data.draw(st.composite(lambda draw: play(draw, shape, runs))()).arena, shape, 1)

    assert found["runs"] == runs
    assert found["residual_share"] == found["residual_ns"] == 0  # of each run, in whole nanoseconds
    assert sum(found["mean_ns"].values()) == pytest.approx(found["response_ns"], rel=1e-12)


stamps = st.integers(0, 10_000)


@given(st.data(), st.integers(1, 5), st.integers(1, 4))
def test_whatever_the_stamps_say_no_hop_is_negative_and_the_rest_is_left_over(data: Any, n: int, places: int) -> None:
    def columns(*shape: int) -> Any:
        return np.array(data.draw(st.lists(stamps, min_size=int(np.prod(shape)), max_size=int(np.prod(shape)))))

    runs = RunStamps(*(columns(n) for _ in range(4)))
    tasks = TaskStamps(*(columns(n, places).reshape(n, places) for _ in range(4)))
    lengths = np.array(data.draw(st.lists(st.integers(1, places), min_size=n, max_size=n)))
    paths = np.where(np.arange(places) < lengths[:, None], np.arange(places), NO_STEP)

    hops = hops_of(runs, paths, tasks)

    assert hops.by_run_ns.shape == (n, len(HOPS))
    assert (hops.by_run_ns >= 0).all()
    assert (hops.by_run_ns.sum(axis=1) + hops.residual_ns == runs.response_ns).all()
    assert (hops.by_place_ns.sum(axis=1) == hops.by_run_ns[:, 2:]).all()
    assert (hops.by_place_ns[paths == NO_STEP] == 0).all()


@given(st.data(), shapes(), st.integers(1, 4))
def test_a_path_goes_from_the_last_step_over_the_last_parents_to_a_root(data: Any, shape: FlowShape, n: int) -> None:
    steps = len(shape.steps)
    drawn = data.draw(st.lists(stamps, min_size=n * steps, max_size=n * steps))
    done_ns, parents = np.array(drawn).reshape(n, steps), [step.deps for step in shape.steps]

    paths = critical_paths(done_ns, parents)

    for path, done in zip(paths, done_ns, strict=True):
        walked = [int(np.argmax(done))]
        while parents[walked[-1]]:
            walked.append(max(parents[walked[-1]], key=lambda one: (done[one], -one)))
        assert path[path > NO_STEP].tolist() == walked


@given(st.lists(stamps, min_size=1, max_size=3_000))
def test_the_tail_is_a_hundredth_of_the_runs_and_none_of_them_is_beyond_the_next(response_ns: list[int]) -> None:
    values = np.array(response_ns)

    tail = tail_of(values)

    if tail is None:
        assert len(values) <= 1_000
    else:
        beyond = len(values) * 5 // 1_000
        assert len(tail) >= 10
        assert values[tail].max() <= np.sort(values)[::-1][:beyond].min(initial=10_001)
        assert values[tail].min() >= np.sort(values)[: len(values) - beyond - len(tail)].max(initial=-1)
