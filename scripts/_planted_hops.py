"""A sleep planted into one hop of a run, and where the breakdown shows it: for prove_load.

Planted are 20 ms of pg_sleep in start_flow, or in start_tasks or complete_task for one step alone: that of a run's last
step. Runs start twenty a second, so that none waits for another and nothing else has a reason to move. Each is measured
between two measurements without, in turns, each on a database of its own.

A proof holds where the mean of the planted hop rose by 20 ms within 5 %, no other hop moved by as much as those 5 %
(1 ms), and nothing was left over beyond the tool's own limit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from statistics import fmean
from typing import Any

from _planted import VERSION, migrations_with

from pgflow_stress.analysis.evidence import DEFAULT_LIMITS
from pgflow_stress.core.critical_path import RUN_HOPS
from pgflow_stress.scenario.shapes import SHAPES

Measure = Callable[..., dict[str, Any]]  # options of `run`: the document

PLANTED_MS, TOLERANCE = 20.0, 0.05
RATE = 20
ORDER = (False, True, True, False)  # whether it is planted: what drifts meets both alike
# The last name counts: steps are one after another where there is such a scenario.
_STEPS, _SCENARIO = (2, ("chain",)) if "chain" in SHAPES else (1, ())
LAST_STEP = f"s{_STEPS - 1}"
_JOB = ("--flows", 1, "--steps", _STEPS, "--poll-size", 1, "--completion", "single", "--rate", RATE)
_SLEEP = f"""
CREATE FUNCTION pgflow.planted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_sleep({PLANTED_MS / 1000}); RETURN NULL; END $$;
"""
_ON_TASKS = f"""
CREATE TRIGGER planted AFTER UPDATE ON pgflow.step_tasks FOR EACH ROW
  WHEN (new.step_slug = '{LAST_STEP}' AND new.status = '%s' AND old.status <> new.status)
  EXECUTE FUNCTION pgflow.planted();
"""
PLANTS = {
    "start": "CREATE TRIGGER planted AFTER INSERT ON pgflow.runs FOR EACH ROW EXECUTE FUNCTION pgflow.planted();",
    f"{LAST_STEP}.claim": _ON_TASKS % "started",
    f"{LAST_STEP}.completion": _ON_TASKS % "completed",
}


def prove_hops(measure: Measure, seconds: float) -> Iterator[dict[str, Any]]:
    """One finding a planted hop; each measurement lasts a sixth of `seconds`."""
    for hop, trigger in PLANTS.items():
        with migrations_with(_SLEEP + trigger) as slow:
            sides: dict[bool, list[dict[str, Any]]] = {False: [], True: []}
            for is_planted in ORDER:
                job = (*_JOB, "--duration", f"{seconds / 6:g}s", "--pgflow", slow if is_planted else VERSION)
                document = measure(*job, scenario=_SCENARIO[0]) if _SCENARIO else measure(*job)
                sides[is_planted].append(document["repetitions"][0]["client"]["breakdown"])
        yield _finding(hop, sides[False], sides[True])


def _finding(hop: str, without: list[dict[str, Any]], planted: list[dict[str, Any]]) -> dict[str, Any]:
    before, after = _means_ms(without), _means_ms(planted)
    moved = {name: after[name] - before[name] for name in before}
    left = max(one["residual_share"] for one in (*without, *planted))
    limit_ms = PLANTED_MS * TOLERANCE
    off = [name for name, by_ms in moved.items() if abs(by_ms - (PLANTED_MS if name == hop else 0)) > limit_ms]
    return {
        "proof": "breakdown",
        "planted": hop,
        "planted_ms": PLANTED_MS,
        "moved_ms": {name: round(by_ms, 3) for name, by_ms in moved.items()},
        "without_ms": {name: round(mean_ms, 3) for name, mean_ms in before.items()},
        "runs": [sum(one["runs"] for one in side) for side in (without, planted)],
        "left_over_share": left,
        "off": off,
        "held": not off and left <= DEFAULT_LIMITS.max_breakdown_residual,
    }


def _means_ms(found: list[dict[str, Any]]) -> dict[str, float]:
    """Each hop's mean over the measurements; those of steps by the step's name."""
    flat = [
        {name: one["mean_ns"][name] for name in RUN_HOPS}
        | {f"{place['step']}.{name}": mean for place in one["by_position"] for name, mean in place["mean_ns"].items()}
        for one in found
    ]
    return {name: fmean(one[name] for one in flat) / 1e6 for name in flat[0]}
