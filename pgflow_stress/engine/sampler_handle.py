"""The sampler of one repetition, as the coordinator sees it: started before the window, ended after it.

Its death is no reason for anything but incomplete telemetry.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable

from pgflow_stress.core.arena import Arena, Header, Stop, Word
from pgflow_stress.core.telemetry import House, SamplerWord
from pgflow_stress.core.units import NS_PER_SECOND
from pgflow_stress.engine.nursery import Nursery
from pgflow_stress.engine.orders import ChildExit, Role, SamplerOrder, Sampling, State
from pgflow_stress.engine.sizing import arena_size, sampler_regions
from pgflow_stress.scenario.plan import Plan
from pgflow_stress.target.base import Database

_READY_SECONDS = 3.0  # after that the window begins without it; it may still come
_FIRST_READING_SECONDS = 1.0
_LAST_READINGS_SECONDS = 3.0
_ABORT_SECONDS = 0.5  # where nothing more is waited for
_POLL_SECONDS = 0.001


class SamplerHandle:
    """Forks a sampler and tells it when."""

    def __init__(self, arena: Arena, nursery: Nursery, plan: Plan, database: Database, embedded: bool) -> None:
        """Returns at once."""
        self._arena = arena
        self._nursery = nursery
        options, size = plan.options, arena_size(plan)
        self._region = sampler_regions(size)[0]
        self._gone = False
        self.reason = ""  # why its telemetry is not complete
        pinned = dict(options.pin)
        nursery.fork(
            SamplerOrder(
                region=self._region,
                size=size,
                conninfo=database.conninfo,
                embedded=embedded,
                level=options.telemetry,
                interval_ns=round(options.telemetry_interval_seconds * NS_PER_SECOND),
                coordinator_pid=os.getpid(),
                pooler_admin_dsn=options.pooler_admin_dsn,
                cpus=pinned.get("sampler", pinned.get("coordinator", ())),
                profiled=options.profiled,
            )
        )

    @property
    def backend(self) -> int:
        """Its connection's, 0 where it has none."""
        return int(self._arena.words[self._region, Word.BACKEND_PID])

    def begin(self) -> None:
        """Have it take its first reading now: returns when it has, or when it takes too long."""
        self._wait_for(State.PRIMED, _READY_SECONDS)
        self._arena.house[House.TO_SAMPLER, 0] = Sampling.GO
        self._wait_for(State.STARTED, _FIRST_READING_SECONDS)

    def finish(self) -> None:
        """Have it take its last readings, and wait for them and its end."""
        self._arena.house[House.TO_SAMPLER, 0] = Sampling.END
        at_once = self._arena.header[Header.STOP] >= Stop.NOW
        self._wait_for(State.ENDED, _ABORT_SECONDS if at_once else _LAST_READINGS_SECONDS)
        if self._arena.sampler[SamplerWord.FINISHED]:
            return
        self.reason = self.reason or "the sampler took no last readings in time"

    def close(self) -> None:
        """Be rid of it, however it is."""
        self._arena.house[House.TO_SAMPLER, 0] = Sampling.END
        if self._look():
            return
        pid = int(self._arena.words[self._region, Word.PID])
        if not self._wait(self._look, 0.2) and pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._wait(self._look, 1.0)

    def _wait_for(self, state: State, seconds: float) -> None:
        self._wait(lambda: bool(self._arena.words[self._region, Word.STATE] >= state) or self._look(), seconds)

    def _wait(self, condition: Callable[[], bool], seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def _look(self) -> bool:
        """Whether its process has ended; the reason is kept where it was not to."""
        for ended in self._nursery.ended(Role.SAMPLER):
            if ended.region != self._region:
                continue
            self._gone = True
            if ended.exitcode < 0:
                self.reason = f"the sampler was killed by signal {-ended.exitcode}"
            elif ended.exitcode != ChildExit.DONE:
                self.reason = f"the sampler ended with {ended.exitcode}: {self._told()}"
        return self._gone

    def _told(self) -> str:
        slots = self._arena.errors[self._region]
        told = slots[slots["count"] > 0]
        return told[0]["text"].decode(errors="replace") if len(told) else "no reason given"
