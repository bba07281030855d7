from __future__ import annotations

import pkgutil
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from pgflow_stress.cli import commands
from pgflow_stress.cli.app import app, load_command
from pgflow_stress.cli.commands import COMMANDS
from pgflow_stress.cli.config import outside_name

CONTRACT = [
    "run",
    "sweep",
    "find-max",
    "profile",
    "compare",
    "plan",
    "report",
    "audit",
    "calibrate",
    "doctor",
    "scenarios",
    "db",
]


def test_the_registry_is_the_contracts_list() -> None:
    assert list(COMMANDS) == CONTRACT


def test_every_module_of_the_folder_is_in_the_registry() -> None:
    registered = {entry.partition(":")[0].rpartition(".")[2] for entry in COMMANDS.values()}

    assert {module.name for module in pkgutil.iter_modules(commands.__path__)} <= registered


def leaves(command: click.Command) -> Iterator[click.Command]:
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            yield from leaves(inner)
    else:
        yield command


@pytest.mark.parametrize("name", [name for name in COMMANDS if app.get_command(click.Context(app), name)])
def test_every_option_has_help_and_a_name_that_its_variable_and_its_key_in_a_file_can_have(name: str) -> None:
    for command in leaves(load_command(name)):
        options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
        assert "config" in [option.name for option in options]
        for option in options:
            variable = f"_{outside_name(option).upper()}"
            assert option.help, (command.name, option.opts)
            assert f"--{outside_name(option).replace('_', '-')}" in option.opts
            assert option.name == outside_name(option) or str(option.envvar).endswith(variable)


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from pgflow_stress.cli.main import run_command_line\n"
        "assert run_command_line(['--help']) == run_command_line(['run', '--help']) == 0\n"
        "print(*{'numpy', 'psycopg', 'rich', 'pyarrow', 'scipy', 'psutil'} & set(sys.modules), file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ended.stderr.split() == []
