"""Is there memory enough to begin at all?"""

from __future__ import annotations

import resource

from pgflow_stress.core.errors import RunFailed

# The least that `scripts/prove limits` saw a small job with. Below it, OpenBLAS asks for its buffer over and over while
# it is loaded, and never returns.
LEAST_DATA_BYTES = 128 << 20


def check_room() -> None:
    """Refuse a limit of the data segment that the numeric libraries would hang on.

    Raises:
        RunFailed: it is below 128 MiB.
    """
    limit, _hard = resource.getrlimit(resource.RLIMIT_DATA)
    if limit != resource.RLIM_INFINITY and limit < LEAST_DATA_BYTES:
        raise RunFailed(
            f"the data segment of a process is limited to {limit >> 20} MiB (ulimit -d):"
            f" at least {LEAST_DATA_BYTES >> 20} MiB are needed"
        )
