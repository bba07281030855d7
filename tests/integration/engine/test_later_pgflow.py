"""What a later pgflow may bring is carried: planted into a real one, run, told of in the result, and not dropped."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pgflow_stress.target.assets import pgflow_migrations
from tests.integration.target.helpers import LATER_PGFLOW, needs_later_pgflow, quiet

Run = Callable[..., tuple[int, Any, str]]

RUNS = 6
ONCE = ("--repetitions", 1, "--warmup", 0)
COLUMNS = """
ALTER TABLE pgflow.runs ADD COLUMN priority integer NOT NULL DEFAULT 5;
ALTER TABLE pgflow.step_tasks ADD COLUMN cost numeric;
"""
# At a run's end: one of its steps is archived, and it says so.
STATUS_AND_EVENT = """
DO $do$ DECLARE name text; BEGIN
    FOR name IN SELECT conname FROM pg_constraint WHERE conrelid = 'pgflow.step_states'::regclass AND contype = 'c'
        AND pg_get_constraintdef(oid) LIKE '%status%' LOOP
        EXECUTE format('ALTER TABLE pgflow.step_states DROP CONSTRAINT %I', name);
    END LOOP;
END $do$;
ALTER TABLE pgflow.step_states ADD CONSTRAINT status_is_valid
    CHECK (status = ANY (ARRAY['created', 'started', 'completed', 'failed', 'skipped', 'archived']));
CREATE FUNCTION pgflow.archive() RETURNS trigger LANGUAGE plpgsql AS $f$
DECLARE step text; BEGIN
    SELECT min(step_slug) INTO step FROM pgflow.step_states WHERE run_id = NEW.run_id;
    UPDATE pgflow.step_states SET status = 'archived' WHERE run_id = NEW.run_id AND step_slug = step;
    PERFORM realtime.send(jsonb_build_object('event_type', 'step:archived', 'run_id', NEW.run_id, 'step_slug', step),
        concat('step:', step, ':archived'), concat('pgflow:run:', NEW.run_id), false);
    RETURN NULL;
END $f$;
CREATE TRIGGER archive AFTER UPDATE OF status ON pgflow.runs FOR EACH ROW
    WHEN (NEW.status = 'completed') EXECUTE FUNCTION pgflow.archive();
"""
OF_NOBODY = STATUS_AND_EVENT.replace("FUNCTION pgflow.archive", "FUNCTION public.archive")


@pytest.fixture
def project(tmp_path: Path) -> Callable[[str], Path]:
    """A user's project with pgflow's migrations among its own, and one behind them that plants SQL."""

    def make(planted: str) -> Path:
        folder = tmp_path / "shop" / "supabase" / "migrations"
        folder.mkdir(parents=True)
        for path in pgflow_migrations("0.8.1", quiet).glob("*.sql"):
            shutil.copy(path, folder / f"20250601000000_{path.name}")  # as its installer calls them
        (folder / "20250602000000_orders_of_pgflow_users.sql").write_text("CREATE TABLE orders (id no_such_type);")
        (folder / "29990101000000_pgflow_planted.sql").write_text(planted)
        return tmp_path / "shop"

    return make


def run_on(run: Run, pgflow: Path, *more: object) -> tuple[int, Any, str]:
    return run("chain", "--depth", 3, "--runs", RUNS, "--pgflow", pgflow, *ONCE, *more)


def test_added_columns_are_named_and_left_alone(run: Run, project: Callable[[str], Path]) -> None:
    code, document, said = run_on(run, project(COLUMNS))

    assert code == 0, said
    pgflow = document["environment"]["pgflow"]
    assert pgflow["unknown"]["columns"] == ["runs.priority", "step_tasks.cost"]
    assert pgflow["stand_ins"] is not None
    assert document["repetitions"][0]["audit"]["ok"]


def test_an_added_status_and_event_are_counted_and_not_judged(run: Run, project: Callable[[str], Path]) -> None:
    code, document, said = run_on(run, project(STATUS_AND_EVENT), "--events", "wal")

    assert code == 0, said
    assert document["environment"]["pgflow"]["unknown"]["statuses"] == ["step_states: archived"]
    (repetition,) = document["repetitions"]
    events = repetition["events"]
    assert events["stored"]["step:archived"] == events["received"]["step:archived"] == RUNS
    assert events["stored"]["step:completed"] == events["expected"]["step:completed"]
    assert (events["missing"], events["duplicate"], events["unexpected"]) == (0, 0, 0)
    told = {one["kind"]: one for one in repetition["incidents"]}
    assert told["unknown status"]["subject"] == "step_states: archived"
    assert str(RUNS) in told["unknown status"]["detail"]
    assert f"{RUNS}: " in told["of a type that this tool does not know"]["detail"]
    assert repetition["tasks"]["completed"] == 3 * RUNS


def test_an_event_that_no_function_of_pgflows_names_is_unexpected(run: Run, project: Callable[[str], Path]) -> None:
    code, document, _ = run_on(run, project(OF_NOBODY), "--events", "wal")

    assert code == 4
    assert document["repetitions"][0]["events"]["unexpected"] == RUNS


def test_a_pgflow_that_is_too_old_is_refused_with_what_to_do(run: Run, tmp_path: Path) -> None:
    for path in sorted(pgflow_migrations("0.8.1", quiet).glob("*.sql"))[:2]:
        shutil.copy(path, tmp_path)

    code, document, said = run_on(run, tmp_path)

    assert code == 3
    assert document is None
    assert "not supported: no function pgflow.add_step" in said
    assert "pgflow 0.8 with pgmq 1.5 is the oldest: give a later --pgflow" in said


@needs_later_pgflow
def test_what_each_version_can_do_is_found_by_looking(run: Run) -> None:
    found = {}
    for pgflow in ("0.8.1", LATER_PGFLOW):
        code, document, said = run_on(run, Path(pgflow))
        assert code == 0, said
        found[str(pgflow)] = document["environment"]["pgflow"]

    earlier, later = found.values()
    assert earlier["capabilities"] == ["map steps", "start delays"]
    assert later["capabilities"] == [
        "compilation of flows", "conditions", "flow_input", "map steps", "requeue of stalled tasks", "skipped steps",
        "start delays", "step outputs",
    ]  # fmt: skip
    assert "unknown" not in earlier
    assert "unknown" not in later
    assert {"pg_net", "pg_cron"} <= {str(one).partition(" ")[0] for one in later["stand_ins"]}
