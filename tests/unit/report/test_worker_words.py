"""What is said of a worker model and of simulated work."""

from __future__ import annotations

from dataclasses import replace

from pgflow_stress.core.result import Result
from pgflow_stress.report.words import labels, limited_by, next_steps, setting
from tests.fixtures.results import build_repetition, build_result

EDGE = {
    "worker_model": "edge-worker", "completion": "single", "concurrency": 10, "max_pg_connections": 4, "poll_size": 10,
}  # fmt: skip


def _at_work(share: float) -> Result:
    """A result whose workers' 50 places were at work for a share of the time."""
    repetitions = []
    for index in (1, 2, 3):
        found = build_repetition(index)
        work_ns = share * 12e9 * 50 / 20_000
        repetitions.append(replace(found, client={**found.client, "work_ns_per_task": work_ns}))
    return build_result(repetitions, parameters={"work": "25ms", "concurrency": 25, "workers": 2})


def test_an_edge_worker_is_called_one_and_the_ceiling_is_what_to_try_next() -> None:
    result = build_result(parameters=EDGE)

    assert "2 edge-workers, 10 at once over 4 connections, poll 10" in setting(result)
    assert any(label.startswith("pgflow's own worker reproduced") for label in labels(result))
    assert not any("one statement for many" in label for label in labels(result))
    assert "how far the database itself goes: --worker-model ceiling" in next_steps(result)


def test_the_ceiling_names_pgflows_own_worker_as_what_to_try_next() -> None:
    result = build_result()

    assert "as pgflow's own worker works: --worker-model edge-worker" in next_steps(result)
    assert not any("simulated work" in label for label in labels(result))


def test_workers_whose_places_are_full_of_work_are_limited_by_it() -> None:
    full, spare = _at_work(0.93), _at_work(0.3)

    assert limited_by(full).startswith(
        "the simulated work: 50 tasks at once is all that the workers take, 93 % at work"
    )
    assert "simulated work" not in limited_by(spare)
    assert "25 at once, work 25ms" in setting(full)
    assert any(label.startswith("simulated work:") for label in labels(full))
