"""What the live view says, in whatever room there is."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgflow_stress.cli.live.course import Course
from pgflow_stress.cli.live.view import FINE, MOST_COLUMNS, PLAIN, Scene, clock, render
from pgflow_stress.core.progress import Gauges, Progress
from pgflow_stress.core.result import Latency
from tests.fixtures.hostile import CONTROLS

USUAL = os.terminal_size((80, 24))
LATENCY = Latency(
    count=900, samples=900, mean=9e7, p50=88_000_000, p90=95_000_000, p95=102_000_000, p99=None, max=1_268_000_000
)
GAUGES = Gauges(LATENCY, {"worker": 0.12, "starter": 0.1, "postgres": 1.713, "coordinator": 0.02, "sampler": 0.03})


def scene(**changes: object) -> Scene:
    progress = Progress("single-flow", 1, 6, False, "process", 412, 800, 4.0, 388, 0)
    course = Course()
    for quarter in range(1, 17):
        course.add(quarter / 4, quarter * 412 // 16)
    whole = Scene("cell 3 of 12", "single-flow", "process", 1, 6, False, 72.4, 48.0, course, progress, GAUGES)
    return replace(whole, **changes)  # type: ignore[arg-type]


def told(shown: Scene, size: os.terminal_size = USUAL) -> list[str]:
    return [row.plain for row in render(shown, size, FINE)]


def test_a_terminal_of_eighty_columns_has_room_for_all_of_it() -> None:
    head, bar, rate, backlog, latency, cpu = told(scene())

    assert head == "single-flow process  cell 3 of 12  repetition 2 of 6  1:12, about 48 s left"
    assert bar.endswith("412 of 800 tasks  4.0 s, about 3.8 s left")
    assert rate.startswith("rate      103 tasks/s  ") and rate.endswith("  mean 103")
    assert backlog == "backlog   388 tasks  errors 0"
    assert latency == "latency   cycle time  p50 88.0 ms  p95 102 ms  max 1,268 ms", "no p99 of too few samples"
    cores = len(os.sched_getaffinity(0))
    assert cpu == f"CPU       workers 0.22  server 1.71  tool 0.05  of {cores} cores"


def test_a_schedule_ends_with_its_time_and_not_with_its_tasks() -> None:
    timed = Progress("single-flow", 0, 1, False, "process", 50, 1_000_000, 4.0, 3, 0, schedule_seconds=16.0)

    bar = told(scene(progress=timed))[1]

    assert bar.count("━") == bar.count("─") // 3
    assert bar.endswith("50 tasks  4.0 s, 12 s left")


def test_between_the_windows_there_is_the_phase_alone() -> None:
    rows = told(scene(progress=None, gauges=None, phase="audit", label="", repetitions=None, left_seconds=None))

    assert rows == ["single-flow audit  repetition 2  1:12"]


def test_what_is_not_known_yet_is_said_and_a_server_elsewhere_too() -> None:
    nothing, remote = Gauges(), Gauges(Latency(), {"worker": 0.5})

    assert told(scene(gauges=nothing))[4:] == ["latency   cycle time  nothing timed yet", "CPU       not sampled yet"]
    assert "server elsewhere" in told(scene(gauges=remote))[5]


@given(st.integers(1, 300), st.integers(1, 100), st.sampled_from([FINE, PLAIN]), st.booleans())
def test_every_row_is_narrower_than_the_terminal_and_there_are_fewer_than_it_has(
    columns: int, lines: int, glyphs: object, measuring: bool
) -> None:
    shown = scene() if measuring else scene(progress=None, gauges=None)
    rows = render(shown, os.terminal_size((columns, lines)), glyphs)  # type: ignore[arg-type]

    assert 1 <= len(rows) <= max(1, lines - 2)
    assert all(row.cell_len <= max(1, min(MOST_COLUMNS, columns - 1)) for row in rows)


def test_where_the_encoding_has_no_more_everything_is_ascii() -> None:
    rows = render(scene(), USUAL, PLAIN)

    assert all(row.plain.isascii() for row in rows)
    assert "#" in rows[1].plain


def test_a_name_of_others_sends_no_command_to_the_terminal() -> None:
    (head, *_) = told(scene(scenario=f"\x1b[2Jx\n{''.join(CONTROLS)}", label="a\nb"), os.terminal_size((200, 50)))

    assert head.startswith("\\x1b[2Jx ")
    assert [character for character in CONTROLS if character in head] == []
    assert "a b" in head


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (59.4, "59 s"), (60.2, "1:00"), (3599.2, "59:59"), (7265, "2:01:05")],
)
def test_a_time_is_as_exact_as_anybody_needs(seconds: float, text: str) -> None:
    assert clock(seconds) == text
