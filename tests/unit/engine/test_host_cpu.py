"""Shares of CPU time out of two readings of /proc/stat."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgflow_stress.engine.host_cpu import CpuReading, cpu_shares, cpus_in_use, read_cpu

STAT = """\
cpu  400 0 100 1500 60 0 20 40 7 0
cpu0 300 0 50 700 30 0 10 20 7 0
cpu1 100 0 50 800 30 0 10 20 0 0
intr 1 2 3
"""


def test_ticks_are_read_of_all_cpus_or_of_some(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    stat.write_text(STAT)

    assert read_cpu(stat=stat) == CpuReading(total=2120, idle=1560, steal=40)
    assert read_cpu({0, 1}, stat) == read_cpu(stat=stat)
    assert read_cpu({0}, stat) == CpuReading(total=1110, idle=730, steal=20)
    assert read_cpu({5}, stat) is None
    assert read_cpu(stat=tmp_path / "none") is None


def test_busy_is_what_was_not_idle_and_what_was_stolen_is_in_it() -> None:
    shares = cpu_shares(CpuReading(1000, 500, 10), CpuReading(2000, 750, 60))

    assert shares == {"busy_share": pytest.approx(0.75), "steal_share": pytest.approx(0.05)}


def test_a_window_of_a_few_ticks_has_no_shares() -> None:
    nothing = {"busy_share": None, "steal_share": None}

    assert cpu_shares(CpuReading(1000, 500, 10), CpuReading(1099, 500, 60)) == nothing
    assert cpu_shares(None, CpuReading(1099, 500, 60)) == nothing
    assert cpu_shares(CpuReading(1000, 500, 10), None) == nothing


def test_pinned_to_both_sides_only_their_cpus_are_looked_at() -> None:
    assert cpus_in_use({"worker": (0,), "postgres": (2, 3)}) == {0, 2, 3}
    assert cpus_in_use({"coordinator": (0,)}) == set()
    assert cpus_in_use({})
