"""Races of pgflow's own and of crashes, provoked: each is seen, named and got over, and every task is accounted for."""

from __future__ import annotations

import pytest

from tests.integration.engine.striking import Struck, exact, proofs
from tests.integration.target.helpers import LATER_PGFLOW, needs_later_pgflow, plain_server


@pytest.mark.parametrize(
    "load",
    [
        ("--in-flight", 3, "--runs", 80, "--client-delay", 5000),  # starters wait for runs that are lost to be done
        (
            "--rate",
            400,
            "--runs",
            60,
            "--client-delay",
            10_000,
            "--poll-size",
            2,
        ),  # all are started long before the crash
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

    proofs(repetition)
    exact(repetition)
    (lost,) = [check for check in repetition["audit"]["checks"] if "acknowledged and lost" in check["name"]]
    assert 0 < lost["found"] == lost["expected"]


def test_a_worker_whose_backend_is_gone_completes_again_what_was_adopted_meanwhile(struck: Struck) -> None:
    repetition = struck(
        "--rate", 60, "--duration", "3s", "--completion", "single", "--events", "wal", "--vt", 1,
        "--fault", "stop-terminate-adopt@500ms:1500ms",
    )  # fmt: skip

    proof = proofs(repetition)["stop-terminate-adopt"]["proof"]
    exact(repetition)
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
def test_deadlocks_of_pgflows_own_are_named_and_got_over(struck: Struck, fault: str, load: tuple[object, ...]) -> None:
    """Whether a strike meets a worker in the right moment is chance; `scripts/prove races` asks for it."""
    repetition = struck(*load, "--client-delay", 2000, "--fault", f"{fault}@200ms", scenario=False)

    (strike,) = repetition["faults"]
    deadlocks = [one for one in repetition["client"]["errors"] if one["sqlstate"] == "40P01"]
    assert repetition["audit"]["ok"]
    assert repetition["tasks"]["completed"] == repetition["tasks"]["expected"]
    assert any(one["kind"] == "deadlock of pgflow's own locks" for one in repetition["incidents"]) == bool(deadlocks)
    if strike["took_hold"]:
        assert strike["proof"]["sqlstate"] == "40P01"
        assert sum(one["count"] for one in deadlocks) >= strike["proof"]["refused"] >= 1
        assert sum(one["retried"] for one in deadlocks) >= 1
    else:
        assert strike["why"]


def test_connections_by_tcp_to_a_given_server_are_cut_and_stalled_too(struck: Struck) -> None:
    with plain_server(tcp=True) as server:
        repetition = struck(
            "--rate", 60, "--duration", "2s", "--completion", "single", "--dsn", server, "--isolation", "fresh",
            "--fault", "cut@300ms", "--fault", "stall@1s:400ms",
        )  # fmt: skip

    found = proofs(repetition)
    exact(repetition)
    assert found["cut"]["proof"]["bytes_kept"] > 0
    assert found["cut"]["proof"]["backends_new"]
    assert found["stall"]["proof"]["bytes_kept"] > 0


@needs_later_pgflow
def test_an_attempt_that_pgflow_took_for_stalled_is_none_that_the_seed_decides(struck: Struck) -> None:
    repetition = struck(
        "retries", "--runs", 60, "--failure-probability", 0.1, "--attempts", 3, "--failing-runs", 0.05, "--vt", 1,
        "--in-flight", 4, "--completion", "single", "--poll-size", 5, "--client-delay", 3000,
        "--fault", "requeue-stalled@300ms", "--pgflow", LATER_PGFLOW, scenario=False,
    )  # fmt: skip

    proof = proofs(repetition)["requeue-stalled"]["proof"]
    assert proof["requeued"] == repetition["work"]["requeued_by_pgflow"] > 0
    (attempts,) = [one for one in repetition["audit"]["checks"] if "the attempt that the seed decides" in one["name"]]
    assert attempts["ok"]
