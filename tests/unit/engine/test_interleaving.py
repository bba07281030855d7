"""The order of turns, and what is kept of both sides."""

from __future__ import annotations

import contextlib
import types
from collections.abc import Callable
from typing import Any

import pytest

from pgflow_stress.cli.progress import QuietWatch
from pgflow_stress.core.errors import Interrupted
from pgflow_stress.core.exit_codes import ExitCode
from pgflow_stress.engine.interleaving import Side, interleave, turns
from pgflow_stress.engine.measurement import Ending, Measured
from pgflow_stress.scenario.options import RunOptions
from pgflow_stress.scenario.plan import Plan, make_plan
from pgflow_stress.target.base import Isolation
from tests.fixtures.results import build_repetition

Behaviour = Callable[[Plan, int], Measured]


class FakeEngine:
    """Measures nothing; keeps what it was asked."""

    def __init__(self, behave: Behaviour) -> None:
        self.behave = behave
        self.asked: list[tuple[int, int]] = []  # workers, index

    def aged(self, _plan: Plan, _target: Any, _watch: Any) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def measure_one(self, plan: Plan, _target: Any, _record: Any, _watch: Any, index: int) -> Measured:
        self.asked.append((plan.options.workers, index))
        return self.behave(plan, index)


def good(plan: Plan, index: int) -> Measured:
    return Measured(build_repetition(index), (), 15, (100,) * plan.options.workers, goes_on=True)


def sides(repetitions: int = 3, warmup: int = 1) -> list[Side]:
    target: Any = types.SimpleNamespace(isolation=Isolation.CLONE, can_age=False)
    options = (RunOptions(workers=workers, repetitions=repetitions, warmup=warmup) for workers in (1, 2))
    return [Side(make_plan("single-flow", one), target, lambda _recording: None) for one in options]


@pytest.mark.parametrize("pairs", [1, 5, 10, 101])
def test_each_order_comes_as_often(pairs: int) -> None:
    drawn = turns(0, pairs, seed=7)

    assert len(drawn) == pairs
    assert abs(drawn.count((0, 1)) - drawn.count((1, 0))) == pairs % 2
    assert set(drawn) <= {(0, 1), (1, 0)}


def test_the_order_is_the_seeds() -> None:
    assert turns(1, 20, seed=1) == turns(1, 20, seed=1)
    assert len({tuple(turns(1, 20, seed)) for seed in range(20)}) > 15


def test_both_sides_have_every_index_once() -> None:
    engine: Any = FakeEngine(good)

    base, candidate = interleave(engine, sides(), QuietWatch())

    assert [index for _, index in engine.asked] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert [r.index for r in base.repetitions] == [r.index for r in candidate.repetitions] == [0, 1, 2, 3]
    assert (base.tasks_by_worker, candidate.tasks_by_worker) == ((400,), (400, 400))
    assert (base.parameters["workers"], candidate.parameters["workers"]) == (1, 2)
    assert (base.endings, candidate.endings) == ((), ())


def test_where_one_side_cannot_go_on_both_end_and_what_was_measured_is_kept() -> None:
    def late(plan: Plan, index: int) -> Measured:
        if plan.options.workers == 2 and index == 2:
            return Measured(build_repetition(2), (Ending(ExitCode.TIMED_OUT, "late"),), 15, (1, 1), goes_on=False)
        return good(plan, index)

    engine: Any = FakeEngine(late)
    base, candidate = interleave(engine, sides(), QuietWatch())

    assert len(candidate.repetitions) == 3
    assert len(base.repetitions) in (2, 3)
    assert engine.asked[-1] == (2, 2)
    assert [ending.code for ending in candidate.endings] == [ExitCode.TIMED_OUT]


def test_a_signal_between_two_repetitions_loses_none() -> None:
    def interrupted(plan: Plan, index: int) -> Measured:
        if index == 2:
            raise Interrupted("interrupted")
        return good(plan, index)

    engine: Any = FakeEngine(interrupted)
    base, candidate = interleave(engine, sides(), QuietWatch())

    assert (len(base.repetitions), len(candidate.repetitions)) == (2, 2)
    assert [ending.code for ending in (*base.endings, *candidate.endings)] == [ExitCode.INTERRUPTED]
