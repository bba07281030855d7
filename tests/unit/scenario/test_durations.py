"""--work as text: what it means, and what is refused."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgflow_stress.core.errors import UsageFault
from pgflow_stress.scenario.durations import NO_WORK, Duration, SimulatedWork, parse_work


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("20ms", SimulatedWork((), Duration("constant", 20_000_000))),
        ("0.5s", SimulatedWork((), Duration("constant", 500_000_000))),
        (
            "step=20ms, other=lognormal(5ms,2)",
            SimulatedWork((("step", Duration("constant", 20_000_000)), ("other", Duration("lognormal", 5_000_000, 2)))),
        ),
        (
            "exponential(250us),slow=1m",
            SimulatedWork((("slow", Duration("constant", 60_000_000_000)),), Duration("exponential", 250_000)),
        ),
    ],
)
def test_a_text_says_what_each_step_takes(text: str, means: SimulatedWork) -> None:
    assert parse_work(text) == means
    assert parse_work(str(means)) == means


@pytest.mark.parametrize(
    "text",
    [
        "", "20", "-5ms", "nan", "nanms", "infs", "ms", "25h", "99999m", "step=", "=5ms", "step=nan", "a=5ms,a=6ms",
        "5ms,6ms", "lognormal(5ms)", "lognormal(5ms,nan)", "lognormal(5ms,-1)", "lognormal(5ms,2", "exponential()",
        "exponential(-1ms)", "uniform(1ms,2ms)", "a=5ms,", f"{'9' * 400}ms",
    ],
)  # fmt: skip
def test_what_is_no_work_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(UsageFault, match="--work") as fault:
        parse_work(text)
    assert "\n" not in str(fault.value)


def test_the_part_that_is_none_is_named_whole() -> None:
    with pytest.raises(UsageFault, match="--work 's1=5': give a time"):
        parse_work("s0=5ms, s1=5,s2=5ms")


def test_a_step_that_is_none_is_refused_by_name() -> None:
    with pytest.raises(UsageFault, match="no step 's9'; there are: s0, s1"):
        parse_work("s0=1ms,s9=1ms").check(["s0", "s1"])


def test_no_work_is_none() -> None:
    assert not NO_WORK
    assert not parse_work("0ms")
    assert parse_work("s0=0ms")


@given(scale_ns=st.integers(0, 86_400 * 10**9), sigma=st.floats(0, 10).map(lambda value: float(f"{value:g}")))
def test_a_duration_is_read_as_it_is_written(scale_ns: int, sigma: float) -> None:
    microseconds = scale_ns // 1000 * 1000
    for duration in (
        Duration("constant", microseconds),
        Duration("exponential", microseconds),
        Duration("lognormal", microseconds, sigma),
    ):
        assert parse_work(f"s={duration}") == SimulatedWork((("s", duration),))


def test_quantiles_are_those_of_the_distributions() -> None:
    assert Duration("constant", 7).quantile_ns(0.999) == 7
    assert Duration("exponential", 1000).quantile_ns(0.5) == pytest.approx(1000 * math.log(2))
    assert Duration("lognormal", 1000, 1.5).quantile_ns(0.5) == pytest.approx(1000)
    assert Duration("lognormal", 1000, 2).quantile_ns(0.8413447) == pytest.approx(1000 * math.exp(2), rel=1e-4)
