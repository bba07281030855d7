from __future__ import annotations

import importlib
from pathlib import Path

from pgflow_stress.engine import probes
from pgflow_stress.engine.probes.host import whole_disks

FOLDER = Path(probes.__file__).parent


def test_every_probe_of_the_folder_is_in_the_registry_and_the_other_way_round() -> None:
    files = {path.stem for path in FOLDER.glob("*.py")} - {"__init__", "base"}

    assert set(probes.PROBES) == files
    assert all(
        probe.__module__ == importlib.import_module(f"pgflow_stress.engine.probes.{name}").__name__
        for name, probe in probes.PROBES.items()
    )


def test_partitions_are_in_their_disks_and_loops_are_no_disks() -> None:
    names = ("sda", "sda1", "nvme0n1", "nvme0n1p2", "dm-0", "vdb12", "loop3", "zram0", "md127", "md127p1")

    found = whole_disks(dict.fromkeys(names, (1, 1, 1)))

    assert list(found) == ["sda", "nvme0n1", "dm-0", "vdb12", "md127"], "vdb12 has no vdb beside it"
