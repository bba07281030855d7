"""Which results of two places belong together: scenario by scenario."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pgflow_stress.core.errors import UsageFault
from pgflow_stress.core.result import Result
from pgflow_stress.report.saved import Saved


def pairs(base: Sequence[Saved], candidate: Sequence[Saved], called: tuple[str, str]) -> list[tuple[Saved, Saved]]:
    """The results of two places, each with its other.

    One against one are a pair, whatever they are. Of several, those of one scenario are; where a scenario is there
    more than once, as in the cells of a sweep, the first is the first's, and so on.

    Args:
        base, candidate: what was read, at least one each.
        called: how the places are called in a message.
    Raises:
        UsageFault: a scenario is not as often in one place as in the other: what is not compared cannot fail.
    """
    for saved, name in ((base, called[0]), (candidate, called[1])):
        for one in saved:
            _require_shape(one.result, name)
    if len(base) == len(candidate) == 1:
        return [(base[0], candidate[0])]
    counts = [Counter(one.name for one in saved) for saved in (base, candidate)]
    for name in counts[0] | counts[1]:
        if counts[0][name] != counts[1][name]:
            found = f"{counts[0][name]} in {called[0]}, {counts[1][name]} in {called[1]}"
            raise UsageFault(f"results of scenario {name} have no other to be compared with: {found}")
    waiting: dict[str, list[Saved]] = {}
    for one in candidate:
        waiting.setdefault(one.name, []).append(one)
    return [(one, waiting[one.name].pop(0)) for one in base]


def _require_shape(result: Result, called: str) -> None:
    """What a file may lack though its schema's name is right."""
    if not isinstance(result.scenario, dict) or not isinstance(result.scenario.get("name"), str):
        raise UsageFault(f"{called}: result lacks the scenario's name")
    if not isinstance(result.environment, dict):
        raise UsageFault(f"{called}: result lacks its environment")
