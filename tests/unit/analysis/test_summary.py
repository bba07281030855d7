from __future__ import annotations

from dataclasses import replace

from pgflow_stress.analysis.metrics import REQUIRED
from pgflow_stress.analysis.summary import summarise
from pgflow_stress.core.phase import nothing
from tests.fixtures.results import build_baseline, build_observed, build_repetition


def test_warm_up_interrupted_and_those_that_lost_a_worker_are_left_out() -> None:
    left_out = [
        build_repetition(0, warmup=True),
        build_repetition(3, interrupted=True),
        build_repetition(4, lost_worker=True),
    ]
    counted = [build_repetition(1, process_seconds=10), build_repetition(2, process_seconds=20)]

    rate = summarise([left_out[0], *counted, *left_out[1:]])["process.per_second"]

    assert rate.n == 2
    assert rate.values == tuple(repetition.phases["process"].per_second for repetition in counted)


def test_with_none_counted_every_required_metric_is_there_with_nulls() -> None:
    summary = summarise([build_repetition(0, warmup=True)])

    assert set(summary) == set(REQUIRED)
    assert {(m.n, m.mean, m.stdev, m.ci95, m.values) for m in summary.values()} == {(0, None, None, None, ())}


def test_one_counted_repetition_has_a_mean_and_no_interval() -> None:
    rate = summarise([build_repetition(1)])["execute.per_second"]

    assert (rate.n, rate.stdev, rate.ci95) == (1, None, None)
    assert rate.mean == rate.values[0]


def test_numeric_leaves_that_every_repetition_has_become_metrics() -> None:
    first, second = build_repetition(1), build_repetition(2)
    first = replace(first, server={**first.server, "temp_bytes": 5, "temp_files": {"IO": 3, "Lock": 1}})
    second = replace(second, server={**second.server, "temp_files": {"IO": 5}, "stable": True})

    summary = summarise([first, second])

    assert summary["server.temp_files.IO"].mean == 4
    assert summary["client.littles_law.ratio"].n == 2
    assert not {"server.temp_bytes", "server.temp_files.Lock", "server.stable"} & set(summary)


def test_a_cost_that_could_not_be_measured_is_null_and_not_dropped() -> None:
    first, second = build_repetition(1), build_repetition(2)
    second = replace(second, server={**second.server, "wal_bytes_per_task": None})

    wal = summarise([first, second])["server.wal_bytes_per_task"]

    assert (wal.n, wal.values[1]) == (1, None)


def test_delivery_is_summed_up_where_events_were_observed_and_is_absent_elsewhere() -> None:
    watched = summarise([build_observed(1), build_observed(2)])
    unwatched = build_repetition(1)
    unwatched = replace(unwatched, phases={**unwatched.phases, "deliver": nothing()})

    assert watched["deliver.per_second"].n == watched["deliver.latency_ns.p99"].n == 2
    assert not [name for name in summarise([unwatched]) if name.startswith("deliver.")]


def test_delivery_of_which_nothing_came_is_null_and_not_dropped() -> None:
    silent = build_observed(1)
    silent = replace(silent, phases={**silent.phases, "deliver": nothing()})

    found = summarise([silent])["deliver.per_second"]

    assert (found.n, found.values) == (0, (None,))


def test_repetitions_without_the_observer_are_not_counted() -> None:
    summary = summarise([build_observed(1, process_seconds=10), build_baseline(2, process_seconds=20)])

    assert summary["process.per_second"].n == 1
    assert summary["deliver.per_second"].n == 1


def test_what_is_looked_up_by_name_is_no_metric() -> None:
    waits = {"worker": {"CPU": 0.6, "Client:ClientRead": 0.4}}
    sampled = [build_repetition(n) for n in (1, 2)]
    sampled = [replace(one, server={**one.server, "wait_events": waits, "deltas": {"wal": {}}}) for one in sampled]

    assert not [name for name in summarise(sampled) if "wait_events" in name or "deltas" in name]
