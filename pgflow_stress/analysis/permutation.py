"""Counters that do not vary: without a spread no t exists, but what chance could have made of them can be counted.

Were the two sides the same thing, every way to deal the values to them would be as likely as the one that was seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pgflow_stress.analysis.statistics import Floats, logs

_ROUNDING = 1e-12  # of logs: a spread or a difference below it is none


@dataclass(frozen=True, slots=True)
class Exact:
    """Two sides without spread: candidate over base, and one over the number of ways to deal their values."""

    ratio: float
    chance: float

    def p_beyond(self, margin: float = 0.0) -> float:
        """Two-sided p against a ratio within 1 ± margin; the arrangement that was seen is the most extreme one."""
        within = math.log1p(-margin) - _ROUNDING <= math.log(self.ratio) <= math.log1p(margin) + _ROUNDING
        return 1.0 if within else min(1.0, 2 * self.chance)

    def p_equivalent(self, within: float, noise: float = 0.0) -> float:
        """p of two one-sided tests, of a ratio at either limit: all values then lie on one side of it.

        Args:
            within: 0.05 for ± 5 %.
            noise: by how much the two sides may differ for reasons of their own.
        """
        low = math.log1p(-within) + math.log1p(noise)
        high = math.log1p(within) + math.log1p(-noise)
        return self.chance if low < math.log(self.ratio) < high else 1.0


def exact(base: Sequence[float] | Floats, candidate: Sequence[float] | Floats, *, paired: bool) -> Exact | None:
    """Two sides that do not vary, held against each other by an exact permutation test; None where they do.

    Where each side has one value throughout, all n + m values could have been dealt anyhow: n + m over n ways. Where
    only the ratio is the same in all n pairs, the halves of each could have been exchanged: 2 to the n ways.

    Args:
        base, candidate: a value a repetition, above 0, in one unit; paired: the i-th of both are one pair.
    Raises:
        ValueError: a side of fewer than two values, or a value that is no finite number above 0.
    Source: Pitman 1937, "Significance tests which may be applied to samples from any populations"; of pairs: Fisher
        1935, "The Design of Experiments", section 21.
    """
    before, after = logs(base), logs(candidate)
    if _is_constant(before, before) and _is_constant(after, after):
        ways = math.comb(len(before) + len(after), len(before))
        return Exact(_ratio(float(after.mean() - before.mean())), 1 / ways)
    if paired and len(before) == len(after) and _is_constant(after - before, np.concatenate([before, after])):
        return Exact(_ratio(float((after - before).mean())), 0.5 ** len(before))
    return None


def _ratio(estimate: float) -> float:
    try:
        ratio = math.exp(estimate)
    except OverflowError:
        ratio = 0.0
    if not ratio:
        raise ValueError("the values are too far apart for a ratio")
    return ratio


def _is_constant(values: Floats, computed_from: Floats) -> bool:
    return float(np.ptp(values)) <= _ROUNDING * max(1.0, float(np.abs(computed_from).max()))
