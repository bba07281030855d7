"""What a fault is, what it may touch, and what it says of itself. Nothing here is imported into the hot loop.

A fault strikes in a thread of the coordinator, with a connection of its own. It says when it struck, when its proof was
seen, and what the proof is; a strike without proof explains nothing.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pgflow_stress.core.arena import Arena, Header, Word
from pgflow_stress.core.result import Json
from pgflow_stress.engine.orders import State
from pgflow_stress.engine.sizing import starter_regions
from pgflow_stress.scenario.faults import Strike
from pgflow_stress_hot.clock import monotonic_ns

if TYPE_CHECKING:  # psycopg is not wanted before its libpq is chosen
    import psycopg

    from pgflow_stress.engine.crew import Crew
    from pgflow_stress.target.base import Restart

PROOF_SECONDS = 10.0  # a fault that is not seen by then did not take hold
RECOVERY_SECONDS = 60.0  # most that is waited for what shows that it was got over
_LOOK_SECONDS = 0.002
_HEARD_SECONDS = 0.05  # in which every worker has heard that it is kept at work


@dataclass(slots=True)
class Blow:
    """One strike as it happens; stamps are CLOCK_MONOTONIC ns, 0 where it did not come so far."""

    strike: Strike
    subject: str = ""
    slot: int | None = None  # of the worker that it struck, where it struck one
    struck_ns: int = 0
    held_ns: int = 0  # when its proof was seen
    ended_ns: int = 0  # when it was over, of one that lasts
    proof: Json = field(default_factory=dict)
    why: str = ""  # it did not take hold
    planned: set[int] = field(default_factory=set)  # processes and backends that it ends

    @property
    def took_hold(self) -> bool:
        """Whether there is proof."""
        return self.held_ns > 0

    def struck(self, subject: str, slot: int | None = None, at_ns: int = 0) -> None:
        """It is done to this, now or then."""
        self.subject, self.slot, self.struck_ns = subject, slot, at_ns or monotonic_ns()

    def held(self, **proof: Any) -> None:
        """Its effect was seen now."""
        self.held_ns = self.held_ns or monotonic_ns()
        self.proof |= proof


class Missed(Exception):
    """It did not take hold; the text says why."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of fault.

    `strike` returns when it is over and what it can show is shown; it raises Missed where it took no hold.
    """

    name: str
    about: str
    strike: Callable[[Ground, Blow], None]
    lasts_seconds: float | None = None  # how long where nothing is said; None: it does not last
    own_server: bool = False  # only where the server is ours
    cuts_all: bool = False  # the observer's connection too
    proxied: bool = False  # workers connect through a proxy
    any_model: bool = False  # of workers: else only of those that have one connection, and have it again


class Ground:
    """What a fault may touch: the workers, a connection of its own, the server where it is ours."""

    def __init__(
        self,
        arena: Arena,
        crew: Crew,
        conninfo: str,
        slug_prefix: str,
        seed: str,
        restart: Restart | None,
        proxy: str = "",
    ) -> None:
        """Nothing is touched."""
        self.arena = arena
        self.crew = crew
        self.slug_prefix = slug_prefix
        self.restart = restart
        self.proxy = proxy
        self.random = random.Random(seed)
        self.over = threading.Event()  # the process phase has ended: nothing strikes any more, what lasts ends
        self._taken: set[int] = set()  # regions of workers that a strike has to itself
        self._choosing = threading.Lock()
        self._keepers = 0
        self._keeping = threading.Lock()
        self._conninfo = conninfo

    def connect(self) -> psycopg.Connection[Any]:
        """A connection of the fault's own, again and again until the server lets it in.

        Raises:
            Missed: it did not.
        """
        import psycopg  # noqa: PLC0415  see the top

        deadline = time.monotonic() + PROOF_SECONDS
        while True:
            try:
                return psycopg.connect(
                    self._conninfo, autocommit=True, application_name="pgflow-stress: faults", connect_timeout=5
                )
            except psycopg.OperationalError as error:
                if time.monotonic() > deadline:
                    raise Missed(f"no connection: {str(error).strip().splitlines()[0]}") from None
                time.sleep(0.05)

    def connect_if_let(self) -> psycopg.Connection[Any] | None:
        """A connection, tried once; None where the server has no more to give.

        Raises:
            psycopg.OperationalError: it could not be had for another reason.
        """
        import psycopg  # noqa: PLC0415  see the top

        try:
            return psycopg.connect(
                self._conninfo, autocommit=True, application_name="pgflow-stress: faults", connect_timeout=5
            )
        except psycopg.OperationalError as error:
            if "too many" in str(error) or "remaining connection slots" in str(error):
                return None
            raise

    def plan(self, blow: Blow, pids: set[int]) -> None:
        """These processes and backends are about to be ended: by this strike, if it takes hold."""
        self.crew.plan(pids - blow.planned)
        blow.planned |= pids

    @property
    def vt_seconds(self) -> int:
        """Visibility that read is given."""
        return int(self.arena.header[Header.VT_SECONDS])

    @contextlib.contextmanager
    def kept_at_work(self) -> Iterator[None]:
        """Workers stay though nothing may be left: what a crash takes back of what they were told is to be done again.

        Until each that is at work, and each starter, has had its connection again and settled what was in doubt.
        """
        with self._keeping:
            self._keepers += 1  # the coordinator does not say that all is started
        self.arena.header[Header.STARTS_DONE] = 0
        self.over.wait(_HEARD_SECONDS)
        before = {region: self.word(region, Word.RECONNECTS) for region in self._connected()}
        try:
            yield
            self.until(lambda: not self._unsettled(before), RECOVERY_SECONDS)
        finally:
            with self._keeping:
                self._keepers -= 1

    @property
    def keeps_at_work(self) -> bool:
        """Whether a strike does so now."""
        return self._keepers > 0

    def _connected(self) -> list[int]:
        starters = [one for one in starter_regions(self.arena.size) if self.word(one, Word.STATE) >= State.PRIMED]
        return [*self.workers(), *starters]

    def _unsettled(self, before: dict[int, int]) -> list[int]:
        there = set(self._connected())
        return [one for one, count in before.items() if one in there and self.word(one, Word.RECONNECTS) <= count]

    @property
    def connects_again(self) -> bool:
        """Whether a worker that loses its connection keeps its process and has another one."""
        return self.crew.order_of(self.crew.regions[0]).options.reconnect_seconds > 0

    def word(self, region: int, word: Word) -> int:
        """One word of a process."""
        return int(self.arena.words[region, word])

    def workers(self) -> list[int]:
        """Regions of the workers that are at work."""
        return [
            region
            for region in self.crew.regions
            if State.PRIMED <= self.word(region, Word.STATE) < State.PROCESSED
            and self.word(region, Word.PROCESS_FROM_NS)
        ]

    def a_worker(self) -> int:
        """The region of one that is at work, drawn by the seed.

        Raises:
            Missed: none is.
        """
        if not self.until(lambda: bool(self.workers()), PROOF_SECONDS):
            raise Missed("no worker was at work")
        return self.random.choice(self.workers())

    @contextlib.contextmanager
    def a_worker_alone(self) -> Iterator[int]:
        """The same, and no other strike has one of its own at that time: one's SIGCONT would end the other's stop.

        Raises:
            Missed: none was free.
        """
        chosen: list[int] = []

        def choose() -> bool:
            with self._choosing:
                free = [region for region in self.workers() if region not in self._taken]
                if free:
                    chosen.append(self.random.choice(free))
                    self._taken.add(chosen[-1])
            return bool(free)

        if not self.until(choose, PROOF_SECONDS):
            raise Missed("no worker was at work that no other fault had stopped")
        try:
            yield chosen[-1]
        finally:
            with self._choosing:
                self._taken.discard(chosen[-1])

    def slot_of(self, region: int) -> int:
        """Whose work a region does."""
        return self.crew.slot_of(region)

    def until(self, holds: Callable[[], bool], seconds: float) -> bool:
        """Wait for something; False where it did not come in time, or the work is over."""
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline or self.over.wait(_LOOK_SECONDS):
                return holds()
        return True

    def hold(self, seconds: float) -> None:
        """Let a fault last, but not longer than the work."""
        self.over.wait(seconds)
