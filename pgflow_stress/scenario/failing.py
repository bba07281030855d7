"""What fails by design: decided by the seed for each attempt of each task, so that every outcome is known before.

The worker decides alike, task by task (`fails` of ext/pgflow_stress_hot/account.pyx); here all are decided at once.
Numbers are SplitMix64's (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014), two rounds
over (place of the task, attempt, seed).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # numpy is not wanted before it is needed
    import numpy as np
    import numpy.typing as npt

MOST_ATTEMPTS = 15  # of a task: the ledger counts the failed ones in four bits
_GOLDEN = 0x9E3779B97F4A7C15
_RANGE = 1 << 64


@dataclass(frozen=True, slots=True)
class Failing:
    """How often attempts fail, how many there are, and how long pgflow waits before the next."""

    probability: float  # of each attempt
    doomed: float  # share of the runs in which one task fails at every attempt
    max_attempts: int
    base_delay_seconds: int  # base * 2 ^ attempt seconds before the next
    seed: int
    shapes: tuple[int, ...] = (0,)  # those whose tasks fail

    @property
    def fails(self) -> bool:
        """Whether anything may fail at all."""
        return self.probability > 0 or self.doomed > 0

    def fail_below(self, steps_of_shapes: tuple[int, ...]) -> npt.NDArray[np.uint64]:
        """uint64[steps]: an attempt whose number is below this fails."""
        import numpy as np  # noqa: PLC0415

        below = np.uint64(min(_RANGE - 1, round(self.probability * _RANGE)))
        of = [below if shape in self.shapes else np.uint64(0) for shape in range(len(steps_of_shapes))]
        return np.repeat(np.array(of, dtype=np.uint64), steps_of_shapes)

    def doomed_tasks(
        self, first_task: npt.NDArray[np.int64], shape_of_run: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        """int64[runs]: the task of each run, by its place, whose every attempt fails; -1: none."""
        import numpy as np  # noqa: PLC0415

        runs = np.arange(len(shape_of_run), dtype=np.uint64)
        number = _numbers(runs, (self.seed ^ _GOLDEN) % _RANGE)
        tasks = np.diff(first_task)
        chosen = (number < np.uint64(min(_RANGE - 1, round(self.doomed * _RANGE)))) & (tasks > 0)
        chosen &= np.isin(shape_of_run, self.shapes)
        which = _numbers(runs, (self.seed + _GOLDEN) % _RANGE) % np.maximum(tasks, 1).astype(np.uint64)
        return np.where(chosen, first_task[:-1] + which.astype(np.int64), -1).astype(np.int64)

    def failed_attempts(self, below: npt.NDArray[np.uint64], doomed: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """uint8[tasks]: how many attempts of each task fail before one does not; max_attempts: it fails for good.

        Args:
            below: uint64[tasks], of each task's step.
            doomed: of `doomed_tasks`.
        """
        import numpy as np  # noqa: PLC0415

        places = np.arange(len(below), dtype=np.uint64) * np.uint64(16)
        found = np.zeros(len(below), dtype=np.uint8)
        going = np.ones(len(below), dtype=bool)
        always = np.zeros(len(below), dtype=bool)
        always[doomed[doomed >= 0]] = True
        for attempt in range(self.most_tries):
            going &= always | (_numbers(places + np.uint64(attempt), self.seed) < below)
            found += going
        return found

    @property
    def most_tries(self) -> int:
        """Attempts of a task at most: pgflow takes 0 for 1."""
        return max(1, self.max_attempts)


def _numbers(values: npt.NDArray[np.uint64], seed: int) -> npt.NDArray[np.uint64]:
    import numpy as np  # noqa: PLC0415

    with np.errstate(over="ignore"):
        return mixed(mixed(values + np.uint64(seed % _RANGE)) + np.uint64(_GOLDEN))


def mixed(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Numbers as good as drawn: the finalizer of SplitMix64."""
    import numpy as np  # noqa: PLC0415

    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
