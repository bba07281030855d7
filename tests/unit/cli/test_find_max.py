"""`find-max` as it is typed, up to the request: nothing is measured."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from pgflow_stress.cli.app import VARIABLES, app, load_command
from pgflow_stress.cli.find_max_request import FindMaxRequest, Windows, find_max_request
from pgflow_stress.core.errors import UsageFault
from pgflow_stress.scenario.schedule import Arrival

P99 = ("-L", "execute.latency_ns.p99<50ms")


def parse(*arguments: str) -> FindMaxRequest:
    command = load_command("find-max")
    with command.make_context("find-max", list(arguments), auto_envvar_prefix=f"{VARIABLES}_FIND_MAX") as ctx:
        return find_max_request(ctx)


def test_its_defaults_are_an_open_poisson_load_for_capacity() -> None:
    request = parse("concurrent-flows", *P99, "--workers", "2")

    plan = request.window_plan("confirm", 100, seed=3)
    assert (plan.load_model, plan.options.arrival, plan.options.purpose) == ("open", Arrival.POISSON, "capacity")
    assert (plan.options.repetitions, plan.options.warmup, plan.options.duration_seconds) == (1, 0, 20)
    assert abs(plan.runs - 2_000) <= 10
    assert plan.options.seed != 3
    assert request.budget_seconds == 900
    assert request.pilot_plan().load_model == "closed"


@pytest.mark.parametrize("rate", [1.0, 40.0, 333.0, 600.0])
def test_the_room_that_is_mapped_holds_every_window(rate: float) -> None:
    request = parse("concurrent-flows", *P99, "--workers", "1", "--max-rate", "600")

    room = request.room_plan()

    for phase in ("doubling", "probe", "confirm"):
        plan = request.window_plan(phase, rate, seed=1)
        assert plan.runs <= room.runs
        assert plan.starters <= room.starters


def test_windows_are_as_long_as_their_percentiles_need_whatever_was_asked_for() -> None:
    computed, asked = Windows(1_000, None), Windows(1_000, 4.0)

    assert [computed.seconds(phase, 100) for phase in ("doubling", "probe", "confirm")] == [10.5, 10.5, 20]
    assert [asked.seconds(phase, 1_000) for phase in ("doubling", "probe", "confirm")] == [1.333, 2, 4]
    assert asked.seconds("confirm", 100) == 10.5
    assert Windows(10, None).seconds("confirm", 1_000) == 10
    assert Windows(10, None).seconds("probe", 10) == 50


def test_time_to_drain_is_as_long_as_the_window_unless_it_is_given() -> None:
    assert parse("concurrent-flows", *P99).window_plan("confirm", 50, 1).options.timeout_seconds == 40
    given = parse("concurrent-flows", *P99, "--timeout", "3s")
    assert given.window_plan("confirm", 50, 1).options.timeout_seconds == 3


def test_a_variable_is_an_option_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGFLOW_STRESS_FIND_MAX_LATENCY_LIMIT", "start.latency_ns.p50<9ms;execute.latency_ns.p90<1s")
    monkeypatch.setenv("PGFLOW_STRESS_FIND_MAX_BUDGET", "2m")

    request = parse("concurrent-flows")

    assert [limit.limit for limit in request.limits] == [9e6, 1e9]
    assert request.budget_seconds == 120


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("concurrent-flows",), "latency-limit"),
        (P99, "SCENARIO"),
        (("no-such-flow", *P99), "unknown scenario"),
        (("concurrent-flows", "-L", "execute.latency_ns.p98<50ms"), "no metric"),
        (("concurrent-flows", "-L", "process.per_second<900"), "no latency"),
        (("concurrent-flows", "-L", "execute.latency_ns.p99>50ms"), "upper limit"),
        (("concurrent-flows", "-L", "execute.latency_ns.p99<50 parsecs"), "takes ns"),
        (("concurrent-flows", "-L", "deliver.latency_ns.p99<50ms"), "nobody observes"),
        (("concurrent-flows", *P99, "--start-rate", "0"), "start-rate"),
        (("concurrent-flows", *P99, "--max-rate", "nan"), "max-rate"),
        (("concurrent-flows", *P99, "--min-rate", "-3"), "min-rate"),
        (("concurrent-flows", *P99, "--min-rate", "30", "--start-rate", "20"), "--min-rate 30 is above"),
        (("concurrent-flows", *P99, "--start-rate", "30", "--max-rate", "20"), "--start-rate 30 is above"),
        (("concurrent-flows", *P99, "--rate", "30"), "--rate"),
        (("concurrent-flows", *P99, "--in-flight", "3"), "--in-flight"),
        (("concurrent-flows", *P99, "--budget", "soon"), "not a duration"),
        (("concurrent-flows", *P99, "--max-growth", "0%"), "not above 0"),
        (("concurrent-flows", *P99, "--max-rate", "1000000", "--duration", "1h"), "at most"),
    ],
)
def test_what_cannot_be_searched_is_refused_in_one_line(arguments: tuple[str, ...], said: str) -> None:
    called = CliRunner().invoke(app, ["find-max", *arguments])

    message = called.output if isinstance(called.exception, SystemExit) else str(called.exception)
    assert called.exit_code != 0
    assert said in message
    assert isinstance(called.exception, SystemExit | UsageFault)


def test_its_help_tells_what_a_window_has_to_hold() -> None:
    shown = CliRunner().invoke(app, ["find-max", "--help"])

    assert shown.exit_code == 0
    assert "3 of 3 fresh windows" in " ".join(shown.output.split())
    assert "--latency-limit" in shown.output
    assert "--repetitions" not in shown.output
