from __future__ import annotations

import pytest

from pgflow_stress.cli.progress import IntervalRate, LineWatch, QuietWatch, make_watch
from pgflow_stress.core.progress import Progress


def at(done: int, elapsed_seconds: float, phase: str = "process") -> Progress:
    return Progress("single-flow", 1, 3, False, phase, done, 100, elapsed_seconds, 100 - done, 2)


def test_each_phase_is_one_line_for_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    with make_watch(quiet=False, every_seconds=None) as watch:
        watch.phase("process", "single-flow", 2)
        watch.tick(at(5, 1.0))

    assert capsys.readouterr() == ("", "phase process single-flow 2\n")


def test_progress_lines_come_every_so_many_seconds() -> None:
    now = [0.0]
    lines: list[str] = []
    watch = LineWatch(2.0, lines.append, lambda: now[0])

    for second in range(1, 6):
        now[0] = float(second)
        watch.tick(at(second * 10, float(second)))

    assert lines == [
        "progress process single-flow 1: 2.0 s, 20 of 100, 10.0/s, backlog 80, errors 2",
        "progress process single-flow 1: 4.0 s, 40 of 100, 10.0/s, backlog 60, errors 2",
    ]


def test_a_rate_is_of_the_last_interval_and_begins_again_with_a_phase() -> None:
    rate = IntervalRate()

    assert rate.of(at(10, 1.0)) == 10
    assert rate.of(at(40, 2.0)) == 30
    assert rate.of(at(4, 0.5, phase="create")) == 8
    assert rate.of(at(4, 0.5, phase="create")) == 0


def test_quiet_shows_nothing_at_all(capsys: pytest.CaptureFixture[str]) -> None:
    with make_watch(quiet=True, every_seconds=1.0) as watch:
        watch.phase("process", "single-flow", 2)
        watch.tick(at(5, 1.0))
        watch.note("a line")

    assert type(watch) is QuietWatch
    assert capsys.readouterr() == ("", "")


def test_a_note_shows_no_password(capsys: pytest.CaptureFixture[str]) -> None:
    LineWatch(None).note("reconnecting to postgresql://u:hunter2@h/x")

    assert capsys.readouterr().err == "reconnecting to postgresql://u:***@h/x\n"
