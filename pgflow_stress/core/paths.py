"""Where the tool keeps what outlives a call: downloads and the embedded servers."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

_NAME = "pgflow-stress"


def cache_dir() -> Path:
    """Downloads, each checked against its pinned hash. PGFLOW_STRESS_CACHE overrides it."""
    override = os.environ.get("PGFLOW_STRESS_CACHE")
    return Path(override) if override else Path(platformdirs.user_cache_dir(_NAME))


def state_dir() -> Path:
    """Embedded servers: data directories, sockets, leases. PGFLOW_STRESS_STATE overrides it.

    Root's goes to /var/lib: the server may not run as root, and its own user cannot enter root's home.
    """
    override = os.environ.get("PGFLOW_STRESS_STATE")
    if override:
        return Path(override)
    if os.geteuid() == 0:
        return Path("/var/lib") / _NAME
    return Path(platformdirs.user_state_dir(_NAME))
