"""Faults as they are typed: each takes hold by its proof, and every task is accounted for by id all the same.

Servers are restarted here, so each has no other user than the run.
"""

from __future__ import annotations

from tests.integration.engine.striking import Struck, exact, proofs


def test_lost_workers_backends_and_locks_cost_time_and_no_task(struck: Struck) -> None:
    repetition = struck(
        "--rate", 60, "--duration", "5s", "--events", "wal", "--completion", "single",
        "--fault", "kill-worker@300ms", "--fault", "exhaust-connections@800ms:500ms", "--fault", "lock-run@2s:300ms",
        "--fault", "kill-backend@3s",
    )  # fmt: skip

    found = proofs(repetition)
    exact(repetition)
    kill, backend, lock = found["kill-worker"], found["kill-backend"], found["lock-run"]
    assert kill["proof"]["replaced_by_pid"] not in (0, kill["proof"]["pid"])
    assert backend["proof"]["backends_new"]
    assert not set(backend["proof"]["backends_new"]) & set(backend["proof"]["backends_gone"])
    assert lock["proof"]["backends_waiting"]
    taken = found["exhaust-connections"]
    assert taken["proof"]["connections_taken"] > 100
    assert taken["proof"]["refused_with"] == "53300"
    assert taken["proof"]["backends_new"]
    assert kill["recovery"]["first_task_of_subject_seconds"] > 0
    events = repetition["events"]
    assert events["received"] == events["stored"] == events["expected"]
    kinds = [incident["kind"] for incident in repetition["incidents"]]
    assert {"fault injected", "worker lost", "worker replaced", "worker reconnected"} <= set(kinds)


def test_a_worker_that_stands_still_past_the_visibility_has_its_messages_read_again_and_completes_them(
    struck: Struck,
) -> None:
    repetition = struck("--rate", 60, "--duration", "5s", "--vt", 1, "--fault", "stop-worker@500ms:2500ms")

    stop = proofs(repetition)["stop-worker"]
    exact(repetition)
    assert (stop["proof"]["state"], stop["proof"]["state_at_the_end"]) == ("T", "T")
    assert stop["proof"]["outlasted_vt"]
    assert 0 < stop["proof"]["messages_read_again"] <= stop["proof"]["tasks_in_hand"]
    assert repetition["work"]["messages_read_again"] >= stop["proof"]["messages_read_again"]
    assert len(repetition["work"]["read_again_ids"]) == min(20, repetition["work"]["messages_read_again"])
    assert repetition["work"]["completed_again"] == 0


def test_a_server_that_is_restarted_or_crashes_loses_nothing_that_was_acknowledged(struck: Struck) -> None:
    repetition = struck(
        "--rate", 40, "--duration", "7s", "--events", "wal", "--completion", "pipeline",
        "--fault", "terminate-all@500ms", "--fault", "restart@1800ms", "--fault", "restart-immediate@4s",
    )  # fmt: skip

    found = proofs(repetition)
    exact(repetition)
    assert len(found["terminate-all"]["proof"]["backends_gone"]) >= 4  # workers, starters, observer, coordinator
    for name, crashed in (("restart", False), ("restart-immediate", True)):
        proof = found[name]["proof"]
        assert proof["postmaster_before"] != proof["postmaster_after"]
        assert proof["started_after_unix"] > proof["started_before_unix"]
        assert proof["recovered_from_crash"] is crashed
        assert proof["synchronous_commit"] == "on"
        assert found[name]["recovery"]["first_task_seconds"] > 0
    assert repetition["events"]["received"] == repetition["events"]["expected"]


def test_connections_cut_or_stalled_and_tasks_adopted_behind_a_workers_back_count_once(struck: Struck) -> None:
    repetition = struck(
        "--rate", 60, "--duration", "4s", "--completion", "single", "--events", "wal", "--fault", "cut@300ms",
        "--fault", "cut@1s", "--fault", "stall@1500ms:700ms", "--fault", "stop-and-adopt@2500ms:300ms",
    )  # fmt: skip

    found = proofs(repetition)
    exact(repetition)
    for cut in (fault for fault in repetition["faults"] if fault["name"] == "cut"):
        assert cut["proof"]["bytes_kept"] > 0  # the rest of a message that never came
        assert cut["proof"]["backends_new"]
    assert found["stall"]["proof"]["bytes_kept"] > 0
    adopted = found["stop-and-adopt"]["proof"]["tasks_adopted"]
    assert adopted > 0
    assert repetition["work"]["completed_again"] == adopted
    doubled = {one["name"]: one for one in repetition["events"]["differences"]}["doubled by pgflow"]
    assert doubled["count"] == adopted
    assert any(incident["kind"] == "doubled by pgflow" for incident in repetition["incidents"])


def test_a_fault_whose_time_never_came_says_so(struck: Struck) -> None:
    repetition = struck("--rate", 50, "--runs", 20, "--fault", "kill-worker@60s")

    (fault,) = repetition["faults"]
    exact(repetition)
    assert not fault["took_hold"]
    assert fault["why"] == "the work was done before its time"
    assert fault["at_ns"] is None


def test_a_crash_without_synchronous_commit_loses_what_the_setting_allows_and_it_is_done_again(struck: Struck) -> None:
    repetition = struck(
        "--rate", 60, "--duration", "4s", "--completion", "single", "--events", "wal",
        "--pg-setting", "synchronous_commit=off", "--pg-setting", "wal_writer_delay=1s",
        "--fault", "restart-immediate@1500ms",
    )  # fmt: skip

    proof = proofs(repetition)["restart-immediate"]["proof"]
    exact(repetition)
    assert (proof["synchronous_commit"], proof["recovered_from_crash"]) == ("off", True)
    lost = [check for check in repetition["audit"]["checks"] if "acknowledged and lost" in check["name"]]
    # Most of a second's completions, unless the log was written the very moment before.
    assert [check["found"] for check in lost] == [check["expected"] for check in lost]
    told = [incident for incident in repetition["incidents"] if incident["kind"] == "acknowledged and lost"]
    assert [incident["subject"] for incident in told] == [f"{check['found']} tasks" for check in lost]
    assert lost
    assert repetition["client"]["series"]["complete"]
    assert repetition["events"]["received"] == repetition["events"]["expected"]
