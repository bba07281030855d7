"""The best of many cells, and which others may be as good: what is chosen for being highest looks higher than it is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.stats import studentized_range

from pgflow_stress.analysis.statistics import logs

LEAST_ROUNDS = 3
_LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Ranking:
    """Cells by their means, the best first, and how many of them are not shown to be worse than it."""

    order: tuple[int, ...]
    ties: tuple[int, ...]  # with the best, which comes first; alone where all others are worse
    margin: float  # a share: so much below the best and a cell is shown to be worse


def rank(values: Mapping[int, Sequence[float]], *, higher_is_better: bool) -> Ranking:
    """Rank cells that were measured in rounds, one repetition of each a round.

    Rounds are blocks: what moved a whole round moves no difference. All cells are compared with each other at once
    (Tukey's honest significant difference on logs), so that of k equal cells the best is singled out in 1 of 20.

    Args:
        values: by cell, float[rounds] in the order of the rounds; cells may have rounds more, which are left out.
    Raises:
        ValueError: fewer than two cells, fewer than LEAST_ROUNDS rounds of each, or a value that has no log.
    Source: Tukey 1953; Montgomery 2017, ch. 4 (randomised complete block design).
    """
    if len(values) < 2:
        raise ValueError(f"{len(values)} cell: there is nothing to rank")
    rounds = min(map(len, values.values()))
    if rounds < LEAST_ROUNDS:
        raise ValueError(f"{rounds} round{'' if rounds == 1 else 's'} of each cell: it takes {LEAST_ROUNDS}")
    cells = tuple(values)
    table = np.array([logs(list(values[cell][:rounds])) for cell in cells])
    means = table.mean(axis=1) if higher_is_better else -table.mean(axis=1)
    residuals = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0, keepdims=True) + table.mean()
    df = (len(cells) - 1) * (rounds - 1)
    error = math.sqrt(float((residuals**2).sum()) / df / rounds)
    difference = _critical(len(cells), df) * error
    order = [int(at) for at in np.argsort(-means, kind="stable")]
    best = float(means[order[0]])
    ties = [cells[at] for at in order if best - float(means[at]) <= difference]
    return Ranking(tuple(cells[at] for at in order), tuple(ties), -math.expm1(-difference))


@cache
def _critical(cells: int, df: int) -> float:
    """The studentised range that so many equal cells stay below in 19 of 20: a double integral, solved for its end."""
    return float(studentized_range.ppf(_LEVEL, cells, df))
