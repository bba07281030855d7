"""A transaction that holds a snapshot: no row that dies meanwhile can be removed, by vacuum or otherwise."""

from __future__ import annotations

from pgflow_stress.core.result import Json
from pgflow_stress.engine.interference.base import (
    PROOF_SECONDS,
    RECOVERY_SECONDS,
    Act,
    Interference,
    Means,
    NotHeld,
    until,
    value,
)

_XMIN = "select backend_xmin::text from pg_stat_activity where pid = %s"
_AGE = "select age(backend_xmin) from pg_stat_activity where pid = %s"
_OLDER = """
select count(*) from pg_stat_activity where pid <> %s and backend_xmin is not null and age(backend_xmin) > %s
"""
_AT_LEAST = """
select count(*) from pg_stat_activity
where pid <> pg_backend_pid() and backend_xmin is not null and age(backend_xmin) >= age(%s::xid)
"""


class _HeldXmin(Act):
    def __init__(self, means: Means) -> None:
        self._means = means
        self._xmin = ""

    def hold(self) -> Json:
        """A snapshot of repeatable read, and its session idle in the transaction."""
        self._looking, self._holding = self._means.connect(), self._means.connect()
        self._pid = self._means.backends[-1]
        self._holding.execute("set idle_in_transaction_session_timeout = 0")
        self._holding.execute("begin isolation level repeatable read")
        self._holding.execute("select 1")
        if until(lambda: bool(self._seen()), PROOF_SECONDS) is None:
            raise NotHeld("its snapshot was not seen in pg_stat_activity")
        self._xmin = self._seen()
        return {"backend": self._pid, "backend_xmin": self._xmin}

    def still(self) -> Json:
        """The same snapshot, and how many transactions it is behind."""
        if self._seen() != self._xmin:
            raise NotHeld("its session or its snapshot was gone before the end")
        age = int(value(self._looking, _AGE, (self._pid,)))
        older = int(value(self._looking, _OLDER, (self._pid, age)))
        return {"age_at_the_end_transactions": age, "oldest_of_the_server": older == 0}

    def release(self) -> Json:
        """Roll back, and wait until nobody holds a snapshot as old."""
        self._holding.execute("rollback")
        moved = until(lambda: value(self._looking, _AT_LEAST, (self._xmin,)) == 0, RECOVERY_SECONDS)
        return {"horizon_moved_seconds": moved}

    def close(self) -> None:
        """The session's end rolls back."""
        self._means.close()

    def _seen(self) -> str:
        return str(value(self._looking, _XMIN, (self._pid,)) or "")


HELD_XMIN = Interference(
    "held-xmin", "a transaction of repeatable read that is left open: dead rows cannot be removed", _HeldXmin
)
