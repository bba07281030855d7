"""Commands and options that are named already and come later: listed, honest about it, and refused when used."""

from __future__ import annotations

import click

from pgflow_stress.core.errors import UsageFault

NOT_YET = "is not available yet"


class LaterCommand(click.Command):
    """A command that is not there yet: it has no options but --help."""


def later_command(name: str, job: str) -> click.Command:
    """A command whose help says that it is not available yet; called with anything else it ends with 2."""

    def refuse(arguments: tuple[str, ...]) -> None:  # noqa: ARG001  whatever was given is not looked at
        raise UsageFault(f"{name} {NOT_YET}")

    return LaterCommand(
        name,
        callback=refuse,
        params=[click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED, metavar="[ARGS]...")],
        help=f"{job}\n\nNot available yet: when called, it says so and ends with exit code 2.",
        short_help=f"{job} (not available yet)",
        context_settings={"ignore_unknown_options": True},
    )
