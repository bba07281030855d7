"""The registry of interferences and its folder."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np

import pgflow_stress.engine.interference as package
from pgflow_stress.core.units import NS_PER_SECOND
from pgflow_stress.engine.interference import INTERFERENCES, Interference
from pgflow_stress.engine.interference.handle import rates


def test_every_interference_of_the_folder_is_in_the_registry_and_the_other_way_round() -> None:
    names = [path.stem for path in Path(package.__file__).parent.glob("*.py") if path.stem != "__init__"]
    modules = [importlib.import_module(f"{package.__name__}.{name}") for name in names]

    there = {one.name for module in modules for one in vars(module).values() if isinstance(one, Interference)}

    assert there == set(INTERFERENCES)


def test_rates_are_told_before_while_and_since() -> None:
    done_ns = np.arange(0, 30 * NS_PER_SECOND, NS_PER_SECOND // 10)  # ten a second

    found = rates(done_ns, 10 * NS_PER_SECOND, 20 * NS_PER_SECOND)

    assert {name: round(rate or 0) for name, rate in found.items()} == {"before": 10, "with": 10, "since": 10}


def test_a_rate_over_no_time_is_none() -> None:
    done_ns = np.array([5, 6], dtype=np.int64)

    assert rates(done_ns, 5, 5)["with"] is None
