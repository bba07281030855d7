"""Faults as they are typed, and when each strikes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgflow_stress.core.errors import UsageFault
from pgflow_stress.scenario.faults import MOST_STRIKES, check_times, parse_fault, timeline


@pytest.mark.parametrize(
    ("text", "times", "lasts"),
    [
        ("kill-worker@30s", [30.0], None),
        ("kill-worker@0", [0.0], None),
        ("stop-worker@2s:20s", [2.0], 20.0),
        ("kill-worker@every 10s", [10.0, 20.0, 30.0], None),
        ("lock-run@EVERY 15s:500ms", [15.0, 30.0], 0.5),
    ],
)
def test_a_fault_strikes_when_it_is_told_to(text: str, times: list[float], lasts: float | None) -> None:
    spec = parse_fault(text)

    strikes = timeline((spec,), seed=1, index=0, duration_seconds=30.0, timeout_seconds=600.0)

    assert [strike.at_seconds for strike in strikes] == times
    assert spec.lasts_seconds == lasts


@pytest.mark.parametrize(
    "text",
    ["", "kill-worker", "@3s", "kill-worker@", "kill-worker@soon", "kill-worker@every", "kill-worker@every 0s",
     "kill-worker@-1s", "kill-worker@random:0/3s", "kill-worker@random:65/3s", "kill-worker@random:x/3s",
     "stop-worker@2s:", "stop-worker@2s:0", "stop-worker@2s:3s:4s", "kill-worker@nan", "kill-worker@2s 3s"],
)  # fmt: skip
def test_what_is_no_fault_is_refused_with_how_to_write_one(text: str) -> None:
    with pytest.raises(UsageFault, match=r"random|NAME@TIME|be known"):
        parse_fault(text)


@pytest.mark.parametrize("text", ["a@31s", "a@every 31s", "a@random:2/31s"])
def test_a_time_beyond_the_duration_is_refused(text: str) -> None:
    with pytest.raises(UsageFault, match="beyond --duration 30 s"):
        check_times((parse_fault(text),), duration_seconds=30.0, timeout_seconds=600.0)


def test_without_a_duration_the_time_out_bounds_a_fault_and_random_needs_a_time() -> None:
    with pytest.raises(UsageFault, match="beyond --timeout 600 s"):
        check_times((parse_fault("a@601s"),), duration_seconds=None, timeout_seconds=600.0)
    with pytest.raises(UsageFault, match="within what time"):
        check_times((parse_fault("a@random:3"),), duration_seconds=None, timeout_seconds=600.0)
    check_times((parse_fault("a@random:3"),), duration_seconds=10.0, timeout_seconds=600.0)


@given(seed=st.integers(0, 2**63 - 1), index=st.integers(0, 50), count=st.integers(1, MOST_STRIKES))
def test_random_strikes_are_the_seeds_within_their_time_and_others_in_each_repetition(
    seed: int, index: int, count: int
) -> None:
    specs = (parse_fault(f"a@random:{count}/7s"), parse_fault("b@3s"))

    drawn = timeline(specs, seed, index, None, 600.0)

    assert drawn == timeline(specs, seed, index, None, 600.0)
    assert drawn != timeline(specs, seed, index + 1, None, 600.0)
    times = [strike.at_seconds for strike in drawn]
    assert times == sorted(times)
    assert [strike.number for strike in drawn] == list(range(1, count + 2))
    assert all(0 <= at <= 7 for at in times)


def test_a_fault_that_comes_again_and_again_ends_somewhere() -> None:
    drawn = timeline((parse_fault("a@every 1s"),), 1, 0, None, 600.0)

    assert len(drawn) == MOST_STRIKES
