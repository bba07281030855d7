from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pgflow_stress.core.checkup import SCHEMA, Checkup, Finding, Level, bad, ok, warn, worst
from pgflow_stress.core.libpq import LibpqChoice
from pgflow_stress.engine.checks import CHECKS, check_all
from pgflow_stress.engine.checks.facts import Disk, Facts, Load, ServerFacts, filesystem_of, look
from pgflow_stress.engine.checks.settings import SPOILERS, amount
from pgflow_stress.target.base import Pooler, PoolMode

GIB = 1024**3
QUIET_MACHINE: Mapping[str, Any] = {
    "architecture": "x86_64", "virtualised": False, "cpus_usable": [0, 1, 2, 3], "cpu_quota": None, "smt_siblings": [],
    "governor": "performance", "clock_source": "tsc", "memory_bytes": 64 * GIB, "memory_limit_bytes": None,
    "transparent_hugepages": "madvise",
}  # fmt: skip
GOOD_SETTINGS = {
    "fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "debug_assertions": "off", "jit": "off",
    "autovacuum": "off", "wal_level": "logical", "shared_buffers": "1GB", "track_functions": "none",
    "track_io_timing": "off", "log_statement": "none", "log_min_duration_statement": "-1", "log_duration": "off",
    "statement_timeout": "0", "shared_preload_libraries": "", "session_preload_libraries": "",
    "default_transaction_isolation": "read committed",
}  # fmt: skip
GOOD_SERVER = ServerFacts(
    "database x on far:5432", False, False, GOOD_SETTINGS, Disk("/data", "ext4", 100 * GIB), False, 50_000.0, None,
    "0.8.1", missing_rights=(),
)  # fmt: skip
GOOD = Facts(
    QUIET_MACHINE, Load(0.01, 0.0), 0, 32 * GIB, 4, False, LibpqChoice("/libpq.so.5", 180006, "system", True), "c",
    GOOD_SERVER,
)  # fmt: skip


def found(facts: Facts, name: str) -> Finding:
    (finding,) = [finding for check, finding in check_all(facts) if check == name]
    return finding


def machine(**changes: Any) -> Facts:
    return replace(GOOD, machine={**QUIET_MACHINE, **changes})


def server(**changes: Any) -> Facts:
    return replace(GOOD, server=replace(GOOD_SERVER, **changes))


def test_a_good_machine_and_server_has_every_check_ok() -> None:
    findings = check_all(GOOD)

    assert {finding.level for _, finding in findings} == {Level.OK}
    assert {name for name, _ in findings} == set(CHECKS)


@pytest.mark.parametrize(
    ("name", "facts", "level"),
    [
        ("psycopg", replace(GOOD, psycopg="python"), Level.BAD),
        ("cores", server(local=True), Level.WARN),
        ("cores", replace(machine(cpus_usable=[3]), server=None), Level.WARN),
        ("smt", machine(smt_siblings=[[0, 2], [1, 3]]), Level.WARN),
        ("cpu_quota", machine(cpu_quota=1.5), Level.BAD),
        ("cpu_quota", machine(cpu_quota=4.0), Level.OK),
        ("governor", machine(governor="powersave"), Level.WARN),
        ("governor", machine(governor=None, virtualised=True), Level.OK),
        ("turbo", replace(GOOD, turbo=True), Level.WARN),
        ("clock_source", machine(clock_source="hpet"), Level.BAD),
        ("clock_source", machine(clock_source="kvm-clock"), Level.WARN),
        ("load", replace(GOOD, load=Load(0.1, 0.0)), Level.WARN),
        ("load", replace(GOOD, load=Load(0.9, 0.0)), Level.BAD),
        ("steal", replace(GOOD, load=Load(0.0, 0.01)), Level.WARN),
        ("steal", replace(GOOD, load=Load(0.0, 0.2)), Level.BAD),
        ("memory", replace(GOOD, memory_available_bytes=GIB // 2), Level.WARN),
        ("memory", machine(memory_limit_bytes=GIB // 2), Level.WARN),
        ("swap", replace(GOOD, swap_used_bytes=GIB), Level.WARN),
        ("huge_pages", machine(transparent_hugepages="always"), Level.WARN),
        ("data_directory", server(disk=Disk("/x", "tmpfs", 100 * GIB)), Level.BAD),
        ("data_directory", server(disk=Disk("/x", "overlay", 100 * GIB)), Level.WARN),
        ("free_space", server(disk=Disk("/x", "ext4", 2 * GIB)), Level.WARN),
        ("free_space", server(disk=Disk("/x", "ext4", GIB // 2)), Level.BAD),
        ("transport", server(tls=True), Level.WARN),
        ("round_trip", server(round_trip_ns=20e6), Level.WARN),
        ("pooler", server(pooler=Pooler(PoolMode.STATEMENT, prepares=False)), Level.BAD),
        ("pooler", server(pooler=Pooler(PoolMode.TRANSACTION, prepares=False)), Level.BAD),
        ("pooler", server(pooler=Pooler(PoolMode.TRANSACTION, prepares=False, direct=True)), Level.WARN),
        ("pooler", server(pooler=Pooler(PoolMode.SESSION, prepares=True)), Level.WARN),
        ("pgflow", server(pgflow=None), Level.WARN),
        ("pgflow", server(unsupported="no function pgmq.read"), Level.BAD),
        ("events", server(events="realtime.messages has no partition for today"), Level.WARN),
        ("rights", server(missing_rights=("USAGE on schema pgmq",)), Level.BAD),
        ("leftovers", server(leftovers=("a", "b", "c", "d")), Level.WARN),
    ],
)
def test_what_spoils_numbers_is_named_with_how_to_mend_it(name: str, facts: Facts, level: Level) -> None:
    finding = found(facts, name)

    assert finding.level is level
    assert finding.what
    assert "\n" not in finding.what + finding.mend
    assert bool(finding.mend) is (level is not Level.OK)


@pytest.mark.parametrize(
    ("setting", "value", "level"),
    [
        ("fsync", "off", Level.BAD),
        ("synchronous_commit", "off", Level.BAD),
        ("full_page_writes", "off", Level.WARN),
        ("debug_assertions", "on", Level.BAD),
        ("jit", "on", Level.WARN),
        ("autovacuum", "on", Level.WARN),
        ("wal_level", "minimal", Level.WARN),
        ("shared_buffers", "400kB", Level.WARN),
        ("track_functions", "all", Level.WARN),
        ("track_io_timing", "on", Level.WARN),
        ("log_statement", "all", Level.WARN),
        ("log_min_duration_statement", "0", Level.WARN),
        ("log_min_duration_statement", "250ms", Level.WARN),
        ("log_duration", "on", Level.WARN),
        ("statement_timeout", "30s", Level.WARN),
        ("shared_preload_libraries", "pg_stat_statements, auto_explain", Level.WARN),
        ("session_preload_libraries", '"auto_explain"', Level.WARN),
        ("default_transaction_isolation", "serializable", Level.WARN),
    ],
)
def test_each_spoiling_setting_is_found_by_its_value(setting: str, value: str, level: Level) -> None:
    findings = [
        one for name, one in check_all(server(settings={**GOOD_SETTINGS, setting: value})) if name == "settings"
    ]

    assert {finding.level for finding in findings} == {level}
    assert all(finding.what.startswith(f"{setting} = {value}: ") for finding in findings)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("shared_buffers", "128MB"), ("statement_timeout", "2min"), ("log_min_duration_statement", "5s"),
        ("synchronous_commit", "local"), ("wal_level", "replica"), ("shared_preload_libraries", "pg_cron"),
    ],
)  # fmt: skip
def test_a_setting_that_spoils_nothing_is_left_alone(setting: str, value: str) -> None:
    assert found(server(settings={**GOOD_SETTINGS, setting: value}), "settings").level is Level.OK


def test_every_spoiler_is_a_setting_whose_good_value_passes() -> None:
    assert {spoiler.name for spoiler in SPOILERS} == set(GOOD_SETTINGS)


@pytest.mark.parametrize(("text", "value"), [("400kB", 400), ("1 GB", 1024**2), ("7", 7), ("x", None), ("5pc", None)])
def test_amounts_are_read_with_their_unit(text: str, value: float | None) -> None:
    assert amount(text, {"kB": 1, "GB": 1024**2}) == value


def test_without_a_server_only_the_machine_is_judged() -> None:
    names = [name for name, _ in check_all(replace(GOOD, server=None))]

    assert "cores" in names
    assert not {"settings", "transport", "pgflow", "leftovers", "data_directory"} & set(names)


def test_this_machine_can_be_looked_at() -> None:
    facts = look(None, None, None)

    assert 0.0 <= facts.load.busy <= 1.0
    assert 0.0 <= facts.load.steal <= 1.0
    assert check_all(facts)


def test_a_paths_file_system_is_that_of_its_mount() -> None:
    assert filesystem_of(Path("/proc/self")) == "proc"


def test_the_worst_finding_is_the_checkups_worst() -> None:
    checkup = Checkup({}, "x", [("a", ok("fine")), ("b", warn("so", "do")), ("a", ok("fine"))])

    assert checkup.worst is Level.WARN
    assert worst([Level.WARN, Level.BAD, Level.OK]) is Level.BAD
    assert worst([]) is Level.OK
    assert checkup.as_json()["schema"] == SCHEMA
    assert checkup.as_json()["findings"][1] == {"name": "b", "level": "warn", "what": "so", "mend": "do"}
    assert bad("x", "y").level is Level.BAD
