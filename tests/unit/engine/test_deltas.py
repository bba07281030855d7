from __future__ import annotations

from pgflow_stress.engine.deltas import deltas, per_task

BEFORE = {"wal": {"server": {"wal_records": 10.0, "wal_fpi": 2.0}}, "tables": {"pgflow.runs": {"n_tup_upd": 5.0}}}


def test_what_did_not_change_is_left_out_and_a_new_row_counts_from_nothing() -> None:
    after = {
        "wal": {"server": {"wal_records": 30.0, "wal_fpi": 2.0}},
        "tables": {"pgflow.runs": {"n_tup_upd": 5.0}, "pgmq.q_*": {"n_tup_ins": 8.0}},
    }

    assert deltas(BEFORE, after) == {
        "wal": {"server": {"wal_records": 20.0}},
        "tables": {"pgmq.q_*": {"n_tup_ins": 8.0}},
    }


def test_a_view_of_which_a_reading_is_missing_says_nothing() -> None:
    assert deltas(None, BEFORE) == {}
    assert deltas(BEFORE, None) == {}
    assert deltas({"wal": {}}, BEFORE).keys() == {"wal"}


def test_by_task_is_a_division_and_without_tasks_there_is_none() -> None:
    changed = {"wal": {"server": {"wal_records": 20.0}}}

    assert per_task(changed, 8) == {"wal": {"server": {"wal_records": 2.5}}}
    assert per_task(changed, 0) == {}
