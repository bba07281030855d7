"""`run --repetitions auto`: a pilot, the number that its spread asks for, computed once, then exactly so many."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pgflow_stress.cli.full import lasting
from pgflow_stress.cli.progress import QuietWatch
from pgflow_stress.core.recording import Recording
from pgflow_stress.core.result import Json, Repetition
from pgflow_stress.engine.measurement import Measurement
from pgflow_stress.scenario.options import RunOptions
from pgflow_stress.scenario.plan import Plan

if TYPE_CHECKING:
    from pgflow_stress.analysis.comparison import Comparison
    from pgflow_stress.analysis.precision import Sample
    from pgflow_stress.engine.engine import Engine
    from pgflow_stress.target.base import Target

METRIC = "execute.per_second"


def measure(
    engine: Engine, plan: Plan, target: Target, record: Callable[[Recording], None], watch: QuietWatch
) -> Measurement:
    """A scenario's repetitions: as many as the plan says, or where it asks for a precision as many as that takes."""
    asked = plan.options.precision
    if asked is None:
        return engine.measure(plan, target, record, watch)
    from pgflow_stress.analysis.precision import KEY  # noqa: PLC0415  it brings scipy

    auto = Auto(asked, watch.note)
    watch.note(f"auto: a pilot of {plan.options.repetitions} repetitions of {plan.scenario} first; it counts")
    measurement = engine.measure(plan, target, record, watch, auto.more)
    return replace(measurement, parameters={**measurement.parameters, KEY: auto.as_json(measurement.repetitions)})


class Auto:
    """How many repetitions one scenario gets."""

    def __init__(self, asked: float, note: Callable[[str], None]) -> None:
        """Nothing measured yet.

        Args:
            asked: half the width of the mean's 95 % interval, a share.
            note: told the number and how long it takes.
        """
        self._asked = asked
        self._note = note
        self._began = time.monotonic()
        self._pilot: list[float] = []
        self._sample: Sample | None = None

    def more(self, pilot: Sequence[Repetition]) -> int:
        """How many repetitions come on top of the pilot's."""
        from pgflow_stress.analysis.precision import repetitions_of  # noqa: PLC0415

        self._pilot = _values(pilot)
        self._sample = repetitions_of(self._pilot, self._asked)
        further = self._sample.taken - len(self._pilot)
        each_seconds = (time.monotonic() - self._began) / max(1, len(pilot))
        self._note(announcement(self._sample, self._asked, METRIC, "repetitions", further * each_seconds))
        return max(0, further)

    def as_json(self, repetitions: Sequence[Repetition]) -> Json:
        """As the result's parameters have it, when all are measured."""
        from pgflow_stress.analysis.precision import MOST, reached  # noqa: PLC0415

        sample = self._sample
        return {
            "metric": METRIC,
            "precision": self._asked,
            "pilot": len(self._pilot),
            "discarded": False,
            "computed": sample.computed if sample else None,
            "most": MOST,
            "reason": sample.reason if sample else "it ended before its pilot did",
            **reached(self._pilot, _values(repetitions), self._asked),
        }


class AutoPairs:
    """How many pairs an interleaved comparison gets."""

    def __init__(self, metric: str, options: RunOptions) -> None:
        """Nothing measured yet; `options` are those of the pilot's sides."""
        self._metric = metric
        self._asked = options.precision or 0.0
        self._pilot = options.repetitions
        self._sample: Sample | None = None

    def of(self, pilot: Sequence[Sequence[Repetition]], seconds: float, note: Callable[[str], None]) -> int:
        """How many, by a pilot of both sides that took so long; told before they are measured."""
        from pgflow_stress.analysis.precision import pairs_of  # noqa: PLC0415

        base, candidate = (_by_index(side, self._metric) for side in pilot)
        both = sorted(base.keys() & candidate.keys())
        sample = pairs_of([base[index] for index in both], [candidate[index] for index in both], self._asked)
        self._sample = replace(sample, taken=max(sample.taken, self._pilot))
        each_seconds = seconds / max(1, *map(len, pilot))
        note(announcement(self._sample, self._asked, self._metric, "pairs", self._sample.taken * each_seconds))
        return self._sample.taken

    def as_json(self) -> Json:
        """For the parameters of both results."""
        from pgflow_stress.analysis.precision import KEY, MOST, POWER  # noqa: PLC0415

        assert self._sample is not None
        return {
            KEY: {
                "metric": self._metric,
                "precision": self._asked,
                "power": POWER,
                "pilot": self._pilot,
                "discarded": True,
                "computed": self._sample.computed,
                "most": MOST,
                "reason": self._sample.reason,
            }
        }

    def reached(self, found: Comparison) -> Json:
        """The smallest difference that the pairs would have found with that power, and whether it is what was asked."""
        from pgflow_stress.analysis.precision import POWER, smallest_difference  # noqa: PLC0415

        metric = found.primary
        smallest = smallest_difference(metric.ci95, metric.n[0]) if metric and metric.ci95 else None
        return {
            "metric": self._metric,
            "precision": self._asked,
            "power": POWER,
            "smallest_difference": smallest,
            "reached": smallest is not None and smallest <= self._asked,
        }

    def told(self, found: Comparison) -> str:
        """The same in a line."""
        said = self.reached(found)
        smallest, asked = said["smallest_difference"], f"asked was {100 * self._asked:g} %"
        if smallest is None:
            return f"auto: what difference of {self._metric} these pairs find cannot be told; {asked}: not reached"
        finding = f"these pairs find a difference of {self._metric} of {100 * smallest:.2g} % nine times in ten"
        return f"auto: {finding}; {asked}: {'reached' if said['reached'] else 'not reached'}"


def _by_index(repetitions: Sequence[Repetition], metric: str) -> dict[int, float]:
    from pgflow_stress.analysis.summary import metrics_of  # noqa: PLC0415

    values = {one.index: dict(metrics_of(one)).get(metric) for one in repetitions if one.counted}
    return {index: value for index, value in values.items() if value is not None}


def announcement(sample: Sample, asked: float, metric: str, what: str, seconds: float) -> str:
    """What the pilot asks for and how long that takes, in one line."""
    aim = f"{metric} ±{100 * asked:g} %"
    left = f", about {lasting(seconds)}" if seconds > 0 else ""
    if sample.computed is None:
        return f"auto: {aim} cannot be planned: {sample.reason}; {sample.taken} {what} are taken{left}"
    if not sample.enough:
        return f"auto: {aim} takes {sample.computed:,} {what}; {sample.taken}, the most, are taken{left}"
    return f"auto: {aim} takes {sample.taken} {what}{left}"


def _values(repetitions: Sequence[Repetition]) -> list[float]:
    from pgflow_stress.analysis.summary import summarise  # noqa: PLC0415

    return [value for value in summarise(repetitions)[METRIC].values if value is not None]
