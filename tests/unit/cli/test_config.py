from __future__ import annotations

from pathlib import Path

import click
import pytest

from pgflow_stress.cli.app import name_variables
from pgflow_stress.cli.config import add_config_option
from pgflow_stress.cli.main import run_command_line
from pgflow_stress.core.errors import UsageFault
from tests.unit.cli.helpers import parse_run


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[run]\nstepz = 5\n", "unknown key 'stepz'"),
        ("[rnu]\nsteps = 5\n", "unknown table 'rnu'"),
        ("steps = 5\n", "unknown key 'steps'"),
        ("run = 5\n", "[run]"),
        ("[run]\nsteps = \n", "line 2"),
        ("[run]\nsteps = '50'\n", "without quotes"),
        ("[run]\nsteps = [50]\n", "not a list"),
        ("[run]\nsteps = true\n", "switches"),
        ("[run]\nstrict = 1\n", "true or false"),
        ("[run]\nseed = 2020-01-01\n", "date"),
        ("[run]\npin = {worker = 1}\n", "dict"),
        ("[run]\npoll-size = 5\npoll_size = 6\n", "twice"),
        ("[run]\nconfig = 'other.toml'\n", "unknown key 'config'"),
    ],
)
def test_a_bad_file_is_refused_with_what_is_wrong_in_it(tmp_path: Path, text: str, said: str) -> None:
    config = tmp_path / "c.toml"
    config.write_text(text)

    with pytest.raises(UsageFault, match=r".*") as raised:
        parse_run("--config", str(config))

    assert said in str(raised.value)
    assert str(config) in str(raised.value)


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")

    for name, said in (("absent", "No such file"), ("binary", "UTF-8"), (".", "directory")):
        with pytest.raises(UsageFault, match=said):
            parse_run("--config", str(tmp_path / name))


def test_tables_of_other_commands_are_let_be(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text('[find-max]\nanything = 1\n[run]\nsteps = 5\n[db.up]\nx = "y"\n')

    (plan,) = parse_run("single-flow", "--config", str(config)).plans

    assert plan.parameters()["steps"] == 5


def test_a_command_of_a_group_has_a_table_in_the_groups(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "c.toml"
    config.write_text('[scenarios.list]\njson = "-"\n')

    code = run_command_line(["scenarios", "list", "--config", str(config)])

    assert code == 0
    assert capsys.readouterr().out.startswith("{")


def test_what_a_function_calls_otherwise_is_called_as_it_is_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    option = click.Option(["--json", "json_"], type=int, help="A number.")
    command = click.Command("audit", params=[option], callback=lambda **values: print(values["json_"]))
    config = tmp_path / "c.toml"
    config.write_text("[audit]\njson = 5\n")
    add_config_option(command)
    name_variables(command, "PGFLOW_STRESS_audit")

    command.main(["--config", str(config)], prog_name="audit", standalone_mode=False)
    monkeypatch.setenv("PGFLOW_STRESS_AUDIT_JSON", "6")
    command.main(["--config", str(config)], prog_name="audit", standalone_mode=False)

    assert capsys.readouterr().out == "5\n6\n"


def test_a_fraction_is_no_whole_number(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text("[run]\nsteps = 1.5\n")

    with pytest.raises(click.BadParameter, match=r"1\.5"):
        parse_run("single-flow", "--config", str(config))
