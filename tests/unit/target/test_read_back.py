"""A setting that took: values of other units are the same value."""

from __future__ import annotations

import pytest

from pgflow_stress.target.read_back import took


@pytest.mark.parametrize(
    ("asked", "setting", "unit"),
    [
        ("4MB", "4096", "kB"),
        ("4096", "4096", "kB"),
        ("128MB", "16384", "8kB"),
        ("1min", "60", "s"),
        ("on", "on", None),
        ("true", "on", None),
        ("0", "off", None),
        ("1.5", "1.5", None),
        ("'replica'", "replica", None),
        ("-1", "-1", "kB"),
    ],
)
def test_equal_values_took(asked: str, setting: str, unit: str | None) -> None:
    assert took(asked, setting, unit)


@pytest.mark.parametrize(
    ("asked", "setting", "unit"),
    [
        ("4MB", "4095", "kB"),
        ("128MB", "128", "8kB"),
        ("on", "off", None),
        ("4XB", "4", "kB"),
        ("minimal", "replica", None),
    ],
)
def test_others_did_not(asked: str, setting: str, unit: str | None) -> None:
    assert not took(asked, setting, unit)
