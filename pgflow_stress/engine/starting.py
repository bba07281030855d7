"""The starters of one repetition, as the coordinator sees them: forked, given a schedule, watched."""

from __future__ import annotations

import time
from collections.abc import Sequence

from pgflow_stress.core.arena import Arena, Header, RunWord, Stop, Word
from pgflow_stress.core.errors import RunFailed, SetUpFault
from pgflow_stress.core.units import NS_PER_SECOND
from pgflow_stress.engine.accounts import refusals
from pgflow_stress.engine.nursery import Nursery
from pgflow_stress.engine.orders import Exited, Role, State, WorkerOrder
from pgflow_stress.scenario.plan import Plan
from pgflow_stress.scenario.schedule import Late
from pgflow_stress_hot.clock import monotonic_ns

_LEAD_NS = 50_000_000  # from now to the schedule's begin: everybody has passed the barrier by then


class Starters:
    """A schedule's processes; none where the load model has none."""

    def __init__(self, arena: Arena, nursery: Nursery, plan: Plan, orders: Sequence[WorkerOrder]) -> None:
        """Fork one starter an order."""
        self._arena = arena
        self._nursery = nursery
        self._plan = plan
        self._regions = [order.region for order in orders]
        self._gone: set[int] = set()
        self._begin_ns = 0
        self.titles = {order.region: f"starter {order.slot}" for order in orders}
        for order in orders:
            nursery.fork(order)

    def backends(self) -> list[int]:
        """Backend pids of those that connected and were not seen to end."""
        words = self._arena.words[:, Word.BACKEND_PID]
        return [int(words[region]) for region in self._regions if words[region] and region not in self._gone]

    def all_at(self, state: State) -> bool:
        """Whether every starter stands at this state or beyond."""
        return all(int(self._arena.words[region, Word.STATE]) >= state for region in self._regions)

    def begin(self) -> None:
        """Write the schedule and its rules; the phase word then lets the starters go."""
        options, header = self._plan.options, self._arena.header
        self._begin_ns = monotonic_ns() + _LEAD_NS
        header[Header.IN_FLIGHT_LIMIT] = options.in_flight or 0
        offsets = self._plan.schedule_ns()
        if offsets is not None:
            self._arena.runs[: len(offsets), RunWord.INTENDED_NS] = self._begin_ns + offsets
            if options.late is Late.SKIP:
                rate = sum(stage.per_second * stage.seconds for stage in options.stages) / sum(
                    stage.seconds for stage in options.stages
                )
                header[Header.LATE_SKIP_NS] = round(NS_PER_SECOND / rate)

    def close_when_due(self) -> None:
        """At the end of --duration: no run is started any more."""
        seconds = self._plan.options.duration_seconds
        if seconds is not None and self._begin_ns and monotonic_ns() - self._begin_ns > seconds * NS_PER_SECOND:
            self._arena.header[Header.STARTS_CLOSED] = 1

    def done(self) -> bool:
        """Whether no run will be started any more."""
        return self.all_at(State.STARTED)

    def watch(self) -> None:
        """Look for starters that ended before their time.

        Raises:
            SetUpFault: one could not be prepared.
            RunFailed: one was lost, or the server refused a statement of its.
        """
        for ended in self._nursery.ended(Role.STARTER):
            self._gone.add(ended.region)
            state = int(self._arena.words[ended.region, Word.STATE])
            if self._arena.header[Header.STOP] >= Stop.NOW or (ended.exitcode == 0 and state >= State.STARTED):
                continue
            reason = self._reason(ended)
            who = self.titles[ended.region]
            if state < State.PRIMED:
                raise SetUpFault(f"{who} could not be prepared: {reason}")
            raise RunFailed(f"{who} was lost, and with it its place in the schedule: {reason}")

    def _reason(self, ended: Exited) -> str:
        if ended.exitcode < 0:
            return f"killed by signal {-ended.exitcode}"
        last = sorted(refusals(self._arena), key=lambda refusal: refusal.first_ns)
        return f"{last[-1].sqlstate} {last[-1].text} ({last[-1].operation})" if last else f"ended with {ended.exitcode}"

    def wait_for_end(self, seconds: float) -> bool:
        """Wait until every starter's process has ended; the phase word or the stop word must say so already."""
        deadline = time.monotonic() + seconds
        while self._gone < set(self._regions) and time.monotonic() < deadline:
            self._gone |= {ended.region for ended in self._nursery.ended(Role.STARTER, 0.02)}
        return self._gone >= set(self._regions)
