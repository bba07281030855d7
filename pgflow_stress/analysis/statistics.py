"""Statistics of repetitions: the repetition is the unit, its logarithm what is averaged, a ratio what is told.

Rates and times multiply: their logs are nearer to normal, and a difference of logs is the log of a ratio. Whatever
the formulas cannot bear (no value, one value, NaN, a value of 0, no spread at all) is a ValueError of one line, never
a number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# Not scipy.stats: it takes half a second to import, and these are what it calls itself.
from scipy.special import chdtri, nctdtr, stdtr, stdtrit

LEVEL = 0.95
ALPHA = 0.05
POWER = 0.8
_BEYOND_DOUBT = 30.0  # a difference of so many standard errors
_MOST_REPETITIONS = 1_000_000
_TOO_MANY = f"it would take more than {_MOST_REPETITIONS:,} repetitions"
# Spread that is only rounding, of logs as far from 0 as those of nanoseconds: t would be anything.
_ROUNDING = 1e-12

Floats = npt.NDArray[np.float64]


class TooManyError(ValueError):
    """More repetitions than anybody would wait for."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over n repetitions and its 95 % interval, in the unit of the values."""

    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class LogRatio:
    """What two sides show of log(candidate / base): an estimate, its standard error, and degrees of freedom."""

    estimate: float
    standard_error: float
    df: float

    @property
    def ratio(self) -> float:
        """Candidate over base: the ratio of the geometric means."""
        return _exp(self.estimate)

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """The interval of the ratio at this level, by Student's t on the logs.

        Raises:
            ValueError: the spread is so large that an end is no finite number.
        """
        half = float(stdtrit(self.df, (1 + level) / 2)) * self.standard_error
        return _exp(self.estimate - half), _exp(self.estimate + half)


def _exp(exponent: float) -> float:
    try:
        return math.exp(exponent)
    except OverflowError:
        raise ValueError("the values are spread too far for a ratio") from None


def finite(values: Sequence[float] | Floats, least: int = 1) -> Floats:
    """The values as float64[n].

    Raises:
        ValueError: fewer than `least`, or one that is no finite number; one line says which.
    """
    if not isinstance(values, np.ndarray) and any(not _is_number(value) for value in values):
        raise ValueError("a value is not a number")
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or len(array) < least:
        raise ValueError(f"{len(array) or 'no'} value{'' if len(array) == 1 else 's'}: it takes {least}")
    if not np.isfinite(array).all():
        raise ValueError(f"a value is {array[~np.isfinite(array)][0]:g}")
    return array


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def logs(values: Sequence[float] | Floats, least: int = 2) -> Floats:
    """Natural logs, float64[n].

    Raises:
        ValueError: as `finite`, or a value that is not above 0.
    """
    array = finite(values, least)
    if array.min() <= 0:
        raise ValueError(f"a value is {array.min():g}: ratios need values above 0")
    return np.log(array)


def _variance(array: Floats) -> float:
    """Of a sample; 0 where the spread is only rounding."""
    variance = float(array.var(ddof=1))
    return variance if variance > (_ROUNDING * max(1.0, float(np.abs(array).max()))) ** 2 else 0.0


def geometric_mean(values: Sequence[float] | Floats, level: float = LEVEL) -> Interval:
    """Mean and t interval of the logs, back-transformed: the geometric mean.

    Args:
        values: one a repetition, in any unit, above 0.
    Raises:
        ValueError: fewer than two values, one that is no finite number above 0, all the same.
    Source: Limpert, Stahel, Abbt 2001, "Log-normal distributions across the sciences".
    """
    return _back(_t_interval(logs(values), level))


def geometric_centre(values: Sequence[float] | Floats) -> float:
    """The geometric mean alone, of one value or more; they may be all the same.

    Raises:
        ValueError: no value, or one that is no finite number above 0.
    """
    return _exp(float(logs(values, 1).mean()))


def mean(values: Sequence[float] | Floats, level: float = LEVEL) -> Interval:
    """Arithmetic mean and t interval, of what may be 0 or below.

    Raises:
        ValueError: fewer than two values, one that is no finite number, all the same.
    Source: Student 1908, "The probable error of a mean".
    """
    return _t_interval(finite(values, 2), level)


def _t_interval(array: Floats, level: float) -> Interval:
    variance = _variance(array)
    if not variance:
        raise ValueError(f"all {len(array)} values are the same: an interval needs a spread")
    centre, n = float(array.mean()), len(array)
    half = float(stdtrit(n - 1, (1 + level) / 2)) * math.sqrt(variance / n)
    return Interval(centre, centre - half, centre + half, n)


def _back(of_logs: Interval) -> Interval:
    return Interval(_exp(of_logs.mean), _exp(of_logs.low), _exp(of_logs.high), of_logs.n)


def mean_of_quantiles(samples: Sequence[Sequence[float] | Floats], quantile: float, level: float = LEVEL) -> Interval:
    """A quantile over several repetitions: the mean of each one's own, with its interval.

    Samples of different repetitions are never poured together: they share a repetition's conditions, so that their
    number would feign a precision that is not there.

    Args:
        samples: those of each repetition, of one phase and clock.
        quantile: within 0 to 1.
    Raises:
        ValueError: as `mean`, or a repetition without samples, or a quantile out of its range.
    Source: Le Boudec 2010, "Performance Evaluation of Computer and Communication Systems", ch. 2.
    """
    if not 0 <= quantile <= 1:
        raise ValueError(f"a quantile is from 0 to 1, not {quantile:g}")
    return mean([float(np.quantile(finite(one), quantile)) for one in samples], level)


def welch(base: Sequence[float] | Floats, candidate: Sequence[float] | Floats) -> LogRatio:
    """The log ratio of two independent sides whose variances may differ.

    Args:
        base, candidate: a value a repetition, above 0, in one unit.
    Raises:
        ValueError: a side of fewer than two values, a value that is no finite number above 0, no spread on either side.
    Source: Welch 1947, "The generalization of Student's problem"; degrees of freedom: Satterthwaite 1946.
    """
    before, after = logs(base), logs(candidate)
    parts = [_variance(side) / len(side) for side in (before, after)]
    total = sum(parts)
    if not total:
        raise ValueError("every repetition of a side has the same value: a test needs a spread")
    df = total**2 / sum(part**2 / (len(side) - 1) for part, side in zip(parts, (before, after), strict=True))
    return LogRatio(float(after.mean() - before.mean()), math.sqrt(total), df)


def paired(base: Sequence[float] | Floats, candidate: Sequence[float] | Floats) -> LogRatio:
    """The log ratio of pairs that were measured side by side: what moves both of a pair cancels.

    Args:
        base, candidate: the i-th of both are one pair.
    Raises:
        ValueError: different lengths, fewer than two pairs, a value that is no finite number above 0, one same ratio
            in all pairs.
    Source: Student 1908, "The probable error of a mean" (the paired t test), on logs.
    """
    before, after = logs(base), logs(candidate)
    if len(before) != len(after):
        raise ValueError(f"{len(before)} values against {len(after)} are no pairs")
    scale = max(1.0, float(np.abs(before).max()), float(np.abs(after).max()))
    differences = after - before
    variance = float(differences.var(ddof=1))
    if variance <= (_ROUNDING * scale) ** 2:
        raise ValueError("every pair has the same ratio: a test needs a spread")
    n = len(differences)
    return LogRatio(float(differences.mean()), math.sqrt(variance / n), n - 1)


def p_beyond(found: LogRatio, margin: float = 0.0) -> float:
    """Two-sided p against a ratio within 1 ± margin; with margin 0 against no difference, the t test's own p.

    Args:
        margin: 0.25 for ± 25 %, under 1.
    Raises:
        ValueError: a margin out of its range.
    Source: the t test with a shifted null, as in Wellek 2010, "Testing Statistical Hypotheses of Equivalence and
        Noninferiority", ch. 2 (superiority by a margin).
    """
    low, high = _bounds(margin)
    above = float(stdtr(found.df, -(found.estimate - high) / found.standard_error))
    below = float(stdtr(found.df, (found.estimate - low) / found.standard_error))
    return min(1.0, 2 * min(above, below))


def p_equivalent(found: LogRatio, within: float, noise: float = 0.0) -> float:
    """p of two one-sided tests: small where the ratio lies within 1 ± within.

    Args:
        within: 0.05 for ± 5 %, above 0 and under 1.
        noise: by how much the two sides may differ for reasons of their own (1 ± noise); what is left within is tested.
    Returns:
        The larger p of the two; 1 where the noise leaves nothing.
    Raises:
        ValueError: a limit out of its range.
    Source: Schuirmann 1987, "A comparison of the two one-sided tests procedure and the power approach".
    """
    if not within:
        raise ValueError("equivalence within 0 cannot be shown")
    (low, high), (noise_low, noise_high) = _bounds(within), _bounds(noise)
    # What was measured is the true difference and the noise's: at either end of the noise the true one must lie within.
    low, high = low + noise_high, high + noise_low
    if low >= high:
        return 1.0
    above_low = float(stdtr(found.df, -(found.estimate - low) / found.standard_error))
    below_high = float(stdtr(found.df, (found.estimate - high) / found.standard_error))
    return max(above_low, below_high)


def _bounds(share: float) -> tuple[float, float]:
    if not 0 <= share < 1:
        raise ValueError(f"a limit is from 0 to under 1, not {share:g}")
    return math.log1p(-share), math.log1p(share)


def holm(ps: Sequence[float]) -> list[float]:
    """Step-down corrected p values, in the order given: below alpha are those that a family of alpha rejects.

    Raises:
        ValueError: a p that is not within 0 to 1.
    Source: Holm 1979, "A simple sequentially rejective multiple test procedure".
    """
    if any(not 0 <= p <= 1 for p in ps):
        raise ValueError("a p value is not within 0 to 1")
    corrected = [0.0] * len(ps)
    highest = 0.0
    for rank, position in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[position]))
        corrected[position] = highest
    return corrected


def detectable(found: LogRatio, margin: float = 0.0, alpha: float = ALPHA, power: float = POWER) -> float:
    """The smallest difference that these data could have shown, as a share: 0.03 for 3 %, told as a rise.

    A true ratio of 1 + this is found by the two-sided test with the given power, at the spread that was seen; the
    estimate itself plays no part (power "as observed" says nothing beyond p).

    Args:
        margin: only differences beyond 1 ± margin count as shown.
    Raises:
        ValueError: a margin out of its range.
    Source: Cohen 1988, "Statistical Power Analysis", ch. 2; noncentral t. Hoenig, Heisey 2001, "The abuse of power".
    """
    critical = float(stdtrit(found.df, 1 - alpha / 2))
    return _exp(_bounds(margin)[1] + _noncentrality(found.df, critical, power) * found.standard_error) - 1


def _noncentrality(df: float, critical: float, power: float) -> float:
    """Where the noncentral t exceeds `critical` with this power; the far tail's share is below 1e-6 and left out."""
    low, high = 0.0, critical + 1.0
    while 1 - float(nctdtr(df, high, critical)) < power:
        high *= 2
    for _ in range(60):  # bisection: the power rises with the noncentrality
        middle = (low + high) / 2
        low, high = (middle, high) if 1 - float(nctdtr(df, middle, critical)) < power else (low, middle)
    return high


def repetitions_for(pilot: Sequence[float] | Floats, precision: float, level: float = LEVEL) -> int:
    """How many repetitions, the pilot's among them, for an interval of the mean of ± precision: computed once.

    Stopping as soon as an interval looks narrow would stop at the lucky ones. The pilot's own t makes up for its
    spread being an estimate.

    Args:
        pilot: a value a repetition, above 0.
        precision: half the interval's width as a share of the mean, 0.02 for ± 2 %.
    Returns:
        At least the pilot's own number.
    Raises:
        ValueError: as `geometric_mean`, a precision that is not above 0, or more than a million repetitions.
    Source: Stein 1945, "A two-sample test for a linear hypothesis whose power is independent of the variance".
    """
    if not (math.isfinite(precision) and precision > 0):
        raise ValueError(f"a precision is above 0, not {precision:g}")
    deviation = deviation_of_logs(pilot)
    needed = (float(stdtrit(len(pilot) - 1, (1 + level) / 2)) / math.log1p(precision) * deviation) ** 2
    if needed > _MOST_REPETITIONS:
        raise TooManyError(_TOO_MANY)
    return max(len(pilot), math.ceil(needed))


def deviation_of_logs(values: Sequence[float] | Floats) -> float:
    """Standard deviation of the logs of a pilot's values.

    Raises:
        ValueError: fewer than two values, one that is no finite number above 0, all the same.
    """
    array = logs(values)
    variance = _variance(array)
    if not variance:
        raise ValueError(f"all {len(array)} values are the same: a pilot needs a spread")
    return math.sqrt(variance)


def pairs_for(
    pilot: LogRatio, difference: float, alpha: float = ALPHA, power: float = POWER, certainty: float | None = None
) -> int:
    """How many pairs find a true difference of 1 ± difference with this power, at the spread of a pilot of pairs.

    Args:
        pilot: what `paired` found in it; only its spread counts.
        difference: 0.1 for 10 %, above 0 and under 1.
        certainty: of having the power: the spread is taken for the upper end of its one-sided interval at this level,
            as a pilot that happened to be quiet asks for too few. None: the spread as it is, a certainty of about half.
    Returns:
        At least the pilot's own number of pairs.
    Raises:
        ValueError: a difference out of its range, or more than a million pairs.
    Source: Cohen 1988, ch. 2; noncentral t, solved for n. Browne 1995 (certainty).
    """
    wanted = _bounds(difference)[1]
    if not wanted:
        raise ValueError("a difference of 0 cannot be found")
    n = round(pilot.df) + 1
    deviation = pilot.standard_error * math.sqrt(n)
    if certainty is not None:
        deviation *= math.sqrt(pilot.df / float(chdtri(pilot.df, certainty)))

    def is_enough(pairs: int) -> bool:
        critical = float(stdtrit(pairs - 1, 1 - alpha / 2))
        shift = wanted * math.sqrt(pairs) / deviation
        # Far beyond every doubt the noncentral t of scipy gives up.
        return shift > _BEYOND_DOUBT or 1 - float(nctdtr(pairs - 1, shift, critical)) >= power

    low, high = n, n
    while not is_enough(high):
        if high == _MOST_REPETITIONS:
            raise TooManyError(_TOO_MANY)
        low, high = high, min(2 * high, _MOST_REPETITIONS)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high
