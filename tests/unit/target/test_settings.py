from __future__ import annotations

import pytest

from pgflow_stress.core.errors import UsageFault
from pgflow_stress.target.settings import check_user_settings, conf_text, measuring_settings, settings_key

_GIB = 1024**3


@pytest.mark.parametrize("purpose", ["compare", "capacity"])
def test_the_server_is_durable_quiet_and_logical_for_every_purpose(purpose: str) -> None:
    settings = dict(measuring_settings(purpose, 8 * _GIB))

    for name in ("fsync", "synchronous_commit", "full_page_writes"):
        assert settings[name] == "on"
    assert settings["jit"] == "off"
    assert settings["wal_level"] == "logical"
    assert settings["listen_addresses"] == ""
    assert settings["autovacuum"] == ("off" if purpose == "compare" else "on")


@pytest.mark.parametrize("purpose", ["compare", "capacity"])
def test_no_slot_holds_the_wal_for_ever(purpose: str) -> None:
    settings = dict(measuring_settings(purpose, 8 * _GIB))

    assert settings["max_slot_wal_keep_size"] == "8GB"
    assert settings["idle_replication_slot_timeout"] == "1h"


@pytest.mark.parametrize(("memory_bytes", "megabytes"), [(64 * _GIB, 1024), (2 * _GIB, 512), (_GIB // 8, 128)])
def test_shared_buffers_are_a_quarter_of_the_memory_within_bounds(memory_bytes: int, megabytes: int) -> None:
    assert dict(measuring_settings("compare", memory_bytes))["shared_buffers"] == f"{megabytes}MB"


def test_an_unknown_purpose_is_told() -> None:
    with pytest.raises(UsageFault, match="compare or capacity"):
        measuring_settings("fun", _GIB)


def test_users_settings_are_sorted_and_the_last_of_a_name_wins() -> None:
    found = check_user_settings((("work_mem", "1MB"), ("JIT", "on"), ("work_mem", "2MB")))

    assert found == (("jit", "on"), ("work_mem", "2MB"))


@pytest.mark.parametrize("name", ["wal_level", "listen_addresses", "port", "unix_socket_directories", "timezone"])
def test_what_the_contract_fixes_is_refused(name: str) -> None:
    with pytest.raises(UsageFault, match=f"{name}: fixed"):
        check_user_settings(((name, "x"),))


@pytest.mark.parametrize("name", ["", "a b", "x;y", "a.b.c"])
def test_what_is_no_setting_is_refused(name: str) -> None:
    with pytest.raises(UsageFault, match="not the name"):
        check_user_settings(((name, "x"),))


def test_a_value_of_two_lines_is_refused() -> None:
    with pytest.raises(UsageFault, match="one line"):
        check_user_settings((("work_mem", "1MB\nfsync = off"),))


def test_the_key_tells_our_settings_users_settings_and_versions_apart() -> None:
    ours = measuring_settings("compare", _GIB)
    keys = {
        settings_key("18.6", ours, ()),
        settings_key("18.7", ours, ()),
        settings_key("18.6", ours, (("work_mem", "1MB"),)),
        settings_key("18.6", (*ours, ("work_mem", "1MB")), ()),
        settings_key("18.6", measuring_settings("capacity", _GIB), ()),
    }

    assert len(keys) == 5
    assert settings_key("18.6", ours, ()) in keys


def test_quotes_in_values_are_doubled() -> None:
    assert conf_text((("search_path", "it's"),)) == "search_path = 'it''s'\n"
