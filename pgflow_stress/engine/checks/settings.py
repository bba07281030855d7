"""Checks of the server's settings: those that spoil numbers, in a table."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pgflow_stress.core.checkup import Finding, Level, ok
from pgflow_stress.core.units import BYTES_PER_KIB, BYTES_PER_MIB, MS_PER_SECOND
from pgflow_stress.engine.checks.facts import Facts

_LEAST_SHARED_BUFFERS_BYTES = 128 * BYTES_PER_MIB
_LEAST_TIMEOUT_MS = 60 * MS_PER_SECOND
_SIZES = {
    "B": 1, "kB": BYTES_PER_KIB, "MB": BYTES_PER_MIB, "GB": 1024 * BYTES_PER_MIB, "TB": 1024 * 1024 * BYTES_PER_MIB,
}  # fmt: skip
_TIMES_MS = {"us": 0.001, "ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}


@dataclass(frozen=True, slots=True)
class Spoiler:
    """One setting: when it spoils what."""

    name: str
    spoils: Callable[[str], bool]  # of the value as SHOW tells it
    level: Level
    why: str
    wanted: str  # for the line on how to mend it


def amount(text: str, units: Mapping[str, float]) -> float | None:
    """`128MB` or `5min` in the unit whose factor is 1; None where it is no such text."""
    match = re.fullmatch(r"(-?[\d.]+)\s*([A-Za-z]*)", text.strip())
    if match is None or (match[2] and match[2] not in units):
        return None
    return float(match[1]) * units.get(match[2], 1)


def _less_than(limit: float, units: Mapping[str, float], *, zero_is_none: bool = False) -> Callable[[str], bool]:
    def judge(text: str) -> bool:
        found = amount(text, units)
        return found is not None and found < limit and not (zero_is_none and found <= 0)

    return judge


def _in(*values: str) -> Callable[[str], bool]:
    return lambda text: text in values


def _not_in(*values: str) -> Callable[[str], bool]:
    return lambda text: text not in values


def _logs_quick_statements(text: str) -> bool:
    found = amount(text, _TIMES_MS)
    return found is not None and 0 <= found < 1000


def _preloads(library: str) -> Callable[[str], bool]:
    return lambda text: library in re.split(r"[\s,]+", text.replace('"', ""))


SPOILERS: tuple[Spoiler, ...] = (
    Spoiler("fsync", _in("off"), Level.BAD, "commits are not durable, the disk is not measured", "on"),
    Spoiler("synchronous_commit", _in("off"), Level.BAD, "commits do not wait for the disk", "on"),
    Spoiler("full_page_writes", _in("off"), Level.WARN, "less WAL than a server that survives a crash", "on"),
    Spoiler("debug_assertions", _in("on"), Level.BAD, "a build with assertions is several times slower",
            "a server built without --enable-cassert"),
    Spoiler("jit", _in("on"), Level.WARN, "a statement that is planned dear is compiled in the middle of a run", "off"),
    Spoiler("autovacuum", _in("on"), Level.WARN, "vacuums fall into some repetitions and not into others",
            "off for comparisons, on for capacity (--purpose)"),
    Spoiler("wal_level", _in("minimal"), Level.WARN, "less WAL than any server that is backed up",
            "logical or replica"),
    Spoiler("shared_buffers", _less_than(_LEAST_SHARED_BUFFERS_BYTES, _SIZES), Level.WARN, "pages are evicted within a "
            "run", "128MB or more"),
    Spoiler("track_functions", _in("all"), Level.WARN, "every call of pgflow's functions is timed", "none"),
    Spoiler("track_io_timing", _in("on"), Level.WARN, "every read and write is timed", "off"),
    Spoiler("log_statement", _in("all", "mod"), Level.WARN, "every statement is written to the log", "none"),
    Spoiler("log_min_duration_statement", _logs_quick_statements, Level.WARN, "quick statements are written to the log",
            "-1"),
    Spoiler("log_duration", _in("on"), Level.WARN, "every statement's duration is written to the log", "off"),
    Spoiler("statement_timeout", _less_than(_LEAST_TIMEOUT_MS, _TIMES_MS, zero_is_none=True), Level.WARN,
            "it may cancel a large statement of ours", "0"),
    Spoiler("shared_preload_libraries", _preloads("auto_explain"), Level.WARN, "auto_explain times statements",
            "without auto_explain"),
    Spoiler("session_preload_libraries", _preloads("auto_explain"), Level.WARN, "auto_explain times statements",
            "without auto_explain"),
    Spoiler("shared_preload_libraries", _preloads("pg_stat_statements"), Level.WARN, "pg_stat_statements counts every "
            "statement, under a lock that many sessions share", "without pg_stat_statements, or as in production"),
    Spoiler("default_transaction_isolation", _not_in("read committed"), Level.WARN, "pgflow expects read committed",
            "read committed"),
)  # fmt: skip
ASKED_FOR = tuple(dict.fromkeys(spoiler.name for spoiler in SPOILERS))


def spoilers(facts: Facts) -> list[Finding]:
    """A finding for each setting that spoils numbers, or one that says that none does."""
    if facts.server is None or not facts.server.settings:
        return []
    settings, embedded = facts.server.settings, facts.server.embedded
    found = [
        Finding(one.level, f"{one.name} = {settings[one.name]}: {one.why}", _mend(one, embedded))
        for one in SPOILERS
        if one.name in settings and one.spoils(settings[one.name])
    ]
    judged = sum(name in settings for name in ASKED_FOR)
    return found or [ok(f"none of {judged} settings of the server spoils numbers")]


def _mend(spoiler: Spoiler, embedded: bool) -> str:
    if embedded:
        return f"leave out its --pg-setting; wanted: {spoiler.wanted}"
    return f"set {spoiler.name}: {spoiler.wanted}"
