"""How much memory this machine, or the control group that we are in, lets us have."""

from __future__ import annotations

import os
from pathlib import Path


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
