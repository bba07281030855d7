"""The workers of one repetition, as the coordinator sees them: who works where, who was lost, who replaces."""

from __future__ import annotations

import secrets
import time
import uuid
from collections import Counter
from dataclasses import dataclass, replace

from pgflow_stress.core.arena import Arena, Word
from pgflow_stress.core.errors import RunFailed, SetUpFault
from pgflow_stress.core.result import Incident
from pgflow_stress.engine.accounts import refusals
from pgflow_stress.engine.control import Control
from pgflow_stress.engine.nursery import Nursery
from pgflow_stress.engine.orders import ChildExit, Exited, Role, State, WorkerOrder
from pgflow_stress.engine.sizing import starter_regions
from pgflow_stress.engine.vitals import backends_of
from pgflow_stress_hot.clock import monotonic_ns

_BACKEND_LEAVES_SECONDS = 5.0  # after that it is terminated: nothing of a dead worker may still commit


@dataclass(frozen=True, slots=True)
class _Lost:
    """A worker that ended before its work did."""

    order: WorkerOrder
    ended: Exited
    at: float  # time.monotonic()
    at_work: frozenset[tuple[int, str]] = frozenset()  # transactions of shared backends, one of which may be its last


class Crew:
    """Orders the workers and their replacements."""

    def __init__(self, arena: Arena, nursery: Nursery, control: Control, orders: list[WorkerOrder]) -> None:
        """Fork one worker an order; regions beyond theirs are spare."""
        self._arena = arena
        self._nursery = nursery
        self._control = control
        self._by_slot = {order.slot: order for order in orders}
        self._next_region = len(orders)
        self._regions = starter_regions(arena.size).start
        self._lost: list[_Lost] = []
        self._gone: set[int] = set()  # regions whose process has ended
        self._slot_of = {order.region: order.slot for order in orders}
        self.titles = {order.region: f"worker {order.slot}" for order in orders}
        self.incidents: list[Incident] = []
        self._planned: Counter[int] = Counter()  # processes and backends: by how many strikes each is to end
        self.unplanned = False  # something was lost that no fault had ended
        self._signals: dict[int, int] = {}  # by region: what its process was ended by
        self._backends: dict[int, int] = {}  # by region: the last one that was seen
        for order in orders:
            nursery.fork(order)

    @property
    def regions(self) -> list[int]:
        """Of the workers that are counted on now."""
        return [order.region for order in self._by_slot.values()]

    def regions_by_slot(self) -> list[list[int]]:
        """For each slot the regions of all that worked in it, the lost ones too."""
        return [[region for region, of in self._slot_of.items() if of == slot] for slot in sorted(self._by_slot)]

    @property
    def replaced(self) -> bool:
        """Whether a worker was lost, or lost its connection."""
        return bool(self.incidents)

    def slot_of(self, region: int) -> int:
        """Whose work a region does, or did."""
        return self._slot_of[region]

    def region_of(self, slot: int) -> int:
        """Where the worker of a slot works now."""
        return self._by_slot[slot].region

    def worker_id(self, region: int) -> uuid.UUID:
        """Of the worker that works there now."""
        return uuid.UUID(bytes=self._by_slot[self._slot_of[region]].worker_id)

    def order_of(self, region: int) -> WorkerOrder:
        """Of the worker that works there now."""
        return self._by_slot[self._slot_of[region]]

    def signal_of(self, region: int) -> int:
        """The signal that ended a region's process, once the nursery has said so; else 0."""
        return self._signals.get(region, 0)

    def plan(self, pids: set[int]) -> None:
        """A strike is about to end these processes and backends: their loss is no surprise."""
        self._planned.update(pids)

    def unplan(self, pids: set[int]) -> None:
        """It did not; another may have."""
        self._planned.subtract(pids)

    def is_planned(self, pid: int) -> bool:
        """Whether a strike that took hold, or may yet, ends this process or backend."""
        return self._planned[pid] > 0

    def all_at(self, state: State) -> bool:
        """Whether every worker counted on stands at this state or beyond."""
        return not self._lost and all(int(self._arena.words[r, Word.STATE]) >= state for r in self.regions)

    @property
    def all_ended(self) -> bool:
        """Whether every process that was forked was seen to end."""
        return len(self._gone) >= self._next_region

    def backends(self) -> list[int]:
        """Backend pids of every worker that connected and was not seen to end."""
        return [pid for r in range(self._next_region) if r not in self._gone for pid in backends_of(self._arena, r)]

    def watch(self, origin_ns: int, *, stopping: bool) -> list[str]:
        """Take note of ended workers and replace them; lines for the user.

        Raises:
            RunFailed: the server refused a statement for good, or a worker could not be replaced.
            SetUpFault: the same while it was being prepared.
        """
        notes = []
        for ended in self._nursery.ended(Role.WORKER):
            self._gone.add(ended.region)
            self._signals[ended.region] = max(0, -ended.exitcode)
            order = next((o for o in self._by_slot.values() if o.region == ended.region), None)
            state = int(self._arena.words[ended.region, Word.STATE])
            if order is None or stopping or (ended.exitcode == 0 and state >= State.PROCESSED):
                continue
            notes.append(self._note_loss(order, ended, state, origin_ns))
        if not stopping:
            for lost in list(self._lost):
                self._replace(lost, origin_ns)
        return notes + self._reconnects(origin_ns)

    def _reconnects(self, origin_ns: int) -> list[str]:
        """Take note of workers that have another backend than they had."""
        notes = []
        for order in self._by_slot.values():
            backend = int(self._arena.words[order.region, Word.BACKEND_PID])
            before = self._backends.get(order.region, 0)
            self._backends[order.region] = backend
            if not before or not backend or backend == before:
                continue
            planned = self.is_planned(before)
            self.unplanned |= not planned
            who = f"worker {order.slot}"
            self.incidents.append(
                Incident("worker reconnected", monotonic_ns() - origin_ns, who, f"backend {backend}, was {before}")
            )
            if not planned:
                notes.append(f"{who} lost its connection and has another; the repetition is left out of the summary")
        return notes

    def _note_loss(self, order: WorkerOrder, ended: Exited, state: int, origin_ns: int) -> str:
        said = self._refusal_of()
        how = f"killed by signal {-ended.exitcode}" if ended.exitcode < 0 else f"ended with {ended.exitcode}"
        if ended.exitcode == ChildExit.REFUSED:
            if state < State.PRIMED:
                raise SetUpFault(f"worker {order.slot} could not be prepared: {said}")
            raise RunFailed(f"the server refused a statement of worker {order.slot}: {said}")
        if ended.exitcode == ChildExit.BROKEN:
            raise RunFailed(f"worker {order.slot} broke: {said}; this is a defect of pgflow-stress")
        if state < State.PRIMED and order.replaces_region is None:
            raise SetUpFault(f"worker {order.slot} could not be prepared ({how}): {said or 'no reason given'}")
        if ended.exitcode == ChildExit.LOST_CONNECTION:
            how = "lost its connection"
        if self._next_region >= self._regions:
            raise RunFailed(f"worker {order.slot} {how} and no replacement is left: {said or 'no reason given'}")
        self._arena.words[ended.region, Word.CLAIMED] = 0
        self._lost.append(_Lost(order, ended, time.monotonic(), self._control.at_work()))
        backend = int(self._arena.words[ended.region, Word.BACKEND_PID])
        planned = self.is_planned(ended.pid) or self.is_planned(backend)
        self.unplanned |= not planned
        detail = f"{how}, by a fault" if planned else how
        self.incidents.append(Incident("worker lost", monotonic_ns() - origin_ns, f"worker {order.slot}", detail))
        left_out = "" if planned else ", and the repetition left out of the summary"
        return f"worker {order.slot} {detail}; it is being replaced{left_out}"

    def _refusal_of(self) -> str:
        last = sorted(refusals(self._arena), key=lambda r: r.first_ns)
        return f"{last[-1].sqlstate} {last[-1].text} ({last[-1].operation})" if last else ""

    def _replace(self, lost: _Lost, origin_ns: int) -> None:
        region = lost.order.region
        if lost.at_work & self._control.at_work() and time.monotonic() - lost.at < _BACKEND_LEAVES_SECONDS:
            return
        backends = backends_of(self._arena, region)
        # A pooler's backend outlives its client, and may serve another's by now.
        name = "" if lost.order.pooler is None else lost.order.application_name(f"worker {lost.order.slot}")
        if any(self._control.alive(backend, name) for backend in backends):
            if time.monotonic() - lost.at > _BACKEND_LEAVES_SECONDS:
                self._control.terminate(backends)
            return
        order = replace(
            lost.order,
            region=self._next_region,
            worker_id=new_worker_id(),
            replaces_region=region,
            replaces_worker_id=lost.order.worker_id,
            replaces_earlier=tuple(filter(None, (lost.order.replaces_worker_id, *lost.order.replaces_earlier))),
        )
        self._next_region += 1
        self._lost.remove(lost)
        self._by_slot[order.slot] = order
        self._slot_of[order.region] = order.slot
        self.titles[order.region] = f"worker {order.slot} (replacement)"
        self._nursery.fork(order)
        self.incidents.append(
            Incident("worker replaced", monotonic_ns() - origin_ns, f"worker {order.slot}", f"region {order.region}")
        )

    def wait_for_end(self, seconds: float) -> bool:
        """Wait until every worker's process has ended; False where one has not."""
        deadline = time.monotonic() + seconds
        while not self.all_ended:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            for ended in self._nursery.ended(Role.WORKER, min(left, 0.1)):
                self._gone.add(ended.region)
        return True


def new_worker_id() -> bytes:
    """A random UUID, 16 bytes."""
    return uuid.UUID(bytes=secrets.token_bytes(16), version=4).bytes
