"""What a profile says, in lines and in rows: for the terminal, for Markdown, for the HTML report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pgflow_stress.analysis import formats
from pgflow_stress.core.result import Json

_SATURATED = 0.9
_KINDS = {
    "statement": "",
    "planning": "planning: ",
    "around its statements": "set-up of its statements, PL/pgSQL",
    "outside of statements": "outside of statements: messages, executor's start and end, commit",
}
_SIDES = (("client", "client"), ("wire", "wire and wake-ups"), ("server", "server"), ("idle", "idle polls"))


def saturation(profile: Json) -> str:
    """Whether the CPU was what held the rate."""
    busy, whose = profile["busy_share"], "the cores"
    if profile.get("server_busy_share") is not None:
        busy, whose = profile["server_busy_share"], "the cores of the server's host"
    if busy is None:
        return "not known: the host's CPUs could not be read, or the window was too short"
    if busy >= _SATURATED:
        return f"yes: {whose} were busy {formats.share(busy)} of the window"
    return f"no: {whose} were busy {formats.share(busy)} of the window, see what limits it"


def sides(profile: Json) -> list[tuple[str, str, str]]:
    """(side, time a task, share) of the workers' time in the process phase."""
    time = profile["worker_time"]
    whole = time["whole_ns_per_task"] or 0.0
    return [
        (title, formats.duration_ns(ns), formats.share(ns / whole))
        for name, title in _SIDES
        if whole and (ns := time[f"{name}_ns_per_task"]) is not None
    ]


def measure_of(profile: Json) -> str:
    """What rows are told in: CPU time where it is known, else the views' wall time."""
    return "wall" if profile["cost"]["cpu_ns_per_task"] is None else "cpu"


def _of(row: Mapping[str, Any], measure: str) -> float:
    return float(row[f"{measure}_ns_per_task"] or 0.0)


def cost_rows(profile: Json, most: int | None = None, characters: int | None = None) -> list[tuple[str, ...]]:
    """(a task, share, calls a task, where) of the rows, most first, and one of those left out."""
    measure = measure_of(profile)
    rows = profile["cost"]["rows"]
    whole = sum(_of(row, measure) for row in rows) or 1.0
    shown = rows[:most]
    told: list[tuple[str, ...]] = [
        (formats.duration_ns(_of(row, measure)), formats.share(_of(row, measure) / whole), _calls(row),
         _cut(_where(row), characters))
        for row in shown
    ]  # fmt: skip
    if left := rows[len(shown) :]:
        ns = sum(_of(row, measure) for row in left)
        told.append((formats.duration_ns(ns), formats.share(ns / whole), "", f"{len(left)} smaller"))
    return told


def _calls(row: Mapping[str, Any]) -> str:
    return formats.significant(row["calls_per_task"], 2) if row["calls_per_task"] else ""


def _where(row: Mapping[str, Any]) -> str:
    what = f"{_KINDS[row['kind']]}{row['statement']}"
    return f"{row['function']}: {what}" if row["function"] else what


def _cut(text: str, characters: int | None) -> str:
    return text if characters is None or len(text) <= characters else f"{text[: characters - 1]}…"


def function_rows(profile: Json, most: int | None = None, characters: int | None = None) -> list[tuple[str, ...]]:
    """(function, its own, share, set-up, planning, statements) without the functions that it calls, most first."""
    measure = measure_of(profile)
    whole = sum(_of(row, measure) for row in profile["cost"]["rows"]) or 1.0
    return [
        (
            _cut(one["name"], characters),
            formats.duration_ns(one["self_ns_per_task"]),
            formats.share(one["self_ns_per_task"] / whole),
            *(formats.duration_ns(one[f"{kind}_ns_per_task"]) for kind in ("around", "planning", "statements")),
        )
        for one in profile["cost"]["functions"][:most]
    ]


def wait_rows(profile: Json, most: int | None = None, characters: int | None = None) -> list[tuple[str, ...]]:
    """(wait, time a task, where) of what executing backends were held up by, most first."""
    return [
        (one["wait"], formats.duration_ns(one["ns_per_task"]), _cut(one["at"], characters))
        for one in profile["cost"]["waits"][:most]
    ]


def adding_up(profile: Json) -> str:
    """The sum of the table beside the kernel's count."""
    cost = profile["cost"]
    wall, cpu, kernel = (cost[f"{name}_ns_per_task"] for name in ("wall", "cpu", "backend_cpu"))
    if cpu is None:
        return f"{formats.duration_ns(wall)} of wall time a task; the CPU time in it is not known here"
    waits = sum(one["ns_per_task"] for one in cost["waits"])
    text = (
        f"{formats.duration_ns(wall)} executing, less {formats.duration_ns(waits)} held up: {formats.duration_ns(cpu)}"
    )
    if kernel is None or cost["residual_share"] is None:
        return text
    return (
        f"{text}; the kernel counted {formats.duration_ns(kernel)}: residual {formats.share(cost['residual_share'])}, "
        f"of which the samples of waits explain ± {formats.share(cost['residual_error_share'])}"
    )


def set_up(profile: Json) -> str:
    """What it costs to set statements up, over all functions."""
    measure = measure_of(profile)
    rows = profile["cost"]["rows"]
    whole = sum(_of(row, measure) for row in rows) or 1.0
    parts = {kind: sum(_of(row, measure) for row in rows if row["kind"] == kind) / whole for kind in _KINDS}
    return (
        f"set-up of nested statements {formats.share(parts['around its statements'])}, planning "
        f"{formats.share(parts['planning'])}, executing them {formats.share(parts['statement'])}, outside of "
        f"statements {formats.share(parts['outside of statements'])}; foreign keys' checks, within statements, "
        f"{formats.duration_ns(profile['foreign_keys_ns_per_task'])} of wall time a task"
    )


def blocked_by(profile: Json) -> str:
    """Who held up those that waited for a lock; "" where nobody was seen."""
    told = [f"{who} {formats.share(share)}" for who, share in _most(profile["blocked_by"].items())]
    return f"held by: {', '.join(told)}" if told else ""


def _most(shares: Any) -> list[tuple[str, float]]:
    return sorted(shares, key=lambda item: -item[1])[:4]


def graph_lines(profile: Json) -> list[str]:
    """What perf saw, by role, or why it saw nothing; [] where it was not asked."""
    graphs = profile["call_graphs"]
    if not graphs:
        return []
    if graphs.get("not_seen"):
        return [f"not sampled: {graphs['not_seen']}"]
    return [
        f"{role}, {found['samples']:,} samples, with callees: {_shares(found['with_callees'])}; own: "
        f"{_shares(found['own'])}"
        for role, found in graphs["by_role"].items()
    ]


def _shares(pairs: Sequence[Sequence[Any]]) -> str:
    return ", ".join(f"{name} {formats.share(share)}" for name, share in pairs[:6])


def plan_rows(profile: Json) -> list[tuple[str, ...]]:
    """(function, line, statement, node, its own, rows) of the sampled plans' heaviest nodes."""
    return [
        (plan["function"], str(plan["line"] or ""), plan["statement"], node["node"],
         formats.duration_ns(node["self_ns"]), formats.count(node["rows"]))
        for plan in profile["plans"]
        for node in plan["nodes"][:3]
    ]  # fmt: skip
