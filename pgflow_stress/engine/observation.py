"""The observer of one repetition, as the coordinator sees it: subscribed, forked, watched, told when all was sent."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import psycopg

from pgflow_stress.core import ids
from pgflow_stress.core.arena import Arena, Header, Stop, Word
from pgflow_stress.core.errors import RunFailed, SetUpFault
from pgflow_stress.core.result import Incident
from pgflow_stress.core.units import NS_PER_MS
from pgflow_stress.engine.control import Control
from pgflow_stress.engine.interrupts import Interrupts
from pgflow_stress.engine.nursery import Nursery
from pgflow_stress.engine.orders import ChildExit, Exited, ObserverOrder, Role, State
from pgflow_stress.engine.sizing import arena_size, observer_regions
from pgflow_stress.scenario.plan import Plan
from pgflow_stress.target.base import Database
from pgflow_stress.target.observing import Subscription, subscribe, unsubscribe
from pgflow_stress_hot.clock import monotonic_ns

_READY_SECONDS = 60.0
_ABORT_SECONDS = 3.0
_MARK_AGAIN_SECONDS = 1.0  # a marker sent while the observer was away from a channel is gone


@dataclass(frozen=True, slots=True)
class Means:
    """What an observation works with."""

    arena: Arena
    nursery: Nursery
    control: Control
    interrupts: Interrupts


class Observation:
    """One subscription with its observer, and the replacements of it."""

    def __init__(self, means: Means, plan: Plan, database: Database, embedded: bool, nonce: int) -> None:
        """Subscribe and fork the observer; returns when it receives.

        Raises:
            SetUpFault: it can't be had; nothing of it is left.
            Interrupted: a signal came meanwhile.
        """
        self._means = means
        self._regions = observer_regions(arena_size(plan))
        self._marker = f"end {nonce:016x} "
        self._marked_at = 0.0
        self._began_ns = monotonic_ns()
        self.incidents: list[Incident] = []
        self.lost = ""  # why there is no observer any more
        self.titles: dict[int, str] = {}  # by region, of all that were forked
        self._gone: set[int] = set()  # regions whose process has ended
        self.subscription: Subscription = subscribe(
            means.control.connection, plan.options.events, nonce, f"database {database.name}"
        )
        try:
            self._subscribed_ns = monotonic_ns() - self._began_ns
            self._order = self._first_order(plan, database, embedded, nonce)
            self._fork(self._order)
            self._wait_until_ready()
        except BaseException:
            means.arena.header[Header.STOP] = Stop.NOW
            self.wait_for_end(_ABORT_SECONDS)
            self.close()
            raise

    def _first_order(self, plan: Plan, database: Database, embedded: bool, nonce: int) -> ObserverOrder:
        made = self.subscription
        return ObserverOrder(
            region=self._regions[0],
            size=arena_size(plan),
            conninfo=database.conninfo,
            embedded=embedded,
            transport=made.transport,
            first_run_id=ids.run_id(nonce, 0).bytes,
            slug_prefix=database.slug_prefix,
            work=plan.work,
            marker=self._marker.encode(),
            slot=made.slot or "",
            publication=made.publication or "",
            channel=made.channel or "",
            realtime=plan.options.realtime,
            delay_ns=round(plan.options.observer_delay_ms * NS_PER_MS),
            cpus=dict(plan.options.pin).get("observer", ()),
        )

    def _fork(self, order: ObserverOrder) -> None:
        replacement = "" if order.replaces_region is None else " (replacement)"
        self.titles[order.region] = f"observer {order.transport}{replacement}"
        self._means.nursery.fork(order)

    def _ended(self, timeout_seconds: float = 0) -> list[Exited]:
        news = self._means.nursery.ended(Role.OBSERVER, timeout_seconds)
        self._gone |= {ended.region for ended in news}
        return news

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while self._state() < State.PRIMED:
            self._means.interrupts.check()
            for ended in self._ended():
                raise SetUpFault(f"the observer did not subscribe: {self._reason(ended)}; --events none works without")
            if time.monotonic() > deadline:
                raise SetUpFault(f"no subscription within {_READY_SECONDS:g} s; is the server overloaded?")
            time.sleep(0.002)

    @property
    def subscribe_ns(self) -> int:
        """What it took to set the subscription up: slot, publication or trigger, and the stream's start."""
        return self._subscribed_ns + int(self._means.arena.words[self._regions[0], Word.SUBSCRIBE_NS])

    @property
    def transport(self) -> str:
        """Of the subscription."""
        return self.subscription.transport

    @property
    def delay_ns(self) -> int:
        """By which the observer is slowed, an event."""
        return self._order.delay_ns

    def _state(self) -> int:
        return int(self._means.arena.words[self._order.region, Word.STATE])

    def received(self) -> int:
        """Events that came so far."""
        return int(self._means.arena.words[list(self._regions), Word.RECEIVED].sum())

    def arrived(self) -> bool:
        """Whether the end was received, and with it all that was sent before."""
        wanted = int(self._means.arena.header[Header.MARKER])
        return 0 < wanted <= int(self._means.arena.words[self._order.region, Word.MARKER])

    def mark(self) -> None:
        """Send the end after all that was sent, again where it may have been missed.

        Raises:
            psycopg.Error: the database does not answer.
        """
        if time.monotonic() - self._marked_at < _MARK_AGAIN_SECONDS:
            return
        if self._marked_at and self.transport == "wal":
            return  # the log keeps it
        self._marked_at = time.monotonic()
        if self._order.realtime is not None:
            private = self._order.realtime.private
            self._means.control.mark_topic(self.subscription.channel or "", 1, private=private)
        else:
            self._means.control.mark(self.subscription.channel, f"{self._marker}1")
        self._means.arena.header[Header.MARKER] = 1

    def watch(self, origin_ns: int) -> list[str]:
        """Take note of an observer that ended before its time and replace it; lines for the user.

        Raises:
            RunFailed: it broke by a fault of ours.
        """
        notes = []
        for ended in self._ended():
            if ended.region != self._order.region or (ended.exitcode == 0 and self._state() >= State.PROCESSED):
                continue
            if self._means.arena.header[Header.STOP] >= Stop.NOW:
                self.lost = "ended before all was received"
                continue
            notes.append(self._note_loss(ended, origin_ns))
        return notes

    def _note_loss(self, ended: Exited, origin_ns: int) -> str:
        reason = self._reason(ended)
        if ended.exitcode == ChildExit.BROKEN:
            raise RunFailed(f"the observer broke: {reason}; this is a defect of pgflow-stress")
        self.incidents.append(Incident("observer lost", monotonic_ns() - origin_ns, self.transport, reason))
        following = self._order.region + 1
        if ended.exitcode == ChildExit.REFUSED or following not in self._regions:
            self.lost = reason
            return f"the observer is gone and will miss events: {reason}"
        self._order = replace(self._order, region=following, replaces_region=self._order.region)
        self._fork(self._order)
        self.incidents.append(Incident("observer replaced", monotonic_ns() - origin_ns, self.transport))
        return f"the observer was lost ({reason}); it is being replaced"

    def _reason(self, ended: Exited) -> str:
        if ended.exitcode < 0:
            return f"killed by signal {-ended.exitcode}"
        slots = self._means.arena.errors[ended.region]
        told = slots[slots["count"] > 0]
        if len(told):
            return f"{told[0]['sqlstate'].decode(errors='replace')} {told[0]['text'].decode(errors='replace')}"
        return f"ended with {ended.exitcode}"

    def wait_for_end(self, seconds: float) -> bool:
        """Wait until every observer's process has ended; the phase word or the stop word must say so already."""
        deadline = time.monotonic() + seconds
        while self._gone < self.titles.keys() and time.monotonic() < deadline:
            self._ended(0.02)
        return self._gone >= self.titles.keys()

    def close(self) -> list[str]:
        """Remove the subscription; what could not be, a line each."""
        try:
            return unsubscribe(self._means.control.connection, self.subscription)
        except psycopg.Error as error:
            return [f"subscription {self.subscription.slot or self.subscription.channel}: {error}".splitlines()[0]]
