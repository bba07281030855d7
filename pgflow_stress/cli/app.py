"""The click group: commands are named in a registry and imported when they are used."""

from __future__ import annotations

from importlib import import_module

import click

from pgflow_stress import __version__
from pgflow_stress.cli.commands import COMMANDS
from pgflow_stress.cli.config import add_config_option, outside_name
from pgflow_stress.cli.streams import PROGRAM

VARIABLES = "PGFLOW_STRESS"


class LazyGroup(click.Group):
    """Commands by name from the registry; every one gets `--config`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        """The registry's names, in its order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import one command."""
        return load_command(cmd_name) if cmd_name in COMMANDS else None


def load_command(name: str) -> click.Command:
    """The command of the registry, with its `--config`."""
    module, _, attribute = COMMANDS[name].partition(":")
    command = getattr(import_module(module), attribute)
    assert isinstance(command, click.Command)
    add_config_option(command)
    name_variables(command, f"{VARIABLES}_{name}")
    return command


def name_variables(command: click.Command, prefix: str) -> None:
    """Name the variable of each option that its function calls otherwise, as `json_`: click goes by that name."""
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            name_variables(inner, f"{prefix}_{name}")
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.name != outside_name(parameter):
            parameter.envvar = f"{prefix}_{outside_name(parameter)}".replace("-", "_").upper()


@click.group(
    PROGRAM,
    cls=LazyGroup,
    context_settings={
        "auto_envvar_prefix": VARIABLES,
        "help_option_names": ["-h", "--help"],
        "max_content_width": 110,
    },
)
@click.version_option(
    __version__, prog_name=PROGRAM, allow_from_autoenv=False, message="%(prog)s %(version)s"
)  # PGFLOW_STRESS_VERSION is nobody's option
def app() -> None:
    """Stress tester for pgflow: drives it at its ceiling and accounts for every task.

    Progress and text go to standard error; data asked for with `-` goes to standard output.
    Every option also reads PGFLOW_STRESS_<COMMAND>_<OPTION>, then the TOML file of --config.
    """
