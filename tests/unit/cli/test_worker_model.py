"""Worker models: their own defaults, and what does not go together."""

from __future__ import annotations

import pytest

from pgflow_stress.core.errors import UsageFault
from pgflow_stress.scenario.options import Mode
from pgflow_stress.scenario.past import past_of
from tests.integration.cli.test_command_line import typed
from tests.unit.cli.helpers import parse_run


def test_an_edge_worker_has_the_defaults_of_pgflows_own() -> None:
    (plan,) = parse_run("single-flow", "--worker-model", "edge-worker").plans

    options, parameters = plan.options, plan.parameters()
    assert (options.completion, options.poll_size, options.vt_seconds) == (Mode.SINGLE, 10, 2)
    assert (options.concurrency, options.max_pg_connections, options.heartbeat_seconds) == (10, 4, 5.0)
    assert parameters["empty_poll"] == "read-with-poll:2,100"
    assert parameters["worker_model"] == "edge-worker"
    assert parameters["max_pg_connections"] == 4


def test_what_was_given_beats_the_models_defaults() -> None:
    (plan,) = parse_run(
        "single-flow", "--worker-model", "edge-worker", "--poll-size", "20", "--vt", "5", "--concurrency", "3",
        "--max-pg-connections", "1", "--empty-poll", "read-with-poll:1,50",
    ).plans  # fmt: skip

    assert (plan.options.poll_size, plan.options.vt_seconds, plan.options.concurrency) == (20, 5, 3)
    assert (plan.options.max_pg_connections, str(plan.options.empty_poll)) == (1, "read-with-poll:1,50")


def test_the_ceiling_has_as_many_tasks_at_work_as_a_poll_brings() -> None:
    (plan,) = parse_run("single-flow", "--work", "5ms", "--poll-size", "30").plans

    assert plan.options.concurrency == 30
    assert plan.parameters()["work"] == "5ms"
    assert plan.parameters()["max_pg_connections"] is None


def test_a_history_is_made_without_work_and_as_fast_as_it_goes() -> None:
    (plan,) = parse_run("chain", "--worker-model", "edge-worker", "--work", "1s", "--history", "50").plans

    options = past_of(plan).options
    assert (options.worker_model, bool(options.work), options.completion) == ("ceiling", False, Mode.BATCH)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("--worker-model edge-worker --completion batch", "completes each task by itself"),
        ("--worker-model edge-worker --empty-poll spin", "polls in the server"),
        ("--worker-model edge-worker --rate 5 --duration 1s --flows 3 --workers 2", "serves one flow"),
        ("--concurrency 5", "give --work"),
        ("--work 5ms --empty-poll read-with-poll:1,50", "hold up completions"),
        ("--max-pg-connections 2", "is of --worker-model edge-worker"),
        ("--heartbeat-interval 1s", "is of --worker-model edge-worker"),
        ("--work no=5ms", "no step 'no'"),
    ],
)
def test_what_does_not_go_together_is_refused(arguments: str, says: str) -> None:
    with pytest.raises(UsageFault, match=says):
        parse_run("concurrent-flows", *arguments.split())


@pytest.mark.parametrize("work", ["nan", "-5ms", "no=5ms", "lognormal(5ms,nan)"])
def test_bad_work_is_2_and_one_line(work: str) -> None:
    ended = typed("run", "single-flow", "--work", work)

    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert ended.stderr.startswith("pgflow-stress: ")
