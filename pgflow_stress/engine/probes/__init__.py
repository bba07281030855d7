"""The sampler's probes: a file and a line each, in the order in which they are asked."""

from __future__ import annotations

from pgflow_stress.engine.probes.activity import Activity
from pgflow_stress.engine.probes.base import Means, Probe, Unseen
from pgflow_stress.engine.probes.database import ServerState
from pgflow_stress.engine.probes.elsewhere import Elsewhere
from pgflow_stress.engine.probes.executing import Executing
from pgflow_stress.engine.probes.host import Host
from pgflow_stress.engine.probes.pooler import Pooler
from pgflow_stress.engine.probes.processes import Processes
from pgflow_stress.engine.probes.tables import Tables

PROBES: dict[str, type[Probe]] = {
    "activity": Activity,  # first: the others learn from it what a backend is for
    "processes": Processes,
    "host": Host,
    "elsewhere": Elsewhere,
    "database": ServerState,
    "tables": Tables,
    "pooler": Pooler,
    "executing": Executing,
}

__all__ = ["PROBES", "Means", "Probe", "Unseen"]
