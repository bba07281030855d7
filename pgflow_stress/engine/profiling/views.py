"""The server's views of a window's statements and functions: read before it and after it, subtracted, named.

pg_stat_statements counts each statement, nested ones too, with what it calls; pg_stat_user_functions each function with
(`total`) and without (`self`) the functions that it calls. Which function a nested statement is of neither says: it is
found by the words that the statement and a function's source have in common.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

from pgflow_stress.core.result import Json
from pgflow_stress.core.units import NS_PER_MS
from pgflow_stress.engine.profiling.sources import Sources, plain_text

_PRELOADED = """
select (select extnamespace::regnamespace::text from pg_extension where extname = 'pg_stat_statements'),
       coalesce(current_setting('pg_stat_statements.track', true), ''), current_setting('track_functions')
"""
_STATEMENTS = """
select s.queryid, s.toplevel, s.query, s.calls, s.total_exec_time, s.total_plan_time, s.rows,
       s.shared_blks_hit + s.shared_blks_read
from {schema}.pg_stat_statements s join pg_database d on d.oid = s.dbid where d.datname = current_database()
"""
_FORGOTTEN = "select dealloc from {schema}.pg_stat_statements_info"
# Every function that can have statements of its own; counted only where track_functions says so.
_FUNCTIONS = """
select p.oid, n.nspname || '.' || p.proname, p.prosrc, coalesce(f.calls, 0), coalesce(f.total_time, 0),
       coalesce(f.self_time, 0),
       array(select distinct c.relnamespace::regnamespace || '.' || c.relname from pg_trigger t
             join pg_class c on c.oid = t.tgrelid where t.tgfoid = p.oid)
from pg_proc p join pg_namespace n on n.oid = p.pronamespace join pg_language l on l.oid = p.prolang
left join pg_stat_user_functions f on f.funcid = p.oid
where l.lanname in ('plpgsql', 'sql') and n.nspname not in ('pg_catalog', 'information_schema')
"""
# Time in which this database's sessions were executing: a session's is counted when it becomes idle.
_ACTIVE = "select active_time from pg_stat_database where datname = current_database()"
_ACTIVE_SINCE = 140000


@dataclass(frozen=True, slots=True)
class Counted:
    """One statement or function so far; times in ms, as the views have them."""

    name: str  # of a function; the text of a statement
    numbers: tuple[float, ...]
    top_level: bool = False
    source: str = ""
    tables: tuple[str, ...] = ()  # that it is a trigger of


@dataclass(frozen=True, slots=True)
class Views:
    """What the views say at one moment, and what they do not."""

    statements: Mapping[Any, Counted] | None
    functions: Mapping[Any, Counted]
    active_ms: float | None
    not_seen: tuple[str, ...] = ()
    forgotten: int = 0  # how often pg_stat_statements was full and dropped its rarest


def read_views(connection: psycopg.Connection[Any], slug_prefix: str) -> Views:
    """All of this database's, now; `slug_prefix` of the measured flows, whose queues are told of together.

    Raises:
        psycopg.Error: the server does not answer.
    """
    schema, track, functions_tracked = connection.execute(_PRELOADED).fetchall()[0]
    not_seen = [] if functions_tracked == "all" else [f"functions: track_functions is {functions_tracked}, not all"]
    statements, forgotten, active = None, 0, None
    try:
        if schema is None:
            raise LookupError("pg_stat_statements is not there (shared_preload_libraries, CREATE EXTENSION)")
        statements = _statements(connection, schema, slug_prefix)
        forgotten = connection.execute(_FORGOTTEN.format(schema=schema).encode()).fetchall()[0][0]
        if track != "all":
            not_seen.append(f"statements inside functions: pg_stat_statements.track is {track or 'unknown'}, not all")
    except (psycopg.Error, LookupError) as why:  # created, and not preloaded; or not ours to read
        not_seen.append(f"statements: {str(why).splitlines()[0]}")
    if connection.info.server_version >= _ACTIVE_SINCE:
        active = connection.execute(_ACTIVE).fetchall()[0][0]
    return Views(statements, _functions(connection), active, tuple(not_seen), forgotten)


def _statements(connection: psycopg.Connection[Any], schema: str, slug_prefix: str) -> dict[Any, Counted]:
    rows = connection.execute(_STATEMENTS.format(schema=schema).encode()).fetchall()
    return {
        (queryid, top_level): Counted(plain_text(query, slug_prefix), tuple(map(float, numbers)), top_level)
        for queryid, top_level, query, *numbers in rows
    }


def _functions(connection: psycopg.Connection[Any]) -> dict[Any, Counted]:
    rows = connection.execute(_FUNCTIONS).fetchall()
    return {
        oid: Counted(name, (float(calls), total, own), source=source or "", tables=tuple(tables))
        for oid, name, source, calls, total, own, tables in rows
    }


def describe_views(before: Views, after: Views) -> Json:
    """What happened between two readings, as the result's server["profile"] has it; times in ns.

    statements: {query, function, top_level, calls, exec_ns, plan_ns, rows, buffers}, those of one text together;
    functions: {name, calls, total_ns, self_ns, tables}, those of one name together.
    """
    called = {row.name for row, _ in _rises(before.functions, after.functions)}
    every = after.functions.values()
    sources = Sources((one.name, one.source) for one in every if not called or one.name in called)
    active = None
    if before.active_ms is not None and after.active_ms is not None:
        active = round((after.active_ms - before.active_ms) * NS_PER_MS)
    return {
        "statements": _told_statements(before, after, sources),
        "functions": _told_functions(before, after),
        "active_ns": active,
        "not_seen": [*after.not_seen, *_forgotten(before, after)],
    }


def _forgotten(before: Views, after: Views) -> list[str]:
    if after.forgotten <= before.forgotten:
        return []
    return ["statements: some were dropped while it was measured, pg_stat_statements.max is too small for them all"]


def _rises(before: Mapping[Any, Counted], after: Mapping[Any, Counted]) -> list[tuple[Counted, list[float]]]:
    """Rows with the rise of each number; those that were not called are left out."""
    found = []
    for key, row in after.items():
        was = before.get(key)
        rise = [value - was_value for value, was_value in zip(row.numbers, was.numbers, strict=True)] if was else None
        rise = rise if rise is not None and rise[0] >= 0 else list(row.numbers)  # reset in between: counted from 0
        if rise[0] > 0:
            found.append((row, rise))
    return found


def _told_statements(before: Views, after: Views, sources: Sources) -> list[Json]:
    together: dict[tuple[str, bool], list[float]] = {}
    for row, rise in _rises(before.statements or {}, after.statements or {}):
        so_far = together.setdefault((row.name, row.top_level), [0.0] * len(rise))
        for place, value in enumerate(rise):
            so_far[place] += value
    return [
        {
            "query": query,
            "function": None if top_level else sources.function_of(query),
            "top_level": top_level,
            "calls": round(calls),
            "exec_ns": round(exec_ms * NS_PER_MS),
            "plan_ns": round(plan_ms * NS_PER_MS),
            "rows": round(rows),
            "buffers": round(buffers),
        }
        for (query, top_level), (calls, exec_ms, plan_ms, rows, buffers) in together.items()
    ]


def _told_functions(before: Views, after: Views) -> list[Json]:
    together: dict[str, Json] = {}
    for row, (calls, total_ms, self_ms) in _rises(before.functions, after.functions):
        one = together.setdefault(row.name, {"name": row.name, "calls": 0, "total_ns": 0, "self_ns": 0, "tables": []})
        one["calls"] += round(calls)
        one["total_ns"] += round(total_ms * NS_PER_MS)
        one["self_ns"] += round(self_ms * NS_PER_MS)
        one["tables"] = sorted({*one["tables"], *row.tables})
    return list(together.values())
