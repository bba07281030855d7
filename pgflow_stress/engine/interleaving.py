"""Two sides measured in turns: a repetition of each makes a pair, the order within a pair is drawn.

What moves slowly (the machine's neighbours, its clock, the disk's state) moves both halves of a pair, and what the
first of two leaves to the second falls on either side as often.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pgflow_stress.core.errors import StressError
from pgflow_stress.core.progress import Watch
from pgflow_stress.core.recording import Recording
from pgflow_stress.engine.engine import Engine
from pgflow_stress.engine.measurement import Ending, Gathering, Measured, Measurement, on_target
from pgflow_stress.scenario.plan import Plan
from pgflow_stress.target.base import Target


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two."""

    plan: Plan
    target: Target
    record: Callable[[Recording], None]


def turns(warmup: int, pairs: int, seed: int) -> list[tuple[int, int]]:
    """Which side is first, which second, for each pair: each order as often, the warm-up's pairs by themselves.

    An odd pair's order is drawn. One seed, one order.
    """
    generator = random.Random(f"{seed} turns")
    return [turn for many in (warmup, pairs) for turn in _drawn(many, generator)]


def _drawn(many: int, generator: random.Random) -> list[tuple[int, int]]:
    orders = [(0, 1), (1, 0)] * (many // 2) + [generator.choice(((0, 1), (1, 0)))] * (many % 2)
    generator.shuffle(orders)
    return orders


def interleave(engine: Engine, sides: Sequence[Side], watch: Watch) -> list[Measurement]:
    """Measure both sides, pair by pair, each repetition on a database of its own.

    Args:
        engine: entered with the plans of both sides.
        sides: base, candidate; warm-up, repetitions and seed are the base's, and of both.
        watch: sees both sides' phases.
    Returns:
        What was measured of each; the i-th repetition of both are a pair. Where one goes wrong so that no other makes
        sense, or a signal comes, both end there.
    """
    options = sides[0].plan.options
    gatherings = [Gathering(side.plan, on_target(side.plan, side.target)) for side in sides]
    drawn = turns(options.warmup, options.repetitions, options.seed)
    try:
        with contextlib.ExitStack() as opened:
            for side in sides:
                opened.enter_context(engine.aged(side.plan, side.target, watch))
            order = [(index, which) for index, turn in enumerate(drawn) for which in turn]
            for done, (index, which) in enumerate(order):
                side = sides[which]
                watch.place(f"pair {index + 1} of {len(drawn)}", done, len(order))
                measured = engine.measure_one(side.plan, side.target, side.record, watch, index)
                gatherings[which].add(measured)
                if not measured.goes_on:
                    break
    except StressError as fault:  # a signal between two repetitions
        gatherings[0].add(Measured(None, (Ending(fault.exit_code, str(fault)),)))
    return [gathering.measurement() for gathering in gatherings]
