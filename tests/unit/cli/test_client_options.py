from __future__ import annotations

import pytest

from pgflow_stress.core.errors import UsageFault
from pgflow_stress.core.probes import Probe
from pgflow_stress.scenario.options import default_workers
from pgflow_stress.scenario.past import past_of
from pgflow_stress.target.base import TargetOptions
from pgflow_stress.target.given import choose_isolation
from tests.unit.cli.helpers import parse_run


def test_a_probe_runs_each_kind_once_a_turn_and_as_it_is_while_it_warms_up() -> None:
    plan = parse_run("concurrent-flows", "--probe-client", "-r", "4", "-w", "2", "--client-delay", "5").plans[0]

    varied = [plan.at(index, client_ns_per_task=2000.0) for index in range(plan.repetitions)]

    assert plan.repetitions == 1 + 3 * 4
    assert varied[0].probe is Probe.AS_IS
    for turn in range(1, plan.repetitions, 3):
        assert {one.probe for one in varied[turn : turn + 3]} == set(Probe)
    assert {one.probe: one.options.workers for one in varied}[Probe.MORE_WORKERS] == 3
    assert {one.probe: one.options.client_delay_ns for one in varied}[Probe.MORE_COST] == 5200
    assert all(one.most_workers <= plan.most_workers for one in varied)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("--probe-client -r 1", "give at least --repetitions 2"),
        ("--probe-client --warmup 0", "--warmup 1"),
        ("--probe-client --rate 5 --duration 1s", "its schedule's"),
        ("--probe-client --events wal --observer-cost", "give one of them"),
        ("--client-delay -1", "not in the range"),
        ("--history -1", "not in the range"),
        ("--planner-statistics backlog --in-flight 2", "this load is closed"),
        ("--planner-statistics some", "not one of"),
    ],
)
def test_what_does_not_go_together_is_refused(arguments: str, told: str) -> None:
    with pytest.raises(Exception, match=told):
        parse_run("single-flow", *arguments.split())


def test_capacity_has_a_history_of_twice_a_repetition_and_a_comparison_none() -> None:
    def history(*arguments: str) -> int:
        return parse_run("concurrent-flows", *arguments).plans[0].history

    assert history() == 0
    assert history("--purpose", "capacity") == 1600
    assert history("--purpose", "capacity", "--runs", "5000") == 20_000
    assert history("--purpose", "capacity", "--history", "0") == 0
    assert history("--history", "70") == 70


def test_a_history_is_of_whole_runs_of_the_same_shape_and_drained() -> None:
    plan = parse_run("concurrent-flows", "--history", "75", "--in-flight", "3", "--duration", "5s").plans[0]

    past = past_of(plan)

    assert (past.runs, past.flows, past.expected_tasks, past.load_model) == (8, 8, 80, "backlog-drain")
    assert past.history == 0
    assert past.shape == plan.shape


@pytest.mark.parametrize("workers", [1, 64])
def test_a_history_is_made_by_all_cores_whatever_is_measured_with(workers: int) -> None:
    plan = parse_run("concurrent-flows", "--history", "75", "--workers", str(workers)).plans[0]

    assert past_of(plan).options.workers == max(workers, default_workers())
    assert plan.options.workers == workers


def test_a_given_database_is_as_old_as_it_is_and_its_planner_knows_what_it_knows() -> None:
    with pytest.raises(UsageFault, match="--history needs --isolation clone or fresh"):
        choose_isolation(TargetOptions(dsn="x", aged=True), None)  # type: ignore[arg-type]
    with pytest.raises(UsageFault, match="--planner-statistics needs --isolation clone or fresh"):
        choose_isolation(TargetOptions(dsn="x", analyzed=True), None)  # type: ignore[arg-type]


def test_statistics_of_the_backlog_are_a_parameter_that_results_name_only_where_they_were_taken() -> None:
    asked = parse_run("single-flow", "--planner-statistics", "backlog")

    assert asked.target.analyzed
    assert asked.plans[0].parameters()["planner_statistics"] == "backlog"
    assert "planner_statistics" not in parse_run("single-flow").plans[0].parameters()
    assert past_of(parse_run("single-flow", "--history", "75").plans[0]).options.planner_statistics == "backlog"
