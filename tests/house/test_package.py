"""What is released says its types: a stub for each module of the extension, and the marks that say so."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_module_of_the_extension_has_a_stub_and_both_packages_are_typed() -> None:
    folder = ROOT / "ext" / "pgflow_stress_hot"

    assert [one.stem for one in sorted(folder.glob("*.pyx")) if not one.with_suffix(".pyi").exists()] == []
    assert (folder / "py.typed").exists() and (ROOT / "pgflow_stress" / "py.typed").exists()


def test_wheels_are_built_for_every_python_that_is_supported_and_bring_no_libpq() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheels = project["tool"]["cibuildwheel"]

    assert project["project"]["requires-python"] == ">=3.11"
    assert all(f"cp3{minor}-" in wheels["build"] for minor in (11, 12, 13))
    assert "--exclude libpq.so.5" in wheels["linux"]["repair-wheel-command"]
