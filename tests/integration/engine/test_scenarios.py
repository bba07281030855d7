"""Every scenario once, small: outcomes, audit and every event."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pytest

from pgflow_stress.engine.adoption import adopt
from pgflow_stress.engine.driver import END_DONE
from pgflow_stress.scenario.options import RunOptions
from pgflow_stress.target.base import Target
from tests.integration.engine.conftest import Run
from tests.integration.engine.driving import bench
from tests.integration.target.helpers import LATER_PGFLOW, needs_later_pgflow

ONCE = ("--workers", 2, "--repetitions", 1, "--warmup", 0, "--events", "wal")


def _exact(document: Any) -> Any:
    """The only repetition, once its accounts are found exact."""
    (repetition,) = document["repetitions"]
    tasks, events = repetition["tasks"], repetition["events"]
    assert repetition["audit"]["ok"]
    assert tasks["completed"] + tasks["failed"] + tasks["abandoned"] == tasks["expected"]
    assert (events["missing"], events["duplicate"], events["unexpected"]) == (0, 0, 0)
    assert events["expected"] == events["stored"] == events["received"]
    return repetition


def test_chains_fans_maps_and_mixes_have_every_task_and_every_event(run: Run) -> None:
    code, document, said = run(
        "chain", "fan", "map", "mix", "dag", "--flows", 4, "--runs", 6, "--depth", 3, "--width", 4, "--elements", 3,
        "--levels", 2, "--weights", "chain:2,fan:1", "--dag", "a m*2:a z:m; e*0 b:e", "--deal", "zipf:1", *ONCE,
    )  # fmt: skip

    assert code == 0, said
    found = {one["scenario"]["name"]: _exact(one) for one in document}
    assert [found[name]["tasks"]["expected"] for name in ("chain", "fan", "map")] == [18, 36, 48]
    assert sum(found["chain"]["events"]["received"].values()) == 6 * (2 + 2 * 3)
    assert sum(found["map"]["events"]["received"].values()) == 6 * (2 + 2 * 4)
    assert document[3]["scenario"]["parameters"]["chain.depth"] == 10
    hops = found["mix"]["client"]["breakdown"]
    assert hops["runs"] + sum(hops["left_out"].values()) == hops["completed_runs"] == 6
    assert sum(hops["mean_ns"].values()) + hops["residual_ns"] == pytest.approx(hops["response_ns"])


def test_what_fails_by_design_is_an_outcome_and_no_fault(run: Run) -> None:
    code, document, said = run(
        "retries", "--runs", 30, "--flows", 3, "--failure-probability", 0.3, "--failing-runs", 0.2, "--base-delay", 0,
        *ONCE,
    )  # fmt: skip

    repetition = _exact(document)
    checks = {check["name"]: check for check in repetition["audit"]["checks"]}
    assert code == 0, said
    assert checks["runs fail as the seed decides"]["found"] > 0
    assert repetition["tasks"]["failed"] >= checks["runs fail as the seed decides"]["found"]
    assert repetition["events"]["received"]["run:failed"] == checks["runs fail as the seed decides"]["expected"]
    assert repetition["client"]["fail"]["latency_ns"]["count"] > 0
    hops = repetition["client"]["breakdown"]
    failed = hops["left_out"].pop("failed")
    assert failed == checks["runs fail as the seed decides"]["found"] == 30 - hops["completed_runs"]
    assert hops["runs"] + sum(hops["left_out"].values()) == hops["completed_runs"]
    assert hops["left_out"]["attempted_again"] > 0


def test_flows_are_created_where_no_run_is_started(run: Run) -> None:
    code, document, said = run("definition", "--flows", 6, "--steps", 5, "--dependencies", 2, *ONCE)

    repetition = _exact(document)
    assert code == 0, said
    assert repetition["phases"]["create"]["count"] == 30
    assert repetition["phases"]["process"]["count"] == 0


@needs_later_pgflow
def test_a_later_pgflow_runs_what_the_pinned_one_does(run: Run) -> None:
    code, document, said = run(
        "dag", "--dag", "a b:a m*3:b n*3:m c:n,a; x y*2 z:y,x", "--flows", 2, "--runs", 8, "--base-delay", 0,
        "--failure-probability", 0.2, "--pgflow", LATER_PGFLOW, *ONCE,
    )  # fmt: skip

    assert code == 0, said
    assert _exact(document)["tasks"]["expected"] == 4 * 9 + 4 * 4


def test_a_run_that_a_dead_worker_failed_unheard_is_written_off_by_its_replacement(target: Target) -> None:
    calm = (("failure-probability", 0.0), ("failing-runs", 0.0), ("attempts", 1))
    with bench(target, "retries", RunOptions(workers=1, runs=2, flows=1, steps=2, parameters=calm)) as made:
        assert [made.driver.create(), made.driver.start()] == [END_DONE] * 2
        dead = os.urandom(16)
        made.connection.execute(
            "insert into pgflow.workers (worker_id, queue_name, function_name) values (%s, 'q', 'test')", (dead.hex(),)
        )
        flow = f"{made.slug_prefix}f0"
        made.connection.execute("select * from pgmq.read(%s, 60, 1)", (flow,))
        made.connection.execute("select * from pgflow.start_tasks(%s, array[1::bigint], %s)", (flow, dead.hex()))
        made.connection.execute(
            "select pgflow.fail_task(run_id, step_slug, task_index, 'unheard') from pgflow.step_tasks "
            "where status = 'started'"
        )

        adopt(replace(made.order, replaces_worker_id=dead), made.connection, made.books.account)

        assert made.books.account.left(0) == 3
        assert made.driver.process() == END_DONE
        assert made.books.account.left(0) == 0


def test_what_a_dead_worker_and_the_one_before_it_claimed_is_completed_with_each_steps_own_output(
    target: Target,
) -> None:
    """A step that a map is over gives an array: with anything else pgflow fails the run."""
    options = RunOptions(workers=1, runs=2, flows=1, parameters=(("elements", 2),), poll_size=1)
    with bench(target, "map", options) as made:
        assert [made.driver.create(), made.driver.start()] == [END_DONE] * 2
        dead = [os.urandom(16), os.urandom(16)]
        flow = f"{made.slug_prefix}f0"
        for message, worker in enumerate(dead, 1):
            made.connection.execute(
                "insert into pgflow.workers (worker_id, queue_name, function_name) values (%s, 'q', 'test')",
                (worker.hex(),),
            )
            made.connection.execute("select * from pgmq.read(%s, 60, 1)", (flow,))
            made.connection.execute(
                "select * from pgflow.start_tasks(%s, array[%s::bigint], %s)", (flow, message, worker.hex())
            )

        adopt(
            replace(made.order, replaces_worker_id=dead[1], replaces_earlier=(dead[0],)),
            made.connection,
            made.books.account,
        )

        assert made.books.account.left(0) == 6  # of 8: each run's list is done
        assert made.driver.process() == END_DONE
        runs = made.connection.execute("select status from pgflow.runs where flow_slug = %s", (flow,)).fetchall()
        assert runs == [("completed",)] * 2
