"""Parses a command line of `run` as the program does, up to the request: nothing is measured."""

from __future__ import annotations

import click
import pytest

from pgflow_stress.cli.app import VARIABLES, load_command
from pgflow_stress.cli.request import RunRequest, run_request
from pgflow_stress.core.errors import UsageFault


def parse_run(*arguments: str) -> RunRequest:
    """The request of `pgflow-stress run ARGUMENTS` in this process's environment."""
    command = load_command("run")
    with command.make_context("run", list(arguments), auto_envvar_prefix=f"{VARIABLES}_RUN") as ctx:
        return run_request(ctx)


def refused_run(*arguments: str) -> str:
    """The one line by which that command is refused."""
    with pytest.raises((UsageFault, click.UsageError)) as told:
        parse_run(*arguments)
    text = str(told.value)
    assert "\n" not in text
    return text
