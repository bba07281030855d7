"""Rules of the verdict about what else was going on: checkpoints, vacuums, stolen and exhausted CPU.

For a comparison what the server does by itself falls into some windows and not into others, and is a finding. For
capacity it belongs to the load, and is a note.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pgflow_stress.analysis.evidence import TIMED, Evidence, Finding, in_repetitions
from pgflow_stress.analysis.interference_rules import asked_for
from pgflow_stress.analysis.limiting import CORES_EXHAUSTED, client_signs, exhausted_share, host_share
from pgflow_stress.analysis.metrics import describe
from pgflow_stress.core.result import Repetition
from pgflow_stress.core.units import NS_PER_SECOND

_SERVER_COSTS = frozenset({"server.cpu_ns_per_task", "server.wal_bytes_per_task"})  # the whole server's WAL is counted


def no_checkpoint_inside(evidence: Evidence) -> Iterator[Finding]:
    """Reads server["checkpoints"]: those begun between the readings around the window; None where unknown."""
    most = evidence.limits.max_checkpoints
    inside = _counts(evidence, lambda r: _number(r.server.get("checkpoints")))
    over = {index: count for index, count in inside.items() if count > most}
    if over:
        total = sum(over.values())
        touched = frozenset[str]() if asked_for(evidence, "checkpoints") else touched_by_the_server(evidence)
        yield Finding(f"checkpoint inside the window: {total:,} ({in_repetitions(over)}){_limit(most)}", touched)


def window_has_checkpoints(evidence: Evidence) -> Iterator[Finding]:
    """A note, for capacity: what lasts has checkpoints in it, and a rate without them is not sustained."""
    least = evidence.limits.min_checkpoints
    known = [_number(r.server["checkpoints"]) for r in evidence.counted if r.server.get("checkpoints") is not None]
    if evidence.parameters.get("purpose") == "capacity" and known and min(known) < least:
        yield Finding(f"{min(known) or 'no'} checkpoint in window: capacity takes {least}")


def no_autovacuum_inside(evidence: Evidence) -> Iterator[Finding]:
    """Reads server["autovacuums"]: {table: count}, those of pgflow's, pgmq's and realtime's that ended inside."""
    yield from _by_table(evidence, "autovacuum", "autovacuums", evidence.limits.max_autovacuums)


def no_autoanalyze_inside(evidence: Evidence) -> Iterator[Finding]:
    """Reads server["autoanalyzes"], likewise: one changes plans within the window."""
    yield from _by_table(evidence, "autoanalyze", "autoanalyzes", evidence.limits.max_autoanalyzes)


def _by_table(evidence: Evidence, what: str, key: str, most: int) -> Iterator[Finding]:
    inside = _counts(evidence, lambda r: sum(_tables(r, key).values()))
    over = {index: count for index, count in inside.items() if count > most}
    if over:
        tables: dict[str, None] = {}
        for repetition in evidence.counted:
            tables |= dict.fromkeys(_tables(repetition, key))
        first, *more = sorted(tables)
        others = f" and {len(more)} more" if more else ""
        yield Finding(
            f"{what} inside the window: {sum(over.values()):,}, of {first}{others} ({in_repetitions(over)})"
            f"{_limit(most)}",
            touched_by_the_server(evidence),
        )


def no_cpu_was_stolen(evidence: Evidence) -> Iterator[Finding]:
    """Time that the hypervisor gave to others. Reads client["host"]["steal_share"], of all CPU time of the window."""
    most = evidence.limits.max_steal_share
    shares = {r.index: share for r in evidence.counted if (share := host_share(r, "steal_share")) is not None}
    over = {index: share for index, share in shares.items() if share > most}
    if over:
        yield Finding(
            f"CPU stolen by the hypervisor: {max(over.values()):.1%} of the window, over {most:.0%} "
            f"({in_repetitions(over)})",
            _timed(evidence),
        )


def cores_are_not_exhausted(evidence: Evidence) -> Iterator[Finding]:
    """A note, where client and server share cores. Reads client["host"]["busy_share"]; mean of the counted ones.

    How much of it was ours is told where both sides' CPU a task is known.
    """
    busy = exhausted_share(evidence)
    if busy is not None:
        whose = "and the client has its part in it" if client_signs(evidence) else "of neither side alone"
        yield Finding(
            f"{CORES_EXHAUSTED}: those that client and server share were {busy:.0%} busy{_of_which_ours(evidence)}; "
            f"the rate is this machine's, {whose}"
        )


def _of_which_ours(evidence: Evidence) -> str:
    """The workers' and their backends' own part of the cores; "" where it is not known."""
    costs = [evidence.summary[name].mean for name in ("client.cpu_ns_per_task", "server.cpu_ns_per_task")]
    rate = evidence.summary["end_to_end.per_second"].mean
    cores = len((evidence.environment.get("host") or {}).get("cpus_usable") or ())
    if rate is None or not cores or any(cost is None for cost in costs):
        return ""
    cpu_ns_per_task = sum(cost for cost in costs if cost is not None)
    return f", {cpu_ns_per_task * rate / NS_PER_SECOND / cores:.0%} with workers and their backends"


def _counts(evidence: Evidence, count: Callable[[Repetition], int]) -> dict[int, int]:
    return {repetition.index: found for repetition in evidence.counted if (found := count(repetition))}


def _tables(repetition: Repetition, key: str) -> dict[str, int]:
    found = repetition.server.get(key)
    return {str(table): _number(count) for table, count in found.items()} if isinstance(found, dict) else {}


def _number(value: Any) -> int:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0


def _limit(most: int) -> str:
    return f", over {most} a window" if most else ""


def _timed(evidence: Evidence) -> frozenset[str]:
    return frozenset(name for name in evidence.summary if describe(name).kind in TIMED)


def touched_by_the_server(evidence: Evidence) -> frozenset[str]:
    """Nothing for capacity: there the server's own work is a part of what is measured."""
    if evidence.parameters.get("purpose") == "capacity":
        return frozenset()
    return _timed(evidence) | _SERVER_COSTS.intersection(evidence.summary)
