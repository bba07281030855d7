"""What goes wrong becomes one line and an exit code, here and nowhere else."""

from __future__ import annotations

import errno
import os
import sys
import time
import traceback
from pathlib import Path

import click

from pgflow_stress.cli.sources import source_of
from pgflow_stress.cli.streams import OutputClosed, complain, say
from pgflow_stress.core.errors import ResultFault, StressError
from pgflow_stress.core.exit_codes import ExitCode
from pgflow_stress.core.paths import cache_dir
from pgflow_stress.core.redact import redact

SHOW_TRACEBACK = "PGFLOW_STRESS_TRACEBACK"
_SHOWN_CHARACTERS = 60  # of a name that is too long
# The machine's doing, not a bug of ours: the message says enough.
_MACHINE = {
    errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EFBIG, errno.EMFILE, errno.ENFILE, errno.ENOMEM,
    errno.EAGAIN,
}  # fmt: skip
# Of a library that is not loaded and a thread that is not started for the same reasons: they have no number.
_NO_ROOM = ("annot allocate memory", "failed to map segment", "Too many open files", "can't start new thread")


def tell(error: BaseException) -> ExitCode:  # noqa: PLR0911  a table, a line a kind
    """Say in one line what went wrong; the code to end with."""
    match error:
        case ResultFault():
            complain(f"{error} If not, it is a bug of ours, please report it; {_traceback_of(error)}")
            return error.exit_code
        case StressError():
            complain(str(error))
            return error.exit_code
        case click.exceptions.NoArgsIsHelpError():
            say(error.format_message())
            return ExitCode.USAGE
        case click.ClickException():
            complain(_usage(error))
            return ExitCode.USAGE
        case KeyboardInterrupt() | EOFError() | click.Abort():
            complain("interrupted")
            return ExitCode.INTERRUPTED
        case OutputClosed() | BrokenPipeError():
            return ExitCode.RUN_FAILED
        case OSError() if error.errno == errno.ENAMETOOLONG:  # whoever asks the system about a name may be told so
            complain(f"{error.strerror}: {str(error.filename)[:_SHOWN_CHARACTERS]}...")
            return ExitCode.USAGE
        case OSError() if error.errno in _MACHINE:
            complain(f"{error.strerror}{f': {error.filename}' if error.filename else ''}")
            return ExitCode.RUN_FAILED
        case ImportError() | RuntimeError() if any(word in str(error) for word in _NO_ROOM):
            complain(f"a limit of this system was reached: {error}")
            return ExitCode.RUN_FAILED
        case MemoryError():
            complain("out of memory")
            return ExitCode.RUN_FAILED
        case _:
            _own_bug(error)
            return ExitCode.RUN_FAILED


def _usage(error: click.ClickException) -> str:
    message = error.format_message().rstrip(".")
    ctx = getattr(error, "ctx", None)
    if ctx is None:
        return message
    parameter = getattr(error, "param", None)
    if parameter is not None and parameter.name and (source := source_of(ctx, parameter.name)):
        message += f" (from {source})"
    return f"{message}; see {ctx.command_path} --help"


def _own_bug(error: BaseException) -> None:
    what = f"{type(error).__name__}: {error}".strip(": ")
    complain(f"a bug of ours, please report it: {what}; {_traceback_of(error)}")


def _traceback_of(error: BaseException) -> str:
    """Keep it, or show it where that is asked for; says where it is."""
    text = redact("".join(traceback.format_exception(error)))
    if os.environ.get(SHOW_TRACEBACK):
        say(text)
        return "its traceback is above"
    try:
        return f"its traceback is in {_keep(text)}"
    except OSError:
        return f"{SHOW_TRACEBACK}=1 shows its traceback"


def _keep(text: str) -> Path:
    folder = cache_dir() / "tracebacks"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.getpid()}.txt"
    path.write_text(f"{redact(' '.join(sys.argv))}\n\n{text}")
    return path
