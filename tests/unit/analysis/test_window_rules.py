from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pgflow_stress.analysis.completions import completions_of
from pgflow_stress.analysis.evidence import Limits
from pgflow_stress.analysis.stationarity import beginning, drift
from pgflow_stress.analysis.summary import summarise
from pgflow_stress.analysis.verdict import judge
from pgflow_stress.core.result import Repetition, Verdict
from tests.fixtures.results import ENVIRONMENT, PARAMETERS, build_repetition
from tests.fixtures.windows import BINS, SECONDS, build_window, steadily


def verdict_on(*repetitions: Repetition, limits: Limits | None = None) -> Verdict:
    return judge(PARAMETERS, repetitions, ENVIRONMENT, limits or Limits())


def all_lines(verdict: Verdict) -> list[str]:
    return [*verdict.notes, *(reason for metric in verdict.metrics.values() for reason in metric.reasons)]


def falling(at: float) -> float:
    return 1 - 0.25 * at


def slow_at_first(at: float) -> float:
    return 0.6 if at < 0.1 else 1.0


@pytest.mark.parametrize("seed", range(10))
def test_a_quiet_window_gives_no_reason_and_no_note(seed: int) -> None:
    verdict = verdict_on(*(build_window(i, seed=100 * seed + i) for i in (1, 2, 3)))

    assert verdict.valid, verdict.reasons
    assert [note for note in verdict.notes if not note.startswith("co-located")] == []
    assert verdict.metrics["steady.per_second"].valid
    about = ("priming", "stationary", "tail", "checkpoint", "auto", "stolen", "exhausted")
    assert [line for line in all_lines(verdict) if any(word in line for word in about)] == []


def test_a_rate_that_falls_through_the_window_is_not_stationary_and_shows_both_ends() -> None:
    verdict = verdict_on(build_window(1), build_window(2, pace=falling), build_window(3))

    (reason,) = [reason for reason in verdict.reasons if reason.startswith("not stationary")]
    assert reason.startswith("not stationary: the rate changes by -2")
    assert "over 5%: first tenth 8" in reason
    assert reason.endswith("(repetition 2)")
    touched = ("process.per_second", "steady.per_second", "execute.per_second", "process.latency_ns.p50")
    assert not any(verdict.metrics[name].valid for name in touched)
    assert verdict.metrics["server.wal_bytes_per_task"].valid


def restless(seed: int, pace: Callable[[float], float] = steadily) -> Repetition:
    """A window on a machine whose neighbours come and go: its rate wanders, and comes back, within a second or two."""
    random = np.random.default_rng(seed)
    level, bins = 0.0, []
    for place in range(BINS):
        level = 0.8 * level + float(random.normal(0, 0.04))
        bins.append(max(1, round(100 * pace(place / BINS) * np.exp(level))))
    window = build_window(seed)
    return replace(window, client={**window.client, "series": {**window.client["series"], "completed": bins}})


def test_neighbours_that_come_and_go_are_no_drift_and_no_slow_beginning() -> None:
    verdicts = [verdict_on(*(restless(5 * seed + i) for i in range(5))) for seed in range(40)]

    disturbed = [one for one in verdicts if any(r.startswith(("not stationary", "priming")) for r in one.reasons)]
    assert len(disturbed) <= 3


def test_what_all_windows_drift_by_is_found_where_each_alone_is_too_noisy_to_show_it() -> None:
    windows = [restless(seed, pace=falling) for seed in range(8)]

    alone = verdict_on(windows[0], limits=Limits(min_repetitions=1))
    together = verdict_on(*windows)

    assert not [reason for reason in alone.reasons if reason.startswith("not stationary")]
    (reason,) = [reason for reason in together.reasons if reason.startswith("not stationary")]
    assert reason.endswith("(the mean of 8 repetitions)")


def test_windows_that_drift_alike_to_the_last_task_have_no_spread_and_are_judged_one_by_one() -> None:
    verdict = verdict_on(*(build_window(i, seed=1, pace=falling) for i in (1, 2, 3)))

    (reason,) = [reason for reason in verdict.reasons if reason.startswith("not stationary")]
    assert reason.endswith("(repetition 1, 2, 3)")


def test_a_slow_first_tenth_is_priming_that_was_too_short() -> None:
    verdict = verdict_on(build_window(1, pace=slow_at_first), build_window(2), build_window(3))

    (reason,) = [reason for reason in verdict.reasons if reason.startswith("priming")]
    assert reason.startswith("priming: the first tenth ran at ")
    assert "(repetition 1)" not in reason
    assert reason.endswith("repetition 1)")


def test_a_tail_is_a_note_and_the_rate_before_it_stands_beside_the_whole() -> None:
    verdict = verdict_on(*(windows := [build_window(i, idle_from=9.0) for i in (1, 2, 3)]))
    summary = summarise(windows)

    (note,) = [note for note in verdict.notes if note.startswith("tail")]
    assert note.startswith("tail: in the last 25% of the process phase (3 s) a worker was idle (repetition 1, 2, 3)")
    assert summary["steady.seconds"].mean == pytest.approx(9.0)
    assert summary["steady.per_second"].mean == pytest.approx(833, rel=0.03)
    assert verdict.metrics["steady.per_second"].valid


def test_where_nobody_was_idle_there_is_no_steady_rate_and_no_tail() -> None:
    windows = [build_window(i, idle_from=None) for i in (1, 2, 3)]

    assert "steady.per_second" not in summarise(windows)
    assert "client.series.bin_seconds" not in summarise(windows)
    assert not [note for note in verdict_on(*windows).notes if note.startswith("tail")]


def test_a_steady_rate_is_invalid_where_its_window_is_too_short() -> None:
    short = [build_window(i) for i in (1, 2, 3)]

    verdict = verdict_on(*short, limits=Limits(min_phase_seconds=20))

    assert not verdict.metrics["steady.per_second"].valid
    assert not verdict.metrics["steady.seconds"].valid


@pytest.mark.parametrize(
    ("limits", "word"),
    [
        (Limits(max_drift_per_window=0.5), "not stationary"),
        (Limits(max_priming_gap=0.9), "priming"),
        (Limits(max_tail_share=0.5), "tail"),
        (Limits(min_batches=BINS), "not stationary"),
    ],
)
def test_each_number_can_be_asked_for(limits: Limits, word: str) -> None:
    windows = [build_window(1, pace=falling, idle_from=9.0), build_window(2, pace=slow_at_first), build_window(3)]

    assert [line for line in all_lines(verdict_on(*windows)) if word in line]
    assert not [line for line in all_lines(verdict_on(*windows, limits=limits)) if word in line]


def test_fewer_bins_than_batches_say_nothing() -> None:
    falling_bins = list(range(100, 81, -1))

    assert drift(falling_bins, 0.05, 20) is None
    assert beginning(falling_bins, 0.05, 20) is None
    assert drift([0] * 40, 0.05, 20) is None


def test_a_statement_more_in_the_first_tenth_is_no_slow_beginning() -> None:
    bins = [80, 100, *[80] * 18]

    off = beginning(bins, 0.05, 20, at_once=1)
    within = beginning(bins, 0.05, 20, at_once=20)

    assert off is not None
    assert off.is_beyond(0.05)
    assert within is not None
    assert not within.is_beyond(0.05)


def test_a_drift_of_a_smooth_series_is_its_own_slope() -> None:
    bins = [round(100_000 * 0.9 ** (place / 100)) for place in range(100)]

    found = drift(bins, 0.1, 20)

    assert found is not None
    assert found.share == pytest.approx(-0.1, abs=1e-3)
    assert found.low <= found.share <= found.high
    assert found.is_beyond(0.05)
    assert not found.is_beyond(0.11)


def test_the_time_before_the_first_completion_is_of_no_rate() -> None:
    window = build_window(1)
    bins = [0, 0, 7, *window.client["series"]["completed"][3:]]
    late = replace(window, client={**window.client, "series": {**window.client["series"], "completed": bins}})

    found = completions_of(late)

    assert found is not None
    assert found.steady() == tuple(bins[3 : int((SECONDS - 0.04) / SECONDS * BINS)])


@pytest.mark.parametrize(
    "series",
    [
        None,
        {},
        {"complete": False, "bin_seconds": None, "completed": [], "first_idle_seconds": 1.0},
        {"complete": True, "bin_seconds": 0.0, "completed": [1], "first_idle_seconds": None},
        {"complete": True, "bin_seconds": 0.1, "completed": [None], "first_idle_seconds": None},
        {"complete": True, "bin_seconds": 0.1, "completed": "12", "first_idle_seconds": None},
        "nonsense",
    ],
)
def test_documents_without_a_whole_series_are_judged_all_the_same(series: Any) -> None:
    repetition = build_repetition(1)
    repetition = replace(repetition, client={**repetition.client, "series": series})

    verdict = verdict_on(repetition)

    assert "steady.per_second" not in verdict.metrics
    assert not [line for line in all_lines(verdict) if "stationary" in line or "priming" in line]
