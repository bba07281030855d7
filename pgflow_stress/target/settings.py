"""Settings of the embedded server: durable by default, quiet for a comparison, stated in the fingerprint."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from pgflow_stress.core.errors import UsageFault
from pgflow_stress.core.units import BYTES_PER_MIB

Settings = tuple[tuple[str, str], ...]

_NAME = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?\Z")

# Contract: socket only, wal_level=logical always. The rest would break how the server is found, booted or owned.
_OURS = frozenset(
    {
        "config_file",
        "data_directory",
        "dynamic_library_path",
        "extension_control_path",
        "external_pid_file",
        "hba_file",
        "ident_file",
        "listen_addresses",
        "logging_collector",
        "port",
        "timezone",
        "unix_socket_directories",
        "unix_socket_group",
        "wal_level",
    }
)

_SHARED_BUFFERS_LOW_MIB = 128
_SHARED_BUFFERS_HIGH_MIB = 1024  # a fresh clone is tens of MB; more would only lengthen every checkpoint's scan

_ALWAYS: Settings = (
    ("cluster_name", "pgflow-stress"),
    ("fsync", "on"),
    ("full_page_writes", "on"),
    ("idle_replication_slot_timeout", "1h"),  # no slot that nobody reads or drops holds the WAL for ever
    ("jit", "off"),
    ("lc_messages", "C"),
    ("listen_addresses", ""),
    ("log_checkpoints", "off"),
    ("max_connections", "200"),
    ("max_replication_slots", "20"),
    ("max_slot_wal_keep_size", "8GB"),  # nor does one whose reader is stuck
    ("max_wal_senders", "20"),
    ("max_wal_size", "8GB"),
    ("min_wal_size", "512MB"),  # recycled segments: a new one costs 16 MB of zeros inside a window
    ("port", "5432"),
    ("synchronous_commit", "on"),
    ("timezone", "UTC"),  # as Supabase: realtime.messages.inserted_at is a timestamp without time zone
    ("track_functions", "none"),
    ("wal_level", "logical"),
)

_BY_PURPOSE: dict[str, Settings] = {
    "compare": (("autovacuum", "off"), ("checkpoint_timeout", "1h")),
    "capacity": (("autovacuum", "on"), ("checkpoint_timeout", "5min"), ("max_wal_size", "1GB")),
}


# For `profile` alone: what it sees with costs time in every statement, so that no other measurement has it.
_PROFILING: Settings = (
    ("pg_stat_statements.max", "20000"),
    ("pg_stat_statements.save", "off"),
    ("pg_stat_statements.track", "all"),
    ("pg_stat_statements.track_planning", "on"),
    ("shared_preload_libraries", "pg_stat_statements"),
    ("track_functions", "all"),
    ("track_io_timing", "on"),
)


def measuring_settings(purpose: str, memory_bytes: int, *, profiled: bool = False) -> Settings:
    """Our settings for a purpose on a machine with that much memory, sorted by name.

    Args:
        profiled: with what `profile` sees by.

    Raises:
        UsageFault: no such purpose.
    """
    if purpose not in _BY_PURPOSE:
        raise UsageFault(f"unknown purpose {purpose!r}: use compare or capacity")
    quarter_mib = memory_bytes // 4 // BYTES_PER_MIB
    shared_buffers_mib = max(_SHARED_BUFFERS_LOW_MIB, min(_SHARED_BUFFERS_HIGH_MIB, quarter_mib))
    merged = dict(_ALWAYS) | {"shared_buffers": f"{shared_buffers_mib}MB"} | dict(_BY_PURPOSE[purpose])
    merged |= dict(_PROFILING) if profiled else {}
    return tuple(sorted(merged.items()))


def check_user_settings(user: Settings) -> Settings:
    """The user's settings, later ones of a name winning, sorted.

    Raises:
        UsageFault: not a setting's name, or one that the tool itself must decide.
    """
    merged: dict[str, str] = {}
    for given_name, value in user:
        name = given_name.strip().lower().replace("-", "_")
        if not _NAME.match(name):
            raise UsageFault(f"--pg-setting {given_name!r}: not the name of a PostgreSQL setting")
        if name in _OURS:
            raise UsageFault(f"--pg-setting {name}: fixed on the embedded server; use --dsn for a server of your own")
        if "\n" in value or "\0" in value:
            raise UsageFault(f"--pg-setting {name}: the value must be one line")
        merged[name] = value.strip()
    return tuple(sorted(merged.items()))


def settings_key(server_version: str, ours: Settings, users: Settings) -> str:
    """Names an instance: whoever asks for the same version and settings shares one server."""
    text = "\n".join(f"{name}={value}" for name, value in (*ours, ("", ""), *users))
    return f"{server_version}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"


def machine_memory_bytes() -> int:
    """Memory that this process may use: the machine's, or its control group's where that is less."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for limit in (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")):
        try:
            text = limit.read_text().strip()
        except OSError:
            continue
        if text.isdigit():
            total = min(total, int(text))
    return total


def conf_text(settings: Settings) -> str:
    """A postgresql.conf of these settings."""
    quoted = ((name, value.replace("'", "''")) for name, value in settings)
    return "".join(f"{name} = '{value}'\n" for name, value in quoted)
