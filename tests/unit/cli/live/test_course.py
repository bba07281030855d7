"""Rates over a phase, and how long the rest may take."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgflow_stress.cli.live.course import Course, Forecast, sparkline


def course_of(*samples: tuple[float, int]) -> Course:
    course = Course()
    for elapsed_seconds, done in samples:
        course.add(elapsed_seconds, done)
    return course


def test_the_rate_now_is_of_the_last_second_and_the_mean_of_the_whole() -> None:
    course = course_of(*((second / 2, 50 * second) for second in range(1, 9)), (4.5, 900), (5.0, 1400))

    assert course.per_second == 1000
    assert course.mean_per_second == 280


def test_a_phase_that_has_just_begun_has_no_rate_and_no_course() -> None:
    assert (Course().per_second, Course().mean_per_second, Course().rates(8)) == (0.0, 0.0, [])
    assert course_of((0.1, 5)).rates(8) == []


def test_a_tick_that_is_no_later_than_the_last_one_changes_nothing() -> None:
    course = course_of((1.0, 10), (1.0, 99), (0.5, 99))

    assert course.per_second == 10


@given(
    st.lists(st.tuples(st.floats(0.01, 5), st.integers(0, 1000)), min_size=1, max_size=700),
    st.integers(1, 40),
)
def test_the_parts_of_a_course_add_up_to_what_was_done(steps: list[tuple[float, int]], most: int) -> None:
    course, elapsed_seconds, done = Course(), 0.0, 0
    for seconds, more in steps:
        elapsed_seconds, done = elapsed_seconds + seconds, done + more
        course.add(elapsed_seconds, done)

    rates = course.rates(most)

    assert len(rates) <= most
    if rates:
        assert sum(rates) * elapsed_seconds / len(rates) == pytest.approx(done, abs=1e-6)


@given(st.lists(st.floats(0, 1e9), max_size=50))
def test_a_sparkline_has_a_character_a_rate_and_the_highest_for_the_largest(rates: list[float]) -> None:
    line = sparkline(rates, "01234567")

    assert len(line) == len(rates)
    if any(rates):
        assert line[rates.index(max(rates))] == "7"
    assert all(character == "0" for character, rate in zip(line, rates, strict=True) if rate == 0)


def test_what_is_left_is_known_once_a_repetition_is_done() -> None:
    forecast = Forecast()
    forecast.place(0, 3, now=0.0)
    forecast.begin(0.0)
    assert forecast.left_seconds(5.0) is None

    forecast.begin(10.0)

    assert forecast.left_seconds(10.0) == 20
    assert forecast.left_seconds(14.0) == 16
    assert forecast.left_seconds(25.0) == 10, "one that takes longer than the others is not done before it is"
    forecast.end(20.0)
    assert forecast.left_seconds(20.0) == 10


def test_repetitions_of_another_place_count_as_experience_and_what_nobody_knows_is_not_said() -> None:
    forecast = Forecast()
    forecast.place(4, 6, now=0.0)
    forecast.begin(0.0)
    forecast.place(5, 6, now=7.0)
    forecast.begin(7.0)
    assert forecast.left_seconds(7.0) == 7

    forecast.place(6, None, now=14.0)
    assert forecast.left_seconds(14.0) is None
