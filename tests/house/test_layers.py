"""Imports point downwards: cli, report, analysis, engine, target, scenario, core, the extension."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import pgflow_stress

PACKAGE = Path(pgflow_stress.__file__).parent
LAYERS = ("core", "scenario", "target", "engine", "analysis", "report", "cli")  # lowest first
# analysis is pure and report only reads: neither may know how a result came to be.
FORBIDDEN = {"analysis": {"engine", "target", "scenario"}, "report": {"engine", "target", "scenario"}}


def _modules() -> Iterator[Path]:
    yield from sorted(PACKAGE.rglob("*.py"))


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


def _layer(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if parts[0] == "pgflow_stress" and len(parts) > 1 and parts[1] in LAYERS else None


@pytest.mark.parametrize(
    "path", [p for p in _modules() if p.parent != PACKAGE], ids=lambda p: str(p.relative_to(PACKAGE))
)
def test_imports_point_downwards(path: Path) -> None:
    mine = path.relative_to(PACKAGE).parts[0]
    above = set(LAYERS[LAYERS.index(mine) + 1 :]) | FORBIDDEN.get(mine, set())

    upwards = {module for module in _imported(path) if _layer(module) in above}

    assert not upwards


def test_every_folder_is_a_layer() -> None:
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and (path / "__init__.py").exists()}

    assert folders == set(LAYERS)


@pytest.mark.parametrize("path", list(_modules()), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_every_module_says_what_it_is_for_and_stays_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert ast.get_docstring(ast.parse(text)), "no docstring"
    assert text.count("\n") <= 400
