"""Finished tasks of others: the database was aged by them, as by --history; here it is shown that they are there."""

from __future__ import annotations

from pgflow_stress.core.result import Json
from pgflow_stress.engine.interference.base import Act, Interference, Means, NotHeld, value
from pgflow_stress.scenario.plan import MOST_HISTORY

NAME = "history"
_OTHERS = """
select count(*) from pgflow.step_tasks where status = 'completed' and not starts_with(flow_slug, %s)
"""
_BYTES = "select pg_total_relation_size('pgflow.step_tasks')"


class _History(Act):
    def __init__(self, means: Means) -> None:
        self._means = means

    def hold(self) -> Json:
        """Count the finished tasks that are not of this repetition."""
        self._looking = self._means.connect()
        there = self._count()
        if there < self._means.count:
            raise NotHeld(f"{there:,} finished tasks of others are there, {self._means.count:,} were to be")
        return {"finished_tasks_of_others": there, "step_tasks_bytes": int(value(self._looking, _BYTES))}

    def still(self) -> Json:
        """And at the end: a job of retention may have removed some."""
        return {"finished_tasks_of_others_at_the_end": self._count()}

    def release(self) -> Json:
        """They stay as long as the database."""
        return {}

    def close(self) -> None:
        """Nothing was made."""
        self._means.close()

    def _count(self) -> int:
        return int(value(self._looking, _OTHERS, (self._means.order.slug_prefix,)))


HISTORY = Interference(
    NAME, "N finished tasks in pgflow's tables before it begins", _History, counts="tasks", most=MOST_HISTORY,
    timed=False,
)  # fmt: skip
