"""When each run of an open load is to start: one schedule, whatever process sends it."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from pgflow_stress.core.errors import UsageFault

if TYPE_CHECKING:  # numpy is not wanted before it is needed
    import numpy as np
    import numpy.typing as npt

MOST_SCHEDULED = 20_000_000
_NS = 1e9
_MOST_DRAWN = 200
_EVEN_RUNS = 1.0


class Arrival(StrEnum):
    """Spacing of an open load's runs."""

    CONSTANT = "constant"
    POISSON = "poisson"


class Late(StrEnum):
    """What becomes of a run that is more than one spacing late when a starter gets to it."""

    KEEP = "keep"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of a schedule with a rate of its own."""

    seconds: float
    per_second: float

    def __str__(self) -> str:
        return f"{self.seconds:g}s:{self.per_second:g}"


def parse_stages(text: str) -> tuple[Stage, ...]:
    """Read `30s:100,60s:200`: seconds and runs per second of each part.

    Raises:
        UsageFault: anything else.
    """
    stages = []
    for part in text.split(","):
        duration, colon, rate = part.strip().partition(":")
        try:
            seconds = float(duration.removesuffix("s"))
            per_second = float(rate)
        except ValueError:
            colon = ""
        if not colon or not 0 < seconds <= 30 * 24 * 3600 or not 0 < per_second <= 1e9:
            raise UsageFault(
                f"--stages {text!r}: {part.strip()!r} is none: give 30s:100,60s:200 (seconds:runs a second)"
            )
        stages.append(Stage(seconds, per_second))
    return tuple(stages)


def scheduled_runs(stages: tuple[Stage, ...], arrival: Arrival, seed: int) -> int:
    """How many runs a schedule has.

    Raises:
        UsageFault: more than can be scheduled, or none.
    """
    most = sum(stage.seconds * stage.per_second for stage in stages)
    if most > MOST_SCHEDULED:
        raise UsageFault(f"{most:.3g} runs in one schedule: at most {MOST_SCHEDULED:,}; lower --rate or --duration")
    count = len(offsets_ns(stages, arrival, seed))
    if not count:
        raise UsageFault("the schedule has no run: raise --rate or --duration")
    return count


def even_seed(stage: Stage, arrival: Arrival, seed: int, within: float = 0.005) -> tuple[int, int]:
    """A seed whose schedule has as many runs as its rate says, within a share or the nearest of 200; with its runs.

    What a window offers then is its rate, and not by chance some per cent more: a Poisson process given its count.
    """
    expected = stage.seconds * stage.per_second
    generator = random.Random(f"{seed} {stage}")
    best, off = (seed, 0), float("inf")
    for _ in range(_MOST_DRAWN):
        drawn = generator.randrange(2**31)
        runs = len(offsets_ns((stage,), arrival, drawn))
        if abs(runs - expected) < off:
            best, off = (drawn, runs), abs(runs - expected)
        if off <= max(_EVEN_RUNS, within * expected):
            break
    return best


def offsets_ns(stages: tuple[Stage, ...], arrival: Arrival, seed: int) -> npt.NDArray[np.int64]:
    """When each run is intended, ns from the schedule's begin, ascending; the same for the same seed.

    Constant: the middle of each of the equal parts of a stage. Poisson: exponential gaps (Knuth, TAOCP 3.4.1).
    """
    import numpy as np  # noqa: PLC0415

    generator = np.random.default_rng(seed)
    found: list[npt.NDArray[np.floating]] = []
    begin = 0.0
    for stage in stages:
        if arrival is Arrival.CONSTANT:
            count = round(stage.seconds * stage.per_second)
            times = (np.arange(count) + 0.5) / stage.per_second
        else:
            mean = stage.seconds * stage.per_second
            gaps = generator.exponential(1 / stage.per_second, size=int(mean + 10 * mean**0.5 + 20))
            times = np.cumsum(gaps)
            times = times[times < stage.seconds]
        found.append(begin + times[times < stage.seconds])
        begin += stage.seconds
    return (np.concatenate(found) * _NS).astype(np.int64)
