"""Tables of pgflow, pgmq and realtime: size, dead rows, HOT updates; at the window's ends, in full oftener.

The queues' tables are taken together, and so are the partitions of realtime.messages: there may be thousands.
"""

from __future__ import annotations

from pgflow_stress.engine.probes.base import Means, Quiet
from pgflow_stress.engine.probes.database import put_rows

_EVERY_TICKS = 10
_MOST_MEASURED = 500  # tables whose size is asked for: each is a look at its files
_GROUPED = """case when schemaname = 'pgmq' and relname ~ '^[qa]_' then 'pgmq.' || left(relname, 2) || '*'
    when schemaname = 'realtime' then 'realtime.messages*' else schemaname || '.' || relname end"""
_COUNTED = f"""
with tables as (
    select {_GROUPED} as name, * from pg_stat_user_tables where schemaname in ('pgflow', 'pgmq', 'realtime')
)
select name, m.metric, m.value, m.unit from (
    select name, sum(n_dead_tup)::float8 dead, sum(n_tup_upd)::float8 updated, sum(n_tup_hot_upd)::float8 hot
    from tables group by name
) t, lateral (values ('rows_dead', dead, 'rows'), ('updates_total', updated, 'rows'),
    ('updates_hot_total', hot, 'rows')) as m(metric, value, unit)
"""
_MEASURED = f"""
with tables as (
    select {_GROUPED} as name, relid from pg_stat_user_tables where schemaname in ('pgflow', 'pgmq', 'realtime')
)
select name, m.metric, m.value, 'bytes' from (
    select name, sum(pg_table_size(relid))::float8 heap, sum(pg_indexes_size(relid))::float8 indexes
    from tables group by name
) t, lateral (values ('size', heap), ('indexes_size', indexes)) as m(metric, value)
"""


class Tables(Quiet):
    """Two statements each time."""

    def __init__(self, means: Means) -> None:
        """Looks how many tables there are."""
        self._means = means
        self._ticks = 0

    def begin(self) -> None:
        """Before the window."""
        self._read()

    def tick(self) -> None:
        """In full, now and then."""
        self._ticks += 1
        if self._means.full and self._ticks % _EVERY_TICKS == 0:
            self._read()

    def end(self) -> None:
        """After it."""
        self._read()

    def _read(self) -> None:
        put_rows(self._means, _COUNTED)
        count = self._means.connection.execute(
            "select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace "
            "where n.nspname in ('pgflow', 'pgmq', 'realtime') and c.relkind = 'r'"
        ).fetchone()
        if count and count[0] <= _MOST_MEASURED:
            put_rows(self._means, _MEASURED)
        else:
            self._means.book.unseen(f"tables: sizes are not asked for where there are more than {_MOST_MEASURED}")
