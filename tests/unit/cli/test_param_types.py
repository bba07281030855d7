from __future__ import annotations

import click
import pytest

from pgflow_stress.cli.param_types import parse_pin
from pgflow_stress.core.durations import parse_duration
from pgflow_stress.core.errors import UsageFault
from tests.unit.cli.helpers import parse_run


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30", 30), ("0.5", 0.5), ("30s", 30), ("1m30s", 90), ("2h", 7200), ("250ms", 0.25), ("1m", 60), ("1s500ms", 1.5)],
)
def test_durations_are_read_as_people_write_them(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "1x", "nan", "inf", "30s1m", "1..5s", "1 ms"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "pinned"),
    [
        ("worker=0", (("worker", (0,)),)),
        ("worker=0-1,3,postgres=2", (("worker", (0, 1, 3)), ("postgres", (2,)))),
        ("observer=3,worker=0", (("observer", (3,)), ("worker", (0,)))),
        ("postgres=5, worker=2-3, coordinator=0", (("postgres", (5,)), ("worker", (2, 3)), ("coordinator", (0,)))),
    ],
)
def test_a_pin_gives_each_role_a_list_of_cpus(text: str, pinned: object) -> None:
    assert parse_pin(text) == pinned


@pytest.mark.parametrize(
    "text", ["", "0-1", "worker", "worker=", "worker=a", "worker=3-1", "cook=1", "worker=1,worker=2", "worker=-1"]
)
def test_what_is_no_pin_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_pin(text)


def test_a_pin_names_only_cpus_that_we_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: {0, 2})

    assert parse_run("--pin", "worker=0,2").plans[0].options.pin == (("worker", (0, 2)),)
    with pytest.raises(click.BadParameter, match=r"CPU 1 .*0,2"):
        parse_run("--pin", "worker=0-2")


@pytest.mark.parametrize(
    "arguments",
    [
        "--steps 0",
        "--workers 0",
        "--workers 1001",
        "--scale 0",
        "--scale nan",
        "--scale -1",
        "--repetitions 0",
        "--warmup -1",
        "--vt 0",
        "--payload -1",
        "--poll-size 0",
        "--in-flight-statements 0",
        "--timeout 0",
        "--stall-timeout nan",
        "--drain-timeout -1s",
        "--seed -1",
        "--progress 0",
        "--completion magic",
        "--empty-poll sleep",
        "--isolation none",
        "--pgflow nonsense",
        "--pg-setting nonsense",
        "--yes-on=",
        "--rate 0",
        "--arrival sometimes",
        "--duration x",
        "--events sometimes",
        "--events wal --observer-delay -1",
        "--events wal --observer-delay nan",
    ],
)
def test_a_value_out_of_bounds_is_refused(arguments: str) -> None:
    with pytest.raises(click.BadParameter):
        parse_run(*arguments.split())


@pytest.mark.parametrize(
    "arguments",
    ["no-such", "--steps 1000001", "--flows 20001 concurrent-flows", "--runs 100000000 concurrent-flows"],
)
def test_what_cannot_be_run_is_refused_by_the_plan(arguments: str) -> None:
    with pytest.raises(UsageFault):
        parse_run(*arguments.split())


def test_a_directory_of_migrations_is_kept_as_an_absolute_path(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(str(tmp_path))

    assert parse_run("--pgflow", ".").target.pgflow == str(tmp_path)
    assert parse_run("--pgflow", "0.14.1").target.pgflow == "0.14.1"
