"""How much memory this machine, or the control group that we are in, lets us have."""

from __future__ import annotations

import os
from pathlib import Path

from pgflow_stress.core.errors import UsageFault
from pgflow_stress.core.units import BYTES_PER_MIB


def memory_limit_bytes() -> int:
    """The least of what is there and what is allowed."""
    limit = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for name in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(name).read_text().strip()
        except OSError:
            continue
        if text.isdigit():
            limit = min(limit, int(text))
    return limit


def require_memory(touched_bytes: int) -> None:
    """Refuse a recording that would take more than half of the memory that this process may use.

    Raises:
        UsageFault: it would.
    """
    limit = memory_limit_bytes()
    if touched_bytes > limit // 2:
        raise UsageFault(
            f"recording this run would take {touched_bytes // BYTES_PER_MIB:,} MiB of memory and this machine allows "
            f"{limit // BYTES_PER_MIB:,} MiB; lower --steps, --runs or --scale"
        )
