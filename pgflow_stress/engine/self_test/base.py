"""What a mutant is: one defect of pgflow as data, how it is planted, and the check that must catch it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from pgflow_stress.core.ids import flow_slug_prefix, run_id
from pgflow_stress.scenario.flow import FlowShape, Step
from pgflow_stress.scenario.options import RunOptions
from pgflow_stress.scenario.plan import Plan
from pgflow_stress.scenario.workload import workload

if TYPE_CHECKING:
    from psycopg import sql

# Two roots, a step that waits for both, and one that waits for it: a small job in which every rule has its place.
SHAPE = FlowShape((Step("a"), Step("b"), Step("c", (0, 1)), Step("d", (2,))))
FLOWS, RUNS = 2, 4
RUN = 1  # the index of the run that is struck; it is of the second flow
OTHERS_RUN = 2  # a run of the other flow


class Where(StrEnum):
    """What is damaged."""

    FUNCTIONS = "functions"  # pgflow's, pgmq's or realtime's, before the job runs
    ROWS = "rows"  # of a finished job, each time the same one: rolled back afterwards


@dataclass(frozen=True, slots=True)
class Mutant:
    """One defect. In `plant` {run}, {flow}, {queue} … stand for what the job's ids make them: see `names_of`."""

    name: str
    what: str
    plant: str  # SQL
    caught_by: str  # of AUDIT_CHECKS or EVENT_CHECKS
    where: Where
    events: bool = False  # whether the job is observed
    stalls: bool = False  # whether the job cannot end by itself
    needs_column: tuple[str, str] | None = None  # (table, column) of pgflow, without which there is nothing to damage


def plan(*, events: bool, stalls: bool = False) -> Plan:
    """The job that each mutant is given to."""
    options = RunOptions(
        workers=2,
        repetitions=1,
        warmup=0,
        events="wal" if events else "none",
        timeout_seconds=20.0,
        drain_timeout_seconds=1.0,
        stall_timeout_seconds=0.5 if stalls else 10.0,
    )
    return Plan("self-test", workload(SHAPE, FLOWS, RUNS), "backlog-drain", options)


def plans() -> tuple[Plan, ...]:
    """Of the jobs that there are, for the engine to have room for."""
    return (plan(events=True), plan(events=False))


def names_of(nonce: int) -> dict[str, sql.Composable]:
    """What the names in a mutant's SQL stand for in the repetition of a nonce."""
    from psycopg import sql  # noqa: PLC0415  the table is read before a libpq is chosen

    prefix = flow_slug_prefix(nonce) + "f"
    flow, other = (f"{prefix}{run % FLOWS}" for run in (RUN, OTHERS_RUN))
    return {
        "prefix": sql.Literal(prefix),
        "run": sql.Literal(str(run_id(nonce, RUN))),
        "unplanned_run": sql.Literal(str(run_id(nonce, RUNS + RUN))),
        "flow": sql.Literal(flow),
        "other_flow": sql.Literal(other),
        "queue": sql.Identifier("pgmq", f"q_{flow}"),
        "archive": sql.Identifier("pgmq", f"a_{flow}"),
        "other_archive": sql.Identifier("pgmq", f"a_{other}"),
    }


def planting(mutant: Mutant, nonce: int) -> sql.Composed:
    """The SQL that plants it into the database of a repetition."""
    from psycopg import sql  # noqa: PLC0415  likewise

    return sql.SQL(mutant.plant).format(**names_of(nonce))
