"""When the live view is drawn, and what it costs."""

from __future__ import annotations

import threading

import pytest

from pgflow_stress.cli.live.watch import LiveWatch
from pgflow_stress.core.progress import Progress
from tests.unit.cli.live.test_screen import Terminal, terminal

__all__ = ["terminal"]  # the fixture


class Times:
    """A clock and a CPU clock that move when they are told to."""

    def __init__(self, drawing_seconds: float) -> None:
        self.now = 0.0
        self._on_cpu = 0.0
        self._drawing_seconds = drawing_seconds

    def clock(self) -> float:
        return self.now

    def cost(self) -> float:
        """Read before and after each drawing."""
        self._on_cpu += self._drawing_seconds
        return self._on_cpu


def at(second: float) -> Progress:
    return Progress("single-flow", 1, 3, False, "process", round(10 * second), 1000, second, 100, 2)


def drawings(terminal: Terminal, drawing_seconds: float, seconds: int) -> int:
    times = Times(drawing_seconds)
    with LiveWatch(None, terminal.stream, times.clock, times.cost) as watch:
        watch.phase("process", "single-flow", 1)
        for tick in range(10 * seconds):
            times.now = tick / 10
            watch.tick(at(times.now + 0.05))
        return terminal.written().count("backlog")


def test_it_is_drawn_a_few_times_a_second(terminal: Terminal) -> None:
    assert 20 <= drawings(terminal, drawing_seconds=0.0001, seconds=10) <= 40


def test_a_drawing_that_costs_much_is_followed_by_a_pause_so_that_it_stays_within_a_hundredth(
    terminal: Terminal,
) -> None:
    assert 5 <= drawings(terminal, drawing_seconds=0.01, seconds=10) <= 11


def test_gauges_are_read_only_where_they_are_drawn(terminal: Terminal) -> None:
    times, read = Times(0.0001), []
    with LiveWatch(None, terminal.stream, times.clock, times.cost) as watch:
        watch.phase("process", "single-flow", 1)
        for tick in range(20):
            times.now = tick / 100
            watch.tick(Progress("f", 1, 3, False, "process", 1, 2, 0.1, 1, 0, None, lambda: read.append(1)))  # type: ignore[arg-type, return-value]

    assert read == []


def test_it_starts_no_thread_and_leaves_nothing_behind(terminal: Terminal) -> None:
    before = threading.active_count()
    with LiveWatch(None, terminal.stream) as watch:
        watch.place("cell 1 of 2", 0, 2)
        watch.phase("process", "single-flow", 1)
        watch.note("a worker was lost on postgresql://u:hunter2@h/x")
        watch.phase("audit", "single-flow", 1)
        assert threading.active_count() == before

    shown = terminal.written()
    assert "cell 1 of 2" in shown
    assert "a worker was lost on postgresql://u:***@h/x\n" in shown
    assert shown.endswith("\r\x1b[J")


@pytest.mark.parametrize("fault", [KeyboardInterrupt, RuntimeError])
def test_it_goes_at_an_error_too(terminal: Terminal, fault: type[BaseException]) -> None:
    with pytest.raises(fault), LiveWatch(None, terminal.stream) as watch:
        watch.phase("process", "single-flow", 1)
        raise fault

    assert terminal.written().endswith("\r\x1b[J")


def test_progress_lines_stay_above(terminal: Terminal) -> None:
    times = Times(0.0001)
    with LiveWatch(1.0, terminal.stream, times.clock, times.cost) as watch:
        watch.phase("process", "single-flow", 1)
        times.now = 1.5
        watch.tick(at(1.5))

    assert "progress process single-flow 1: 1.5 s, 15 of 1000, 10.0/s, backlog 100, errors 2\n" in terminal.written()
