"""`--repetitions auto`: how many repetitions, or pairs, a precision takes, computed once from a pilot.

Of a `run` the pilot's repetitions count (Stein's two stages): the interval that is judged has the pilot's spread and
degrees of freedom, whatever the later ones show, so that its 95 % hold though the pilot set the number. Of a `compare`
the pilot is discarded: its verdicts are tests at a fixed n, which one that their own data set would not be.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from scipy.special import stdtrit

from pgflow_stress.analysis import statistics
from pgflow_stress.analysis.evidence import Evidence, Finding
from pgflow_stress.core.result import Json

KEY = "repetitions_auto"  # of the result's parameters
PILOT = 10
MOST = 200
CERTAINTY = 0.8  # that the pairs have it: a pilot's own spread is a guess
POWER = 0.9  # of finding a difference as large as the precision, in pairs
_LEAST_PILOT = 5  # counted ones: with fewer the t is so wide that any number would be asked for


@dataclass(frozen=True, slots=True)
class Sample:
    """What a pilot asks for; `computed` None where that cannot be said, and why."""

    computed: int | None
    taken: int  # computed, at most MOST; as many as the pilot where nothing could be computed
    reason: str = ""

    @property
    def enough(self) -> bool:
        """Whether so many are taken as it takes."""
        return self.computed is not None and self.taken >= self.computed


def repetitions_of(pilot: Sequence[float], precision: float) -> Sample:
    """How many repetitions, the pilot's among them, for a mean within ± precision (95 %).

    Args:
        pilot: a value a counted repetition, above 0.
        precision: a share, above 0.
    Source: Stein 1945; see statistics.repetitions_for.
    """
    return _sample(len(pilot), lambda: statistics.repetitions_for(pilot, precision))


def pairs_of(base: Sequence[float], candidate: Sequence[float], difference: float) -> Sample:
    """How many pairs find a difference of this size with a power of 90 %, at the spread that a pilot's may well be.

    Source: Cohen 1988, Browne 1995; see statistics.pairs_for.
    """
    return _sample(
        min(len(base), len(candidate)),
        lambda: statistics.pairs_for(statistics.paired(base, candidate), difference, power=POWER, certainty=CERTAINTY),
    )


def _sample(n: int, asked: Callable[[], int]) -> Sample:
    if n < _LEAST_PILOT:
        return Sample(None, n, f"the pilot has {n} values: it takes {_LEAST_PILOT}")
    try:
        computed = asked()
    except statistics.TooManyError as error:
        return Sample(None, MOST, str(error))
    except ValueError as error:
        return Sample(None, n, str(error))
    return Sample(computed, min(computed, MOST))


def half_width(pilot: Sequence[float], n: int) -> float | None:
    """Stein's half width of the mean's 95 % interval after n repetitions, as a share; None where there is none.

    Args:
        pilot: the values of the pilot: spread and degrees of freedom are theirs.
        n: counted repetitions, the pilot's among them.
    Source: Stein 1945.
    """
    try:
        deviation = statistics.deviation_of_logs(pilot)
    except ValueError:
        return None
    t = float(stdtrit(len(pilot) - 1, (1 + statistics.LEVEL) / 2))
    return math.expm1(t * deviation / math.sqrt(n)) if n else None


def reached(pilot: Sequence[float], values: Sequence[float], asked: float) -> Json:
    """As the result's parameters have it: the half width after all of `values`, and whether that is what was asked.

    The wider of Stein's and of Student's of all values: the second is what a reader sees, and where the repetitions
    after the pilot spread more than it did, the pilot's promise does not hold.
    """
    widths = [half_width(pilot, len(values)), half_width(values, len(values))]
    width = None if None in widths else max(filter(None, widths), default=None)
    return {"half_width": width, "reached": width is not None and width <= asked}


def smallest_difference(ci95: tuple[float, float], pairs: int) -> float | None:
    """What so many pairs would have found with a power of 90 %, at the spread that their interval shows, as a share.

    Args:
        ci95: of the ratio, by the t of the pairs.
    """
    if pairs < 2 or not 0 < ci95[0] < ci95[1]:
        return None
    low, high = (math.log(end) for end in ci95)
    t = float(stdtrit(pairs - 1, (1 + statistics.LEVEL) / 2))
    found = statistics.LogRatio((low + high) / 2, (high - low) / 2 / t, pairs - 1)
    return statistics.detectable(found, power=POWER)


def precision_is_told(evidence: Evidence) -> Iterator[Finding]:
    """A note: whether the precision that was asked for was reached. Reads parameters["repetitions_auto"]."""
    auto = evidence.parameters.get(KEY)
    if not auto or auto.get("discarded"):
        return
    asked, width, n = auto["precision"], auto.get("half_width"), len(evidence.counted)
    which = f"{auto['metric']} within ±{100 * asked:g} %"
    if auto.get("reached"):
        yield Finding(f"{which}, as asked (95 %, {n} repetitions, a pilot of {auto['pilot']} among them)")
        return
    found = "" if width is None else f": ±{100 * width:.2g} % after {n} repetitions"
    needed = auto.get("computed")
    why = f"it takes {needed:,}, and auto at most {MOST}" if needed and needed > MOST else auto.get("reason")
    yield Finding(f"not {which}{found}{f'; {why}' if why else ''}")
