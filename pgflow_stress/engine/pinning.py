"""Which CPUs a process runs on: ours, and the backends of a server on this machine."""

from __future__ import annotations

import os
from collections.abc import Sequence

from pgflow_stress.core.errors import SetUpFault


def pin(cpus: Sequence[int]) -> None:
    """Run this process on these CPUs only; on any, where none is named."""
    if cpus:
        os.sched_setaffinity(0, cpus)


def pin_backend(backend: int, cpus: Sequence[int]) -> None:
    """Have a backend of a local server run on these CPUs only; on any, where none is named.

    Raises:
        SetUpFault: it is not a process of this machine, or not ours to move.
    """
    if not cpus:
        return
    try:
        os.sched_setaffinity(backend, cpus)
    except OSError as error:
        raise SetUpFault(
            f"--pin postgres: backend {backend} cannot be moved to CPUs {','.join(map(str, cpus))} ({error.strerror}); "
            "pin a server that runs here under your own user, or leave it to taskset"
        ) from None
