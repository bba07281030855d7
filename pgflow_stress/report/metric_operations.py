"""Which operations stand behind a metric: what a file of one metric's latencies is made of."""

from __future__ import annotations

from collections.abc import Collection

from pgflow_stress.core.errors import UsageFault
from pgflow_stress.core.operations import PHASE_OPERATIONS


def operations_of(metric: str, known: Collection[str]) -> tuple[str, ...]:
    """The operations of a phase, of one of its latency metrics (`process.latency_ns.p99`), or one by its own name.

    Args:
        metric: what was asked for.
        known: operations that are there.
    Raises:
        UsageFault: none of that name is there; the message says which are.
    """
    phase, _, rest = metric.partition(".")
    if not rest or rest.split(".")[0] == "latency_ns":
        found = tuple(name for name in PHASE_OPERATIONS.get(phase, (phase,)) if name in known)
        if found:
            return found
    names = sorted({*known, *(phase for phase, operations in PHASE_OPERATIONS.items() if {*operations} & {*known})})
    raise UsageFault(f"--metric {metric!r} has no latencies here; there are {', '.join(names) or 'none'}")
