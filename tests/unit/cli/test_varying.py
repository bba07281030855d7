"""`--vary`: one command line, two requests of run."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from pgflow_stress.cli.app import VARIABLES, app, load_command
from pgflow_stress.cli.commands.compare import _OF_RUN
from pgflow_stress.cli.varying import Sides, Variation, parse_vary, sides
from pgflow_stress.core.errors import UsageFault


def parsed(*arguments: str) -> Sides:
    """Both sides of `pgflow-stress compare --interleave ARGUMENTS` in this process's environment."""
    command = load_command("compare")
    typed = ["--interleave", *arguments]
    program = click.Context(app, info_name="pgflow-stress", auto_envvar_prefix=VARIABLES)
    with command.make_context("compare", typed, parent=program) as ctx:
        return sides(ctx, ctx.params["vary"], _OF_RUN)


@pytest.mark.parametrize(
    ("text", "name", "values"),
    [
        ("workers=1,2", "workers", ("1", "2")),
        (" --poll_size = 1 , 20 ", "poll-size", ("1", "20")),
        ("pgflow=0.8.1,/a/dir", "pgflow", ("0.8.1", "/a/dir")),
        ("pg-setting.work_mem=4MB,64MB", "pg-setting.work_mem", ("4MB", "64MB")),
        ("pg_setting.Work_Mem=4MB,64MB", "pg-setting.work_mem", ("4MB", "64MB")),
        ("empty-poll=spin;read-with-poll:2,100", "empty-poll", ("spin", "read-with-poll:2,100")),
        ("pgflow=0.8.1,0.8.1", "pgflow", ("0.8.1", "0.8.1")),
    ],
)
def test_a_variation_is_a_name_and_two_values(text: str, name: str, values: tuple[str, str]) -> None:
    assert parse_vary(text) == Variation(name, values)


@pytest.mark.parametrize("text", ["", "workers", "workers=", "workers=1", "workers=1,", "=1,2", "workers=1,2,3"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(UsageFault, match="give NAME=A,B"):
        parse_vary(text)


def test_the_sides_differ_in_the_option_and_in_nothing_else() -> None:
    found = parsed("--vary", "completion=single,batch", "--workers", "3", "--seed", "9", "single-flow")

    (base,), (candidate,) = found.base.plans, found.candidate.plans
    assert found.variation.labels == ("completion=single", "completion=batch")
    assert (base.parameters()["completion"], candidate.parameters()["completion"]) == ("single", "batch")
    assert {**base.parameters(), "completion": None} == {**candidate.parameters(), "completion": None}
    assert (base.options.workers, base.options.seed, base.options.repetitions) == (3, 9, 10)
    assert found.base.target == found.candidate.target


def test_a_size_may_be_varied_though_a_variable_of_the_old_script_gives_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEP_COUNT", "7")

    found = parsed("--vary", "steps=10,20", "single-flow")

    assert [len(one.plans[0].shape.steps) for one in (found.base, found.candidate)] == [10, 20]


def test_a_variation_beats_a_variable_and_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("[compare]\npoll-size = 7\nworkers = 4\n")
    monkeypatch.setenv("PGFLOW_STRESS_COMPARE_POLL_SIZE", "9")

    found = parsed("--vary", "poll-size=1,2", "--config", str(tmp_path / "c.toml"), "single-flow")

    assert [one.plans[0].options.poll_size for one in (found.base, found.candidate)] == [1, 2]
    assert [one.plans[0].options.workers for one in (found.base, found.candidate)] == [4, 4]


def test_versions_and_settings_are_the_targets(tmp_path: Path) -> None:
    versions = parsed("--vary", f"pgflow=0.8.1,{tmp_path}", "single-flow")
    settings = parsed("--vary", "pg-setting.work_mem=4MB,64MB", "--pg-setting", "jit=on", "single-flow")

    assert (versions.base.target.pgflow, versions.candidate.target.pgflow) == ("0.8.1", str(tmp_path))
    assert dict(settings.base.target.pg_settings) == {"work_mem": "4MB", "jit": "on"}
    assert dict(settings.candidate.target.pg_settings) == {"work_mem": "64MB", "jit": "on"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--vary", "dsn=a,b", "single-flow"], "the same for all that is compared"),
        (["--vary", "seed=1,2", "single-flow", "--observer-cost"], "pairs of its own"),
        (["--vary", "rate=1,2", "no-such"], "no-such|not available yet"),
        (["--vary", "primary=a,b", "single-flow"], "no option 'primary'"),
        (["--vary", "pg-setting.work_mem=1MB,2MB", "--pg-setting", "work_mem=3MB", "single-flow"], "leave one of"),
        (["single-flow"], "takes one --vary"),
    ],
)
def test_what_cannot_be_varied_is_refused(arguments: list[str], told: str) -> None:
    with pytest.raises(UsageFault, match=told):
        parsed(*arguments)
