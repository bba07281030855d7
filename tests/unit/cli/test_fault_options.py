"""--fault as it is typed: what is refused, in one line and with 2, before anything is touched."""

from __future__ import annotations

import pytest

from pgflow_stress.cli.commands.find_max import find_max
from pgflow_stress.cli.commands.run import run
from pgflow_stress.cli.request import run_request
from pgflow_stress.core.errors import UsageFault


def _refused(*arguments: str) -> str:
    with run.make_context("run", list(arguments)) as ctx, pytest.raises(UsageFault) as told:
        run_request(ctx)
    text = str(told.value)
    assert "\n" not in text
    return text


def test_an_unknown_fault_is_refused_with_those_there_are() -> None:
    assert "there are kill-worker, stop-worker" in _refused("--fault", "kill-wroker@1s")


def test_a_fault_of_our_own_server_is_refused_on_a_given_one() -> None:
    assert "needs the embedded server" in _refused("--fault", "restart@1s", "--dsn", "postgresql:///x")


def test_a_fault_that_does_not_last_takes_no_length() -> None:
    assert "does not last" in _refused("--fault", "kill-worker@1s:3s")


def test_a_time_that_never_comes_and_work_that_there_is_none_of_are_refused() -> None:
    assert "beyond --duration 2 s" in _refused("-R", "10", "-T", "2s", "--fault", "kill-worker@3s")
    assert "starts no run" in _refused("definition", "--fault", "kill-worker@3s")


def test_losses_that_a_listener_could_not_tell_apart_are_refused() -> None:
    lossy = ("--pg-setting", "synchronous_commit=off", "--fault", "restart-immediate@1s")

    assert "give --events wal" in _refused(*lossy, "--events", "notify")
    assert "does not keep all of them" in _refused(*lossy, "--soak", "-R", "5", "-T", "60s")


def test_workers_with_a_pool_are_struck_only_by_what_leaves_their_connections() -> None:
    told = _refused("--worker-model", "edge-worker", "--fault", "kill-backend@1s")

    assert told.endswith("there are kill-worker, stop-worker, lock-run")


def test_workers_try_to_connect_again_only_where_faults_are_given_or_it_is_asked_for() -> None:
    def seconds(*arguments: str) -> float:
        with run.make_context("run", list(arguments)) as ctx:
            return run_request(ctx).plans[0].options.reconnect_seconds

    assert seconds() == 0
    assert seconds("--fault", "kill-worker@1s") == 30
    assert seconds("--fault", "kill-worker@1s", "--reconnect-budget", "0") == 0
    assert seconds("--reconnect-budget", "5s") == 5


def test_find_max_has_no_faults() -> None:
    names = {name for option in find_max.params for name in option.opts}

    assert "--workers" in names
    assert not {"--fault", "--reconnect-budget"} & names
