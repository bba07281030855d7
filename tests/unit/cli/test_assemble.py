from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from pgflow_stress.cli.assemble import Gates, assemble, outcome, share_cores
from pgflow_stress.core.exit_codes import ExitCode
from pgflow_stress.core.result import Repetition
from pgflow_stress.engine.measurement import Ending, Measurement
from pgflow_stress.scenario.options import RunOptions
from pgflow_stress.scenario.plan import make_plan
from pgflow_stress.target.base import TargetOptions
from tests.fixtures.results import ENVIRONMENT, build_baseline, build_observed, build_repetition


@pytest.mark.parametrize(
    ("pin", "siblings", "shared"),
    [
        ({}, [], None),
        ({"worker": [0]}, [], None),
        ({"worker": [0], "postgres": [1]}, [], False),
        ({"worker": [0, 1], "postgres": [1, 2]}, [], True),
        ({"worker": [0], "postgres": [4]}, [[0, 4], [1, 5]], True),
        ({"worker": [0], "postgres": [5]}, [[0, 4], [1, 5]], False),
    ],
)
def test_smt_siblings_count_as_one_core(
    pin: dict[str, list[int]], siblings: list[list[int]], shared: bool | None
) -> None:
    assert share_cores(pin, siblings) is shared


def test_an_outcome_names_every_code_and_reason() -> None:
    endings = [
        Ending(ExitCode.GATE_FAILED, "slow"),
        Ending(ExitCode.TIMED_OUT, "late"),
        Ending(ExitCode.TIMED_OUT, "so"),
    ]

    assert outcome(endings) == {"exit_code": 124, "codes": [6, 124], "reasons": ["slow", "late", "so"]}
    assert outcome([]) == {"exit_code": 0, "codes": [], "reasons": []}


def outcome_of(repetitions: Sequence[Repetition]) -> Any:
    plan = make_plan("concurrent-flows", RunOptions(workers=2))
    measurement = Measurement(plan, tuple(repetitions), (), plan.parameters(), (1, 1))
    surroundings = {**ENVIRONMENT, "host": {**ENVIRONMENT["host"], "name": "local"}}
    result, _ = assemble(measurement, {}, surroundings, TargetOptions(), Gates((), strict=False))
    return result.outcome


def test_what_observing_costs_is_in_the_outcome_where_it_was_measured() -> None:
    slower = [
        build_observed(1, process_seconds=20),
        build_baseline(2, process_seconds=10),
        build_baseline(3, process_seconds=10),
        build_observed(4, process_seconds=20),
    ]

    cost = outcome_of(slower)["observer_cost"]

    assert list(cost) == ["process.per_second", "execute.per_second"]
    assert cost["process.per_second"]["n"] == 2
    assert cost["process.per_second"]["ratio"] == pytest.approx(0.5)
    assert cost["process.per_second"]["ci95"] == pytest.approx([0.5, 0.5])
    assert "observer_cost" not in outcome_of([build_repetition(1)])
