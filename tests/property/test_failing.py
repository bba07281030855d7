"""What fails by design: C, which decides while it is measured, and Python, which knows the outcome beforehand."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pgflow_stress.core.arena import WRITTEN_OFF, LedgerBit, RunWord
from pgflow_stress.engine.places import Places, expected_outcomes
from pgflow_stress.engine.private_books import new_books
from pgflow_stress.scenario.failing import Failing
from pgflow_stress.scenario.flow import FlowShape, Step
from pgflow_stress.scenario.workload import Workload

SHAPES = (
    FlowShape((Step("a"), Step("m", (0,), "map", 3), Step("z", (1,)))),
    FlowShape((Step("e", (), "map", 0), Step("b", (0,)))),
)
_FAILING = st.builds(
    Failing,
    probability=st.sampled_from([0.0, 0.2, 0.9, 1.0]),
    doomed=st.sampled_from([0.0, 0.5, 1.0]),
    max_attempts=st.integers(0, 4),
    base_delay_seconds=st.just(0),
    seed=st.integers(0, 2**63 - 1),
    shapes=st.sampled_from([(0,), (1,), (0, 1)]),
)


@settings(deadline=None, max_examples=60)
@given(failing=_FAILING, runs=st.integers(1, 12))
def test_both_halves_decide_alike_attempt_by_attempt(failing: Failing, runs: int) -> None:
    work = Workload(SHAPES, (0, 1), runs, failing=failing)
    books = new_books(work, [b"f0", b"f1"], nonce=1)
    outcomes = expected_outcomes(work, Places(work))
    assert outcomes is not None

    for place in range(work.expected_tasks):
        failed = 0
        while failed < failing.most_tries and books.account.fails(place):
            failed += 1
            books.ledger[place] += LedgerBit.FAILED
        assert failed == outcomes.failed_attempts[place]


@settings(deadline=None)
@given(failing=_FAILING, runs=st.integers(1, 12))
def test_a_run_fails_if_one_of_its_tasks_does(failing: Failing, runs: int) -> None:
    work = Workload(SHAPES, (0, 1), runs, failing=failing)
    places = Places(work)
    outcomes = expected_outcomes(work, places)
    assert outcomes is not None

    of_run = np.repeat(np.arange(runs), np.diff(places.first))
    assert sorted(set(of_run[outcomes.doomed].tolist())) == np.flatnonzero(outcomes.failing_runs).tolist()
    if failing.doomed == 1.0:
        having = np.isin(np.array(work.shape_of)[places.run_flow], failing.shapes) & (np.diff(places.first) > 0)
        assert outcomes.failing_runs[having].all()


@given(completed_before=st.integers(0, 5), order=st.permutations(["fail", "fail", "complete"]))
def test_every_task_of_a_failed_run_is_done_once_whoever_says_so(completed_before: int, order: list[str]) -> None:
    work = Workload((FlowShape(tuple(Step(f"s{index}") for index in range(6))),), (0,), 1)
    books = new_books(work, [b"f"], nonce=1)
    books.account.settle_start(0)
    for step in range(completed_before):
        books.account.settle(0, step, 0, adopted=False)

    for what in order:
        if what == "fail":
            books.account.fail_run(0)
        else:
            books.account.settle(0, 5, 0, adopted=False)

    assert books.account.left(0) == 0
    assert books.runs[0, RunWord.COMPLETED] == WRITTEN_OFF + completed_before + 1
    assert books.runs[0, RunWord.FAILED_NS] > 0


@given(runs=st.integers(0, 20), flows=st.integers(1, 5))
def test_a_tasks_place_is_found_from_its_run_step_and_index(runs: int, flows: int) -> None:
    work = Workload(SHAPES, tuple(flow % 2 for flow in range(flows)), runs)
    places = Places(work)
    found = []
    for run, flow in enumerate(work.run_flow().tolist()):
        for step, one in enumerate(SHAPES[work.shape_of[flow]].steps):
            found += [(run, step, task) for task in range(one.tasks)]

    columns = [np.array([one[at] for one in found], dtype=np.int64) for at in range(3)]

    assert places.of_tasks(*columns).tolist() == list(range(places.tasks))
    assert places.of_tasks(np.array([runs, 0]), np.array([0, 9]), np.array([0, 0])).tolist() == [-1, -1]
    for place, (run, step, task) in enumerate(found):
        slug = SHAPES[work.shape_of[work.run_flow()[run]]].steps[step].slug
        assert places.name(1, place).split()[1:] == [slug, str(task)]
