"""Verdicts of analysis.compare: what must hold whatever the values are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pgflow_stress.analysis.compare import compare_values
from pgflow_stress.analysis.comparison import Verdict
from pgflow_stress.analysis.fingerprints import Noise

HIGHER, LOWER = "execute.per_second", "process.latency_ns.p99"
MIRRORED = {Verdict.BETTER: Verdict.WORSE, Verdict.WORSE: Verdict.BETTER}
sides = st.lists(st.floats(50, 200), min_size=5, max_size=20)
anything = st.lists(st.floats() | st.integers(-5, 5), max_size=12)


@given(base=sides, candidate=sides)
def test_the_sides_exchanged_exchange_better_and_worse(base: list[float], candidate: list[float]) -> None:
    one = compare_values(HIGHER, base, candidate, paired=False)
    other = compare_values(HIGHER, candidate, base, paired=False)

    assume(one.verdict is not Verdict.CANNOT_TELL)
    # The limits of equivalence are a share of the base: exchanged they are a little wider or narrower.
    equivalent = {Verdict.EQUIVALENT, Verdict.NO_DIFFERENCE}
    assert other.verdict is MIRRORED.get(one.verdict, other.verdict)
    assert (one.verdict in equivalent) == (other.verdict in equivalent)


@given(base=sides, candidate=sides, paired=st.booleans())
def test_what_is_better_of_a_rate_is_worse_of_a_latency(
    base: list[float], candidate: list[float], paired: bool
) -> None:
    n = min(len(base), len(candidate))
    base, candidate = base[:n], candidate[:n]

    rate = compare_values(HIGHER, base, candidate, paired=paired)
    latency = compare_values(LOWER, base, candidate, paired=paired)

    assert latency.verdict is MIRRORED.get(rate.verdict, rate.verdict)


@given(base=sides, candidate=sides, unit=st.floats(1e-6, 1e9))
def test_the_unit_does_not_matter(base: list[float], candidate: list[float], unit: float) -> None:
    plain = compare_values(HIGHER, base, candidate, paired=False)
    scaled = compare_values(HIGHER, [unit * v for v in base], [unit * v for v in candidate], paired=False)

    assume(plain.ratio is not None and scaled.ratio is not None)
    assert scaled.ratio == pytest.approx(plain.ratio, rel=1e-6)
    assert scaled.p == pytest.approx(plain.p, rel=1e-4, abs=1e-9)


@given(base=sides, candidate=sides, share=st.floats(0.01, 0.9))
def test_better_and_worse_lie_wholly_beyond_the_noise(base: list[float], candidate: list[float], share: float) -> None:
    found = compare_values(HIGHER, base, candidate, paired=False, noise=Noise(share, True))

    if found.verdict in MIRRORED:
        low, high = found.ci95 or (1, 1)
        assert (low > 1 + share) if found.verdict is Verdict.BETTER else (high < 1 - share)


@given(base=anything, candidate=anything, paired=st.booleans())
def test_whatever_came_out_of_a_file_ends_in_a_verdict_or_a_reason(
    base: list[float], candidate: list[float], paired: bool
) -> None:
    found = compare_values(HIGHER, base, candidate, paired=paired)

    if found.verdict is Verdict.CANNOT_TELL:
        assert found.reason
        assert found.ratio is None
    else:
        numbers = (found.ratio, found.p, found.p_holm, *(found.ci95 or (None,)))
        assert all(number is not None and np.isfinite(number) for number in numbers)
        assert min(len(base), len(candidate)) >= 5
        assert all(np.isfinite(value) and value > 0 for value in (*base, *candidate))


@given(base=st.lists(st.floats(50, 200), max_size=4), candidate=sides)
def test_below_five_a_side_there_is_no_verdict(base: list[float], candidate: list[float]) -> None:
    assert compare_values(HIGHER, base, candidate, paired=False).verdict is Verdict.CANNOT_TELL
    assert compare_values(HIGHER, candidate, base, paired=False).verdict is Verdict.CANNOT_TELL
