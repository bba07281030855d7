from __future__ import annotations

import pytest

from pgflow_stress.core.errors import SetUpFault
from pgflow_stress.target import connect, realtime
from pgflow_stress.target.fingerprint import SPOILERS, is_private
from pgflow_stress.target.inspection import _covers


@pytest.mark.parametrize(
    ("dsn", "told"),
    [
        ("hunter2=x host=", "a parameter that there is none of"),
        ("host=h password=my hunter2=x", "a parameter that there is none of"),
        ("postgresql://u@h/d?hunter2=x", "a parameter that there is none of"),
        ("host=h sslmod=require password=hunter2", "did you mean sslmode?"),
        ("host=h password=hunter2 \udcff", "is not UTF-8"),
        ("host=h password='hunter2", "is no connection string that libpq can read"),
    ],
)
def test_what_libpq_cannot_read_is_not_repeated(dsn: str, told: str) -> None:
    with pytest.raises(SetUpFault) as fault:
        connect.parse(dsn, "--dsn")

    assert "hunter2" not in str(fault.value)
    assert told in str(fault.value)


@pytest.mark.parametrize(
    "name", ["data_directory", "hba_file", "archive_command", "primary_conninfo", "ssl_key_file", "listen_addresses"]
)
def test_paths_commands_and_connection_strings_stay_out_of_a_result(name: str) -> None:
    assert is_private(name)


def test_no_spoiler_is_kept_out_of_a_result() -> None:
    assert not any(is_private(name) for name in SPOILERS)


def test_every_body_of_send_is_a_file_of_its_own() -> None:
    assert len({realtime.send_sql(mode) for mode in realtime.SEND_MODES}) == len(realtime.SEND_MODES)
    assert "ErrorSendingBroadcastMessage: %" in realtime.send_sql("supabase")


def test_a_partitions_bounds_hold_the_moments_between_them() -> None:
    bound = "FOR VALUES FROM ('2026-03-01 00:00:00') TO ('2026-03-02 00:00:00')"

    assert _covers(bound, "2026-03-01 00:00:00")
    assert _covers(bound, "2026-03-01 23:59:59.999")
    assert not _covers(bound, "2026-03-02 00:00:00")
    assert _covers("DEFAULT", "2026-03-02 00:00:00")


def test_both_bodies_that_notify_speak_on_the_one_channel_and_name_the_row() -> None:
    for name, row_id in (("realtime_send_notify", "message_id"), ("notify_trigger", "NEW.id")):
        text = realtime.sql_text(name)
        assert f"pg_notify('{realtime.NOTIFY_CHANNEL}', " in text
        assert f" || ' ' || {row_id});" in text


def test_partitions_are_made_for_tomorrow_or_as_many_days_as_asked_for() -> None:
    assert "generate_series(0, 1)" in realtime.partitions_sql()
    assert "generate_series(0, 30)" in realtime.partitions_sql(30)
    with pytest.raises(ValueError, match="tomorrow at least"):
        realtime.partitions_sql(0)
