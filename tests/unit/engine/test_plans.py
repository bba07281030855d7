"""Plans as auto_explain tells them: named by function and first words, hashed by what they do."""

from __future__ import annotations

import json
from typing import Any

from pgflow_stress.engine.plans import compared, plans_of

CONTEXT = 'SQL statement "x"\nPL/pgSQL function pgflow.complete_task(uuid,text,integer,jsonb) line 3 at SQL statement'


def told(plan: dict[str, Any], query: str = "select  1 from ps1_plans") -> tuple[str, str]:
    return f"duration: 0.1 ms  plan:\n{json.dumps({'Query Text': query, 'Plan': plan})}", CONTEXT


def scan(node: str, cost: float = 1.0) -> dict[str, Any]:
    return {"Node Type": "Limit", "Plans": [{"Node Type": node, "Relation Name": "runs", "Total Cost": cost}]}


def test_a_plan_is_what_it_does_and_not_what_it_costs() -> None:
    seq, cheap, index = (
        plans_of([told(one)], "ps1_plans") for one in (scan("Seq Scan"), scan("Seq Scan", 9.0), scan("Index Scan"))
    )

    assert list(seq) == ["pgflow.complete_task: select 1 from QUEUE"]
    assert not compared(seq, cheap, {})["pgflow.complete_task: select 1 from QUEUE"]["changed"]
    assert compared(seq, index, {})["pgflow.complete_task: select 1 from QUEUE"]["changed"]


def test_a_plan_is_outgrown_where_a_session_that_begins_later_has_another() -> None:
    name, kept = "pgflow.complete_task: select", {"pgflow.complete_task: select": "1"}

    assert compared(kept, kept, {name: "2"})[name]["outgrown"] is True
    assert compared(kept, kept, kept)[name]["outgrown"] is False
    assert compared(kept, kept, {})[name]["outgrown"] is None
    own = "pgmq.read: select from pgmq.q_QUEUE"
    assert compared({own: "1"}, {own: "1"}, {own: "2"})[own]["outgrown"] is None


def test_other_notices_say_nothing_and_what_ran_at_one_end_only_is_not_compared() -> None:
    assert plans_of([("extension exists, skipping", "")], "f") == {}
    assert compared({"a: b": "1"}, {"c: d": "2"}, {"c: d": "2"}) == {}
