"""Interleaved pairs on fresh databases: A B, B A, A B, …; the median ratio with its 95 % bootstrap interval."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pgflow_stress.core.ids import new_nonce
from pgflow_stress.target.base import Database, Target, TargetOptions
from pgflow_stress.target.opening import open_target

RESAMPLES = 10_000


@dataclass(frozen=True)
class Figure:
    """A ratio of one benchmark: A's figure ÷ B's, pair by pair."""

    name: str
    unit: str
    a: list[float]
    b: list[float]
    reach: str  # what is to be reached, such as ">= 0.98"

    def summary(self) -> dict[str, Any]:
        """Medians with ranges, and the ratio with its interval."""
        ratios = np.array(self.a) / np.array(self.b)
        low, high = bootstrap_median(ratios)
        return {
            "figure": self.name,
            "pairs": len(ratios),
            "ratio": round(float(np.median(ratios)), 4),
            "ci95": [round(low, 4), round(high, 4)],
            "reach": self.reach,
            "unit": self.unit,
            "a": spread(self.a),
            "b": spread(self.b),
        }


def bootstrap_median(values: np.ndarray, seed: int = 1) -> tuple[float, float]:
    """95 % percentile bootstrap interval of the median."""
    random = np.random.default_rng(seed)
    medians = np.median(random.choice(values, size=(RESAMPLES, len(values))), axis=1)
    low, high = np.percentile(medians, [2.5, 97.5])
    return float(low), float(high)


def spread(values: list[float]) -> list[float]:
    """[minimum, median, maximum], 4 significant digits."""
    return [float(f"{value:.4g}") for value in (min(values), float(np.median(values)), max(values))]


@contextlib.contextmanager
def embedded(**options: Any) -> Iterator[Target]:
    """The embedded server, whatever the environment says."""
    with open_target(TargetOptions(**options), lambda line: print(line, file=sys.stderr), {}) as target:
        yield target


@contextlib.contextmanager
def fresh(target: Target) -> Iterator[tuple[Database, int]]:
    """A fresh database and its nonce."""
    nonce = new_nonce()
    database = target.acquire(nonce)
    try:
        yield database, nonce
    finally:
        target.release(database)


def interleave(
    pairs: int, a: Callable[[], float], b: Callable[[], float], label: str
) -> tuple[list[float], list[float]]:
    """Both sides `pairs` times, the order reversed each time."""
    found: tuple[list[float], list[float]] = ([], [])
    for index in range(pairs):
        order = ((0, a), (1, b)) if index % 2 == 0 else ((1, b), (0, a))
        for side, measure in order:
            found[side].append(measure())
        ratio = found[0][-1] / found[1][-1]
        print(f"{label} {index + 1}/{pairs}: {found[0][-1]:.5g} {found[1][-1]:.5g} {ratio:.4f}", file=sys.stderr)
    return found


def on_fresh(target: Target, side: Callable[[Database, int], float]) -> Callable[[], float]:
    """The side on a fresh database, in a forked child: nothing of its memory or affinity reaches the other side."""

    def measure() -> float:
        with fresh(target) as (database, nonce):
            return _in_child(lambda: side(database, nonce))

    return measure


def _in_child(measure: Callable[[], float]) -> float:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(reading)
            os.write(writing, json.dumps(measure()).encode())
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as answer:
        text = answer.read()
    if os.waitpid(child, 0)[1] != 0 or not text:
        raise RuntimeError("a measured child failed")
    return float(json.loads(text))


def arguments(description: str, **more: int) -> argparse.Namespace:
    """--pairs, --tasks, --client-cpu, --server-cpu, --output."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--client-cpu", type=int, default=0)
    parser.add_argument("--server-cpu", type=int, default=1)
    parser.add_argument("--output", type=Path, help="append the figures here, a line of JSON each")
    for name, default in more.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=default)
    return parser.parse_args()


def report(figures: list[Figure], output: Path | None) -> None:
    """A line of JSON each, to standard output and the file."""
    for figure in figures:
        line = json.dumps(figure.summary())
        print(line, flush=True)
        if output is not None:
            with output.open("a") as file:
                file.write(line + "\n")
