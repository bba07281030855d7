"""The interferences that `run --interference` knows: a file and a line each."""

from __future__ import annotations

from pgflow_stress.engine.interference.base import Interference
from pgflow_stress.engine.interference.bloat import BLOAT
from pgflow_stress.engine.interference.bystander import BYSTANDER
from pgflow_stress.engine.interference.checkpoints import CHECKPOINTS
from pgflow_stress.engine.interference.cpu import CPU
from pgflow_stress.engine.interference.held_xmin import HELD_XMIN
from pgflow_stress.engine.interference.history import HISTORY
from pgflow_stress.engine.interference.idle_connections import IDLE_CONNECTIONS

INTERFERENCES: dict[str, Interference] = {
    kind.name: kind for kind in (HELD_XMIN, BLOAT, CHECKPOINTS, CPU, HISTORY, IDLE_CONNECTIONS, BYSTANDER)
}

__all__ = ["INTERFERENCES", "Interference"]
