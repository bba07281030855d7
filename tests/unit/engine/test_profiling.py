"""What a profile reads: whose a statement is, what happened between two readings, perf's text, auto_explain's plans."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pgflow_stress.engine.profiling.call_graphs import CallGraphs, heaviest, parse_script, speedscope
from pgflow_stress.engine.profiling.plan_sample import nested_plans
from pgflow_stress.engine.profiling.sources import Sources, plain_text
from pgflow_stress.engine.profiling.views import Counted, Views, describe_views

ARCHIVE = """
BEGIN
    sql := FORMAT($QUERY$ WITH archived AS (
        DELETE FROM pgmq.%I WHERE msg_id = $1 RETURNING msg_id, vt, read_ct -- the row
    ) INSERT INTO pgmq.%I (msg_id, vt, read_ct) SELECT msg_id, vt, read_ct FROM archived $QUERY$, qtable, atable);
    EXECUTE sql USING msg_id INTO result;
END"""
COMPLETE = """
BEGIN
  SELECT * INTO v_run FROM pgflow.runs WHERE runs.run_id = complete_task.run_id FOR UPDATE;
  PERFORM pgflow.maybe_complete_run(complete_task.run_id);
END"""


def test_a_statement_is_of_the_function_that_has_its_words() -> None:
    sources = Sources([("pgmq.archive", ARCHIVE), ("pgflow.complete_task", COMPLETE)])

    dynamic = plain_text(
        "WITH archived AS ( DELETE FROM pgmq.q_ps1f0 WHERE msg_id = $1 RETURNING msg_id, vt, read_ct ) "
        "INSERT INTO pgmq.a_ps1f0 (msg_id, vt, read_ct)\n SELECT msg_id, vt, read_ct FROM archived", "ps1",
    )  # fmt: skip
    assert dynamic.startswith("WITH archived AS ( DELETE FROM pgmq.q_* WHERE")
    assert sources.function_of(dynamic) == "pgmq.archive"
    assert sources.function_of("SELECT pgflow.maybe_complete_run(complete_task.run_id)") == "pgflow.complete_task"
    assert sources.function_of("SELECT * FROM pgflow.runs WHERE runs.run_id = complete_task.run_id FOR UPDATE")
    assert sources.function_of('SELECT 1 FROM ONLY "pgflow"."flows" x WHERE "flow_slug" = $1 FOR KEY SHARE') is None
    assert sources.function_of("SELECT pgflow.maybe_complete_run") == "pgflow.complete_task"
    assert sources.function_of("$1") is None


def test_what_is_named_after_a_flow_is_told_of_all_flows_together() -> None:
    assert plain_text("CREATE INDEX q_ps1f0_vt_idx ON pgmq.q_ps1f0 (vt)  -- x\n", "ps1") == (
        "CREATE INDEX q_* ON pgmq.q_* (vt)"
    )


def test_a_flow_of_the_users_own_keeps_its_queues_name_and_its_statements_are_found_all_the_same() -> None:
    deployed = plain_text(
        "WITH archived AS ( DELETE FROM pgmq.q_shop WHERE msg_id = $1 RETURNING msg_id, vt, read_ct ) "
        "INSERT INTO pgmq.\"a_shop\" (msg_id, vt, read_ct) SELECT msg_id, vt, read_ct FROM archived", "ps1",
    )  # fmt: skip

    assert "DELETE FROM pgmq.q_shop WHERE" in deployed
    assert 'INSERT INTO pgmq."a_shop" (' in deployed
    sources = Sources([("pgmq.archive", ARCHIVE), ("pgflow.complete_task", COMPLETE)])
    assert sources.function_of(deployed) == "pgmq.archive"
    assert sources.function_of("DELETE FROM pgmq.q_shop WHERE msg_id = $1") == "pgmq.archive"


def views(active_ms: float, calls: int, *, reset: bool = False) -> Views:
    statement = Counted("select pgflow.f()", (0.0 if reset else float(calls), calls * 2.0, 0.5, calls, 7), True)
    return Views({1: statement}, {2: Counted("pgflow.f", (float(calls), calls * 1.5, calls * 1.0))}, active_ms)


def test_two_readings_are_subtracted_and_times_are_ns() -> None:
    told = describe_views(views(100.0, 3), views(150.0, 5))

    (one,), (function,) = told["statements"], told["functions"]
    assert (one["calls"], one["exec_ns"], one["plan_ns"], one["function"]) == (2, 4_000_000, 0, None)
    assert (function["calls"], function["total_ns"], function["self_ns"]) == (2, 3_000_000, 2_000_000)
    assert told["active_ns"] == 50_000_000


def test_a_view_that_began_anew_counts_from_zero_and_what_was_not_called_is_left_out() -> None:
    assert describe_views(views(0.0, 9), views(0.0, 5))["statements"][0]["calls"] == 5
    assert describe_views(views(0.0, 5), views(0.0, 5))["statements"] == []


def test_statements_that_the_server_dropped_are_not_passed_over() -> None:
    before, after = views(0.0, 1), replace(views(0.0, 2), forgotten=1)

    assert describe_views(before, before)["not_seen"] == []
    assert "pg_stat_statements.max is too small" in describe_views(before, after)["not_seen"][0]


SCRIPT = """ 101
\t    55d0 ExecutorRun+0x10
\t    55d1 PortalRun
\t    55d2 main

 101
\t    55d0 ExecutorRun
\t    55d1 PortalRun
\t    55d2 main

 202
\t    7f00 [unknown]

 999
\t    1 elsewhere
"""


def test_perfs_text_is_told_by_role_and_from_the_root() -> None:
    found = parse_script(SCRIPT.splitlines(), {101: "backends", 202: "workers"})

    assert found == {
        "backends": Counter({("main", "PortalRun", "ExecutorRun"): 2}),
        "workers": Counter({("[unknown]",): 1}),
    }
    told = heaviest(found["backends"])
    assert told["own"] == [("ExecutorRun", 1.0)]
    assert told["with_callees"] == [], "what is in every sample tells nothing"
    assert heaviest(Counter({("main", "a"): 3, ("main", "b"): 1}))["with_callees"] == [("a", 0.75), ("b", 0.25)]


frames = st.text("abc", min_size=1, max_size=3)
stacks = st.dictionaries(st.lists(frames, min_size=1, max_size=5).map(tuple), st.integers(1, 50), max_size=8)


@given(stacks)
def test_a_speedscope_document_has_every_stack_as_often_as_it_was_seen(found: dict[tuple[str, ...], int]) -> None:
    document = json.loads(json.dumps(speedscope({"backends": Counter(found)})))

    (profile,) = document["profiles"]
    names = [frame["name"] for frame in document["shared"]["frames"]]
    read = {
        tuple(names[place] for place in sample): weight
        for sample, weight in zip(profile["samples"], profile["weights"], strict=True)
    }
    assert read == found
    assert profile["endValue"] == sum(found.values())
    assert len(names) == len(set(names))


def test_without_perf_it_says_so(monkeypatch: Any) -> None:
    monkeypatch.setenv("PATH", "")
    graphs = CallGraphs()
    graphs.begin({1: "backends"})
    graphs.end()
    told, document = graphs.read()
    graphs.close()

    assert document is None
    assert "perf is not installed" in told["not_seen"]


def test_nested_plans_are_told_with_each_nodes_own_time() -> None:
    plan = {
        "Node Type": "ModifyTable", "Operation": "Update", "Relation Name": "runs", "Actual Total Time": 3.0,
        "Actual Loops": 1, "Actual Rows": 1,
        "Plans": [{"Node Type": "Index Scan", "Index Name": "runs_pkey", "Actual Total Time": 1.0, "Actual Loops": 2,
                   "Actual Rows": 1}],
    }  # fmt: skip
    notice = json.dumps(
        {"Query Text": "UPDATE pgflow.runs  SET a", "Plan": plan, "Triggers": [{"Trigger Name": "t", "Time": 0.5}]}
    )
    context = 'SQL statement "x"\nPL/pgSQL function pgflow.complete_task(uuid,text) line 42 at SQL statement'

    (one,) = nested_plans([(f"duration: 3 ms  plan:\n{notice}", context), ("hello", "")], "ps1")

    assert (one["function"], one["line"], one["executions"], one["ns"]) == ("pgflow.complete_task", 42, 1, 3_000_000)
    own = {node["node"]: node["self_ns"] for node in one["nodes"]}
    assert own == {"Update runs": 1_000_000, "Index Scan runs_pkey": 2_000_000, "Trigger t": 500_000}
