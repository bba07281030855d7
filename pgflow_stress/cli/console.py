"""Rich's console, but for what it does when the reader of a pipe has gone."""

from __future__ import annotations

import errno

from rich.console import Console


class TellingConsole(Console):
    """Raises as any other file does: Rich's own closes our standard output and ends the process with 1."""

    def on_broken_pipe(self) -> None:
        """Called by Rich.

        Raises:
            BrokenPipeError: always.
        """
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")
