"""Partitions of realtime.messages cut so that a run meets their border."""

from __future__ import annotations

from typing import Any

import psycopg


def cut_partition(connection: psycopg.Connection[Any], seconds: float) -> None:
    """Replace today's partition by two that meet `seconds` from now; nothing is cut where midnight comes before.

    Args:
        connection: in autocommit, its session's zone that of the senders.
    """
    with connection.transaction():
        row = connection.execute(
            """
            SELECT current_date::text, (current_date + 1)::text, cut::text, cut >= current_date + 1
            FROM (SELECT localtimestamp + make_interval(secs => %s) AS cut) AS found
            """,
            (seconds,),
        ).fetchone()
        assert row is not None
        today, tomorrow, cut, past_midnight = row
        if past_midnight:
            return
        name = f"messages_{today.replace('-', '_')}"
        connection.execute(
            f"""
            ALTER TABLE realtime.messages DETACH PARTITION realtime.{name};
            ALTER TABLE realtime.{name} RENAME TO {name}_whole;
            CREATE TABLE realtime.{name} PARTITION OF realtime.messages FOR VALUES FROM ('{today}') TO ('{cut}');
            CREATE TABLE realtime.{name}_rest PARTITION OF realtime.messages
                FOR VALUES FROM ('{cut}') TO ('{tomorrow}');
            INSERT INTO realtime.messages SELECT * FROM realtime.{name}_whole;
            DROP TABLE realtime.{name}_whole;
            """.encode()
        )
