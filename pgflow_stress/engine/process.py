"""What every process of ours does first: a title, a place, and a life that ends with its parent's."""

from __future__ import annotations

import ctypes
import os
import signal

import setproctitle

_PR_SET_PDEATHSIG = 1
_WORST_STATUS = 70  # EX_SOFTWARE: the parent was gone before we could say that we die with it


def title(text: str) -> None:
    """Name this process for ps: `pgflow-stress: worker 3`."""
    setproctitle.setproctitle(f"pgflow-stress: {text}")


def die_with_parent(parent: int) -> None:
    """Be killed when the parent ends, however it ends; called first thing after the fork."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before the call
        os._exit(_WORST_STATUS)


def leave_signals_to_the_coordinator() -> None:
    """A Ctrl-C reaches the whole group: only the coordinator acts on it, the others obey the stop word."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def rss_peak_bytes() -> int:
    """Peak resident memory of this process from the kernel (VmHWM): since its start, or since `proc.reset_peak`."""
    with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123  no Path in a worker's last steps
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0
