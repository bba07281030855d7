"""The registry of faults and its folder."""

from __future__ import annotations

import importlib
from pathlib import Path

import pgflow_stress.engine.faults as package
from pgflow_stress.engine.faults import FAULTS, Fault


def test_every_fault_of_the_folder_is_in_the_registry_and_the_other_way_round() -> None:
    names = [path.stem for path in Path(package.__file__).parent.glob("*.py") if path.stem != "__init__"]
    modules = [importlib.import_module(f"{package.__name__}.{name}") for name in names]

    there = {one.name for module in modules for one in vars(module).values() if isinstance(one, Fault)}

    assert there == set(FAULTS)
