"""The options of open and closed loads: which go together."""

from __future__ import annotations

import pytest

from tests.integration.cli.test_command_line import typed


@pytest.mark.parametrize(
    "arguments",
    [
        "--rate 0",
        "--rate -1",
        "--rate nan",
        "--rate 5 --in-flight 2",
        "--rate 5 --stages 1s:5",
        "--stages 1s:5 --duration 2s",
        "--stages nonsense",
        "--duration 5s",
        "--starters 2",
        "--arrival poisson",
        "--late skip",
        "--in-flight 0",
        "--in-flight 2 --arrival poisson",
        "--rate 1e9 --duration 1h",
        "--rate 0.1 --duration 1s",
    ],
)
def test_a_load_that_cannot_be_is_2_and_one_line(arguments: str) -> None:
    ended = typed("run", "concurrent-flows", *arguments.split())

    assert ended.returncode == 2, ended.stderr
    assert ended.stderr.count("\n") == 1
    assert ended.stderr.startswith("pgflow-stress: ")
