"""The registry of faults and its folder."""

from __future__ import annotations

import importlib
from pathlib import Path

import pgflow_stress.engine.faults as package
from pgflow_stress.engine.faults import FAULTS, Fault

_NONE = {
    "__init__",
    "base",
    "injector",
    "recovery",
    "account",
    "proxy",
    "proxy_handle",
    "disturbance",
}  # what all faults share


def test_every_fault_of_the_folder_is_in_the_registry_and_the_other_way_round() -> None:
    folder = Path(package.__file__).parent
    modules = [
        importlib.import_module(f"{package.__name__}.{p.stem}") for p in folder.glob("*.py") if p.stem not in _NONE
    ]

    there = {one.name for module in modules for one in vars(module).values() if isinstance(one, Fault)}

    assert there == set(FAULTS)
    assert all(any(isinstance(one, Fault) for one in vars(module).values()) for module in modules)
