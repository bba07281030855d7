"""The command in a report asks for the same again, of every scenario."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Any

import pytest

from pgflow_stress.cli.commands.run import run
from pgflow_stress.cli.request import run_request
from pgflow_stress.report.sections.reproduce import reproduce
from tests.fixtures.results import build_result


def _parameters(*arguments: str) -> dict[str, Any]:
    with run.make_context("run", list(arguments)) as ctx:
        return run_request(ctx).plans[0].parameters()


@pytest.mark.parametrize(
    "typed",
    [
        ["single-flow", "--steps", "7"],
        ["concurrent-flows", "--rate", "5", "--duration", "2s"],
        ["chain", "--depth", "3"],
        ["fan", "--width", "4"],
        ["map", "--elements", "3"],
        ["retries"],
        ["mix", "--weights", "chain:3,retries:1"],
        ["dag", "--dag", "a b:a"],
    ],
    ids=lambda typed: typed[0],
)
def test_the_command_to_reproduce_asks_for_the_same(typed: list[str]) -> None:
    asked = _parameters(*typed)

    command = reproduce(replace(build_result(), scenario={"name": typed[0], "parameters": asked}))

    assert _parameters(*shlex.split(command)[2:]) == asked
