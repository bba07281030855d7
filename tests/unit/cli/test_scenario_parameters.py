"""A scenario's own parameters and presets: as they are typed, in the environment, in a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgflow_stress.core.errors import UsageFault
from pgflow_stress.scenario.past import past_of
from pgflow_stress.scenario.presets import PRESETS
from pgflow_stress.scenario.shapes import SHAPES
from tests.unit.cli.helpers import parse_run


@pytest.mark.parametrize("arguments", [("--depth", "7"), ("-p", "depth=7"), ("--steps", "7"), ("--param", "depth = 7")])
def test_a_parameter_is_typed_as_an_option_of_its_own_or_as_a_pair(arguments: tuple[str, ...]) -> None:
    (plan,) = parse_run("chain", *arguments).plans

    assert len(plan.shape.steps) == 7
    assert plan.parameters()["depth"] == 7
    assert plan.parameters()["steps"] == 7


def test_a_parameter_has_a_variable_and_a_key_like_every_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "c.toml"
    config.write_text("[run]\nfailure-probability = 0.25\nattempts = 2\n")
    monkeypatch.setenv("PGFLOW_STRESS_RUN_ATTEMPTS", "4")

    (plan,) = parse_run("retries", "--config", str(config)).plans

    assert plan.parameters()["failure_probability"] == 0.25
    assert plan.parameters()["attempts"] == 4
    assert plan.work.failing is not None
    assert (plan.work.failing.probability, plan.work.failing.max_attempts) == (0.25, 4)


def test_an_option_is_for_those_scenarios_that_have_it() -> None:
    chain, fan = parse_run("chain", "fan", "--depth", "3", "--width", "2").plans

    assert (len(chain.shape.steps), len(fan.shape.steps)) == (3, 4)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("fan", "--depth", "3"), "--depth belongs to chain"),
        (("chain", "-p", "width=3"), "no parameter 'width'; there are: depth"),
        (("chain", "-p", "depth"), "NAME=VALUE"),
        (("chain", "-p", "depth=1", "-p", "depth=2"), "given twice"),
        (("chain", "--depth", "1", "-p", "depth=2"), "given twice"),
        (("chain", "--steps", "4", "--depth", "5"), "--steps 4 is its depth"),
        (("chain", "--depth", "many"), "whole number of 1 to 100000"),
        (("chain", "--depth", "1.5"), "whole number"),
        (("retries", "--failure-probability", "1.5"), "a number of 0 to 1"),
        (("retries", "--failure-probability", "nan"), "a number of 0 to 1"),
        (("retries", "--attempts", "16"), "1 to 15"),
        (("map", "--source", "elsewhere"), "one of run, step"),
        (("mix", "--weights", "chain:0"), "add up to 0"),
        (("mix", "--steps", "3"), "no --steps"),
        (("dag", "--dag", "a:b b:a"), "no cycle"),
        (("dag", "--dag", " ; "), "at least one step"),
        (("definition", "--runs", "3"), "starts no run"),
        (("definition", "--rate", "3"), "starts no run"),
        (("concurrent-flows", "--deal", "hot"), "--deal"),
    ],
)
def test_what_a_scenario_cannot_run_is_refused(arguments: tuple[str, ...], said: str) -> None:
    with pytest.raises(UsageFault) as raised:
        parse_run(*arguments)

    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", list(PRESETS))
def test_a_preset_is_its_scenario_under_its_options_and_what_is_typed_beats_them(name: str) -> None:
    (plan,) = parse_run(name, "--flows", "3", "--payload", "99").plans

    assert plan.scenario == name
    assert (plan.flows, plan.options.payload_bytes) == (3, 99)
    assert PRESETS[name].scenario in SHAPES
    for option, text in PRESETS[name].options:
        if option not in ("flows", "payload", "stages"):
            assert str(plan.parameters()[option]) == text


def test_a_burst_is_an_open_load_unless_another_load_is_given() -> None:
    (burst,) = parse_run("burst").plans
    (closed,) = parse_run("burst", "--in-flight", "4").plans

    assert (burst.load_model, [stage.per_second for stage in burst.options.stages]) == ("open", [5, 60, 5])
    assert closed.load_model == "closed"


@pytest.mark.parametrize("name", list(SHAPES))
def test_a_scenario_says_what_each_parameter_is_and_runs_with_its_defaults(name: str) -> None:
    shape = SHAPES[name]

    if shape.build_own is None:
        (plan,) = parse_run(name).plans
        assert plan.expected_tasks > 0 or not shape.starts
    assert all(parameter.help.endswith(".") for parameter in shape.parameters)
    for parameter in shape.parameters:
        assert parameter.read(str(parameter.default)) == parameter.default


@pytest.mark.parametrize("option", ["--probe-client", "--history=10"])
def test_what_needs_runs_is_refused_of_a_scenario_without_any(option: str) -> None:
    with pytest.raises(UsageFault, match="definition"):
        parse_run("definition", option, "--repetitions", "2")


def test_a_history_has_the_tasks_that_were_asked_for_whatever_the_shapes_and_nothing_of_it_fails() -> None:
    mixed, failing, few = (
        past_of(plan)
        for arguments in (
            ("mix", "--weights", "chain:3,retries:1", "-p", "chain.depth=5", "--history", "1000"),
            ("retries", "--history", "1000"),
            ("concurrent-flows", "--flows", "10", "--steps", "5", "--history", "12"),
        )
        for plan in parse_run(*arguments).plans
    )

    assert 1000 <= mixed.expected_tasks < 1000 + max(shape.tasks_per_run for shape in mixed.work.shapes)
    assert failing.work.failing is None
    assert 1000 <= failing.expected_tasks < 1000 + failing.shape.tasks_per_run
    assert (few.flows, few.runs, few.expected_tasks) == (3, 3, 15)
