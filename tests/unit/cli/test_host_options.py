"""Options about several hosts: what goes together, and each host's share."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pgflow_stress.cli.app import load_command
from pgflow_stress.cli.host_shares import arguments, delays_ns, shares, split
from pgflow_stress.cli.request import RunRequest, run_request
from pgflow_stress.core.errors import UsageFault
from pgflow_stress.core.units import NS_PER_SECOND
from tests.fixtures.typed import environment

DSN = "host=/nowhere dbname=d"
AT = "2026-05-04T12:00:00Z"


def asked(*words: str) -> RunRequest:
    command = load_command("run")
    with command.make_context("run", list(words)) as ctx:
        return run_request(ctx)


@pytest.fixture(autouse=True)
def no_target(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "PGHOST", "PGSERVICE", "PGDATABASE"):
        monkeypatch.delenv(name, raising=False)


def test_a_host_starts_at_a_time_of_the_databases_clock() -> None:
    part = asked("chain", "--dsn", DSN, "--host-id", "a", "--start-at", AT, "--start-every", "30s").part

    assert part is not None
    assert (part.host_id, part.every_ns) == ("a", 30 * NS_PER_SECOND)
    assert part.start_at_ns == 1_777_896_000 * NS_PER_SECOND


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("chain", "--start-at", AT), "give --host-id as well"),
        (("chain", "--dsn", DSN, "--host-id", "a"), "give --start-at TIME"),
        (("chain", "--host-id", "a", "--start-at", AT, "-r", "1", "--warmup", "0"), "share one prepared database"),
        (("chain", "--dsn", DSN, "--isolation", "clone", "--host-id", "a", "--start-at", AT), "share one prepared"),
        (("chain", "--dsn", DSN, "--host-id", "a", "--start-at", AT), "give --start-every S"),
        (("--dsn", DSN, "--host-id", "a", "--start-at", AT), "give one SCENARIO"),
        (("chain", "--dsn", DSN, "--host-id", "a", "--start-at", AT, "--events", "wal"), "leave --events out"),
        (("chain", "--hosts", "local:2", "--host-id", "a"), "leave --host-id and --start-at out"),
        (("chain", "--hosts", "local:2", "--full"), "does not go with --full"),
        (("chain", "--hosts", "local:2", "--fault", "kill-worker@1s"), "does not go with --fault"),
        (("chain", "--dsn", DSN, "--host-id", "a", "--start-at", "-", "--json", "-"), "both want standard output"),
    ],
)
def test_what_does_not_go_together_is_told(words: tuple[str, ...], said: str) -> None:
    with pytest.raises(UsageFault, match=said):
        asked(*words)


@pytest.mark.parametrize("value", ["here:3", "local:0", "tcp://somewhere", "http://x:1"])
def test_hosts_are_a_schedulers_address_or_so_many_here(value: str) -> None:
    import click  # noqa: PLC0415

    with pytest.raises(click.BadParameter, match="give the address of a Dask scheduler"):
        asked("chain", "--hosts", value)


def test_shares_add_up_to_the_whole_load() -> None:
    plan = asked("concurrent-flows", "--hosts", "local:3", "-w", "4", "--runs", "101", "--flows", "7").plans[0]

    parts = shares(plan, ["a", "b", "c"], workers_given=True)

    assert sum(part.runs for part in parts) == plan.runs
    assert sum(part.flows for part in parts) == plan.flows
    assert sorted(part.options.workers for part in parts) == [1, 1, 2]
    assert sum(part.expected_tasks for part in parts) == plan.expected_tasks


def test_a_rate_is_over_all_hosts_and_constant_arrivals_interlace() -> None:
    plan = asked("chain", "--hosts", "local:4", "-w", "4", "--rate", "100", "--duration", "10s").plans[0]

    parts = shares(plan, ["a", "b", "c", "d"], workers_given=True)

    assert sum(part.options.stages[0].per_second for part in parts) == 100
    assert sum(part.runs for part in parts) == plan.runs
    assert delays_ns(plan, 4) == [0, 10_000_000, 20_000_000, 30_000_000]


def test_hosts_with_one_seed_draw_arrivals_of_their_own() -> None:
    plan = asked(
        "chain", "--hosts", "local:2", "-w", "2", "--rate", "100", "--duration", "10s", "--arrival", "poisson"
    ).plans[0]

    one, other = shares(plan, ["a", "b"], workers_given=True)

    assert one.options.seed == other.options.seed
    assert one.schedule_ns().tolist() != other.schedule_ns().tolist()
    assert delays_ns(plan, 2) == [0, 0]


@pytest.mark.parametrize("load", [(), ("--rate", "50", "--duration", "4s"), ("--in-flight", "8")])
def test_the_arguments_of_a_share_ask_for_that_share(load: tuple[str, ...]) -> None:
    plan = asked("fan", "--hosts", "local:2", "-w", "3", "--runs", "40", "--seed", "9", "--vt", "20", *load).plans[0]

    for part in shares(plan, ["a", "b"], workers_given=True):
        words = [*arguments(part), "--dsn", DSN, "--isolation", "prefix", "--start-at", "-"]
        again = asked(*words).plans[0]

        assert again.parameters() == part.parameters()


def test_less_to_do_than_hosts_is_refused() -> None:
    single: Any = asked("single-flow", "--hosts", "local:2").plans[0]

    with pytest.raises(UsageFault, match="1 runs over 2 hosts: a run is of one host; give --runs 2"):
        shares(single, ["a", "b"], workers_given=False)
    with pytest.raises(UsageFault, match="--workers 1 over 2 hosts"):
        shares(asked("chain", "--hosts", "local:2", "-w", "1").plans[0], ["a", "b"], workers_given=True)


def test_it_is_refused_before_a_server_or_an_agent_is_started(tmp_path: Path) -> None:
    words = ["run", "chain", "--hosts", "local:64", "-w", "2"]
    told = subprocess.run(
        [sys.executable, "-m", "pgflow_stress.cli.main", *words], stdin=subprocess.DEVNULL, capture_output=True,
        text=True, check=False, env=environment(PGFLOW_STRESS_STATE=str(tmp_path / "state")),
    )  # fmt: skip

    assert (told.returncode, told.stderr) == (2, "pgflow-stress: --workers 2 over 64 hosts: give at least 64\n")
    assert not (tmp_path / "state").exists()


def test_a_number_is_dealt_out_evenly() -> None:
    assert split(7, 3) == [3, 2, 2]
    assert split(1, 3) == [1, 0, 0]
