from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pgflow_stress.analysis.evidence import Limits
from pgflow_stress.analysis.verdict import judge
from pgflow_stress.core.result import Repetition, Verdict
from tests.fixtures.results import ENVIRONMENT, PARAMETERS
from tests.fixtures.windows import build_window

SERVER = [
    ({"checkpoints": 2}, "checkpoint inside the window: 2 (repetition 2)"),
    (
        {"autovacuums": {"pgflow.step_tasks": 1, "pgmq.q_x": 2}},
        "autovacuum inside the window: 3, of pgflow.step_tasks and 1 more (repetition 2)",
    ),
    ({"autoanalyzes": {"pgflow.runs": 1}}, "autoanalyze inside the window: 1, of pgflow.runs (repetition 2)"),
]
APART = {**ENVIRONMENT, "co_located": False}


def verdict_on(
    second: Repetition, purpose: str = "compare", environment: Any = None, limits: Limits | None = None
) -> Verdict:
    repetitions = (build_window(1), second, build_window(3))
    return judge({**PARAMETERS, "purpose": purpose}, repetitions, environment or ENVIRONMENT, limits or Limits())


@pytest.mark.parametrize(("server", "told"), SERVER)
def test_what_the_server_did_by_itself_spoils_a_comparison(server: dict[str, object], told: str) -> None:
    verdict = verdict_on(build_window(2, server=server))

    assert verdict.reasons == (told,)
    spoiled = ("process.per_second", "create.per_second", "steady.per_second", "server.wal_bytes_per_task")
    assert not any(verdict.metrics[name].valid for name in spoiled)
    assert verdict.metrics["client.cpu_ns_per_task"].valid


@pytest.mark.parametrize(("server", "told"), SERVER)
def test_for_capacity_it_belongs_to_the_load_and_is_noted(server: dict[str, object], told: str) -> None:
    verdict = verdict_on(build_window(2, server=server), purpose="capacity")

    assert verdict.valid
    assert told in verdict.notes


@pytest.mark.parametrize("counted", [{"warmup": True}, {"interrupted": True}])
def test_what_does_not_count_spoils_nothing(counted: dict[str, bool]) -> None:
    disturbed = build_window(2, server={"checkpoints": 1}, host={"steal_share": 0.5})

    assert verdict_on(replace(disturbed, **counted)).reasons == ()  # type: ignore[arg-type]


def test_stolen_time_is_a_finding_whatever_the_purpose() -> None:
    stolen = build_window(2, host={"steal_share": 0.034})

    for purpose in ("compare", "capacity"):
        verdict = verdict_on(stolen, purpose)
        assert verdict.reasons == ("CPU stolen by the hypervisor: 3.4% of the window, over 2% (repetition 2)",)
        assert verdict.metrics["server.wal_bytes_per_task"].valid
    assert verdict_on(stolen, limits=Limits(max_steal_share=0.04)).valid


def test_cores_that_both_sides_exhaust_are_told_where_they_are_shared() -> None:
    full = [build_window(i, host={"busy_share": share}) for i, share in ((1, 0.97), (2, 0.99))]

    shared = judge(PARAMETERS, full, ENVIRONMENT)
    apart = judge(PARAMETERS, full, APART)

    (note,) = [note for note in shared.notes if note.startswith("cores exhausted")]
    assert "those that client and server share were 98% busy, 22% with workers and their backends" in note
    assert shared.valid
    assert not [note for note in apart.notes if note.startswith("cores exhausted")]
    eased = judge(PARAMETERS, full, ENVIRONMENT, Limits(exhausted_share=0.999))
    assert not [note for note in eased.notes if note.startswith("cores exhausted")]


def test_other_numbers_can_be_asked_for() -> None:
    disturbed = build_window(2, server={"checkpoints": 2, "autovacuums": {"pgflow.runs": 1}})

    assert verdict_on(disturbed, limits=Limits(max_checkpoints=2, max_autovacuums=1)).valid
    one_allowed = verdict_on(disturbed, limits=Limits(max_checkpoints=1, max_autovacuums=1))
    assert one_allowed.reasons == ("checkpoint inside the window: 2 (repetition 2), over 1 a window",)


@pytest.mark.parametrize(
    ("host", "server"),
    [
        ({"busy_share": None, "steal_share": None}, {"checkpoints": None, "autovacuums": None, "autoanalyzes": None}),
        (
            {"busy_share": "x", "steal_share": True},
            {"checkpoints": "x", "autovacuums": [1], "autoanalyzes": {"a": None}},
        ),
    ],
)
def test_what_is_not_known_is_no_finding(host: dict[str, object], server: dict[str, object]) -> None:
    assert verdict_on(build_window(2, host=host, server=server)).valid
