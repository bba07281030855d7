"""The best of equal cells: for prove_sweep. Simulated, and on a real target with an option that changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from _planted import tell, tool

from pgflow_stress.analysis.ranking import rank

CELLS, ROUNDS = 24, 5
SHARE = 0.95
BETTER = 1.3
JOB = ("concurrent-flows", "--flows", 2, "--runs", 20, "--steps", 4, "--workers", 1, "--warmup", 1, "--confirm", 0)

Noise = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]


def _kinds(recorded: Path | None) -> dict[str, Noise]:
    kinds: dict[str, Noise] = {
        "normal": lambda generator, shape: generator.normal(0, 0.05, shape),
        "heavy tails": lambda generator, shape: 0.03 * generator.standard_t(3, shape),
        "rounds drift": lambda generator, shape: (
            generator.normal(0, 0.05, shape) + np.linspace(0, -0.3, shape[1])[None, :]
        ),
    }
    if recorded is not None:
        for metric, values in json.loads(recorded.read_text()).items():
            logs = np.log(np.asarray(values, dtype=np.float64))
            kinds[f"recorded {metric}"] = lambda generator, shape, logs=logs: generator.choice(logs, shape)
    return kinds


def prove_simulated(times: int, seed: int, recorded: Path | None) -> bool:
    """Of 24 equal cells in 5 rounds: how often does the ranking say tie? And is one that is 30 % better alone?"""
    generator = np.random.default_rng(seed)
    held = True
    for name, noise in _kinds(recorded).items():
        ties = alone = 0
        for _ in range(times):
            values = np.exp(generator.normal(0, 0.2, (1, ROUNDS)) + noise(generator, (CELLS, ROUNDS)))
            ties += len(_ties(values)) > 1
            values[7] *= BETTER
            alone += _ties(values) == (7,)
        good = ties >= SHARE * times and (alone >= SHARE * times or name != "normal")
        held = held and good
        tell(
            proof="ties simulated", noise=name, cells=CELLS, rounds=ROUNDS, ties=ties, better_alone=alone, of=times,
            held=good,
        )  # fmt: skip
    return held


def _ties(values: np.ndarray) -> tuple[int, ...]:
    return rank({cell: list(values[cell]) for cell in range(CELLS)}, higher_is_better=True).ties


def prove_real(times: int, seed: int, cells: int, rounds: int) -> bool:
    """Cells that differ in a time-out that nothing comes near: the sweep says tie."""
    ties = 0
    for number in range(seed, seed + times):
        values = ",".join(str(10 + cell) for cell in range(cells))
        code, document = tool(
            "sweep", *JOB, "--vary", f"drain-timeout={values}", "--repetitions", rounds, "--seed", number
        )
        if code or document is None:
            raise SystemExit(f"a sweep ended with {code}: nothing is proven")
        grid = document["best"]["grid"]
        ties += len(grid["ties"]) > 1
        tell(seed=number, ties=len(grid["ties"]), of=cells, margin=grid["margin"])
    held = ties >= SHARE * times
    tell(proof="ties real", cells=cells, rounds=rounds, ties=ties, of=times, held=held)
    return held
