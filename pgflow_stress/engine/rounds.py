"""The order of a sweep: every cell once a round, each round in an order of its own, drawn by the seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import groupby

State = tuple[tuple[str, str], ...]


def order(states: Sequence[State], round_index: int, seed: int, stage: str = "grid") -> list[int]:
    """Which cell is measured when in one round.

    Cells that need the same state of the world (what --apply-command sets) stay together, as each change may restart a
    server; the states and the cells within each are in random order.

    Args:
        states: of each cell.
        stage: a name; rounds of another stage are drawn anew.
    """
    generator = random.Random(f"{seed} {stage} {round_index}")
    places = list(range(len(states)))
    generator.shuffle(places)
    drawn = list(dict.fromkeys(states[at] for at in places))
    rank = {state: at for at, state in enumerate(drawn)}
    together = groupby(sorted(places, key=lambda at: rank[states[at]]), key=lambda at: rank[states[at]])
    return [at for _, group in together for at in group]
