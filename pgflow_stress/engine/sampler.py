"""The sampler process: asks its probes at even intervals, whatever happens in the window; it reports through the arena.

It is there for telemetry alone: what goes wrong in it is noted, and harms nothing else.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

import psycopg

from pgflow_stress.core.arena import Arena, Header, Stop, Word
from pgflow_stress.core.telemetry import LAST_TICK, House, SamplerWord
from pgflow_stress.core.units import NS_PER_MS, NS_PER_SECOND
from pgflow_stress.engine.child import lead
from pgflow_stress.engine.orders import ChildExit, SamplerOrder, Sampling, State
from pgflow_stress.engine.probes import PROBES, Means, Probe, Unseen
from pgflow_stress.engine.sampler_book import Book
from pgflow_stress.engine.ticks import Ticks
from pgflow_stress.engine.vitals import begin_window
from pgflow_stress_hot.clock import monotonic_ns

BEAT_NS = {"light": 100 * NS_PER_MS, "full": 50 * NS_PER_MS}
_PROFILING_BEAT_NS = 20 * NS_PER_MS  # shares of a few per cent are told of a window of some seconds
_LOOK_SECONDS = 0.05  # how long the end of the window may go unnoticed
_WAITING_SECONDS = 0.002


def sample(arena: Arena, order: SamplerOrder) -> int:
    """The whole life of a sampler; its exit code. Runs in the forked child."""
    return lead(arena, order, "sampler", lambda _region: _Sampler(arena, order).live())


class _Sampler:
    def __init__(self, arena: Arena, order: SamplerOrder) -> None:
        self._arena = arena
        self._order = order
        self._words = arena.words[order.region]
        self._book = Book(arena)
        self._means = Means(arena, order, self._book)
        self._probes: dict[str, Probe] = {}
        self._phase = 0
        self._cpu_from_ns = 0

    def live(self) -> ChildExit:
        """Prepare, wait for the window, sample it, take the last readings."""
        for name, make in PROBES.items():
            self._make(name, make)
        self._ask("begin")
        self._ask("boundary")
        gc.collect()
        gc.freeze()
        gc.disable()
        begin_window(self._arena.vitals[self._order.region])
        self._words[Word.STATE] = State.PRIMED
        while self._told() < Sampling.GO:
            if self._is_over():
                return self._leave()
            time.sleep(_WAITING_SECONDS)
        self._cpu_from_ns = time.process_time_ns()
        self._tick()
        self._words[Word.STATE] = State.STARTED
        self._sample()
        self._book.tick = LAST_TICK
        self._tick()
        self._ask("boundary")
        self._ask("end")
        self._flush()
        self._arena.sampler[SamplerWord.FINISHED] = 1
        return self._leave()

    def _sample(self) -> None:
        now_ns = monotonic_ns()
        ticks = Ticks(self._order.interval_ns, now_ns, time.time_ns())
        usual_ns = _PROFILING_BEAT_NS if self._order.profiled else BEAT_NS[self._order.level]
        beat_ns = min(usual_ns, self._order.interval_ns)
        next_beat_ns = now_ns
        while self._told() < Sampling.END and not self._is_over():
            now_ns = monotonic_ns()
            if now_ns >= next_beat_ns:
                self._ask("beat")
                next_beat_ns = max(next_beat_ns + beat_ns, now_ns)
                self._see_boundaries()
            if now_ns >= ticks.due_ns:
                ticks.pass_by(now_ns)
                self._arena.sampler[SamplerWord.MISSED] = ticks.missed
                self._book.tick = ticks.number
                self._tick()
            wait_ns = min(next_beat_ns, ticks.due_ns) - monotonic_ns()
            time.sleep(max(0.0, min(wait_ns / NS_PER_SECOND, _LOOK_SECONDS)))

    def _see_boundaries(self) -> None:
        phase = int(self._arena.header[Header.PHASE])
        if phase != self._phase and self._order.level == "full":
            self._ask("boundary")
        self._phase = phase

    def _tick(self) -> None:
        self._ask("tick")
        self._flush()
        self._arena.sampler[SamplerWord.TICKS] += 1

    def _flush(self) -> None:
        self._book.flush()
        self._arena.sampler[SamplerWord.CPU_NS] = time.process_time_ns() - self._cpu_from_ns

    def _make(self, name: str, make: Callable[[Means], Probe]) -> None:
        try:
            self._probes[name] = make(self._means)
        except Unseen as why:
            if str(why):
                self._book.unseen(str(why))
        except (psycopg.Error, OSError) as error:
            self._note(name, error)

    def _ask(self, moment: str) -> None:
        """Every probe; one that fails goes on at its next moment."""
        for name, probe in self._probes.items():
            try:
                getattr(probe, moment)()
            except (psycopg.Error, OSError) as error:
                self._note(name, error)

    def _note(self, name: str, error: Exception) -> None:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        self._book.unseen(f"{name}: {lines[0]}")

    def _told(self) -> int:
        return int(self._arena.house[House.TO_SAMPLER, 0])

    def _is_over(self) -> bool:
        return bool(self._arena.header[Header.STOP] >= Stop.NOW or self._arena.header[Header.PHASE] >= State.ENDED)

    def _leave(self) -> ChildExit:
        self._means.close()
        self._words[Word.STATE] = State.ENDED
        return ChildExit.DONE
