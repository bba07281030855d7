"""Writing to standard output and error: what is lost is either told or does not matter, and never a traceback."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

from pgflow_stress.core.errors import RunFailed, UsageFault
from pgflow_stress.core.redact import redact
from pgflow_stress.report.printable import printable

if TYPE_CHECKING:
    from rich.console import Console

PROGRAM = "pgflow-stress"


class OutputClosed(Exception):
    """Whoever read our standard output has gone: nobody is left to tell."""


def say(line: str) -> None:
    """One line to standard error. That it cannot be shown is no reason to stop measuring."""
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(printable(line) + "\n")
        sys.stderr.flush()
    except OSError:
        _give_up(sys.stderr)


def complain(message: str) -> None:
    """The tool's own one line about what went wrong, without a password."""
    say(f"{PROGRAM}: {' '.join(redact(message).split())}")


def show(render: Callable[[Console], object]) -> None:
    """Let `render` write tables to standard error, where there is one. What they tell is kept elsewhere."""
    if sys.stderr is None:
        return
    from pgflow_stress.cli.console import TellingConsole  # noqa: PLC0415  --help is to be quick

    try:
        render(TellingConsole(stderr=True, highlight=False))
    except OSError:
        _give_up(sys.stderr)


def write_data(text: str) -> None:
    """Data that was asked for with `-`, to standard output.

    Raises:
        RunFailed: it could not be written, as on a full disk.
        OutputClosed: the reader has gone.
    """
    if sys.stdout is None:
        raise RunFailed("cannot write to standard output: it is closed")
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        _give_up(sys.stdout)
        raise OutputClosed from None
    except OSError as error:
        _give_up(sys.stdout)
        raise RunFailed(f"cannot write to standard output: {error.strerror}") from None


def check_standard_output() -> None:
    """Refuse `-` where there is no standard output at all.

    Raises:
        UsageFault: it is closed.
    """
    if sys.stdout is None:
        raise UsageFault("--json -: standard output is closed")


def hold_standard_descriptors() -> None:
    """Open what the caller closed of 0, 1 and 2, so that no connection or file of ours gets such a number."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number: this one


def _give_up(stream: TextIO) -> None:
    # The interpreter flushes once more on its way out, and would turn the exit code into 120.
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, stream.fileno())
    os.close(devnull)
