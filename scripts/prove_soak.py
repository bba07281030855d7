"""A soak with and without a planted leak of rows: called degrading, called stationary.

Both sides are the same open load on the embedded server with the same jobs of retention; planted into one of them is
one more migration: a trigger that leaves a row behind for each task completed, in a table that no job knows.

    scripts/prove soak --minutes 30
    scripts/prove soak --minutes 5 --rate 40 --only leak

Prints a line of JSON a side; exit code 0 where both are called rightly.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from _planted import VERSION, migrations_with, tell, tool

RIGHT = {"none": "stationary", "leak": "degrading"}
_LEAK = """
CREATE TABLE pgflow.planted (id bigint GENERATED ALWAYS AS IDENTITY, run_id uuid, filler text);
CREATE FUNCTION pgflow.planted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO pgflow.planted (run_id, filler) VALUES (NEW.run_id, repeat('x', 100));
  RETURN NULL;
END $$;
CREATE TRIGGER planted AFTER UPDATE ON pgflow.step_tasks FOR EACH ROW
  WHEN (new.status = 'completed' AND old.status <> 'completed') EXECUTE FUNCTION pgflow.planted();
"""
_PRUNE = """
with old as (select run_id from pgflow.runs where completed_at < clock_timestamp() - interval '{age:g} seconds'),
 tasks as (delete from pgflow.step_tasks using old where step_tasks.run_id = old.run_id),
 states as (delete from pgflow.step_states using old where step_states.run_id = old.run_id)
delete from pgflow.runs using old where runs.run_id = old.run_id
"""
# The archives of the queues, and the events that realtime keeps: later than their runs, which are whole till then.
_ARCHIVES = """
do $$ declare queue text; old interval := interval '{age:g} seconds'; begin
  for queue in select queue_name from pgmq.meta loop
    execute format('delete from pgmq.%I where archived_at < clock_timestamp() - $1', 'a_' || queue) using old;
  end loop;
  delete from realtime.messages where inserted_at < (clock_timestamp() at time zone 'UTC') - old;
end $$
"""


def main() -> int:
    """Both sides, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0, help="of each side [30]")
    parser.add_argument("--rate", type=float, default=50.0, help="runs started a second [50]")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=sorted(RIGHT), help="one of the sides")
    parser.add_argument("--output", type=Path, metavar="DIR", help="keep the directory of each side's result there")
    asked = parser.parse_args()
    right = 0
    sides = [asked.only] if asked.only else list(RIGHT)
    for side in sides:
        with migrations_with(_LEAK if side == "leak" else "SELECT 1;") as folder:
            keep = ("--output", asked.output / side) if asked.output else ()
            found = soaked(folder, asked.minutes * 60.0, asked.rate, asked.seed, *keep)
        right += found["state"] == RIGHT[side]
        tell(proof="soak", planted=side, right=found["state"] == RIGHT[side], minutes=asked.minutes, **found)
    tell(proof="soak", right=right, of=len(sides), minutes=asked.minutes, held=right == len(sides), pgflow=VERSION)
    return 0 if right == len(sides) else 1


def soaked(migrations: object, seconds: float, rate: float, seed: int, *more: object) -> dict[str, Any]:
    """One soak, with more options of the run: what it is called, and why."""
    every = max(2.0, seconds / 60)
    age = 2 * every
    prunes = [f"{_PRUNE.format(age=age)}@{every:g}s", f"{_ARCHIVES.format(age=2 * age)}@{every:g}s"]
    prunes.append(f"vacuum@{every:g}s")
    began = time.monotonic()
    code, document = tool(
        "run", "concurrent-flows", "--flows", 2, "--steps", 3, "--workers", 2, "--pgflow", migrations, "--soak",
        "--rate", rate, "--duration", f"{seconds:g}s", "--seed", seed,
        *(part for prune in prunes for part in ("--prune", prune)), *more,
    )  # fmt: skip
    if document is None or code:
        raise SystemExit(f"a soak ended with {code}: nothing is proven")
    outcome, soak = document["outcome"]["soak"], document["repetitions"][0]["soak"]
    return {
        "state": outcome["state"],
        "share_per_hour": outcome["share_per_hour"],
        "degrades_most": outcome["of"],
        "reasons": outcome["reasons"],
        "changes": {
            one["name"]: [round(one[key], 4) for key in ("change", "change_low", "change_high")]
            for one in outcome["slopes"]
            if one["change"] is not None and one["decides"]
        },
        "pruned_rows": [prune["rows"] for prune in soak["prunes"]],
        "prunes_failed": sum(prune["failed"] for prune in soak["prunes"]),
        "audit_ok": document["repetitions"][0]["audit"]["ok"],
        "took_seconds": round(time.monotonic() - began, 1),
    }


if __name__ == "__main__":
    sys.exit(main())
