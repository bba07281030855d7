"""realtime.messages and realtime.send: what pgflow's events go through, in the body that was asked for."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files

from pgflow_stress.core.errors import UsageFault

SEND_MODES = ("supabase", "insert", "notify", "noop")
NOTIFY_CHANNEL = "pgflow_stress_events"  # of the notify body; the payload is "<topic> <event>"


@cache
def sql_text(name: str) -> str:
    """One of the package's SQL files, by its name without the suffix."""
    return (files("pgflow_stress.target") / "sql" / f"{name}.sql").read_text(encoding="utf-8")


def send_sql(mode: str) -> str:
    """The definition of realtime.send for a mode.

    Raises:
        UsageFault: no such mode.
    """
    if mode not in SEND_MODES:
        raise UsageFault(f"unknown realtime-send {mode!r}: use one of {', '.join(SEND_MODES)}")
    return sql_text(f"realtime_send_{mode}")


def schema_sql() -> str:
    """Schema realtime and its partitioned messages, without partitions."""
    return sql_text("realtime_schema")


def partitions_sql() -> str:
    """Makes the partitions of today and tomorrow; may be run again and again."""
    return sql_text("realtime_partitions")


def body_sha256(body: str) -> str:
    """What the fingerprint names a function's body by: of the text between its quotes, as pg_proc.prosrc holds it."""
    return hashlib.sha256(body.encode()).hexdigest()
