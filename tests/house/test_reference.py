"""docs/reference is what the code says."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

from pgflow_stress.cli.app import load_command

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def reference(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """scripts/_reference.py."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module("_reference")


def test_the_reference_is_current(reference: ModuleType) -> None:
    assert reference.stale() == [], "type scripts/reference"


def test_every_option_and_every_field_is_in_it(reference: ModuleType) -> None:
    made = reference.pages()

    assert "`--completion-batch-size` `N`" in made["run.md"]
    assert "`PGFLOW_STRESS_DB_UP_PURPOSE`" in made["db.md"]
    assert "`client.breakdown.tail.mean_ns`" in made["result.md"]
    assert "`process.latency_ns.p99`" in made["metrics.md"]
    assert "`min_phase_seconds` | 10 " in made["validity.md"]


@pytest.fixture
def tutorial(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """scripts/prove_tutorial.py, which runs them."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module("prove_tutorial")


def test_every_command_of_the_tutorial_is_one_that_the_tool_takes(tutorial: ModuleType) -> None:
    told = tutorial.commands()

    assert len(told) >= 8
    for words in [*told, *map(tutorial.small, told)]:
        load_command(words[0]).make_context(words[0], words[1:])
