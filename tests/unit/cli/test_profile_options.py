"""`profile` as it is typed, up to the request: nothing is measured."""

from __future__ import annotations

import os

import pytest
from click.testing import CliRunner

from pgflow_stress.cli.app import VARIABLES, app, load_command
from pgflow_stress.cli.profiling import profile_request
from pgflow_stress.cli.request import RunRequest
from pgflow_stress.target.settings import measuring_settings


def parse(*arguments: str) -> RunRequest:
    command = load_command("profile")
    with command.make_context("profile", list(arguments), auto_envvar_prefix=f"{VARIABLES}_PROFILE") as ctx:
        return profile_request(ctx)


def test_it_saturates_by_itself_and_is_as_large_as_the_rules_ask_for() -> None:
    request = parse("concurrent-flows")

    (plan,) = request.plans
    assert plan.options.workers == min(64, 2 * len(os.sched_getaffinity(0)))
    assert (plan.load_model, plan.options.telemetry, plan.repetitions) == ("backlog-drain", "full", 1)
    assert (request.full, plan.options.warmup) == (True, 0)
    assert plan.options.profiled
    assert plan.options.call_graphs
    assert request.target.profiled


@pytest.mark.parametrize("size", [("--runs", "50"), ("--steps", "3"), ("--in-flight", "4"), ("--scale", "2")])
def test_a_size_that_was_given_is_kept(size: tuple[str, str]) -> None:
    request = parse("concurrent-flows", *size, "--workers", "3", "--no-perf")

    (plan,) = request.plans
    assert (request.full, plan.options.workers, plan.options.warmup) == (False, 3, 1)
    assert not plan.options.call_graphs


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nonsense"], "unknown scenario"),
        (["definition"], "starts no run"),
        (["single-flow", "--rate", "5"], "No such option"),
        (["single-flow", "--telemetry", "off"], "No such option"),
        (["single-flow", "--repetitions", "auto"], "a profile is no estimate of a rate"),
        (["single-flow", "concurrent-flows"], "unexpected extra argument"),
        ([], "Missing argument"),
    ],
)
def test_what_it_cannot_do_is_refused_in_a_line(arguments: list[str], told: str) -> None:
    ended = CliRunner().invoke(app, ["profile", *arguments])

    assert ended.exit_code != 0
    assert told.lower() in (ended.output + str(ended.exception)).lower()


def test_only_a_profiled_server_has_what_a_profile_sees_by() -> None:
    ordinary, profiled = (dict(measuring_settings("compare", 1 << 33, profiled=one)) for one in (False, True))

    assert "shared_preload_libraries" not in ordinary
    assert ordinary["track_functions"] == "none"
    assert profiled["pg_stat_statements.track"] == profiled["track_functions"] == "all"
