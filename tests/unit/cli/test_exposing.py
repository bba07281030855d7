"""What the endpoint of --prometheus says, read back by Prometheus' own parser."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import CollectorRegistry

from pgflow_stress.cli.exposing import exposed, listening
from pgflow_stress.cli.exposing.endpoint import LOOPBACK, Endpoint
from pgflow_stress.cli.exposing.families import Exposed
from pgflow_stress.cli.exposing.snapshot import Snapshot
from pgflow_stress.cli.exposing.watch import ExposingWatch
from pgflow_stress.cli.progress import QuietWatch
from pgflow_stress.core.errors import UsageFault
from pgflow_stress.core.progress import Gauges, Progress
from pgflow_stress.core.result import Latency
from pgflow_stress.core.telemetry import Series
from tests.fixtures.results import build_repetition

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parsed(text: str) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def shown(snapshot: Snapshot) -> Samples:
    registry = CollectorRegistry()
    registry.register(Exposed(lambda: snapshot))
    return parsed(generate_latest(registry).decode())


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


def at(
    done: int, elapsed_seconds: float, *, repetition: int = 0, gauges: Gauges | None = None, **counts: int
) -> Progress:
    return Progress(
        "single-flow", repetition, 3, False, "process", done, 100, elapsed_seconds, 100 - done, 0,
        read_gauges=lambda: gauges or Gauges(), counts={"tasks_completed": done, **counts},
    )  # fmt: skip


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint(0)


def test_series_of_the_sampler_keep_their_names_in_base_units() -> None:
    found = shown(
        Snapshot(
            series={
                Series("worker", "worker 0", "rss", "bytes"): 1e6,
                Series("worker", "worker 0", "cpu_total", "ns"): 2.5e9,
                Series("postgres", 'slot "\x1bx"', "lag", "bytes"): 7.0,
                Series("worker", "Lock:transactionid", "wait_samples_total", "samples"): 3.0,
                Series("host", "host", "load_1m", "processes"): 1.5,
            },
            cores={"postgres": 1.75},
        )
    )

    assert value(found, "pgflow_stress_telemetry_rss_bytes", role="worker", subject="worker 0") == 1e6
    assert value(found, "pgflow_stress_telemetry_cpu_seconds_total", role="worker", subject="worker 0") == 2.5
    assert value(found, "pgflow_stress_telemetry_lag_bytes", role="postgres", subject='slot "\\x1bx"') == 7
    waits = {"role": "worker", "subject": "Lock:transactionid"}
    assert value(found, "pgflow_stress_telemetry_wait_samples_total", **waits) == 3
    assert value(found, "pgflow_stress_telemetry_load_1m", role="host", subject="host") == 1.5
    assert value(found, "pgflow_stress_cores", role="postgres") == 1.75


def test_latencies_are_in_seconds_and_those_with_too_few_samples_are_left_out() -> None:
    latency = Latency(count=100, samples=50, p50=1_500_000, p90=None, max=9_000_000)

    found = shown(Snapshot("single-flow", "process", latency=latency, per_second=123.0, backlog=7))

    of = {"scenario": "single-flow", "phase": "process"}
    assert value(found, "pgflow_stress_latency_seconds", **of, quantile="0.5") == 0.0015
    assert value(found, "pgflow_stress_latency_seconds", **of, quantile="1") == 0.009
    assert not [key for key in found if dict(key[1]).get("quantile") == "0.9"]
    assert value(found, "pgflow_stress_latency_samples", **of) == 50
    assert value(found, "pgflow_stress_per_second", **of) == 123
    assert value(found, "pgflow_stress_backlog_tasks", scenario="single-flow") == 7


def test_before_anything_was_begun_there_is_a_page_all_the_same() -> None:
    assert set(shown(Snapshot())) == {("pgflow_stress_updated_timestamp_seconds", frozenset())}


def test_counts_go_on_over_repetitions_and_outcomes_come_with_their_end(endpoint: Endpoint) -> None:
    watch = ExposingWatch(QuietWatch(), endpoint)
    for repetition in (0, 1):
        watch.phase("prime", "single-flow", repetition)
        watch.phase("process", "single-flow", repetition)
        watch.tick(at(40, 0.5, repetition=repetition))
        watch.tick(at(100, 1.0, repetition=repetition, errors_retried=1))
        watch.phase("audit", "single-flow", repetition)
        watch.ended(build_repetition(repetition))
    watch.phase("prime", "single-flow", 2)
    found = shown(endpoint.snapshot)
    endpoint.close()

    of = {"scenario": "single-flow"}
    assert value(found, "pgflow_stress_tasks_completed_total", **of) == 200
    assert value(found, "pgflow_stress_errors_retried_total", **of) == 2
    assert value(found, "pgflow_stress_repetitions_ended_total", **of) == 2
    tasks = build_repetition(0).tasks
    assert value(found, "pgflow_stress_tasks_ended_total", **of, outcome="completed") == 2 * tasks.completed
    assert value(found, "pgflow_stress_phase", **of, phase="prime") == 1
    assert value(found, "pgflow_stress_repetition", **of) == 2


def test_what_takes_longer_is_read_once_a_second_and_less_often_where_it_costs_more(endpoint: Endpoint) -> None:
    now, cost, read = [0.0], [0.0], []

    def gauges() -> Gauges:
        read.append(now[0])
        cost[0] += 0.03
        return Gauges()

    watch = ExposingWatch(QuietWatch(), endpoint, lambda: now[0], lambda: cost[0])
    for tick in range(100):
        now[0] = tick / 10
        watch.tick(Progress("s", 0, 1, False, "process", tick, 100, now[0], 0, 0, read_gauges=gauges))
    endpoint.close()

    assert read == pytest.approx([0.0, 3.0, 6.0, 9.0])
    assert endpoint.snapshot.per_second == pytest.approx(10)


def test_it_is_served_on_the_loopback_alone_for_as_long_as_the_run_lasts(endpoint: Endpoint) -> None:
    with exposed(QuietWatch(), endpoint), urllib.request.urlopen(endpoint.address, timeout=5) as answer:
        text = answer.read().decode()
        kind = answer.headers["Content-Type"]
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(endpoint.address, timeout=5)

    assert "pgflow_stress_updated_timestamp_seconds" in {name for name, _ in parsed(text)}
    assert kind.startswith("text/plain")
    assert endpoint.address.startswith(f"http://{LOOPBACK}:")


def test_a_client_that_says_nothing_holds_up_neither_others_nor_the_end(endpoint: Endpoint) -> None:
    port = int(endpoint.address.removesuffix("/metrics").rpartition(":")[2])
    with (
        exposed(QuietWatch(), endpoint),
        socket.create_connection((LOOPBACK, port)),
        urllib.request.urlopen(endpoint.address, timeout=5) as answer,
    ):
        assert answer.status == 200


def test_a_port_that_is_taken_is_refused_in_one_line() -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        told = rf"--prometheus {port}: .*already in use; give another port"
        with pytest.raises(UsageFault, match=told), listening(port):
            pass


def test_without_it_nothing_is_loaded_and_the_watch_is_as_it_was() -> None:
    watch = QuietWatch()
    with listening(None) as nothing:
        assert exposed(watch, nothing) is watch
