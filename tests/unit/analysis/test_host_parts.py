"""Whether results of hosts belong together, and what is said where they do not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from pgflow_stress.analysis.hosts.merging import LostHost, merge_repetition
from pgflow_stress.analysis.hosts.part import NotTogether, check_together, part_of
from pgflow_stress.analysis.hosts.telling import hosts_of, with_clocks
from pgflow_stress.core.host_clock import ClockReading, HostClock, why_not_related
from pgflow_stress.core.latency import histogram_of
from pgflow_stress.core.result import Result
from pgflow_stress.core.units import NS_PER_MS, NS_PER_SECOND
from tests.fixtures.hosts import START_NS, build_clock, build_host, build_part, told
from tests.fixtures.results import build_result


def two(**of_the_second: object) -> list[Result]:
    a, b = build_part("a", [5, 6]), build_part("b", [7])
    return [build_host("a", [a]), build_host("b", [b], **of_the_second)]


def test_shares_of_one_load_belong_together_though_they_differ_in_size() -> None:
    check_together(two(workers=7, runs=11, flows=3, stages=["10s:5"]))


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("--seed: 1 and 2", lambda: two(seed=2)),
        ("--poll-size: 20 and 50", lambda: two(poll_size=50)),
        ("the tool's version", lambda: [(r := two())[0], replace(r[1], tool={"version": "9", "revision": "x"})]),
        ("scenario", lambda: [(r := two())[0], replace(r[1], scenario={**r[1].scenario, "name": "chain"})]),
        ("pgflow.pgmq", lambda: [(r := two())[0], replace(r[1], environment={**r[1].environment, "pgflow": {}})]),
        ("b is there twice", lambda: [two()[1], two()[1]]),
        ("at least two hosts", lambda: two()[:1]),
        ("measured alone", lambda: [two()[0], build_result()]),
    ],
)
def test_what_does_not_belong_together_is_refused_with_what_differs(
    what: str, change: Callable[[], list[Result]]
) -> None:
    with pytest.raises(NotTogether, match=what):
        check_together(change())


def test_another_start_another_server_or_fewer_repetitions_are_refused() -> None:
    a, b = build_part("a", [5]), build_part("b", [7])
    clock = b.repetition.window["clock"]
    for change, said in (
        ({"start_at_ns": START_NS + NS_PER_SECOND}, "1.000 s apart"),
        ({"server": "another/5"}, "not the same database"),
    ):
        other = replace(b.repetition, window={**b.repetition.window, "clock": {**clock, **change}})
        with pytest.raises(NotTogether, match=said):
            check_together([build_host("a", [a]), build_host("b", [replace(b, repetition=other)])])

    with pytest.raises(NotTogether, match="a has 1 repetitions, b 2"):
        check_together([build_host("a", [a]), build_host("b", [b, build_part("b", [7], index=1)])])


def test_a_host_whose_clock_was_lost_is_refused() -> None:
    part = build_part("a", [5])
    lost = {**part.repetition.window["clock"], "lost": "the server was gone"}

    with pytest.raises(NotTogether, match="clock of a is not known in repetition 0: the server was gone"):
        part_of("a", replace(part.repetition, window={"seconds": 1.0, "clock": lost}), {})


def test_histograms_of_another_result_are_refused() -> None:
    a, b = build_part("a", [5, 6]), build_part("b", [7])

    with pytest.raises(NotTogether, match="2 latencies of process in its result and 1 in its histograms"):
        merge_repetition([replace(a, histograms=b.histograms), b], 0)


def test_a_hosts_tasks_are_indeterminate_when_it_died_and_the_repetition_does_not_count() -> None:
    merged = merge_repetition([build_part("a", [5, 6])], 0, None, [LostHost("b", "gone", 40)])

    assert (merged.tasks.expected, merged.tasks.indeterminate, merged.tasks.completed) == (42, 40, 2)
    assert not merged.counted
    assert [one.subject for one in merged.incidents if one.kind == "host lost"] == ["b"]


def test_an_answer_that_took_long_is_told_with_its_host() -> None:
    a, b = build_part("a", [5]), build_part("b", [7])
    slow = replace(b, histograms={**b.histograms, "complete": histogram_of([3 * NS_PER_SECOND])})

    merged = merge_repetition([a, slow], 0)

    told = [(one.subject, one.detail) for one in merged.incidents if one.kind == "host held up"]
    assert told == [("b", "an answer to complete took 3.0 s")]


def test_a_failed_check_of_one_host_fails_the_merged_audit_and_names_it() -> None:
    a, b = build_part("a", [5]), build_part("b", [7])
    checks = tuple(replace(check, ok=False, ids=("run 7",)) for check in b.repetition.audit.checks)
    failed = replace(b.repetition, audit=replace(b.repetition.audit, ok=False, checks=checks))

    merged = merge_repetition([a, replace(b, repetition=failed)], 0)

    assert not merged.audit.ok
    assert merged.audit.checks[0].ids == ("b: run 7",)


def test_a_hosts_clock_is_told_against_the_first_one_with_both_errors() -> None:
    origin = 1_000 * NS_PER_SECOND
    late = build_clock(origin, START_NS - 3 * NS_PER_MS, error_ns=70_000)
    parts = [build_part("a", [5]), build_part("b", [7], clock=late)]

    first, second = hosts_of([parts], {})

    assert (first["clock_offset_ns"], first["clock_error_ns"]) == (0, 0)
    assert (second["clock_offset_ns"], second["clock_error_ns"]) == (3 * NS_PER_MS, 120_000)


def test_a_clock_error_that_is_a_good_part_of_a_phase_makes_the_figures_invalid() -> None:
    unsure = build_clock(0, START_NS, error_ns=90 * NS_PER_MS)
    parts = [build_part(host, [5], clock=unsure, origin_ns=0) for host in "ab"]

    merged = merge_repetition(parts, 0)
    verdict = with_clocks(build_result().verdict, [merged])

    assert merged.window["clock_error_ns"] == 180 * NS_PER_MS
    assert "within 180.000 ms, over 1% of a phase" in verdict.reasons[-1]


def test_readings_relate_two_clocks_unless_one_is_unsure_or_they_move() -> None:
    first = ClockReading(0, 1_000, 50_000, 0)
    later = replace(first, at_ns=NS_PER_SECOND // 4)

    assert why_not_related(first, later) is None
    assert "uncertain by 150 ms" in str(why_not_related(first, replace(later, error_ns=150 * NS_PER_MS)))
    assert "moved by 2.0 ms" in str(why_not_related(first, replace(later, offset_ns=1_000 + 2 * NS_PER_MS)))


def test_a_clock_is_read_back_as_it_was_written() -> None:
    clock = build_clock(7, START_NS, 12.5)
    repetition = told(build_part("a", [5]).repetition, "a", clock, 7)

    assert HostClock.of(repetition.window["clock"]) == clock
