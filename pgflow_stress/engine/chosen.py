"""Which rows of a database are looked at: those of some flows, or of a deployed flow those of our own runs alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from psycopg import sql

from pgflow_stress.core.ids import RUN_ID_PREFIX, run_id, run_id_bounds
from pgflow_stress.scenario.workload import Workload

_ALIASES = "rsckw"


@dataclass(frozen=True, slots=True)
class Chosen:
    """SQL of conditions, with values by name."""

    flows: str  # on {slug}, a flow's
    runs: str = ""  # on {run}, a run's id; empty: every run of these flows
    messages: str = "true"  # on m.message, of those in their queues
    values: dict[str, object] = field(default_factory=dict)

    def but(self, runs: Sequence[str]) -> Chosen:
        """The same without these runs."""
        if not runs:
            return self
        without = "{run} <> all({left_out}::uuid[])"
        of_runs = f"({self.runs}) and {without}" if self.runs else f"{self.flows} and {without}"
        return replace(self, runs=of_runs, values={**self.values, "left_out": list(runs)})

    def parts(self) -> dict[str, sql.Composable]:
        """For each alias a: {of_a} where it has runs, {flows_a} where it has flows or steps; {of_messages}."""
        literals = {name: sql.Literal(value) for name, value in self.values.items()}
        found: dict[str, sql.Composable] = {"of_messages": sql.SQL(self.messages).format(**literals)}
        for alias in _ALIASES:
            slug, run = sql.Identifier(alias, "flow_slug"), sql.Identifier(alias, "run_id")
            flows = sql.SQL(self.flows).format(slug=slug, **literals)
            found[f"flows_{alias}"] = flows
            found[f"of_{alias}"] = sql.SQL(self.runs).format(run=run, slug=slug, **literals) if self.runs else flows
        return found


def chosen_of(work: Workload, slug_prefix: str, nonce: int) -> Chosen:
    """What a repetition has made: flows by their slugs' beginning, of a deployed flow its runs by their ids."""
    if work.deployed is None:
        return Chosen("starts_with({slug}, {prefix})", values={"prefix": slug_prefix + "f"})
    first, last = run_id_bounds(nonce)
    return Chosen(
        "{slug} = {deployed}",
        "{run} between {first}::uuid and {last}::uuid",
        "starts_with(m.message ->> 'run_id', {ours})",
        {
            "deployed": work.deployed,
            "first": str(first),
            "last": str(last),
            "ours": str(run_id(nonce, 0))[:RUN_ID_PREFIX],
        },
    )
