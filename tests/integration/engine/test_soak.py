"""A short soak: its books are bounded and add up, a job of retention runs meanwhile, and what it removed is no loss."""

from __future__ import annotations

from tests.integration.engine.conftest import Run

LOAD = ("concurrent-flows", "--flows", 2, "--steps", 2, "--workers", 2, "--soak", "--rate", 30)
PRUNE = """
with old as (select run_id from pgflow.runs where completed_at < clock_timestamp() - interval '3 seconds'),
 tasks as (delete from pgflow.step_tasks using old where step_tasks.run_id = old.run_id),
 states as (delete from pgflow.step_states using old where step_states.run_id = old.run_id)
delete from pgflow.runs using old where runs.run_id = old.run_id
"""


def test_a_soak_is_told_window_by_window_and_its_job_of_retention_is_timed(run: Run) -> None:
    code, document, said = run(*LOAD, "--duration", "20s", "--prune", f"{PRUNE}@4s", "--prune", "vacuum pgflow.runs@9s")

    assert code == 0, said
    (repetition,) = document["repetitions"]
    soak, outcome = repetition["soak"], document["outcome"]["soak"]
    assert soak["window_seconds"] == 1
    borders = len(soak["readings"]["seconds"])
    assert 15 <= borders <= 21  # on a busy machine the last ones may come after the end
    assert len(soak["windows"]["tasks"]) == borders - 1
    assert sum(soak["windows"]["tasks"]) <= repetition["tasks"]["completed"]
    assert sum(soak["windows"]["tasks"]) >= 0.5 * repetition["tasks"]["completed"]
    assert all(soak["readings"][name][-1] is not None for name in soak["readings"])
    xids = soak["readings"]["xids"]
    assert xids == sorted(xids)
    deleting, vacuuming = soak["prunes"]
    assert 3 <= deleting["count"] <= 5
    assert deleting["failed"] == vacuuming["failed"] == 0
    assert deleting["rows"] > 100
    assert 1 <= vacuuming["count"] <= 2
    assert repetition["audit"]["ok"]
    removed = next(check for check in repetition["audit"]["checks"] if "--prune removed" in check["name"])
    assert removed["expected"] == removed["found"] > 0
    assert outcome["state"] in ("stationary", "degrading", "cannot tell")
    assert outcome["disk_full"] is None or outcome["freeze"]["hours"] > 0
    assert "soak" in said


def test_a_job_of_retention_that_is_no_statement_is_told_before_the_window(run: Run) -> None:
    code, document, said = run(*LOAD, "--purpose", "compare", "--duration", "20s", "--prune", "delete from nowhere@4s")

    assert code == 3
    assert document is None
    assert 'relation "nowhere" does not exist' in said
