from __future__ import annotations

import importlib
from pathlib import Path

from pgflow_stress.engine import probes

FOLDER = Path(probes.__file__).parent


def test_every_probe_of_the_folder_is_in_the_registry_and_the_other_way_round() -> None:
    files = {path.stem for path in FOLDER.glob("*.py")} - {"__init__", "base"}

    assert set(probes.PROBES) == files
    assert all(
        probe.__module__ == importlib.import_module(f"pgflow_stress.engine.probes.{name}").__name__
        for name, probe in probes.PROBES.items()
    )
