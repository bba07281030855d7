"""What the server's statistics views counted in a window: every counter of a row that changed, before and after.

The views' own columns by their own names, so that any of them can be looked up in PostgreSQL's manual; times in ms, as
there. Of database, tables, indexes and functions it is this database's, of WAL, IO and SLRU the whole server's. The
queues' tables are taken together, and so are the partitions of realtime.messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

from pgflow_stress.core.result import Json

Counters = Mapping[str, Mapping[str, Mapping[str, float]]]  # view -> row -> column -> value


@dataclass(frozen=True, slots=True)
class View:
    """One view: a query of (row's name, row as jsonb), and the server's version that has it."""

    name: str
    since: int
    query: str


def _grouped(view: str, prefix: str) -> str:
    """Rows of a view of tables added up by table, its numbers by their names; `prefix` goes before the index's name."""
    return f"""
    select t.name, jsonb_object_agg(t.key, t.value) from (
        select {prefix} case when schemaname = 'pgmq' and relname ~ '^[qa]_' then 'pgmq.' || left(relname, 2) || '*'
            when schemaname = 'realtime' then 'realtime.messages*' else schemaname || '.' || relname end as name,
            c.key, sum(c.value::text::numeric) as value
        from {view} v, lateral jsonb_each(to_jsonb(v)) as c(key, value)
        where schemaname in ('pgflow', 'pgmq', 'realtime') and jsonb_typeof(c.value) = 'number'
            and c.key not in ('relid', 'indexrelid')
        group by 1, 2
    ) t group by t.name
    """


VIEWS = (
    View("database", 0, "select datname, to_jsonb(d) - 'numbackends' from pg_stat_database d "
         "where datname = current_database()"),
    View("wal", 140000, "select 'server', to_jsonb(w) from pg_stat_wal w"),
    View("io", 160000, "select concat_ws(', ', backend_type, object, context), to_jsonb(i) from pg_stat_io i"),
    View("slru", 130000, "select name, to_jsonb(s) from pg_stat_slru s"),
    View("tables", 0, _grouped("pg_stat_user_tables", "")),
    View("indexes", 0, _grouped("pg_stat_user_indexes", "case when schemaname = 'pgflow' then indexrelname || ' on ' "
         "else '' end ||")),
    View("functions", 0, "select schemaname || '.' || funcname || '#' || funcid, to_jsonb(f) "
         "from pg_stat_user_functions f"),
)  # fmt: skip


def read_counters(connection: psycopg.Connection[Any]) -> Counters:
    """Every counter of every view that this server has, now.

    Raises:
        psycopg.Error: the server does not answer.
    """
    version = connection.info.server_version
    return {
        view.name: {name: _numbers(row) for name, row in connection.execute(view.query.encode()).fetchall()}
        for view in VIEWS
        if version >= view.since
    }


def _numbers(row: Mapping[str, Any]) -> dict[str, float]:
    return {
        column: value for column, value in row.items() if isinstance(value, int | float) and not isinstance(value, bool)
    }


def deltas(before: Counters | None, after: Counters | None) -> Json:
    """By how much each counter rose; those that did not, and views of which one reading is missing, are left out."""
    found: Json = {}
    for view, rows in (after or {}).items():
        was = (before or {}).get(view)
        if was is None:
            continue
        changed = {name: _rise(was.get(name, {}), row) for name, row in rows.items()}
        found[view] = {name: columns for name, columns in sorted(changed.items()) if columns}
    return found


def _rise(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    # A gauge among them (live and dead rows) may fall: that is what it did.
    return {name: value - before.get(name, 0) for name, value in after.items() if value != before.get(name, 0)}


def per_task(changed: Json, tasks: int) -> Json:
    """The same by task; empty where none was completed."""
    if not tasks:
        return {}
    return {
        view: {name: {column: value / tasks for column, value in columns.items()} for name, columns in rows.items()}
        for view, rows in changed.items()
    }
