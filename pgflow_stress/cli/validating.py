"""`scenarios validate`: every fault of every file, a line each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from pgflow_stress.cli import scenario_files
from pgflow_stress.cli.app import load_command
from pgflow_stress.cli.request import run_request
from pgflow_stress.cli.streams import complain, say
from pgflow_stress.core.errors import StressError, UsageFault
from pgflow_stress.core.exit_codes import ExitCode


def validate_files(files: Sequence[str]) -> ExitCode:
    """Check them all, as `run` would without anything else said; USAGE where one has a fault."""
    code = ExitCode.DONE
    for name in files:
        found = list(_faults(name))
        for fault in found:
            complain(str(fault))
            code = ExitCode.USAGE if isinstance(fault, UsageFault | click.UsageError) else code or ExitCode.SET_UP
        if not found:
            say(f"{name}: ok")
    return code


def _faults(name: str) -> Iterator[Exception]:
    if not scenario_files.is_file(name):
        yield UsageFault(f"{name}: a scenario file's name ends with {scenario_files.SUFFIX}")
        return
    command = load_command("run")
    try:
        # No variables: the environment is somebody's, the file is everybody's.
        with command.make_context("run", [name]) as ctx:
            located = scenario_files.read(name)
            wrong = list(scenario_files.faults(ctx, located))
            yield from wrong
            if not wrong:
                run_request(ctx)
    except click.UsageError as error:
        yield UsageFault(f"{name}: {error.message.rstrip('.')}")
    except StressError as fault:
        yield fault
