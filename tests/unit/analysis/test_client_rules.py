"""When a rate is the client's: each kind of evidence once, none in quiet windows, and never against exhausted cores."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pgflow_stress.analysis.evidence import Limits
from pgflow_stress.analysis.limiting import CLIENT_BOUND, CORES_EXHAUSTED
from pgflow_stress.analysis.verdict import judge
from pgflow_stress.core.probes import Probe
from pgflow_stress.core.result import Repetition, Verdict
from tests.fixtures.results import ENVIRONMENT, PARAMETERS
from tests.fixtures.windows import build_window

QUIET = {"server_waited_share": 0.0005, "run_queue_share": 0.015, "utilization": 0.004}


def window(index: int, *, server: dict[str, Any] | None = None, busy: float = 0.7, **client: Any) -> Repetition:
    found = build_window(index, server=server, host={"busy_share": busy})
    return replace(found, client={**found.client, **QUIET, **client})


def verdict_of(*repetitions: Repetition, limits: Limits | None = None) -> Verdict:
    return judge(PARAMETERS, repetitions, ENVIRONMENT, limits or Limits())


@pytest.mark.parametrize(
    ("client", "told"),
    [
        ({"server_waited_share": 0.34}, "the server waited for the workers 34% of their time, over 10%"),
        ({"run_queue_share": 0.5}, "workers were runnable and not run 50% of their time, over 10%"),
        ({"utilization": 0.97}, "workers were on CPU 97% of their time, over 90%"),
    ],
)
def test_each_evidence_marks_the_rates_of_tasks_and_nothing_else(client: dict[str, Any], told: str) -> None:
    verdict = verdict_of(window(1), window(2, **client), window(3))

    assert verdict.reasons == (f"{CLIENT_BOUND}: {told} (repetition 2)",)
    assert not any(verdict.metrics[f"{phase}.per_second"].valid for phase in ("process", "execute", "end_to_end"))
    assert not any(CLIENT_BOUND in reason for reason in verdict.metrics["create.per_second"].reasons)
    assert verdict.metrics["server.wal_bytes_per_task"].valid


def test_quiet_windows_are_nobodys_fault() -> None:
    for seed in range(1, 11):
        assert verdict_of(window(seed)).reasons == ()


def test_a_limit_can_be_another() -> None:
    slow = window(1, server_waited_share=0.34)

    assert verdict_of(slow, limits=Limits(max_server_waited_share=0.4)).reasons == ()


def test_who_waits_for_exhausted_cores_is_not_the_limit_but_who_is_waited_for_is() -> None:
    waiting = verdict_of(window(1, busy=0.99, run_queue_share=0.5))
    slow = verdict_of(window(1, busy=0.99, server_waited_share=0.5))

    assert waiting.reasons == ()
    (note,) = [note for note in waiting.notes if note.startswith(CORES_EXHAUSTED)]
    assert note.endswith("of neither side alone")
    assert slow.reasons[0].startswith(CLIENT_BOUND)
    (note,) = [note for note in slow.notes if note.startswith(CORES_EXHAUSTED)]
    assert note.endswith("and the client has its part in it")


def test_sampled_waits_for_the_client_count_beyond_its_idling() -> None:
    sampled = {"wait_events": {"worker": {"Client:ClientRead": 0.7, "CPU": 0.3}}}

    assert "70% of the time" in verdict_of(window(1, server=sampled)).reasons[0]
    assert verdict_of(window(1, server=sampled, idle_seconds=6.0)).reasons == ()


def test_an_edge_workers_idle_pool_is_not_the_clients_fault_but_a_slow_one_is() -> None:
    sampled = {"wait_events": {"worker": {"Client:ClientRead": 0.9, "CPU": 0.1}}}
    parameters = {**PARAMETERS, "worker_model": "edge-worker"}

    assert judge(parameters, [window(1, server=sampled)], ENVIRONMENT, Limits()).reasons == ()
    slow = judge(parameters, [window(1, server=sampled, server_waited_share=0.34)], ENVIRONMENT, Limits())
    assert slow.reasons[0].startswith(CLIENT_BOUND)


def test_sampled_waits_for_a_worker_that_waits_for_exhausted_cores_are_not_the_clients() -> None:
    sampled = {"wait_events": {"worker": {"Client:ClientRead": 0.7, "CPU": 0.3}}}

    assert verdict_of(window(1, server=sampled, busy=0.99, run_queue_share=0.4)).reasons == ()
    assert verdict_of(window(1, server=sampled, busy=0.99, run_queue_share=0.1)).reasons[0].startswith(CLIENT_BOUND)


def test_what_the_probe_shows_is_evidence_too() -> None:
    rates = {Probe.AS_IS: 1.0, Probe.MORE_COST: 0.93, Probe.MORE_WORKERS: 1.3}
    repetitions = []
    for turn in range(5):
        for place, (kind, factor) in enumerate(rates.items()):
            found = window(3 * turn + place)
            rate = 1000 * factor * (1 + 0.001 * turn * (place + 1))
            phases = {**found.phases, "process": replace(found.phases["process"], per_second=rate)}
            probe = {} if kind is Probe.AS_IS else {"probe": {"kind": str(kind)}}
            repetitions.append(replace(found, phases=phases, client={**found.client, **probe}))

    verdict = verdict_of(*repetitions)

    assert len([one for one in repetitions if one.counted]) == 5
    assert any("10% more client cost lowered the rate by 6.8%" in reason for reason in verdict.reasons)
