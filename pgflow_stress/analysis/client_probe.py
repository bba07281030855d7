"""What --probe-client showed: the rate with one more worker, and with more client cost a task, to the rate as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pgflow_stress.analysis.statistics import detectable, paired
from pgflow_stress.core.probes import MORE_CLIENT_COST, Probe
from pgflow_stress.core.result import Json, Repetition

METRIC = "process.per_second"


@dataclass(frozen=True, slots=True)
class Effect:
    """A rate changed to the same as it is, over pairs of repetitions."""

    ratio: float | None  # geometric mean; None with fewer than two pairs, or without any spread
    ci95: tuple[float, float] | None
    n: int  # pairs
    detectable: float | None  # the smallest change that this spread shows in four of five cases, as a share

    @property
    def is_lower(self) -> bool:
        """Whether the rate fell by more than noise."""
        return self.ci95 is not None and self.ci95[1] < 1

    @property
    def is_higher(self) -> bool:
        """Whether it rose by more than noise."""
        return self.ci95 is not None and self.ci95[0] > 1


@dataclass(frozen=True, slots=True)
class ClientProbe:
    """Both interventions."""

    worker: Effect
    cost: Effect

    @property
    def client_share(self) -> float:
        """The share of a task's time that is the client's, as the added cost shows it: r = 1 / (1 + share x added)."""
        return (1 / self.cost.ratio - 1) / MORE_CLIENT_COST if self.cost.ratio else 0.0

    def words(self) -> tuple[str, ...]:
        """What follows, a line each."""
        said = []
        if self.cost.is_lower:
            said.append("client-bound: more client cost lowers the rate")
        if self.worker.is_higher:
            said.append("concurrency-bound: one more worker raises the rate")
        return tuple(said) or ("no difference shown: neither client cost nor one more worker moves the rate",)

    def as_json(self) -> Json:
        """As the result has it."""
        share = self.client_share if self.cost.is_lower else None
        return {
            "metric": METRIC,
            "one_more_worker": _json(self.worker),
            "more_client_cost": {
                **_json(self.cost),
                "added_share": MORE_CLIENT_COST,
                "client_share": share,
            },
            "verdict": list(self.words()),
        }


def probe_client(repetitions: Sequence[Repetition]) -> ClientProbe | None:
    """The paired log ratios of each intervention to what ran as it is in the same turn; None where nothing was probed.

    Args:
        repetitions: all of a scenario, in the order in which they ran: each kind once in a turn, warm-up apart.
    Source: as `statistics.paired`.
    """
    if not any(repetition.probe for repetition in repetitions):
        return None
    ran = [repetition for repetition in repetitions if not repetition.warmup]
    turns = [_rates(ran[first : first + len(Probe)]) for first in range(0, len(ran), len(Probe))]
    return ClientProbe(_effect(turns, Probe.MORE_WORKERS), _effect(turns, Probe.MORE_COST))


def _rates(turn: Sequence[Repetition]) -> dict[str, float]:
    return {
        one.probe or Probe.AS_IS: rate
        for one in turn
        if not (one.interrupted or one.lost_worker) and (rate := one.phases["process"].per_second)
    }


def _effect(turns: Sequence[Mapping[str, float]], kind: str) -> Effect:
    whole = [turn for turn in turns if Probe.AS_IS in turn and kind in turn]
    try:
        found = paired([turn[Probe.AS_IS] for turn in whole], [turn[kind] for turn in whole])
        return Effect(found.ratio, found.interval(), len(whole), detectable(found))
    except ValueError:  # too few pairs, or no spread: nothing is shown
        return Effect(None, None, len(whole), None)


def _json(effect: Effect) -> Json:
    ci95 = list(effect.ci95) if effect.ci95 else None
    return {"ratio": effect.ratio, "ci95": ci95, "n": effect.n, "detectable": effect.detectable}
