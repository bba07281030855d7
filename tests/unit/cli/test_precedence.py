"""Command line, environment, file, old variables, defaults: in this order, for every kind of option."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from pgflow_stress.core.errors import UsageFault
from pgflow_stress.scenario.options import RunOptions
from tests.unit.cli.helpers import parse_run

DEFAULT = RunOptions()


@pytest.mark.parametrize(
    ("old", "file", "variable", "typed", "want"),
    [
        (None, None, None, None, 800),
        ("40", None, None, None, 40),
        ("40", 50, None, None, 50),
        ("40", 50, "60", None, 60),
        ("40", 50, "60", "70", 70),
        (None, 50, None, "70", 70),
        ("40", None, "60", None, 60),
        ("40", None, None, "70", 70),
        (None, 50, "", None, 50),
        ("", None, None, None, 800),
    ],
)
def test_steps_come_from_the_highest_source_that_is_given(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    old: str | None,
    file: int | None,
    variable: str | None,
    typed: str | None,
    want: int,
) -> None:
    arguments = ["single-flow"]
    if old is not None:
        monkeypatch.setenv("STEP_COUNT", old)
    if file is not None:
        (tmp_path / "c.toml").write_text(f"[run]\nsteps = {file}\n")
        arguments += ["--config", str(tmp_path / "c.toml")]
    if variable is not None:
        monkeypatch.setenv("PGFLOW_STRESS_RUN_STEPS", variable)
    if typed is not None:
        arguments += ["--steps", typed]

    (plan,) = parse_run(*arguments).plans

    assert plan.parameters()["steps"] == want


@pytest.mark.parametrize(
    ("variable", "text", "field", "want"),
    [
        ("COMPLETION_BATCH_SIZE", "7", "completion_batch_size", 7),
        ("MAX_COMPLETION_TIME_MS", "2500", "timeout_seconds", 2.5),
    ],
)
def test_old_variables_of_every_scenario_are_below_a_file_and_above_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, text: str, field: str, want: Any
) -> None:
    config = tmp_path / "c.toml"
    config.write_text("[run]\ncompletion-batch-size = 9\ntimeout = 11\n")
    monkeypatch.setenv(variable, text)

    alone = getattr(parse_run().plans[0].options, field)
    below = getattr(parse_run("--config", str(config)).plans[0].options, field)

    assert alone == want
    assert below == {"completion_batch_size": 9, "timeout_seconds": 11}[field]


def test_each_scenario_of_the_stock_job_has_its_own_old_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEP_COUNT", "30")
    monkeypatch.setenv("STEPS_PER_FLOW", "4")
    monkeypatch.setenv("CONCURRENT_FLOWS", "6")

    single, concurrent = (plan.parameters() for plan in parse_run().plans)

    assert (single["steps"], single["flows"]) == (30, 1)
    assert (concurrent["steps"], concurrent["flows"], concurrent["runs"]) == (4, 6, 6)


def test_a_file_reaches_every_scenario_and_beats_their_old_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEP_COUNT", "30")
    (tmp_path / "c.toml").write_text("[run]\nsteps = 5\n")
    monkeypatch.setenv("PGFLOW_STRESS_RUN_CONFIG", str(tmp_path / "c.toml"))

    plans = parse_run().plans

    assert [plan.parameters()["steps"] for plan in plans] == [5, 5]


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("PGFLOW_STRESS_RUN_STEPS", "0"),
        ("PGFLOW_STRESS_RUN_WORKERS", "many"),
        ("PGFLOW_STRESS_RUN_COMPLETION", "magic"),
        ("STEP_COUNT", "0"),
        ("COMPLETION_BATCH_SIZE", "-1"),
        ("MAX_COMPLETION_TIME_MS", "1e3"),
    ],
)
def test_a_bad_value_of_a_variable_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variable: str, text: str
) -> None:
    from pgflow_stress.cli.failing import tell  # noqa: PLC0415

    monkeypatch.setenv(variable, text)

    with pytest.raises((click.UsageError, UsageFault)) as raised:
        parse_run("single-flow")

    assert tell(raised.value) == 2
    assert variable in capsys.readouterr().err


def test_variables_and_files_reach_what_is_not_a_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "c.toml"
    config.write_text(
        '[run]\nscenario = ["concurrent-flows"]\nstrict = true\nyes_on = ["a", "b"]\nempty-poll = "spin"\n'
        'drain-timeout = "1m30s"\npg-setting = "shared_buffers=64MB"\n'
    )
    monkeypatch.setenv("PGFLOW_STRESS_RUN_THRESHOLD", "process.per_second > 9; create.per_second>1")
    monkeypatch.setenv("PGFLOW_STRESS_RUN_QUIET", "1")

    request = parse_run("--config", str(config))

    assert [plan.scenario for plan in request.plans] == ["concurrent-flows"]
    assert (request.strict, request.quiet) == (True, True)
    assert request.target.yes_on == ("a", "b")
    assert request.target.pg_settings == (("shared_buffers", "64MB"),)
    assert str(request.plans[0].options.empty_poll) == "spin"
    assert request.plans[0].options.drain_timeout_seconds == 90
    assert [threshold.metric for threshold in request.thresholds] == ["process.per_second", "create.per_second"]


def test_a_dsn_counts_as_typed_only_where_it_was_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "c.toml").write_text('[run]\ndsn = "dbname=filed"\n')
    typed = parse_run("--dsn", "dbname=typed").target
    filed = parse_run("--config", str(tmp_path / "c.toml")).target
    monkeypatch.setenv("PGFLOW_STRESS_RUN_DSN", "dbname=set")
    from_variable = parse_run("--config", str(tmp_path / "c.toml")).target

    assert (typed.dsn, typed.dsn_typed) == ("dbname=typed", True)
    assert (filed.dsn, filed.dsn_typed) == ("dbname=filed", False)
    assert (from_variable.dsn, from_variable.dsn_typed) == ("dbname=set", False)


def test_defaults_are_those_of_the_options_themselves() -> None:
    options = parse_run("single-flow").plans[0].options

    assert options == DEFAULT
