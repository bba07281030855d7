"""The sampler's hand: puts points of named series into the arena, a tick's at once."""

from __future__ import annotations

import numpy as np

from pgflow_stress.core.arena import Arena
from pgflow_stress.core.telemetry import FIRST_TICK, MOST_SERIES, MOST_UNSEEN, POINT_DTYPE, SamplerWord
from pgflow_stress_hot.clock import monotonic_ns

_MOST_THINNED = 20  # then one tick in a million is left, and those before and after the window


class Book:
    """Writes into the sampler's regions of one arena; nobody else does."""

    def __init__(self, arena: Arena) -> None:
        """An empty book."""
        self._arena = arena
        self._words = arena.sampler
        self._places: dict[tuple[str, str, str], int] = {}
        self._pending: list[tuple[int, float, int, int]] = []
        self._unseen: set[str] = set()
        self.tick = FIRST_TICK  # that the points belong to

    def put(self, role: str, subject: str, metric: str, value: float, unit: str) -> None:
        """One point, now; kept until `flush`."""
        key = (role, subject, metric)
        place = self._places.get(key)
        if place is None:
            place = self._place(key, unit)
        if place < 0:
            self._words[SamplerWord.LEFT_OUT] += 1
            return
        self._pending.append((monotonic_ns(), value, place, self.tick))

    def _place(self, key: tuple[str, str, str], unit: str) -> int:
        place = int(self._words[SamplerWord.SERIES])
        if place == MOST_SERIES:
            return -1
        self._arena.series[place] = tuple(text.encode() for text in (*key, unit))
        self._words[SamplerWord.SERIES] = place + 1
        self._places[key] = place
        return place

    def flush(self) -> None:
        """Make the points kept so far part of the book; the count comes last, so that no reader sees half of one."""
        if not self._pending:
            return
        new = np.array(self._pending, dtype=POINT_DTYPE)
        self._pending.clear()
        have, room = int(self._words[SamplerWord.POINTS]), len(self._arena.points)
        while have + len(new) > room and self._words[SamplerWord.THINNED] < _MOST_THINNED:
            have = self._thin(have)
        self._words[SamplerWord.LEFT_OUT] += max(0, have + len(new) - room)
        new = new[: room - have]
        self._arena.points[have : have + len(new)] = new
        self._words[SamplerWord.POINTS] = have + len(new)

    def _thin(self, have: int) -> int:
        """Every second of the ticks that are left is dropped: counters lose nothing between those that stay."""
        times = int(self._words[SamplerWord.THINNED]) + 1
        kept = self._arena.points[:have]
        kept = kept[kept["tick"] % (1 << times) == 0]
        self._arena.points[: len(kept)] = kept
        self._words[SamplerWord.POINTS] = len(kept)
        self._words[SamplerWord.THINNED] = times
        return len(kept)

    def unseen(self, line: str) -> None:
        """Something that cannot be seen here, and why; told once."""
        place = int(self._words[SamplerWord.UNSEEN])
        if line in self._unseen or place == MOST_UNSEEN:
            return
        self._unseen.add(line)
        self._arena.unseen[place] = line.encode()[: self._arena.unseen.dtype.itemsize]
        self._words[SamplerWord.UNSEEN] = place + 1
