"""The audit where jobs of retention removed finished runs: what is gone whole is no loss, what is left must hold."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import psycopg
from psycopg import sql

from pgflow_stress.core.arena import LedgerBit
from pgflow_stress.core.result import Audit, Check
from pgflow_stress.engine.audit import AuditInput, Found, audit
from pgflow_stress.engine.chosen import chosen_of
from pgflow_stress.engine.copying import triples
from pgflow_stress.engine.invariants import INVARIANTS
from pgflow_stress.engine.places import Places

REMOVED = "runs that --prune removed were finished"
STRAYS_LEFT = "messages without a task, which --prune left in an archive"
_STRAYS = INVARIANTS[-1]
_INDEX = (1 << 58) - 1
# The last 58 bits of a run's id are its index.
_THERE = """
copy (select (('x' || right(replace(r.run_id::text, '-', ''), 15))::bit(60)::bigint & {mask}), 0::int4, 0::int4
      from pgflow.runs r where {of_r}) to stdout (format binary)
"""


def audit_after_pruning(connection: psycopg.Connection[Any], given: AuditInput, failed_ns: Any) -> Found:
    """The audit of the runs that are there; those that are not must have been finished, by the ledger.

    Args:
        failed_ns: int64[runs], above 0 where a worker was told that the run failed.
    Raises:
        psycopg.Error: the database cannot be read.
    """
    places = Places(given.work)
    there = np.zeros(given.work.runs, dtype=bool)
    chosen = chosen_of(given.work, given.slug_prefix, given.nonce).parts()
    query = sql.SQL(_THERE).format(mask=sql.Literal(_INDEX), **chosen)
    for rows in triples(connection, query):
        runs = rows["first"].astype(np.int64)
        there[runs[runs < len(there)]] = True
    gone = given.started & ~there
    open_tasks = (given.ledger & LedgerBit.COMPLETED) == 0
    lost = gone & places.runs_with(open_tasks) & ~(failed_ns > 0)
    removed = gone & ~lost
    ledger = np.where(places.of_runs(removed), np.uint8(0), given.ledger)
    found = audit(connection, replace(given, started=given.started & ~removed, ledger=ledger))
    checks = [check if check.name != _STRAYS else _told(check) for check in found.audit.checks]
    checks.append(Check(REMOVED, not lost.any(), int(np.count_nonzero(gone)), int(np.count_nonzero(removed))))
    return replace(found, audit=Audit(all(check.ok for check in checks), tuple(checks)))


def _told(strays: Check) -> Check:
    """Archived messages whose runs are gone are the job's leavings: told by their number, no offence of pgflow's."""
    return Check(STRAYS_LEFT, True, strays.found, strays.found)
