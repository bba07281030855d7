"""`--prometheus PORT` as it is typed: scraped while a run goes on, gone with it, refused where the port is taken."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.target.helpers import opened, state_directory

PROGRAM = [sys.executable, "-m", "pgflow_stress.cli.main"]
LOAD = (
    "run concurrent-flows --flows 2 --steps 5 --workers 2 --rate 40 --duration 3s --repetitions 1 --warmup 1 "
    "--telemetry-interval 0.2s --events notify"
)


@pytest.fixture(scope="module")
def environment(prototype: Path) -> Iterator[dict[str, str]]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PGFLOW_STRESS_")}
    with state_directory(prototype=prototype) as state, opened():
        yield {**kept, "PGFLOW_STRESS_STATE": str(state)}


def scraped(address: str) -> list[tuple[str, dict[str, str], float]]:
    with urllib.request.urlopen(address, timeout=10) as answer:
        text = answer.read().decode()
    return [(s.name, s.labels, s.value) for family in text_string_to_metric_families(text) for s in family.samples]


def of(samples: list[tuple[str, dict[str, str], float]], name: str, **labels: str) -> float:
    (value,) = [v for n, has, v in samples if n == name and labels.items() <= has.items()]
    return value


def test_a_run_is_scraped_while_it_goes_on_and_the_port_is_free_after_it(
    environment: dict[str, str], tmp_path: Path
) -> None:
    path, address = tmp_path / "r.json", ""
    scrapes = []
    with subprocess.Popen(
        [*PROGRAM, *LOAD.split(), "--prometheus", "0", "--progress", "0.5", "--json", str(path)],
        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment,
    ) as running:  # fmt: skip
        assert running.stderr is not None
        said = []
        for line in running.stderr:
            said.append(line)
            if line.startswith("metrics at "):
                address = line.split()[-1]
            if line.startswith(("progress process", "phase audit")):
                scrapes.append(scraped(address))
        assert running.wait(60) == 0, "".join(said)
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(address, timeout=5)

    repetitions = json.loads(path.read_text())["repetitions"]
    names = {name for scrape in scrapes for name, _, _ in scrape}
    assert {
        "pgflow_stress_per_second", "pgflow_stress_backlog_tasks", "pgflow_stress_latency_seconds",
        "pgflow_stress_tasks_ended_total", "pgflow_stress_cores", "pgflow_stress_telemetry_rss_bytes",
        "pgflow_stress_telemetry_cpu_seconds_total", "pgflow_stress_telemetry_connections",
        "pgflow_stress_telemetry_wait_samples_total", "pgflow_stress_sampler_ticks_total",
    } <= names  # fmt: skip
    completed = [of(scrape, "pgflow_stress_tasks_completed_total") for scrape in scrapes]
    assert completed == sorted(completed)
    assert completed[-1] == sum(one["tasks"]["completed"] for one in repetitions), "of both repetitions"
    assert (
        of(scrapes[-1], "pgflow_stress_tasks_ended_total", outcome="completed") == repetitions[0]["tasks"]["completed"]
    )
    assert of(scrapes[-1], "pgflow_stress_repetitions_ended_total") == 1, "the last one is being audited"
    assert of(scrapes[-1], "pgflow_stress_phase", phase="audit") == 1
    assert all(of(scrape, "pgflow_stress_events_received_total") > 0 for scrape in scrapes[1:])
    latencies = [v for scrape in scrapes for n, has, v in scrape if n == "pgflow_stress_latency_seconds"]
    assert latencies
    assert all(0 < value < 60 for value in latencies)


def test_a_port_that_is_taken_ends_it_before_anything_is_made(environment: dict[str, str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [*PROGRAM, *LOAD.split(), "--prometheus", str(port), "--output", str(tmp_path / "o")],
            capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL,
            env={**environment, "PGFLOW_STRESS_STATE": str(tmp_path / "state")},
        )  # fmt: skip

    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert f"--prometheus {port}: cannot listen on 127.0.0.1:{port}: Address already in use" in line
    assert list(tmp_path.iterdir()) == []


def test_one_that_is_killed_leaves_the_port_free(environment: dict[str, str]) -> None:
    with subprocess.Popen(
        [*PROGRAM, *LOAD.split(), "--prometheus", "0", "--json", "-"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment,
    ) as running:  # fmt: skip
        assert running.stderr is not None
        address = ""
        for line in running.stderr:
            if line.startswith("metrics at "):
                address = line.split()[-1]
            if line.startswith("phase process"):
                scraped(address)
                running.kill()
                break
        running.communicate()
    port = int(address.removesuffix("/metrics").rpartition(":")[2])

    with socket.create_server(("127.0.0.1", port)):
        pass
