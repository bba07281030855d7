"""The entry point: signals first, then everything else, so that Ctrl-C is answered from the first moment on."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from pgflow_stress.cli.signals import answer_signals, ignore_signals
from pgflow_stress.core.errors import Interrupted


def main() -> NoReturn:
    """Run the command line of this process and exit with the contract's code."""
    # numpy's and scipy's BLAS would start a thread a core, of no use here, and a process with threads must not fork.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    try:
        answer_signals()
        code = run_command_line(sys.argv[1:])
        ignore_signals()
    except (Interrupted, KeyboardInterrupt):  # between two lines of ours, where nobody else takes it
        code = 130
    sys.exit(code)


def run_command_line(arguments: list[str]) -> int:
    """Run one command line; every exception becomes a line on standard error and a code."""
    from pgflow_stress.cli.failing import tell  # noqa: PLC0415  after the signals are answered
    from pgflow_stress.cli.room import check_room  # noqa: PLC0415
    from pgflow_stress.cli.streams import PROGRAM, hold_standard_descriptors  # noqa: PLC0415

    try:
        hold_standard_descriptors()
        check_room()
        from pgflow_stress.cli.app import app  # noqa: PLC0415

        code = app.main(arguments, prog_name=PROGRAM, standalone_mode=False)
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else 1
    except BaseException as error:  # the one place where all of them end
        return int(tell(error))
    return int(code) if isinstance(code, int) else 0


if __name__ == "__main__":
    main()
