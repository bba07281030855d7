"""--interference as it is typed: what is refused, in one line and with 2, before anything is touched."""

from __future__ import annotations

import pytest

from pgflow_stress.cli.commands.find_max import find_max
from tests.unit.cli.helpers import parse_run, refused_run

LASTING = ("concurrent-flows", "-R", "10", "-T", "60s")


def test_an_unknown_kind_is_refused_with_those_there_are() -> None:
    told = refused_run("--interference", "held-xmim")

    assert "there are held-xmin, bloat, checkpoints, cpu:N, history:N, idle-connections:N, bystander" in told


@pytest.mark.parametrize("text", ["cpu:", "cpu:x", "held-xmin@3s", "held-xmin@x:3s", "held-xmin@3s:0s", "@1s:2s"])
def test_what_is_no_interference_is_refused_with_how_it_is_typed(text: str) -> None:
    assert "NAME" in refused_run(*LASTING, "--interference", text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("cpu", "how many threads?"),
        ("cpu:0", "1 to 256"),
        ("idle-connections:100000", "1 to 10,000"),
        ("held-xmin:3", "takes no number"),
        ("history:5@1s:2s", "for the whole window"),
        ("bloat@1s:2s", "for the whole window"),
        ("held-xmin@50s:20s", "beyond --duration 60 s"),
    ],
)
def test_a_number_or_a_time_that_cannot_be_isrefused_run(text: str, why: str) -> None:
    assert why in refused_run(*LASTING, "--interference", text)


def test_a_time_within_the_window_is_for_a_load_that_lasts() -> None:
    assert "give --rate and --duration" in refused_run("concurrent-flows", "--interference", "held-xmin@1s:2s")


def test_a_kind_is_given_once() -> None:
    assert "there twice" in refused_run(*LASTING, "--interference", "cpu:1", "--interference", "cpu:2")


def test_a_scenario_that_starts_no_run_has_nothing_to_interfere_with() -> None:
    assert "starts no run" in refused_run("definition", "--interference", "bystander")


def test_a_history_ages_the_database_by_as_much_as_the_more_of_both_says() -> None:
    request = parse_run(*LASTING, "--interference", "history:500", "--history", "200")

    assert request.plans[0].options.history == 500
    assert request.target.aged


def test_idle_connections_are_counted_with_those_that_the_run_takes() -> None:
    request = parse_run(*LASTING, "--workers", "3", "--interference", "idle-connections:50")

    assert request.target.connections > 53
    assert request.target.interference == ("idle-connections",)
    assert parse_run(*LASTING).target.connections == 0


def test_what_was_asked_for_is_a_parameter_only_where_it_was() -> None:
    asked = parse_run(*LASTING, "--interference", "cpu:1", "--interference", "held-xmin@5s:5s").plans[0].parameters()

    assert asked["interference"] == ["cpu:1", "held-xmin@5s:5s"]
    assert "interference" not in parse_run(*LASTING).plans[0].parameters()


def test_find_max_has_neither_interference_nor_soak() -> None:
    names = {name for option in find_max.params for name in option.opts}

    assert not {"--interference", "--soak", "--prune"} & names
