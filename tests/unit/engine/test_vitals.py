"""What a process books about itself: its peak of memory, its collector's pauses, sleeps that ended late."""

from __future__ import annotations

import gc
import mmap
import time

import numpy as np
import numpy.typing as npt
import pytest

from pgflow_stress.core.telemetry import VITAL_WORDS, Vital
from pgflow_stress.engine.proc import reset_peak
from pgflow_stress.engine.process import rss_peak_bytes
from pgflow_stress.engine.vitals import begin_window, collections_counted, sleep

BALLOON_BYTES = 200 << 20


@pytest.fixture
def vitals() -> npt.NDArray[np.int64]:
    return np.zeros(VITAL_WORDS, dtype=np.int64)


def balloon() -> None:
    """200 MB for 50 ms."""
    with mmap.mmap(-1, BALLOON_BYTES) as held:
        held[:: mmap.PAGESIZE] = b"x" * (BALLOON_BYTES // mmap.PAGESIZE)
        time.sleep(0.05)


def test_a_balloon_inside_the_window_is_seen_though_it_is_gone(vitals: npt.NDArray[np.int64]) -> None:
    begin_window(vitals)
    before = rss_peak_bytes()

    balloon()

    assert vitals[Vital.PEAK_RESET] == 1
    assert rss_peak_bytes() - before > 0.95 * BALLOON_BYTES


def test_a_balloon_before_the_window_is_none_of_its_peak(vitals: npt.NDArray[np.int64]) -> None:
    balloon()
    before = rss_peak_bytes()

    begin_window(vitals)

    assert before - rss_peak_bytes() > 0.9 * BALLOON_BYTES


def test_a_peak_that_may_not_be_reset_is_told() -> None:
    assert not reset_peak(0)


def test_the_collectors_pauses_are_counted_for_as_long_as_they_are_asked_for(vitals: npt.NDArray[np.int64]) -> None:
    with collections_counted(vitals):
        gc.collect()
        gc.collect()
    gc.collect()

    assert vitals[Vital.COLLECTIONS] == 2
    assert vitals[Vital.COLLECTION_NS] >= vitals[Vital.LONGEST_COLLECTION_NS] > 0


def test_a_sleep_books_by_how_much_it_was_late(vitals: npt.NDArray[np.int64]) -> None:
    for _ in range(3):
        sleep(0.001, vitals)

    assert vitals[Vital.SLEEPS] == 3
    assert vitals[Vital.LATE_NS] >= vitals[Vital.LONGEST_LATE_NS] > 0


def test_the_window_begins_with_nothing_booked(vitals: npt.NDArray[np.int64]) -> None:
    vitals[:] = 7

    begin_window(vitals)

    assert vitals[Vital.COLLECTIONS] == vitals[Vital.LATE_NS] == 0
