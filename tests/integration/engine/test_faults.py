"""Faults as they are typed: each takes hold by its proof, and every task is accounted for by id all the same.

Servers are restarted here, so each has no other user than the run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.target.helpers import plain_server, state_directory

Struck = Callable[..., dict[str, Any]]
# Slow enough that there is work at each strike, whatever machine this is.
SCENARIO = ("concurrent-flows", "--flows", 2, "--steps", 3)
LOAD = ("--workers", 2, "--repetitions", 1, "--warmup", 0)


@pytest.fixture(scope="module")
def struck(prototype: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Struck]:
    """`run SCENARIO LOAD ARGS`, which is to end with 0: its only repetition."""
    with state_directory(prototype=prototype) as state:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PGFLOW_STRESS_")}
        environment["PGFLOW_STRESS_STATE"] = str(state)

        def call(*arguments: object, scenario: bool = True) -> dict[str, Any]:
            arguments = (*(SCENARIO if scenario else ()), *LOAD, *arguments)
            path = tmp_path_factory.mktemp("struck") / "r.json"
            command = [sys.executable, "-m", "pgflow_stress.cli.main", "run", *map(str, arguments)]
            done = subprocess.run(
                [*command, "--json", str(path)],
                capture_output=True, text=True, env=environment, timeout=150, check=False, stdin=subprocess.DEVNULL,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            repetition: dict[str, Any] = json.loads(path.read_text())["repetitions"][0]
            return repetition

        yield call


def _exact(repetition: dict[str, Any]) -> None:
    tasks, client = repetition["tasks"], repetition["client"]
    assert tasks["completed"] == tasks["expected"] == 3 * client["schedule"]["started"]
    assert repetition["audit"]["ok"]
    assert not repetition["lost_worker"]


def _proofs(repetition: dict[str, Any]) -> dict[str, dict[str, Any]]:
    faults = repetition["faults"]
    assert [fault["why"] for fault in faults if not fault["took_hold"]] == []
    return {fault["name"]: fault for fault in faults}


def test_lost_workers_backends_and_locks_cost_time_and_no_task(struck: Struck) -> None:
    repetition = struck(
        "--rate", 60, "--duration", "5s", "--events", "wal", "--completion", "single",
        "--fault", "kill-worker@300ms", "--fault", "exhaust-connections@800ms:500ms", "--fault", "lock-run@2s:300ms",
        "--fault", "kill-backend@3s",
    )  # fmt: skip

    found = _proofs(repetition)
    _exact(repetition)
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

    stop = _proofs(repetition)["stop-worker"]
    _exact(repetition)
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

    found = _proofs(repetition)
    _exact(repetition)
    assert len(found["terminate-all"]["proof"]["backends_gone"]) >= 4  # workers, starters, observer, coordinator
    for name, crashed in (("restart", False), ("restart-immediate", True)):
        proof = found[name]["proof"]
        assert proof["postmaster_before"] != proof["postmaster_after"]
        assert proof["started_after_unix"] > proof["started_before_unix"]
        assert proof["recovered_from_crash"] is crashed
        assert proof["synchronous_commit"] == "on"
        assert found[name]["recovery"]["first_task_seconds"] > 0
    assert repetition["events"]["received"] == repetition["events"]["expected"]


@pytest.mark.parametrize(
    "load",
    [
        ("--in-flight", 3, "--runs", 80, "--client-delay", 5000),  # starters wait for runs that are lost to be done
        ("--rate", 400, "--runs", 60, "--client-delay", 20_000),  # all are started long before the crash
    ],
    ids=["closed", "open"],
)
def test_runs_whose_start_a_crash_loses_are_started_again_whatever_starters_wait_for(
    struck: Struck, load: tuple[object, ...]
) -> None:
    repetition = struck(
        *load, "--completion", "single", "--stall-timeout", "15s",
        "--pg-setting", "synchronous_commit=off", "--pg-setting", "wal_writer_delay=10s",
        "--pg-setting", "wal_writer_flush_after=1GB", "--fault", "restart-immediate@600ms",
    )  # fmt: skip

    _proofs(repetition)
    _exact(repetition)
    (lost,) = [check for check in repetition["audit"]["checks"] if "acknowledged and lost" in check["name"]]
    assert 0 < lost["found"] == lost["expected"]


def test_a_worker_whose_backend_is_gone_completes_again_what_was_adopted_meanwhile(struck: Struck) -> None:
    repetition = struck(
        "--rate", 60, "--duration", "3s", "--completion", "single", "--events", "wal", "--vt", 1,
        "--fault", "stop-terminate-adopt@500ms:1500ms",
    )  # fmt: skip

    proof = _proofs(repetition)["stop-terminate-adopt"]["proof"]
    _exact(repetition)
    assert proof["backends_new"]
    assert not set(proof["backends_new"]) & set(proof["backends_gone"])
    assert repetition["work"]["completed_again"] == proof["tasks_adopted"] > 0
    doubled = {one["name"]: one["count"] for one in repetition["events"]["differences"]}
    assert doubled == {"doubled by pgflow": proof["tasks_adopted"]}


@pytest.mark.parametrize(
    ("fault", "load"),
    [
        ("deadlock-in-map", ("map", "--runs", 30, "--elements", 12, "--completion", "single", "--poll-size", 6)),
        ("deadlock-in-batches", ("fan", "--flows", 1, "--runs", 60, "--completion", "batch", "--poll-size", 20)),
    ],
)
def test_deadlocks_of_pgflows_own_are_provoked_named_and_got_over(
    struck: Struck, fault: str, load: tuple[object, ...]
) -> None:
    repetition = struck(*load, "--client-delay", 2000, "--fault", f"{fault}@200ms", scenario=False)

    proof = _proofs(repetition)[fault]["proof"]
    assert proof["sqlstate"] == "40P01"
    assert proof["refused"] >= 1
    assert repetition["audit"]["ok"]
    assert repetition["tasks"]["completed"] == repetition["tasks"]["expected"]
    assert any(one["kind"] == "deadlock of pgflow's own locks" for one in repetition["incidents"])
    deadlocks = [one for one in repetition["client"]["errors"] if one["sqlstate"] == "40P01"]
    assert sum(one["count"] for one in deadlocks) >= sum(one["retried"] for one in deadlocks) >= 1


def test_connections_cut_or_stalled_and_tasks_adopted_behind_a_workers_back_count_once(struck: Struck) -> None:
    repetition = struck(
        "--rate", 60, "--duration", "4s", "--completion", "single", "--events", "wal", "--fault", "cut@300ms",
        "--fault", "cut@1s", "--fault", "stall@1500ms:700ms", "--fault", "stop-and-adopt@2500ms:300ms",
    )  # fmt: skip

    found = _proofs(repetition)
    _exact(repetition)
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
    _exact(repetition)
    assert not fault["took_hold"]
    assert fault["why"] == "the work was done before its time"
    assert fault["at_ns"] is None


def test_a_crash_without_synchronous_commit_loses_what_the_setting_allows_and_it_is_done_again(struck: Struck) -> None:
    repetition = struck(
        "--rate", 60, "--duration", "4s", "--completion", "single", "--events", "wal",
        "--pg-setting", "synchronous_commit=off", "--pg-setting", "wal_writer_delay=1s",
        "--fault", "restart-immediate@1500ms",
    )  # fmt: skip

    proof = _proofs(repetition)["restart-immediate"]["proof"]
    _exact(repetition)
    assert (proof["synchronous_commit"], proof["recovered_from_crash"]) == ("off", True)
    lost = [check for check in repetition["audit"]["checks"] if "acknowledged and lost" in check["name"]]
    # Most of a second's completions, unless the log was written the very moment before.
    assert [check["found"] for check in lost] == [check["expected"] for check in lost]
    told = [incident for incident in repetition["incidents"] if incident["kind"] == "acknowledged and lost"]
    assert [incident["subject"] for incident in told] == [f"{check['found']} tasks" for check in lost]
    assert lost
    assert repetition["client"]["series"]["complete"]
    assert repetition["events"]["received"] == repetition["events"]["expected"]


def test_connections_by_tcp_to_a_given_server_are_cut_and_stalled_too(struck: Struck) -> None:
    with plain_server(tcp=True) as server:
        repetition = struck(
            "--rate", 60, "--duration", "2s", "--completion", "single", "--dsn", server, "--isolation", "fresh",
            "--fault", "cut@300ms", "--fault", "stall@1s:400ms",
        )  # fmt: skip

    found = _proofs(repetition)
    _exact(repetition)
    assert found["cut"]["proof"]["bytes_kept"] > 0
    assert found["cut"]["proof"]["backends_new"]
    assert found["stall"]["proof"]["bytes_kept"] > 0
