from __future__ import annotations

import pytest

from pgflow_stress.analysis import formats
from pgflow_stress.analysis.metrics import METRICS, describe


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (1234.5, 3, "1,234"),
        (12.345, 3, "12.3"),
        (0.012345, 3, "0.0123"),
        (1234567.0, 2, "1,234,567"),
        (99.96, 3, "100.0"),
        (0, 3, "0"),
        (-5.5, 2, "-5.5"),
    ],
)
def test_numbers_have_as_many_digits_as_asked_and_no_digit_before_the_point_is_lost(
    value: float, digits: int, text: str
) -> None:
    assert formats.significant(value, digits) == text


@pytest.mark.parametrize(
    ("mean", "half_width", "digits"), [(1234, 45, 4), (1234, 400, 3), (1234, 2000, 2), (8.0, 0.001, 5), (8.0, 0.0, 3)]
)
def test_digits_end_where_the_interval_begins_to_move_them(mean: float, half_width: float, digits: int) -> None:
    assert formats.digits_within(mean, half_width) == digits


@pytest.mark.parametrize(
    ("value_ns", "text"),
    [(950, "950 ns"), (21_000, "21.0 us"), (7_980_000, "7.98 ms"), (9e9, "9,000 ms"), (12e9, "12.0 s")],
)
def test_durations_are_in_the_unit_that_fits(value_ns: float, text: str) -> None:
    assert formats.duration_ns(value_ns) == text


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("process.per_second", 1234.5, "1,234 tasks/s"),
        ("create.per_second", None, "-"),
        ("client.utilization", 0.42, "42 %"),
        ("server.wal_bytes_per_task", 4100.0, "4,100 B"),
        ("client.rss_peak_bytes", 94_371_840, "90.0 MiB"),
        ("server.commit_ns", 5_000_000, "5.00 ms"),
        ("server.temp_bytes", 20_480, "20.0 KiB"),
        ("server.checkpoints", 3, "3"),
        ("server.commits_per_second", 55.5, "55.5 /s"),
    ],
)
def test_a_metric_is_written_with_its_unit_registered_or_not(name: str, value: float | None, text: str) -> None:
    assert describe(name).format(value) == text


def test_every_registered_metric_is_under_its_own_name_and_says_what_it_is() -> None:
    assert all(info.name == name and info.description for name, info in METRICS.items())
