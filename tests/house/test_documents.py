"""Documents name rooms and registries: each of them exists, and every registry's folder has a line for each file."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "document",
    [
        "README.md",
        "CONTRIBUTING.md",
        "docs/architecture.md",
        "docs/statistics.md",
        "docs/proof.md",
        "docs/scenarios.md",
        "docs/telemetry.md",
        "docs/worker-model.md",
        "docs/tutorial.md",
        "docs/faults.md",
        "docs/interference.md",
        "docs/soak.md",
        "docs/hosts.md",
    ],
)
def test_every_path_that_a_document_names_exists(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    named = re.findall(r"`((?:pgflow_stress|ext|tests|scripts|docs)/[\w./-]*)`", text)

    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize(
    ("module", "registry"),
    [
        ("pgflow_stress.scenario.shapes", "SHAPES"),
        ("pgflow_stress.scenario.presets", "PRESETS"),
        ("pgflow_stress.cli.commands", "COMMANDS"),
        ("pgflow_stress.report.exports", "EXPORTS"),
        ("pgflow_stress.report.sections", "SECTIONS"),
        ("pgflow_stress.report.plots.marks", "MARKS"),
        ("pgflow_stress.engine.probes", "PROBES"),
        ("pgflow_stress.engine.faults", "FAULTS"),
        ("pgflow_stress.engine.rivals", "RIVALS"),
        ("pgflow_stress.engine.interference", "INTERFERENCES"),
        ("pgflow_stress.analysis.metrics", "METRICS"),
        ("pgflow_stress.analysis.verdict", "RULES"),
        ("pgflow_stress.engine.self_test.mutants", "MUTANTS"),
    ],
)
def test_every_registry_that_the_architecture_names_exists(module: str, registry: str) -> None:
    assert f"`{registry}`" in ARCHITECTURE
    assert getattr(importlib.import_module(module), registry)


def test_every_layer_is_in_the_picture() -> None:
    layers = [path.name for path in (ROOT / "pgflow_stress").iterdir() if (path / "__init__.py").exists()]

    assert [layer for layer in layers if f"`{layer}`" not in ARCHITECTURE] == []
