"""Faults on a timeline: what was asked for, and when each strikes. What it does is in `engine.faults`.

`NAME@2s`: once, two seconds after the process phase began. `NAME@every 10s`: at 10 s, 20 s, … for as long as there is
work. `NAME@random:5/30s`: five times within the first 30 s, drawn by the seed; within --duration where that is left
out. With `:20s` behind it: lasts so long, of a fault that lasts.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from pgflow_stress.core.durations import parse_duration
from pgflow_stress.core.errors import UsageFault

MOST_STRIKES = 64  # of one spec: each may cost a worker, and with it a place in the arena
HOW = "give NAME@TIME, NAME@every TIME or NAME@random:COUNT/TIME, and :TIME where it lasts, as in stop-worker@2s:20s"

_WHEN = re.compile(
    r"every\s+(?P<every>[^:\s]+)|random:(?P<count>\d+)(?:/(?P<within>[^:]+))?|(?P<at>[^:\s]+)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class FaultSpec:
    """One --fault; exactly one of at, every and count is given."""

    text: str
    name: str
    at_seconds: float | None = None
    every_seconds: float | None = None
    count: int | None = None
    within_seconds: float | None = None  # of `count`; None: the duration
    lasts_seconds: float | None = None  # None: as long as its kind lasts


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault at one time, seconds from the begin of the process phase."""

    spec: FaultSpec
    number: int  # of its repetition, in order of time, from 1
    at_seconds: float


def parse_fault(text: str) -> FaultSpec:
    """Read one --fault; whether there is such a fault is for the engine's registry to say.

    Raises:
        UsageFault: it is none.
    """
    name, at, rest = text.strip().partition("@")
    found = _WHEN.match(rest.strip())
    if not name or not at or found is None:
        raise UsageFault(f"--fault {text!r}: {HOW}")
    lasts = rest.strip()[found.end() :]
    try:
        if lasts and not lasts.startswith(":"):
            raise ValueError(lasts)
        spec = FaultSpec(
            text.strip(),
            name.strip(),
            _seconds(found["at"], least=0.0),
            _seconds(found["every"]),
            None if found["count"] is None else int(found["count"]),
            _seconds(found["within"]),
            _seconds(lasts[1:] if lasts else None),
        )
    except ValueError as error:
        raise UsageFault(f"--fault {text!r}: {error} is no duration that can be; {HOW}") from None
    if spec.count is not None and not 1 <= spec.count <= MOST_STRIKES:
        raise UsageFault(f"--fault {text!r}: random takes 1 to {MOST_STRIKES}")
    return spec


def _seconds(text: str | None, least: float = 0.01) -> float | None:
    if text is None:
        return None
    try:
        seconds = parse_duration(text.strip())
    except ValueError:
        raise ValueError(repr(text)) from None
    if seconds < least:
        raise ValueError(repr(text))
    return seconds


def check_times(specs: tuple[FaultSpec, ...], duration_seconds: float | None, timeout_seconds: float) -> None:
    """Refuse what could never strike.

    Raises:
        UsageFault: a time after the duration (of an open or closed load) or the time-out, or random with no time.
    """
    end = duration_seconds if duration_seconds is not None else timeout_seconds
    name = "--duration" if duration_seconds is not None else "--timeout"
    for spec in specs:
        first = spec.at_seconds if spec.at_seconds is not None else spec.every_seconds
        latest = first if first is not None else spec.within_seconds
        if latest is None and duration_seconds is None:
            raise UsageFault(
                f"--fault {spec.text!r}: random within what time? give {spec.name}@random:{spec.count}/30s, "
                "or a load with --duration"
            )
        if latest is not None and latest > end:
            raise UsageFault(f"--fault {spec.text!r}: {latest:g} s is beyond {name} {end:g} s, it would never strike")


def timeline(
    specs: tuple[FaultSpec, ...], seed: int, index: int, duration_seconds: float | None, timeout_seconds: float
) -> tuple[Strike, ...]:
    """Every strike of one repetition, in order of time; the same for the same seed and repetition."""
    times = [
        (at, place, spec)
        for place, spec in enumerate(specs)
        for at in _times(spec, f"{seed} {index} {place} {spec.text}", duration_seconds or timeout_seconds)
    ]
    ordered = sorted(times, key=lambda one: one[:2])
    return tuple(Strike(spec, number, at) for number, (at, _, spec) in enumerate(ordered, 1))


def _times(spec: FaultSpec, seed: str, end_seconds: float) -> list[float]:
    if spec.at_seconds is not None:
        return [spec.at_seconds]
    if spec.every_seconds is not None:
        most = min(MOST_STRIKES, int(end_seconds / spec.every_seconds + 1e-9))
        return [spec.every_seconds * number for number in range(1, most + 1)]
    within = spec.within_seconds if spec.within_seconds is not None else end_seconds
    drawn = random.Random(seed)
    return sorted(drawn.uniform(0, within) for _ in range(spec.count or 0))
