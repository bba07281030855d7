"""The grid of a `sweep`: every combination a request of run, as if it had been typed."""

from __future__ import annotations

import click
import pytest

from pgflow_stress.cli.app import VARIABLES, app, load_command
from pgflow_stress.cli.commands.sweep import _OF_RUN
from pgflow_stress.cli.grid import Axis, Grid, grid_of
from pgflow_stress.core.errors import UsageFault


def grid(*arguments: str) -> Grid:
    """The grid of `pgflow-stress sweep ARGUMENTS`."""
    program = click.Context(app, info_name="pgflow-stress", auto_envvar_prefix=VARIABLES)
    with load_command("sweep").make_context("sweep", list(arguments), parent=program) as ctx:
        values = ctx.params
        applies = values["apply_command"] is not None
        return grid_of(ctx, values["vary"], _OF_RUN, yes=values["yes"], applies=applies)


def test_every_combination_is_a_cell_and_the_last_axis_runs_fastest() -> None:
    found = grid("single-flow", "--vary", "workers=1,2", "--vary", "completion=single,batch", "--steps", "9")

    assert [cell.label for cell in found.cells] == [
        "workers=1, completion=single", "workers=1, completion=batch",
        "workers=2, completion=single", "workers=2, completion=batch",
    ]  # fmt: skip
    assert [(c.plan.options.workers, str(c.plan.options.completion)) for c in found.cells] == [
        (1, "single"), (1, "batch"), (2, "single"), (2, "batch"),
    ]  # fmt: skip
    assert {len(cell.plan.shape.steps) for cell in found.cells} == {9}


def test_scenarios_and_settings_of_the_server_are_axes_too() -> None:
    found = grid("--vary", "scenario=single-flow,concurrent-flows", "--vary", "pg-setting.work_mem=4MB,64MB")

    assert [cell.plan.scenario for cell in found.cells] == ["single-flow"] * 2 + ["concurrent-flows"] * 2
    assert [cell.target.pg_settings for cell in found.cells[:2]] == [(("work_mem", "4MB"),), (("work_mem", "64MB"),)]


def test_what_a_command_applies_is_told_apart_from_what_is_typed() -> None:
    found = grid("single-flow", "--apply-command", "true", "--vary", "apply.shared_buffers=1GB,4GB")

    assert [cell.applied for cell in found.cells] == [(("shared_buffers", "1GB"),), (("shared_buffers", "4GB"),)]


def test_a_password_that_is_varied_is_in_no_label() -> None:
    found = grid("single-flow", "--vary", "dsn=postgresql://u:hunter2@127.0.0.1/a;postgresql://u:hunter2@127.0.0.1/b")

    assert "hunter2" not in f"{found.axes} {[cell.label for cell in found.cells]}"
    assert "hunter2" in str(found.cells[0].target.dsn)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["single-flow"], "sweep takes what is varied"),
        (["--vary", "workers=1,2"], "one scenario a cell"),
        (["single-flow", "concurrent-flows", "--vary", "workers=1,2"], "one scenario a cell"),
        (["single-flow", "--vary", "workers"], "give NAME=A,B,C"),
        (["single-flow", "--vary", "worker=1,2"], "no option 'worker'; near it: workers"),
        (["single-flow", "--vary", "workers=1,2", "--vary", "workers=3"], "there twice"),
        (["single-flow", "--vary", "workers=1,1"], "a value is there twice"),
        (["single-flow", "--vary", "workers=1,0"], "cell workers=0"),
        (["single-flow", "--vary", "completion=single,magic"], "cell completion=magic"),
        (["single-flow", "--vary", "workers=1,2", "--workers", "3"], "given by itself as well"),
        (["single-flow", "--vary", "repetitions=1,2"], "the same for all that is compared"),
        (["single-flow", "--vary", "scenario=chain,fan"], "given by itself as well"),
        (["single-flow", "--vary", "apply.x=1,2"], "no --apply-command"),
        (["single-flow", "--vary", "workers=1,2", "-r", "auto"], "give sweep a number"),
        (["--vary", "scenario=single-flow,nothing"], "cell scenario=nothing"),
    ],
)
def test_a_grid_that_cannot_be_is_refused_in_one_line(arguments: list[str], said: str) -> None:
    with pytest.raises(UsageFault, match=said):
        grid(*arguments)


def test_a_million_cells_ask_for_consent_before_any_is_made() -> None:
    hundred = ",".join(map(str, range(1, 101)))
    axes = [f"{name}={hundred}" for name in ("workers", "poll-size", "completion-batch-size")]
    varied = [part for axis in axes for part in ("--vary", axis)]

    with pytest.raises(UsageFault, match="1,000,000 cells"):
        grid("single-flow", *varied)


def test_an_axis_is_of_numbers_where_all_are_and_orders_by_them() -> None:
    numbers, texts = Axis("workers", ("10", "2")), Axis("completion", ("single", "batch"))
    from_0 = Axis("history", ("1000", "0"))

    assert numbers.numbers == (10, 2)
    assert numbers.place("2") < numbers.place("10")
    assert from_0.numbers == (1000, 0)
    assert texts.numbers is None
    assert texts.place("single") < texts.place("batch")


def test_parameters_of_a_scenario_are_axes_as_every_option_is() -> None:
    found = grid("chain", "--vary", "depth=1,2", "--vary", "runs=3,4")
    mixed = grid("--vary", "scenario=retries", "--vary", "failure-probability=0.1,0.2")

    assert [(cell.plan.shape.tasks_per_run, cell.plan.runs) for cell in found.cells] == [(1, 3), (1, 4), (2, 3), (2, 4)]
    assert [cell.plan.parameters()["failure_probability"] for cell in mixed.cells] == [0.1, 0.2]
    with pytest.raises(UsageFault, match="given by itself as well"):
        grid("chain", "--vary", "depth=1,2", "--depth", "3")
