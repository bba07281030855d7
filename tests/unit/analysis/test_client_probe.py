"""What --probe-client concludes from pairs of rates."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pgflow_stress.analysis.client_probe import ClientProbe, probe_client
from pgflow_stress.core.probes import Probe
from pgflow_stress.core.result import Repetition
from tests.fixtures.results import build_repetition


def ran(index: int, kind: Probe, rate: float, warmup: bool = False) -> Repetition:
    found = build_repetition(index, warmup=warmup)
    phases = {**found.phases, "process": replace(found.phases["process"], per_second=rate)}
    probe = {} if kind is Probe.AS_IS else {"probe": {"kind": str(kind)}}
    return replace(found, phases=phases, client={**found.client, **probe})


def probed(cost: float, worker: float, turns: int = 5, noise: float = 0.004) -> ClientProbe:
    factor = {Probe.AS_IS: 1.0, Probe.MORE_COST: cost, Probe.MORE_WORKERS: worker}
    repetitions = [ran(0, Probe.AS_IS, 1.0, warmup=True)]
    for turn in range(turns):
        kinds = list(Probe) if turn % 2 else list(Probe)[::-1]
        for kind in kinds:
            drift = 1 + 0.2 * turn + noise * ((turn * 7 + list(Probe).index(kind) * 3) % 5)
            repetitions.append(ran(len(repetitions), kind, 1000 * factor[kind] * drift))
    found = probe_client(repetitions)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("cost", "worker", "told"),
    [
        (0.91, 1.0, ("client-bound: more client cost lowers the rate",)),
        (1.0, 1.4, ("concurrency-bound: one more worker raises the rate",)),
        (0.91, 1.4, ("client-bound: more client cost lowers the rate",
                     "concurrency-bound: one more worker raises the rate")),
        (1.0, 1.0, ("no difference shown: neither client cost nor one more worker moves the rate",)),
        (1.0, 0.7, ("no difference shown: neither client cost nor one more worker moves the rate",)),
    ],
)  # fmt: skip
def test_the_verdict_follows_what_is_beyond_noise(cost: float, worker: float, told: tuple[str, ...]) -> None:
    assert probed(cost, worker).words() == told


def test_added_cost_that_shows_in_full_says_that_all_of_a_task_is_the_clients() -> None:
    assert probed(1 / 1.1, 1.0).client_share == pytest.approx(1.0, abs=0.05)


def test_one_pair_shows_nothing() -> None:
    found = probed(0.5, 2.0, turns=1)

    assert (found.cost.ratio, found.cost.n) == (None, 1)
    assert found.words()[0].startswith("no difference shown")


def test_where_nothing_was_probed_there_is_nothing_to_tell() -> None:
    assert probe_client([build_repetition(0), build_repetition(1)]) is None
