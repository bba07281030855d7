from __future__ import annotations

import pytest

from pgflow_stress.cli.assemble import outcome, share_cores
from pgflow_stress.core.exit_codes import ExitCode
from pgflow_stress.engine.measurement import Ending


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
