"""The tool's own errors: each carries one line for the user and the exit code it ends with."""

from __future__ import annotations

from pgflow_stress.core.exit_codes import ExitCode


class StressError(Exception):
    """An ending that the user is told of in one line: what is wrong and what to do."""

    exit_code = ExitCode.RUN_FAILED


class RunFailed(StressError):
    """The run itself failed: the database went away for good, a worker could not be replaced, output lost."""

    exit_code = ExitCode.RUN_FAILED


class UsageFault(StressError):
    """Bad option, bad file, bad scenario, output not writable; nothing was touched."""

    exit_code = ExitCode.USAGE


class ResultFault(UsageFault):
    """A saved result that fits the schema and was stumbled over: changed by hand, or a bug of ours, its cause."""


class SetUpFault(StressError):
    """Cannot connect, missing privilege, pgflow absent or unsupported, consent missing."""

    exit_code = ExitCode.SET_UP


class Interrupted(StressError):
    """SIGINT or SIGTERM came where nothing was being measured."""

    exit_code = ExitCode.INTERRUPTED
