"""The checks of `doctor`: functions of Facts, grouped by what they look at; a new one is a function and a line here."""

from __future__ import annotations

from collections.abc import Callable

from pgflow_stress.core.checkup import Finding
from pgflow_stress.engine.checks import host, server, settings
from pgflow_stress.engine.checks.facts import Facts

# One finding, several, or none where the check does not apply.
Check = Callable[[Facts], Finding | list[Finding] | None]

# In the order in which they are shown.
CHECKS: dict[str, Check] = {
    "libpq": host.libpq,
    "psycopg": host.psycopg,
    "cores": host.cores,
    "smt": host.smt,
    "cpu_quota": host.cpu_quota,
    "governor": host.governor,
    "turbo": host.turbo,
    "clock_source": host.clock_source,
    "load": host.load,
    "steal": host.steal,
    "memory": host.memory,
    "swap": host.swap,
    "huge_pages": host.huge_pages,
    "data_directory": server.data_directory,
    "free_space": server.free_space,
    "transport": server.transport,
    "round_trip": server.round_trip,
    "pooler": server.pooler,
    "settings": settings.spoilers,
    "pgflow": server.pgflow,
    "events": server.events,
    "rights": server.rights,
    "leftovers": server.leftovers,
}


def check_all(facts: Facts) -> list[tuple[str, Finding]]:
    """Every finding with its check's name."""
    found: list[tuple[str, Finding]] = []
    for name, check in CHECKS.items():
        answer = check(facts)
        answers = answer if isinstance(answer, list) else [] if answer is None else [answer]
        found += [(name, one) for one in answers]
    return found
