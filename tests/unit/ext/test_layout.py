"""The codes that C and Python share: each is written down twice, and here held together."""

from __future__ import annotations

from enum import IntEnum

import pytest

from pgflow_stress.core import arena, events
from pgflow_stress.core.operations import Operation, Status
from pgflow_stress.core.recording import EVENT_DTYPE
from pgflow_stress_hot.layout import codes


@pytest.mark.parametrize(
    ("name", "python"),
    [
        ("operations", Operation),
        ("statuses", Status),
        ("header", arena.Header),
        ("stop", arena.Stop),
        ("words", arena.Word),
        ("run_words", arena.RunWord),
        ("ledger", arena.LedgerBit),
        ("event_kinds", events.EventKind),
        ("event_bits", arena.EventBit),
        ("stats", arena.Stat),
    ],
)
def test_c_and_python_have_the_same_codes(name: str, python: type[IntEnum]) -> None:
    assert codes()[name] == {member.name.lower(): member.value for member in python}


def test_c_and_python_have_the_same_sizes() -> None:
    assert codes()["sizes"] == {
        "words": arena.PROCESS_WORDS,
        "run_words": arena.RUN_WORDS,
        "operations": len(Operation),
        "event_row": EVENT_DTYPE.itemsize,
        "error_slot": arena.ERROR_DTYPE.itemsize,
        "error_slots": arena.ERROR_SLOTS,
        "stats": arena.STATS,
        "run_places": events.RUN_PLACES,
        "step_places": events.STEP_PLACES,
        "stray": arena.STRAY_DTYPE.itemsize,
        "most_strays": arena.MOST_STRAYS,
        "written_off": arena.WRITTEN_OFF,
    }


def test_a_row_is_a_cache_line() -> None:
    assert EVENT_DTYPE.itemsize == 64
