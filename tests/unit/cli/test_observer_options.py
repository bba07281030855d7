from __future__ import annotations

from pathlib import Path

import pytest

from pgflow_stress.core.errors import SetUpFault, UsageFault
from tests.unit.cli.helpers import parse_run


@pytest.mark.parametrize("transport", ["none", "notify", "wal"])
def test_the_transport_reaches_plan_and_target(transport: str) -> None:
    request = parse_run("single-flow", "--events", transport)

    assert request.plans[0].options.events == transport
    assert request.plans[0].parameters()["events"] == transport
    assert request.target.events == transport


def test_the_observers_options_are_handed_on_from_wherever_they_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "c.toml").write_text('[run]\nevents = "wal"\nobserver-delay = 2.5\n')
    monkeypatch.setenv("PGFLOW_STRESS_RUN_OBSERVER_COST", "1")

    options = parse_run("single-flow", "--config", str(tmp_path / "c.toml")).plans[0].options

    assert (options.events, options.observer_delay_ms, options.observer_cost) == ("wal", 2.5, True)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("--observer-delay 10", "--observer-delay is about an observer"),
        ("--observer-cost", "--observer-cost is about an observer"),
        ("--events none --observer-cost", "--observer-cost is about an observer"),
        ("--events wal --observer-cost -r 1", "give at least 2"),
        ("--threshold deliver.per_second>1", "nobody observes events"),
        ("--events realtime", "give --realtime-url"),
        ("--events realtime --realtime-url ws://localhost:4000/socket", "give --realtime-url"),
        ("--events realtime --realtime-url localhost --realtime-key k", "give ws://"),
        ("--events realtime --realtime-url ws://[ --realtime-key k", "give ws://"),
        ("--events wal --realtime-key k", "--realtime-key is for --events realtime"),
        ("--allow-rate-limit", "--allow-rate-limit is for --events realtime"),
        ("--events realtime --realtime-url ws://::1/s --realtime-key k --observer-delay 1", "give ws://|not slowed"),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything_is_touched(arguments: str, told: str) -> None:
    with pytest.raises(UsageFault, match=told):
        parse_run("single-flow", *arguments.split())


@pytest.mark.parametrize(
    "arguments",
    [
        "--observer-delay 0",
        "--events wal --observer-cost -r 2",
        "--events notify --observer-delay 10",
        "--events wal --threshold deliver.latency_ns.p99<20ms",
    ],
)
def test_what_goes_together_is_taken(arguments: str) -> None:
    assert parse_run("single-flow", *arguments.split()).plans


@pytest.mark.parametrize(
    ("timeout", "days"), [("10m", 1), ("86399", 1), ("24h", 2), ("25h", 2), ("48h", 3), ("720h", 31)]
)
def test_a_repetition_that_may_last_past_midnight_finds_a_partition_each_day(timeout: str, days: int) -> None:
    assert parse_run("single-flow", "--timeout", timeout).target.days_ahead == days


REALTIME = ["--events", "realtime", "--realtime-url", "ws://127.0.0.1:4000/socket", "--realtime-key", "hush"]


def test_what_realtime_lets_us_in_with_is_in_no_parameter_and_no_text() -> None:
    request = parse_run("single-flow", *REALTIME, "--realtime-jwt", "secret")

    options = request.plans[0].options
    assert options.realtime is not None
    assert (options.realtime.key, options.realtime.jwt) == ("hush", "secret")
    told = f"{request.plans[0].parameters()} {options}"
    assert "ws://127.0.0.1:4000/socket" in told
    assert "hush" not in told and "secret" not in told


def test_a_realtime_elsewhere_needs_consent() -> None:
    elsewhere = ["--events", "realtime", "--realtime-url", "wss://p.supabase.co/realtime/v1", "--realtime-key", "k"]

    with pytest.raises(SetUpFault, match="--allow-remote"):
        parse_run("single-flow", *elsewhere)

    assert parse_run("single-flow", *elsewhere, "--allow-remote").plans


def test_more_runs_than_there_are_channels_are_refused() -> None:
    with pytest.raises(UsageFault, match="as many channels"):
        parse_run("chain", "--runs", "10001", *REALTIME)
