from __future__ import annotations

import pytest

from pgflow_stress.core.errors import UsageFault
from tests.unit.cli.helpers import parse_run


def test_telemetry_is_light_and_each_second_where_nothing_is_said() -> None:
    plan = parse_run("single-flow").plans[0]

    assert plan.sampled
    assert (plan.parameters()["telemetry"], plan.parameters()["telemetry_interval"]) == ("light", 1.0)
    assert not plan.parameters()["telemetry_cost"]


def test_the_options_reach_the_plan_and_a_password_does_not_reach_the_result() -> None:
    plan = parse_run(
        "single-flow", "--telemetry", "full", "--telemetry-interval", "250ms",
        "--pooler-admin-dsn", "host=/run password=secret dbname=pgbouncer",
    ).plans[0]  # fmt: skip

    assert plan.options.telemetry_interval_seconds == 0.25
    assert plan.options.pooler_admin_dsn == "host=/run password=secret dbname=pgbouncer"
    assert "secret" not in str(plan.parameters())
    assert "secret" not in repr(plan)


def test_its_cost_is_measured_with_without_without_with_after_the_warm_up() -> None:
    plan = parse_run("single-flow", "--telemetry-cost", "-r", "3", "--warmup", "2").plans[0]

    assert plan.repetitions == 8
    assert [plan.samples(index) for index in range(8)] == [True, True, True, False, False, True, True, False]
    assert [plan.is_baseline(index) for index in range(8)] == [False, False, False, True, True, False, False, True]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("--telemetry off --telemetry-cost", "--telemetry-cost is about telemetry"),
        ("--telemetry off --pooler-admin-dsn host=x", "--pooler-admin-dsn is about telemetry"),
        ("--telemetry-cost -r 1", "give at least 2"),
        ("--prometheus 0 --quiet", "leave --quiet out, or name a port"),
        ("--telemetry-cost --observer-cost --events wal", "give one of them"),
        ("--telemetry-cost --probe-client", "give one of them"),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything_is_touched(arguments: str, told: str) -> None:
    with pytest.raises(UsageFault, match=told):
        parse_run("single-flow", *arguments.split())
