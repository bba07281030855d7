"""Which targets of a sweep are open: one for cells that need the same, each history made once, all closed at last."""

from __future__ import annotations

import contextlib
import types
from collections.abc import Iterator
from typing import Any

import pytest

from pgflow_stress.cli import sweep_targets
from pgflow_stress.cli.sweep_targets import MOST_OPEN, MOST_TARGETS, Targets
from pgflow_stress.scenario.options import RunOptions
from pgflow_stress.scenario.plan import make_plan
from pgflow_stress.target.base import TargetOptions


class Books:
    """Who was opened, aged and closed, in order; and how many are open."""

    def __init__(self) -> None:
        self.opened: list[TargetOptions] = []
        self.aged: list[tuple[str, int]] = []
        self.open = 0

    @contextlib.contextmanager
    def open_target(self, options: TargetOptions, _say: Any) -> Iterator[Any]:
        self.opened.append(options)
        self.open += 1
        yield types.SimpleNamespace(options=options, not_taken=lambda _settings: [])
        self.open -= 1

    @contextlib.contextmanager
    def age(self, plan: Any, target: Any) -> Iterator[None]:
        if plan.history:
            self.aged.append((target.options.pgflow, plan.history))
        yield


@pytest.fixture
def books(monkeypatch: pytest.MonkeyPatch) -> Books:
    kept = Books()
    monkeypatch.setattr(sweep_targets, "open_target", kept.open_target)
    return kept


def cell(history: int = 0, pgflow: str = "0.8.1", setting: str = "4MB") -> Any:
    options = TargetOptions(pgflow=pgflow, aged=bool(history), pg_settings=(("work_mem", setting),))
    plan = make_plan("single-flow", RunOptions(steps=3, history=history))
    return types.SimpleNamespace(target=options, plan=plan, applied=())


def test_each_history_of_each_version_is_made_once_however_often_its_cells_come(books: Books) -> None:
    cells = [cell(history, version) for history in (0, 3, 30) for version in ("0.8.1", "a", "b")]

    with Targets(None, lambda _line: None, books.age, 2) as targets:
        for _ in range(3):
            for one in cells:
                assert targets.of(one).options == one.target  # type: ignore[attr-defined]
        assert books.open == len(cells)

    assert sorted(books.aged) == sorted((version, history) for history in (3, 30) for version in ("0.8.1", "a", "b"))
    assert books.open == 0


def test_servers_and_targets_that_are_open_are_bounded_and_an_aged_one_is_closed_last(books: Books) -> None:
    with Targets(None, lambda _line: None, books.age, 2) as targets:
        for setting in range(MOST_OPEN + 3):
            targets.of(cell(setting=f"{setting}MB"))
            assert books.open <= MOST_OPEN
        targets.of(cell(history=3))
        for version in range(MOST_TARGETS + 3):
            targets.of(cell(pgflow=str(version)))
            assert books.open <= MOST_TARGETS
        targets.of(cell(history=3))

    assert books.aged == [("0.8.1", 3)]
    assert books.open == 0
