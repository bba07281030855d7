"""Exit codes that scripts rely on, and which one wins where several apply."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum


class ExitCode(IntEnum):
    """What the process ends with."""

    DONE = 0
    RUN_FAILED = 1
    USAGE = 2
    SET_UP = 3
    CHECK_FAILED = 4
    INVALID = 5
    GATE_FAILED = 6
    TIMED_OUT = 124
    INTERRUPTED = 130


# First match wins; USAGE comes last: it is raised before anything is measured and so never competes.
_PRECEDENCE = (
    ExitCode.INTERRUPTED,
    ExitCode.RUN_FAILED,
    ExitCode.SET_UP,
    ExitCode.CHECK_FAILED,
    ExitCode.TIMED_OUT,
    ExitCode.INVALID,
    ExitCode.GATE_FAILED,
    ExitCode.USAGE,
)


def worst(codes: Iterable[ExitCode]) -> ExitCode:
    """The code to end with where several apply; DONE for none."""
    found = set(codes)
    return next((code for code in _PRECEDENCE if code in found), ExitCode.DONE)
