"""A cost of O(n) planted into add_step or complete_task, and none: what `sweep` says of each: for prove_sweep.

Planted is a trigger that keeps a core busy for so long times n: for add_step n are the steps that the flow has already,
for complete_task those of the run's flow. Of the first a step sees half of them in the median.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _planted import VERSION, migrations_with, tell, tool

_MIGRATION = """
CREATE FUNCTION pgflow.planted() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE until timestamptz := clock_timestamp();
BEGIN
  until := until + interval '1 microsecond' * {us_per_n} * ({n});
  WHILE clock_timestamp() < until LOOP END LOOP;
  RETURN NULL;
END $$;
CREATE TRIGGER planted AFTER {event} FOR EACH ROW {when} EXECUTE FUNCTION pgflow.planted();
"""
ONCE = ("--workers", 1, "--warmup", 1, "--confirm", 0)


@dataclass(frozen=True)
class Function:
    """One of pgflow's, the sweep that shows its cost, and the SQL that makes it O(n)."""

    job: tuple[object, ...]
    metric: str
    us_per_n: float
    seen: float  # share of n that the median call of the metric pays for
    n: str
    event: str
    when: str = ""
    also: str = ""  # a cost that waits for no core: told beside it, and decides nothing
    is_flat: bool = True  # by itself; else what is found where nothing is planted is told, and decides nothing

    @property
    def migration(self) -> str:
        """What plants it."""
        return _MIGRATION.format(us_per_n=self.us_per_n, n=self.n, event=self.event, when=self.when)


FUNCTIONS = {
    "add_step": Function(
        ("definition", "--flows", 2, "--dependencies", 0, "--creation", "single"),
        "create.latency_ns.p50", 2.0, 0.5, "new.step_index", "INSERT ON pgflow.steps", is_flat=False,
    ),
    "complete_task": Function(
        ("single-flow", "--completion", "single", "--poll-size", 1),
        "process.latency_ns.p50", 2.0, 1.0,
        "SELECT max(step_index) + 1 FROM pgflow.steps WHERE flow_slug = new.flow_slug",
        "UPDATE ON pgflow.step_tasks", "WHEN (new.status = 'completed' AND old.status <> 'completed')",
        "server.cpu_ns_per_task",
    ),
}  # fmt: skip


def curve_of(document: Any, metric: str, axis: str) -> dict[str, Any]:
    """The growth that a sweep tells of a cost along an axis; what it has instead where there is none."""
    for curve in document["curves"]:
        if (curve["metric"], curve["axis"]) == (metric, axis):
            return dict(curve["growth"] or {"shown": curve["reason"], "model": None})
    return {"shown": "no curve", "model": None}


def _prove_one(name: str, migrations: str | Path, planted: bool, steps: str, repetitions: int) -> bool:
    function = FUNCTIONS[name]
    code, document = tool(
        "sweep", *function.job, *ONCE, "--pgflow", migrations, "--vary", f"steps={steps}", "--repetitions", repetitions
    )  # fmt: skip
    if code or document is None:
        raise SystemExit(f"a sweep ended with {code}: nothing is proven")
    found = curve_of(document, function.metric, "steps")
    expected_ns = 1_000 * function.us_per_n * function.seen
    if planted:
        grows_so = "n" in (found["model"], found.get("runner_up") if found.get("margin", 9) < 2 else None)
        held = found["shown"] == "grows" and grows_so
    else:
        # What a whole run costs once is shared by more steps: it may fall.
        held = found["shown"] in ("flat", "falls") or not function.is_flat
    slope = found.get("b") if planted else None
    also = {function.also: curve_of(document, function.also, "steps")} if function.also else {}
    tell(
        proof="planted", function=name, planted=planted, metric=function.metric, shown=found["shown"],
        model=found["model"], per_decade=found.get("per_decade"), b_ns=slope,
        planted_b_ns=expected_ns if planted else None,
        b_inside=bool(slope and slope["low"] <= expected_ns <= slope["high"]) if planted else None,
        **{name: {key: one.get(key) for key in ("shown", "model", "per_decade", "b")} for name, one in also.items()},
        held=held,
    )  # fmt: skip
    return held


def prove_planted(names: list[str], steps: str, repetitions: int, sides: tuple[bool, ...] = (True, False)) -> bool:
    """Found where it is planted, flat where it is not and pgflow's own cost is."""
    held = []
    for name in names or FUNCTIONS:
        for planted in sides:
            chosen = migrations_with(FUNCTIONS[name].migration) if planted else nullcontext(VERSION)
            with chosen as migrations:
                held.append(_prove_one(name, migrations, planted, steps, repetitions))
    tell(proof="planted", sweeps=len(held), held=all(held))
    return all(held)
