"""The invariants of a database that may be anybody's: read in one snapshot, nothing changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pgflow_stress.core.errors import UsageFault
from pgflow_stress.core.result import Check
from pgflow_stress.target import connect
from pgflow_stress.target.base import TargetOptions
from pgflow_stress.target.choice import choose_target
from pgflow_stress.target.given import reading
from pgflow_stress.target.inspection import inspect, require_pgflow


@dataclass(frozen=True, slots=True)
class DatabaseAudit:
    """What was looked at, and what was found."""

    what: str
    flows: int
    checks: tuple[Check, ...]


def audit_database(options: TargetOptions, flow_slugs: Sequence[str]) -> DatabaseAudit:
    """Check these flows of the database of `options.dsn`; all of them where none is named.

    Raises:
        SetUpFault: it cannot be reached, has no pgflow, or must not be read.
        UsageFault: a flow that is named is not there.
    """
    with reading(options, choose_target(options, {})) as (connection, what):
        # Not before the libpq is chosen.
        from pgflow_stress.engine.audit import snapshot  # noqa: PLC0415
        from pgflow_stress.engine.chosen import Chosen  # noqa: PLC0415
        from pgflow_stress.engine.invariants import Invariants  # noqa: PLC0415

        require_pgflow(inspect(connection), what)
        with snapshot(connection):
            known = {slug for (slug,) in connect.rows(connection, "SELECT flow_slug FROM pgflow.flows")}
            absent = [slug for slug in flow_slugs if slug not in known]
            if absent:
                raise UsageFault(f"--flow-slug {absent[0]}: no such flow in {what}")
            chosen = "{slug} = any({flows})" if flow_slugs else "true"
            invariants = Invariants(connection, Chosen(chosen, values={"flows": list(flow_slugs)}))
            return DatabaseAudit(what, len(set(flow_slugs)) or len(known), tuple(invariants.checks()))
