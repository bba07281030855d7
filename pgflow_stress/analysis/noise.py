"""Noise between sessions: by how much two sessions that measure the same thing may differ, from sessions that did."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.special import stdtrit

from pgflow_stress.analysis.fingerprints import LEAST_NOISE_SESSIONS
from pgflow_stress.analysis.statistics import LEVEL, geometric_centre

LEAST_SHARE = 1e-4  # of what did not differ at all: it was measured, and is not nothing
_MOST_EXPONENT = 1.0


def noise_between_sessions(sessions: Sequence[Mapping[str, Sequence[float]]]) -> dict[str, float]:
    """For each metric the share within which the ratio of two further sessions lies with 95 %.

    A session's mean of logs varies with standard deviation s around the host's own; the difference of two further ones
    divided by s sqrt(2) has Student's t with k - 1 degrees of freedom. So the share is exp(t s sqrt(2)) - 1. What the
    repetitions within a session explain is part of s and not taken out: the share errs to the wide side.

    Args:
        sessions: of each, by metric, a value a counted repetition, above 0; at least five, else there is no noise.
    Returns:
        By metric that all sessions have.
    Source: Hahn, Meeker 1991, "Statistical Intervals", ch. 4 (prediction of the difference of two future means).
    """
    if len(sessions) < LEAST_NOISE_SESSIONS:
        return {}
    shared = set(sessions[0]).intersection(*sessions[1:])
    found = {}
    for name in sessions[0]:
        try:
            centres = [math.log(geometric_centre(session[name])) for session in sessions if name in shared]
        except ValueError:  # 0, or no number: it has no ratio
            continue
        if centres:
            found[name] = _share(centres)
    return found


def _share(centres: Sequence[float]) -> float:
    t = float(stdtrit(len(centres) - 1, (1 + LEVEL) / 2))
    exponent = t * math.sqrt(2) * float(np.std(centres, ddof=1))
    return max(LEAST_SHARE, math.expm1(min(exponent, _MOST_EXPONENT)))
