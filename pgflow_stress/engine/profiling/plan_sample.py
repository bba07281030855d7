"""What the nodes of nested statements' plans took, of one run in a session of its own that auto_explain watches.

A sample, to see into a statement that the table of costs names: its timing has a cost of its own, and that session has
the server nearly to itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from pgflow_stress.core.result import Json
from pgflow_stress.core.units import NS_PER_MS
from pgflow_stress.engine.profiling.sources import plain_text

_FUNCTION = re.compile(r"(?:PL/pgSQL|SQL) function \"?([\w.]+)\"?[^\n]*?(?:line (\d+)|statement (\d+)|$)", re.MULTILINE)
_MOST_PLANS = 12
_MOST_NODES = 12
_MOST_CHARACTERS = 240


def nested_plans(notices: Iterable[tuple[str, str]], slug_prefix: str) -> list[Json]:
    """The statements that took longest, all their executions together, with their heaviest nodes.

    Args:
        notices: auto_explain's, in JSON with timing: (text, context).
    Returns:
        {function, line, statement, executions, ns, nodes: [{node, self_ns, rows}]}, most time first.
    """
    together: dict[tuple[str, str], Json] = {}
    for text, context in notices:
        if not text.startswith("duration:") or not (place := _FUNCTION.search(context)):
            continue
        told = json.loads(text[text.index("{") :])
        statement = plain_text(str(told.get("Query Text", "")), slug_prefix)[:_MOST_CHARACTERS]
        one = together.setdefault(
            (place[1], statement),
            {"function": place[1], "line": int(place[2] or 0) or None, "statement": statement, "executions": 0, "ns": 0}
            | {"nodes": {}},
        )
        one["executions"] += 1
        one["ns"] += round(_total_ms(told["Plan"]) * NS_PER_MS)
        _count_nodes(told["Plan"], one["nodes"], slug_prefix)
        for trigger in told.get("Triggers") or ():
            name = f"Trigger {trigger.get('Constraint Name') or trigger.get('Trigger Name')}"
            _count(one["nodes"], name, round(float(trigger.get("Time", 0)) * NS_PER_MS), float(trigger.get("Calls", 0)))
    heaviest = sorted(together.values(), key=lambda one: -one["ns"])[:_MOST_PLANS]
    return [{**one, "nodes": _heaviest(one["nodes"])} for one in heaviest]


def _heaviest(nodes: dict[str, Json]) -> list[Json]:
    return sorted(nodes.values(), key=lambda node: -node["self_ns"])[:_MOST_NODES]


def _total_ms(plan: Json) -> float:
    return float(plan.get("Actual Total Time", 0.0)) * float(plan.get("Actual Loops", 1))


def _count_nodes(plan: Json, nodes: dict[str, Json], slug_prefix: str) -> None:
    parts = plan.get("Plans") or []
    # A CTE's time is in the node that reads it first, wherever it hangs in the plan: never less than nothing.
    own_ms = max(0.0, _total_ms(plan) - sum(_total_ms(part) for part in parts))
    about = plan.get("Index Name") or plan.get("Relation Name") or plan.get("CTE Name") or plan.get("Function Name")
    kind = plan.get("Operation") if plan["Node Type"] == "ModifyTable" else plan["Node Type"]
    name = f"{kind} {plain_text(str(about), slug_prefix)}" if about else str(kind)
    rows = float(plan.get("Actual Rows", 0)) * float(plan.get("Actual Loops", 1))
    _count(nodes, name, round(own_ms * NS_PER_MS), rows)
    for part in parts:
        _count_nodes(part, nodes, slug_prefix)


def _count(nodes: dict[str, Json], name: str, self_ns: int, rows: float) -> None:
    one = nodes.setdefault(name, {"node": name, "self_ns": 0, "rows": 0.0})
    one["self_ns"] += self_ns
    one["rows"] += rows
