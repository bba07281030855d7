"""Self times out of inclusive ones: they add up, whatever called what."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgflow_stress.analysis.attribution import AROUND, PLANNING, STATEMENT, Attribution, attribute

TOP = "select status from pgflow.outer_one(x => $1)"


def statement(query: str, exec_ns: int, function: str | None = None, **others: Any) -> dict[str, Any]:
    of = {"query": query, "function": function, "top_level": query == TOP, "calls": 1, "exec_ns": exec_ns}
    return {**of, "plan_ns": 0, "rows": 1, **others}


def function(name: str, total_ns: int, self_ns: int, **others: Any) -> dict[str, Any]:
    return {"name": name, "calls": 1, "total_ns": total_ns, "self_ns": self_ns, "tables": [], **others}


def self_ns(found: Attribution, function: str, kind: str = STATEMENT) -> float:
    return sum(row.self_ns for row in found.rows if (row.function, row.kind) == (function, kind))


def test_children_are_subtracted_from_who_calls_them() -> None:
    found = attribute(
        [
            statement(TOP, 1_000),
            statement("update pgflow.runs set a = 1", 300, "pgflow.outer_one"),
            statement("select pgflow.inner_one(x)", 410, "pgflow.outer_one"),
            statement("insert into pgflow.log values (1)", 250, "pgflow.inner_one", plan_ns=50),
        ],
        [function("pgflow.outer_one", 990, 590), function("pgflow.inner_one", 400, 400)],
    )

    assert self_ns(found, "") == 10
    assert self_ns(found, "pgflow.outer_one") == 300 + 10
    assert self_ns(found, "pgflow.outer_one", AROUND) == 590 - 310
    assert self_ns(found, "pgflow.inner_one") == 250
    assert self_ns(found, "pgflow.inner_one", PLANNING) == 50
    assert self_ns(found, "pgflow.inner_one", AROUND) == 100
    assert sum(row.self_ns for row in found.rows) == found.top_ns == 1_000


def test_of_two_callers_the_one_that_only_calls_is_taken_at_its_word() -> None:
    found = attribute(
        [
            statement(TOP, 2_000),
            statement("select pgflow.inner_one(x)", 900, "pgflow.outer_one", calls=1),
            statement("with a as (select 1) select pgflow.inner_one(a) from a", 300, "pgflow.outer_one", calls=9),
        ],
        [function("pgflow.outer_one", 2_000, 900), function("pgflow.inner_one", 1_100, 1_100, calls=10)],
    )

    rows = {row.statement: row.self_ns for row in found.rows if row.kind == STATEMENT and row.function}
    assert rows == {
        "select pgflow.inner_one(x)": 0,
        "with a as (select 1) select pgflow.inner_one(a) from a": 100,
    }


def test_a_trigger_is_called_by_who_writes_its_table_and_a_foreign_key_stays_in_its_statement() -> None:
    found = attribute(
        [
            statement(TOP, 1_000),
            statement("insert into pgflow.runs (a) values (1)", 500, "pgflow.outer_one"),
            statement('SELECT 1 FROM ONLY "pgflow"."flows" x', 30),
            statement("select pg_sleep(1)", 150, "pgflow.planted"),
        ],
        [
            function("pgflow.outer_one", 1_000, 800),
            function("pgflow.planted", 200, 200, tables=["pgflow.runs"]),
        ],
    )

    assert self_ns(found, "pgflow.outer_one") == 300
    assert self_ns(found, "pgflow.planted") == 150
    assert found.foreign_keys_ns == 30
    assert sum(row.self_ns for row in found.rows) == 1_000


def test_statements_of_the_tool_are_not_the_jobs_and_an_unknown_one_is_named() -> None:
    found = attribute(
        [
            statement(TOP, 100),
            statement("select pid from pg_stat_activity", 7, top_level=True),
            statement("create index whatever on somewhere (a)", 5),
        ],
        [function("pgflow.outer_one", 90, 90)],
    )

    assert (found.top_ns, found.others_ns) == (100, 7)
    assert found.unplaced == ("create index whatever on somewhere (a)",)
    assert sum(row.self_ns for row in found.rows) == 100


def test_with_functions_alone_they_are_the_rows_and_with_statements_alone_the_outermost_are() -> None:
    functions = [function("pgflow.outer_one", 990, 590), function("pgflow.inner_one", 400, 400)]
    statements = [statement(TOP, 1_000), statement("select pgflow.inner_one(x)", 410, "pgflow.outer_one")]

    one, other = attribute([], functions), attribute(statements, [])

    assert (one.top_ns, sum(row.self_ns for row in one.rows)) == (990, 990)
    assert [(row.statement, row.self_ns) for row in other.rows] == [(TOP, 1_000)]


@given(
    own=st.lists(st.integers(0, 10_000), min_size=4, max_size=4),
    plans=st.lists(st.integers(0, 1_000), min_size=3, max_size=3),
    split=st.floats(0, 1),
)
def test_rows_add_up_to_the_top_level_however_time_is_split_among_callers(
    own: list[int], plans: list[int], split: float
) -> None:
    """A function that two statements call, each of them with time of its own, and its own statement."""
    around, first, second, inner = own
    inside = inner + plans[2]
    inner_total = inside + 17
    top = around + first + second + plans[0] + plans[1] + inner_total
    found = attribute(
        [
            statement(TOP, top),
            statement("select pgflow.inner_one(x)", first + round(split * inner_total), "pgflow.outer_one",
                      plan_ns=plans[0]),
            statement("select a, pgflow.inner_one(a) from t", second + inner_total - round(split * inner_total),
                      "pgflow.outer_one", plan_ns=plans[1]),
            statement("insert into pgflow.log values (1)", inner, "pgflow.inner_one", plan_ns=plans[2]),
        ],
        [function("pgflow.outer_one", top, top - inner_total), function("pgflow.inner_one", inner_total, inner_total)],
    )  # fmt: skip

    assert sum(row.self_ns for row in found.rows) == pytest.approx(top)
