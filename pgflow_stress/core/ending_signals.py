"""The signals that end a run early, and which of them this process answers."""

from __future__ import annotations

import signal


def answered() -> tuple[signal.Signals, ...]:
    """SIGINT and SIGTERM always; SIGHUP unless whoever started us has it ignored (nohup).

    A job that a script put in the background starts with SIGINT ignored, and is still to end when it is sent one.
    """
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return (signal.SIGINT, signal.SIGTERM) if ignored else (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
