"""`profile` as it is typed: it adds up, names what it saw, and says by name what it could not see."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pgflow_stress.analysis.attribution import AROUND, PLANNING, STATEMENT
from pgflow_stress.analysis.profile import OUTSIDE, RUN_QUEUE
from pgflow_stress.core.arena import Arena, ArenaSize
from pgflow_stress.engine.orders import SamplerOrder
from pgflow_stress.engine.probes.base import Means, Unseen
from pgflow_stress.engine.probes.elsewhere import Elsewhere
from pgflow_stress.engine.sampler_book import Book
from pgflow_stress.engine.telemetry_accounts import ends_of, hosts, take_telemetry
from pgflow_stress.target.base import Target, TargetOptions
from pgflow_stress.target.choice import choose_target
from pgflow_stress.target.installing import install_into
from tests.integration.engine.test_telemetry import unprivileged  # noqa: F401  a fixture
from tests.integration.target.helpers import opened, quiet, rows

FLOWS = Path(__file__).resolve().parents[2] / "data/flows"
SMALL = ("concurrent-flows", "--flows", "2", "--runs", "150", "--steps", "10", "--workers", "4", "--warmup", "0")
WITHIN = 0.5  # of a window of a second on a shared machine; scripts/prove profile holds it to a tenth


def typed(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """`profile ARGUMENTS` in this module's state directory."""
    kept = {k: v for k, v in os.environ.items() if k == "PGFLOW_STRESS_STATE" or not k.startswith("PGFLOW_STRESS_")}
    return subprocess.run(
        [sys.executable, "-m", "pgflow_stress.cli.main", "profile", *arguments],
        capture_output=True, text=True, env={**kept, **variables}, timeout=150, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.fixture(scope="module")
def profiled(target: Target, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """(directory, what was printed) of one profile on the embedded server, without perf on its path."""
    out = tmp_path_factory.mktemp("profile") / "o"
    done = typed(*SMALL, "--output", str(out), PATH="/nonexistent")
    assert done.returncode == 0, done.stderr
    return out, done.stderr


def document(folder: Path) -> Any:
    return json.loads((folder / "result.json").read_text())


def test_rows_add_up_and_name_functions_and_statements(profiled: tuple[Path, str]) -> None:
    found = document(profiled[0])["profile"]
    cost = found["cost"]

    assert sum(row["wall_ns_per_task"] for row in cost["rows"]) == pytest.approx(cost["wall_ns_per_task"])
    assert sum(row["cpu_ns_per_task"] for row in cost["rows"]) == pytest.approx(cost["cpu_ns_per_task"])
    assert abs(cost["residual_share"]) < WITHIN
    assert {row["kind"] for row in cost["rows"]} == {STATEMENT, PLANNING, AROUND, OUTSIDE}
    functions = {one["name"] for one in cost["functions"]}
    assert {"pgflow.complete_task", "pgflow.start_ready_steps", "pgmq.archive", "realtime.send"} <= functions
    main = next(row for row in cost["rows"] if row["statement"].startswith("WITH task AS"))
    assert main["function"] == "pgflow.complete_task"
    assert main["calls_per_task"] == pytest.approx(1, abs=0.01)
    assert RUN_QUEUE in {one["wait"] for one in cost["waits"]}
    assert not cost["unplaced"]


def test_it_tells_plans_and_the_one_run_and_what_perf_would_add(profiled: tuple[Path, str]) -> None:
    out, said = profiled
    found = document(out)["profile"]

    assert any(plan["function"] == "pgflow.complete_task" and plan["nodes"] for plan in found["plans"])
    assert "perf is not installed" in found["call_graphs"]["not_seen"]
    assert "perf is not installed" in said
    for word in ("saturated", "workers' time", "server CPU a task", "adds up", "function, itself", "held up by"):
        assert word in said
    assert "Where the server" in (out / "report.html").read_text()
    assert not list(out.glob("*.speedscope.json"))


def test_a_role_that_may_not_look_is_profiled_as_far_as_it_may(unprivileged: str) -> None:  # noqa: F811
    done = typed(*SMALL, "--no-perf", "--dsn", unprivileged, "--json", "-")

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["profile"]
    lines = "\n".join(found["not_seen"])
    for lacking in ("pg_stat_statements", "track_functions", "plans of nested statements", "pg_monitor"):
        assert lacking in lines
        assert lacking in done.stderr
    assert found["worker_time"]["server_ns_per_task"] > 0


def test_of_a_flow_of_the_users_own_the_queue_is_named(state: Path) -> None:
    with opened(profiled=True) as target:
        server = target.conninfo("postgres")  # type: ignore[attr-defined]
        rows(server, "create database orders")
        dsn = server.replace("dbname=postgres", "dbname=orders")
        options = TargetOptions(dsn=dsn, dsn_typed=True)
        install_into(options, choose_target(options, {}), quiet)
        rows(dsn, "create extension pg_stat_statements")
        rows(dsn, (FLOWS / "fulfil_order.sql").read_text())
        done = typed(
            "--flow-slug", "fulfilOrder", "--runs", "60", "--workers", "2", "--warmup", "0", "--no-perf",
            "--dsn", dsn, "--json", "-",
        )  # fmt: skip
        rows(server, "drop database orders with (force)")

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["profile"]["cost"]["rows"]
    named = {row["function"]: row["statement"] for row in found if "fulfilorder" in row["statement"]}
    assert "FROM pgmq.q_fulfilorder" in named["pgmq.read"]
    assert "pgmq.a_fulfilorder" in named["pgmq.archive"]


def means_of(arena: Arena, conninfo: str) -> Means:
    """A sampler's that has not found the server among this host's processes."""
    means = Means(arena, SamplerOrder(0, arena.size, conninfo, True, "full", 10**9, os.getpid()), Book(arena))
    means.backends = {means.connection.info.backend_pid: "backend of worker 0"}
    return means


def test_a_server_elsewhere_is_read_through_sql_where_the_role_may(target: Target, unprivileged: str) -> None:  # noqa: F811
    arena = Arena(ArenaSize(processes=2, flows=1, runs=1, tasks=1, rows=1, points=4096))
    means = means_of(arena, target.conninfo("postgres"))  # type: ignore[attr-defined]
    onlooking = means_of(arena, unprivileged)
    try:
        probe = Elsewhere(means)
        for _ in range(2):
            probe.tick()
            means.book.flush()
            sum(range(2_000_000))
        taken = take_telemetry(arena)
        with pytest.raises(Unseen, match="permission denied"):
            Elsewhere(onlooking)
    finally:
        means.close()
        onlooking.close()
        arena.close()

    of_host = {series.metric for series in taken.series if series.role == "server host"}
    assert {"cpu_busy_total", "cpu_steal_total", "load_1m"} <= of_host
    values = {s.metric: taken.points["value"][p] for p, s in enumerate(taken.series) if s.subject.startswith("backend")}
    assert values["cpu_total"] > 0
    assert "run_queue_total" in values
    (found,) = hosts(taken, ends_of(taken)).items()
    assert found[0] == "server host"
    assert found[1]["cores"] == len(
        [line for line in Path("/proc/stat").read_text().splitlines() if line[3:4].isdigit()]
    )
    assert 0 <= found[1]["busy_share"] <= 1
