"""What goes on beside a repetition because it was asked for: interference, and the books and jobs of a soak."""

from __future__ import annotations

from pgflow_stress.core.arena import Arena
from pgflow_stress.engine.conclusion import NOTHING_BESIDES, Besides
from pgflow_stress.engine.interference.handle import Interfering
from pgflow_stress.engine.interrupts import Interrupts
from pgflow_stress.engine.nursery import Nursery
from pgflow_stress.engine.soak.watching import SoakWatch
from pgflow_stress.scenario.plan import Plan
from pgflow_stress.target.base import Database


class Alongside:
    """Of one repetition; nothing at all where nothing was asked for."""

    def __init__(
        self, plan: Plan, nursery: Nursery, database: Database, embedded: bool, nonce: int, interrupts: Interrupts
    ) -> None:
        """Its processes are forked; nothing is done yet."""
        self._asked = bool(plan.options.interference) or plan.options.soak
        self._interfering = Interfering(plan, nursery, database, embedded, nonce, interrupts)
        self._soak = SoakWatch(plan, database) if plan.options.soak else None

    @property
    def backends(self) -> tuple[int, ...]:
        """Whose cost is not the job's."""
        return (*self._interfering.backends, *(self._soak.backends if self._soak else ()))

    def begin(self, arena: Arena) -> None:
        """All that takes its time, before the window; what is to happen in it waits for the first poll.

        Raises:
            SetUpFault: an interference did not take hold, or a job of retention is no statement.
            Interrupted: a signal came.
        """
        if self._soak is not None:
            self._soak.prepare()
        self._interfering.begin()
        self._interfering.watch(arena)
        if self._soak is not None:
            self._soak.begin(arena)

    def end(self, *, hurried: bool) -> None:
        """The window is over; `hurried`: nothing more is waited for."""
        if self._soak is not None:
            self._soak.end(hurried=hurried)
        self._interfering.end(hurried=hurried)

    def besides(self, arena: Arena, origin_ns: int) -> Besides:
        """What the result says of it."""
        if not self._asked:
            return NOTHING_BESIDES
        soak, incidents = self._soak.conclude(arena, origin_ns) if self._soak is not None else ({}, [])
        return Besides(
            self._interfering.told(arena, origin_ns),
            soak,
            (*self._interfering.incidents(origin_ns), *incidents),
        )

    def close(self) -> None:
        """Leave nothing."""
        if self._soak is not None:
            self._soak.close()
        self._interfering.close()
