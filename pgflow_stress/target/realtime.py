"""realtime.messages and realtime.send: what pgflow's events go through, in the body that was asked for."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files

from pgflow_stress.core.errors import UsageFault

SEND_MODES = ("supabase", "insert", "notify", "noop")
# Of the notify body and of an observer's trigger, whose payload is "<topic> <event> <id>": the row's id, since Postgres
# delivers equal notifications of one transaction once. An observer's end is marked on it by "end <nonce:016x>".
NOTIFY_CHANNEL = "pgflow_stress_events"
_MARKS = "pgflow_stress:"  # no run's topic: what is on it is of no repetition's events
_DAYS_AHEAD = "/* days_ahead */ 1"


def mark_topic(nonce: int) -> str:
    """The topic on which the end of a repetition's events is marked, for an observer of Supabase Realtime."""
    return f"{_MARKS}{nonce:016x}"


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


def partitions_sql(days_ahead: int = 1) -> str:
    """Makes the partitions of today and of that many days after it; may be run again and again.

    Raises:
        ValueError: without tomorrow, events after midnight would be lost.
    """
    if days_ahead < 1:
        raise ValueError(f"partitions are made for tomorrow at least, not {days_ahead} days ahead")
    return sql_text("realtime_partitions").replace(_DAYS_AHEAD, str(int(days_ahead)))


def body_sha256(body: str) -> str:
    """What the fingerprint names a function's body by: of the text between its quotes, as pg_proc.prosrc holds it."""
    return hashlib.sha256(body.encode()).hexdigest()
