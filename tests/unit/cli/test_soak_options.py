"""--soak and --prune as they are typed: their defaults, and what is refused in one line and with 2."""

from __future__ import annotations

import pytest

from pgflow_stress.engine.sizing import arena_size, one_second_in
from pgflow_stress.scenario.soak import MOST_ROWS, parse_prune, window_seconds
from tests.unit.cli.helpers import parse_run, refused_run

SOAK = ("concurrent-flows", "--soak", "-R", "50", "-T", "5m")


def test_a_soak_is_one_repetition_for_capacity_on_a_fresh_database() -> None:
    options = parse_run(*SOAK).plans[0].options

    assert (options.repetitions, options.warmup, options.purpose) == (1, 0, "capacity")
    assert parse_run(*SOAK).plans[0].history == 0
    assert parse_run(*SOAK).target.purpose == "capacity"


def test_what_is_typed_goes_before_the_defaults_of_a_soak() -> None:
    plan = parse_run(*SOAK, "--purpose", "compare", "--history", "100").plans[0]

    assert plan.options.purpose == "compare"
    assert plan.history == 100


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--soak",), "give --rate and --duration"),
        (("--soak", "-R", "5"), "give --rate and --duration"),
        (("--soak", "-R", "5", "-T", "10s"), "too short"),
        (("--soak", "-R", "5", "-T", "60s", "-r", "2"), "one repetition"),
        (("--soak", "-R", "5", "-T", "60s", "--warmup", "1"), "one repetition"),
        (("--soak", "-R", "5", "-T", "60s", "--repetitions", "auto"), "one repetition"),
        (("--soak", "--in-flight", "5", "-T", "60s"), "leave --in-flight out"),
        (("--soak", "-R", "5", "-T", "60s", "--full"), "leave --full out"),
        (("-R", "5", "-T", "60s", "--prune", "select 1@10s"), "give --soak as well"),
        (("--soak", "-R", "5", "-T", "60s", "--prune", "select 1"), "--prune 'SQL'@10m"),
        (("--soak", "-R", "5", "-T", "60s", "--prune", "@10s"), "--prune 'SQL'@10m"),
        (("--soak", "-R", "5", "-T", "60s", "--prune", "select 1@0.1s"), "at least 1 s"),
        (("--soak", "-R", "5", "-T", "60s", "--prune", "select 1@2m"), "beyond --duration 60 s"),
        (("--soak", "-R", "5", "-T", "60s", "--events", "wal", "--prune", "select 1@10s"), "leave one of them out"),
    ],
)
def test_what_does_not_go_with_a_soak_isrefused_run(arguments: tuple[str, ...], why: str) -> None:
    assert why in refused_run("concurrent-flows", *arguments)


def test_a_job_of_retention_is_what_stands_before_the_last_at() -> None:
    prune = parse_prune("delete from t where mail like '%@x' @ 10m")

    assert (prune.sql, prune.every_seconds) == ("delete from t where mail like '%@x'", 600)
    assert parse_prune("'select 1'@5s").sql == "select 1"


def test_windows_are_a_sixtieth_of_a_soak_and_no_shorter_than_a_second() -> None:
    assert window_seconds(4 * 3600) == 240
    assert window_seconds(20) == 1


def test_a_long_soak_keeps_one_second_in_so_many_and_its_rows_stay_bounded() -> None:
    short, long = (parse_run("concurrent-flows", "--soak", "-R", "50", "-T", span).plans[0] for span in ("1m", "4h"))

    assert one_second_in(short) == 1
    assert one_second_in(long) > 1
    assert arena_size(long).rows <= 2 * MOST_ROWS + long.steps_created
    assert one_second_in(parse_run("concurrent-flows", "-R", "50", "-T", "4h").plans[0]) == 1
