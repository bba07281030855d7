"""scripts/prove_statistics.py on series whose truth is known."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def proof(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module("prove_statistics")


def series(drift: float = 0.0) -> list[float]:
    generator = np.random.default_rng(8)
    values = np.exp(generator.normal(7, 0.05, 120) + np.linspace(0, drift, 120))
    return [float(value) for value in values]


@pytest.mark.parametrize("design", ["pairs", "halves"])
@pytest.mark.parametrize("side", [5, 10, 60])
def test_a_series_of_one_thing_gives_few_false_verdicts(proof: ModuleType, design: str, side: int) -> None:
    found = proof.offline("execute.per_second", series(), design, side, 1_000, 1)

    assert found["held"], found
    assert 0.01 < found["false"] < 0.08
    assert found["cannot_tell"] == 0


def test_pairs_bear_a_drift(proof: ModuleType) -> None:
    found = proof.offline("execute.per_second", series(drift=0.5), "pairs", 60, 1_000, 1)

    assert found["false"] < 0.08


@pytest.mark.parametrize("design", ["pairs", "halves"])
def test_no_repetition_is_on_both_sides(proof: ModuleType, design: str) -> None:
    base, candidate = proof.split(np.arange(1.0, 121.0), design, 25, np.random.default_rng(1))

    assert len(set(base) | set(candidate)) == 50
    assert design == "halves" or all(abs(a - b) == 1 for a, b in zip(base, candidate, strict=True))


def test_a_series_without_spread_is_told_as_such_and_does_not_hold(
    proof: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "series.json").write_text(json.dumps({"execute.per_second": [5.0] * 120}))

    code = proof.prove(tmp_path / "series.json", [], 10, 1)

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert code == 1
    assert [line["cannot_tell"] for line in lines] == [1.0, 1.0]
