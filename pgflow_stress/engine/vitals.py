"""A process's own account of its Python side, written into the arena: collector pauses, sleeps that ended late."""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Callable, Iterator
from typing import Any

from pgflow_stress.core.arena import Arena, Int64s, Word
from pgflow_stress.core.telemetry import POOL_BACKENDS, Vital
from pgflow_stress.core.units import NS_PER_SECOND
from pgflow_stress.engine.proc import reset_peak
from pgflow_stress_hot.clock import monotonic_ns


def backends_of(arena: Arena, region: int) -> list[int]:
    """The backends of the process of a region, of its pool's connections too."""
    return [int(pid) for pid in (arena.words[region, Word.BACKEND_PID], *arena.vitals[region, POOL_BACKENDS:]) if pid]


def count_collections(vitals: Int64s) -> Callable[[str, dict[str, Any]], None]:
    """Book every pause of the cyclic collector from now on; the callback, to be taken out of gc.callbacks again."""
    began_ns = 0

    def book(phase: str, _about: dict[str, Any]) -> None:
        nonlocal began_ns
        if phase == "start":
            began_ns = monotonic_ns()
            return
        pause_ns = monotonic_ns() - began_ns
        vitals[Vital.COLLECTIONS] += 1
        vitals[Vital.COLLECTION_NS] += pause_ns
        vitals[Vital.LONGEST_COLLECTION_NS] = max(int(vitals[Vital.LONGEST_COLLECTION_NS]), pause_ns)

    gc.callbacks.append(book)
    return book


@contextlib.contextmanager
def collections_counted(vitals: Int64s) -> Iterator[None]:
    """Book them for as long as a block lasts."""
    book = count_collections(vitals)
    try:
        yield
    finally:
        gc.callbacks.remove(book)


def begin_window(vitals: Int64s) -> None:
    """From here on it is the window that is booked: all from zero, the kernel's peak of memory too where it may be."""
    vitals[:] = 0
    vitals[Vital.PEAK_RESET] = reset_peak()


def sleep(seconds: float, vitals: Int64s) -> None:
    """Sleep, and book by how much it lasted longer than asked for: the delay with which this process is scheduled."""
    due_ns = monotonic_ns() + round(seconds * NS_PER_SECOND)
    time.sleep(seconds)
    late_ns = monotonic_ns() - due_ns
    vitals[Vital.SLEEPS] += 1
    vitals[Vital.LATE_NS] += max(0, late_ns)
    vitals[Vital.LONGEST_LATE_NS] = max(int(vitals[Vital.LONGEST_LATE_NS]), late_ns)
