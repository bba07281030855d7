"""How long tasks work, simulated: `--work` as text, and the same drawn for all tasks at once.

A worker draws alike, task by task (ext/pgflow_stress_hot/durations.pyx): from the task's place, its attempt and the
seed, so that what a task takes does not depend on who has it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

from pgflow_stress.core.errors import UsageFault
from pgflow_stress.scenario.failing import mixed

if TYPE_CHECKING:  # numpy is not wanted before it is needed
    import numpy as np
    import numpy.typing as npt

MOST_NS = 86_400 * 10**9
MOST_SIGMA = 10.0
KINDS = ("constant", "exponential", "lognormal")  # by their code
_UNITS_NS = {"us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9}
_GOLDEN = 0x9E3779B97F4A7C15
_SALT = 0x5DEECE66D  # so that what is drawn here and what fails by design have nothing to do with each other
_RANGE = 1 << 64
_TIME = re.compile(r"(\d{1,15}(?:\.\d*)?|\.\d+)(us|ms|s|m)")
_DRAWN = re.compile(r"(\w+)\(([^()]*)\)")
_PARTS = re.compile(r",(?![^(]*\))")  # commas that are in no parentheses
_HOW = "give a time as 20ms, exponential(MEAN) or lognormal(MEDIAN,SIGMA)"
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Duration:
    """A distribution of durations: a constant, exponential by its mean, lognormal by its median and sigma."""

    kind: str = "constant"
    scale_ns: int = 0  # the constant, the mean, the median
    sigma: float = 0.0  # of the logarithm

    def __str__(self) -> str:
        time = _time_text(self.scale_ns)
        if self.kind == "constant":
            return time
        return f"exponential({time})" if self.kind == "exponential" else f"lognormal({time},{self.sigma:g})"

    def quantile_ns(self, share: float) -> float:
        """What this share of durations is below."""
        if self.kind == "constant":
            return self.scale_ns
        if self.kind == "exponential":
            return -self.scale_ns * math.log(1 - share)
        return self.scale_ns * math.exp(self.sigma * NormalDist().inv_cdf(share))


NOTHING = Duration()


@dataclass(frozen=True, slots=True)
class SimulatedWork:
    """The work of each step's tasks; of steps that are not named `otherwise`."""

    by_step: tuple[tuple[str, Duration], ...] = ()
    otherwise: Duration = NOTHING

    def __bool__(self) -> bool:
        return bool(self.by_step) or bool(self.otherwise.scale_ns)

    def __str__(self) -> str:
        named = [f"{slug}={duration}" for slug, duration in self.by_step]
        return ",".join(([str(self.otherwise)] if self.otherwise.scale_ns or not named else []) + named)

    def of(self, slugs: Iterable[str]) -> list[Duration]:
        """Each step's."""
        known = dict(self.by_step)
        return [known.get(slug, self.otherwise) for slug in slugs]

    def quantile_ns(self, share: float) -> float:
        """Of the longest of its distributions."""
        return max(one.quantile_ns(share) for one in (self.otherwise, *(one for _, one in self.by_step)))

    def check(self, slugs: Sequence[str]) -> None:
        """Whether these are steps of what is run.

        Raises:
            UsageFault: one is not.
        """
        for slug, _ in self.by_step:
            if slug not in slugs:
                some = ", ".join(slugs[:_MOST_NAMED]) + (", …" if len(slugs) > _MOST_NAMED else "")
                raise UsageFault(f"--work: no step {slug!r}; there are: {some}")


NO_WORK = SimulatedWork()


def parse_work(text: str) -> SimulatedWork:
    """Read `20ms`, `step=20ms,other=lognormal(5ms,2)` or both: `5ms,step=20ms`.

    Raises:
        UsageFault: anything else.
    """
    named: dict[str, Duration] = {}
    otherwise: Duration | None = None
    for part in _PARTS.split(text):
        slug, equals, value = part.rpartition("=")
        duration = _parse_duration(value.strip(), part.strip())
        if equals and (not slug.strip() or slug.strip() in named):
            raise UsageFault(f"--work {part.strip()!r}: {'no step is named' if not slug.strip() else 'given twice'}")
        if equals:
            named[slug.strip()] = duration
        elif otherwise is None:
            otherwise = duration
        else:
            raise UsageFault(f"--work {text!r}: two durations for all steps; name steps, as in step=20ms")
    return SimulatedWork(tuple(named.items()), otherwise or NOTHING)


def _parse_duration(text: str, part: str) -> Duration:
    if (time_ns := _time_ns(text)) is not None:
        return Duration("constant", time_ns)
    found = _DRAWN.fullmatch(text)
    kind, given = (found[1], [one.strip() for one in found[2].split(",")]) if found else ("", [])
    scale_ns = _time_ns(given[0]) if given else None
    if kind == "exponential" and len(given) == 1 and scale_ns is not None:
        return Duration(kind, scale_ns)
    if kind == "lognormal" and len(given) == 2 and scale_ns is not None and (sigma := _sigma(given[1])) is not None:
        return Duration(kind, scale_ns, sigma)
    raise UsageFault(f"--work {part!r}: {_HOW}, with a unit of us, ms, s or m, at most 24 hours")


def _time_ns(text: str) -> int | None:
    found = _TIME.fullmatch(text)
    value = round(float(found[1]) * _UNITS_NS[found[2]]) if found else MOST_NS + 1
    return value if value <= MOST_NS else None


def _time_text(value_ns: int) -> str:
    unit = next(name for name in ("s", "ms", "us") if value_ns % _UNITS_NS[name] == 0 or name == "us")
    return f"{value_ns / _UNITS_NS[unit]:.12g}{unit}"


def _sigma(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value <= MOST_SIGMA else None


def work_seed(seed: int) -> int:
    """Of all that is drawn here."""
    return (seed ^ _SALT) % _RANGE


def work_tables(
    work: SimulatedWork, slugs: Sequence[str]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """By step, as ext's Durations takes it: int64[steps] code of the kind, float64[steps] scale in ns, and sigma."""
    import numpy as np  # noqa: PLC0415

    durations = work.of(slugs)
    return (
        np.array([KINDS.index(one.kind) for one in durations], dtype=np.int64),
        np.array([one.scale_ns for one in durations], dtype=np.float64),
        np.array([one.sigma for one in durations], dtype=np.float64),
    )


def drawn_ns(
    duration: Duration, seed: int, places: npt.NDArray[np.int64], attempts: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """int64[tasks]: what these attempts of the tasks at these places of the ledger take, ns.

    Numbers are SplitMix64's, as of scenario.failing; normal ones by Box and Muller (1958).
    """
    import numpy as np  # noqa: PLC0415

    if duration.kind == "constant":
        return np.full(len(places), duration.scale_ns, dtype=np.int64)
    with np.errstate(over="ignore"):
        numbers = mixed((places * 16 + attempts).astype(np.uint64) + np.uint64(work_seed(seed)))
        first, second = (_uniform(mixed(numbers + np.uint64(k * _GOLDEN % _RANGE))) for k in (1, 2))
    if duration.kind == "exponential":
        factors = -np.log(first)
    else:
        factors = np.exp(duration.sigma * np.sqrt(-2 * np.log(first)) * np.cos(2 * np.pi * second))
    drawn: npt.NDArray[np.float64] = np.minimum(duration.scale_ns * factors, MOST_NS)
    return drawn.astype(np.int64)


def _uniform(numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.float64]:
    import numpy as np  # noqa: PLC0415

    return ((numbers >> np.uint64(11)) + np.uint64(1)).astype(np.float64) * 2.0**-53
