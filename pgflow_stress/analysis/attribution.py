"""Self time: what statements and functions spent themselves, out of views that count each with what it calls.

A statement's time in pg_stat_statements includes the functions that it calls; a function's own time in
pg_stat_user_functions (`self_ns`) leaves out the functions that it calls, by whichever statement, and includes the rest
of its statements. So with t(s, f) the time of functions f called by statement s:

    self of a statement s         exec(s) - sum over f of t(s, f)
    a function f around its own   self(f) - sum over its statements s of (self of s + planning of s)

Which is the setting-up of those statements (executor's start and end, plan cache, snapshots) and its own language. All
together add up to the top-level statements' time, wherever t is split wrongly among nested statements: it cancels out.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Of a foreign key, within the statement that writes the row: its time stays there.
_FOREIGN_KEY = re.compile(r"select 1 from (only )?\"", re.IGNORECASE)
_CALL_ALONE = re.compile(r"select (\* from )?([\w.\"]+)\(", re.IGNORECASE)
_WRITES = r"(insert into|update|delete from) (only )?\"?{schema}\"?\.\"?{table}\"?(?![\w])"
_CALLS = r"(?<![\w.])\"?{name}\"?\s*\("
_DOT = r"\"?\.\"?"
STATEMENT, PLANNING, AROUND = "statement", "planning", "around its statements"


@dataclass(frozen=True, slots=True)
class Row:
    """One place where time went; of a top-level statement `function` is ""."""

    function: str
    statement: str  # "" where it is a function's own
    kind: str  # STATEMENT, PLANNING or AROUND
    calls: int
    self_ns: float


@dataclass(frozen=True, slots=True)
class Attribution:
    """Rows that add up to `top_ns`; what the foreign keys' checks took is inside of rows."""

    rows: tuple[Row, ...]
    top_ns: float  # of the job's top-level statements, planning included
    others_ns: float  # of top-level statements that call none of the counted functions: the tool's own
    foreign_keys_ns: float
    unplaced: tuple[str, ...]  # nested statements of which it is not known whose they are


def attribute(statements: Iterable[Mapping[str, Any]], functions: Iterable[Mapping[str, Any]]) -> Attribution:
    """Split the top-level statements' time into rows, largest first.

    Args:
        statements: {query, function, top_level, calls, exec_ns, plan_ns, rows}; inclusive.
        functions: {name, calls, total_ns, self_ns, tables}.
    """
    counted = {str(one["name"]): one for one in functions}
    # Without functions it is not known what is inside of what: only the outermost add up.
    told = [one for one in statements if one["top_level"] or counted]
    checks = [one for one in told if not one["top_level"] and _FOREIGN_KEY.match(one["query"])]
    unplaced = [one for one in told if not one["top_level"] and not one["function"] and one not in checks]
    placed = [one for one in told if one["top_level"] or (one["function"] and one not in checks)]
    called = _called_ns(placed, counted)
    jobs = [one for one in placed if not one["top_level"] or called[_key(one)] > 0 or _mentions(one["query"])]
    rows = [*_of_statements(jobs, called), *_of_functions(jobs, counted, called)]
    top = [one for one in jobs if one["top_level"]]
    return Attribution(
        rows=tuple(sorted(rows, key=lambda row: -row.self_ns)),
        top_ns=sum(one["exec_ns"] + one["plan_ns"] for one in top) if top else sum(row.self_ns for row in rows),
        others_ns=sum(one["exec_ns"] + one["plan_ns"] for one in placed if one["top_level"] and one not in top),
        foreign_keys_ns=sum(one["exec_ns"] + one["plan_ns"] for one in checks),
        unplaced=tuple(str(one["query"]) for one in unplaced),
    )


def _mentions(query: str) -> bool:
    """Whether it is the job's, where no function is counted."""
    return "pgflow." in query or "pgmq." in query


def _key(statement: Mapping[str, Any]) -> tuple[str, bool]:
    return str(statement["query"]), bool(statement["top_level"])


def _called_ns(
    statements: Sequence[Mapping[str, Any]], functions: Mapping[str, Mapping[str, Any]]
) -> dict[tuple[str, bool], float]:
    """By statement, the time of the functions that it calls, at most all of its own.

    Of several statements that name a function, those that do nothing but call it are taken to be its calls; what these
    leave of its time is shared among the others by rows. What is left after all was called out of an expression, which
    is no statement.
    """
    called: dict[tuple[str, bool], float] = defaultdict(float)
    for name, one in sorted(functions.items(), key=lambda item: -item[1]["total_ns"]):
        calls = re.compile(_CALLS.format(name=_DOT.join(map(re.escape, name.split(".")))))
        callers = [s for s in statements if calls.search(s["query"])] or _writers(statements, one["tables"])
        for statement, time_ns in _shared(name, callers, one["total_ns"]):
            room = statement["exec_ns"] - called[_key(statement)]
            called[_key(statement)] += max(0.0, min(time_ns, room))
    return called


def _writers(statements: Sequence[Mapping[str, Any]], tables: Iterable[str]) -> list[Mapping[str, Any]]:
    """The statements that write one of a trigger's tables."""
    found = []
    for table in tables:
        schema, _, name = table.partition(".")
        pattern = re.compile(_WRITES.format(schema=re.escape(schema), table=re.escape(name)), re.IGNORECASE)
        found += [one for one in statements if not one["top_level"] and pattern.search(one["query"])]
    return found


def _shared(name: str, callers: Sequence[Mapping[str, Any]], total_ns: float) -> list[tuple[Mapping[str, Any], float]]:
    """(caller, ns of the function's time). See `_called_ns`."""
    if len(callers) == 1:
        return [(callers[0], total_ns)]
    alone = [one for one in callers if (found := _CALL_ALONE.match(one["query"])) and found[2] == name]
    others = [one for one in callers if one not in alone]
    spent_ns = sum(one["exec_ns"] for one in alone)
    scale = total_ns / spent_ns if spent_ns > total_ns or (spent_ns and not others) else 1.0
    left_ns = max(0.0, total_ns - spent_ns)
    weights = [max(one["rows"], one["calls"]) for one in others]
    total = sum(weights) or 1
    return [(one, one["exec_ns"] * min(1.0, scale)) for one in alone] + [
        (one, left_ns * weight / total) for one, weight in zip(others, weights, strict=True)
    ]


def _of_statements(statements: Iterable[Mapping[str, Any]], called: Mapping[tuple[str, bool], float]) -> list[Row]:
    rows = []
    for one in statements:
        function = "" if one["top_level"] else str(one["function"])
        own_ns = one["exec_ns"] - called[_key(one)]
        rows.append(Row(function, str(one["query"]), STATEMENT, one["calls"], own_ns))
        if one["plan_ns"]:
            rows.append(Row(function, str(one["query"]), PLANNING, one["calls"], float(one["plan_ns"])))
    return rows


def _of_functions(
    statements: Iterable[Mapping[str, Any]],
    functions: Mapping[str, Mapping[str, Any]],
    called: Mapping[tuple[str, bool], float],
) -> list[Row]:
    inside: dict[str, float] = defaultdict(float)
    for one in statements:
        if not one["top_level"]:
            inside[str(one["function"])] += one["exec_ns"] - called[_key(one)] + one["plan_ns"]
    return [Row(name, "", AROUND, one["calls"], one["self_ns"] - inside[name]) for name, one in functions.items()]
