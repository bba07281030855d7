"""analysis.hosts: what several hosts recorded, merged, is what one would have that recorded all of it."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pgflow_stress.analysis.hosts.merging import merge_repetition, zero_ns
from pgflow_stress.core.latency import histogram_of, latency_of
from pgflow_stress.core.units import NS_PER_SECOND
from pgflow_stress.report.host_rows import distances_ns
from tests.fixtures.hosts import START_NS, build_clock, build_part

of_hosts = st.lists(st.lists(st.integers(0, 10**13), min_size=1, max_size=80), min_size=2, max_size=5)
drifts_ppm = st.floats(-400, 400)


@given(latencies=of_hosts)
def test_the_merged_latencies_are_those_of_all_values_in_one_histogram(latencies: list[list[int]]) -> None:
    parts = [build_part(f"h{n}", values) for n, values in enumerate(latencies)]

    merged = merge_repetition(parts, 0)

    everything = histogram_of([value for values in latencies for value in values])
    assert merged.phases["process"].latency_ns == latency_of(everything)


@given(latencies=of_hosts)
def test_outcomes_and_checks_are_sums(latencies: list[list[int]]) -> None:
    parts = [build_part(f"h{n}", values) for n, values in enumerate(latencies)]

    merged = merge_repetition(parts, 0)

    assert merged.tasks.completed == sum(len(values) for values in latencies)
    every = next(check for check in merged.audit.checks if check.name == "every task is completed")
    assert (every.expected, every.found) == (merged.tasks.expected, merged.tasks.completed)
    assert merged.audit.ok


@given(
    clocks=st.lists(st.tuples(st.integers(0, 10**15), drifts_ppm, st.integers(0, 10**9)), min_size=2, max_size=5),
)
def test_a_phase_lasts_from_the_first_hosts_begin_to_the_last_ones_end(
    clocks: list[tuple[int, float, int]],
) -> None:
    parts = [
        build_part(f"h{n}", [5], clock=build_clock(monotonic, START_NS + late, drift), origin_ns=monotonic)
        for n, (monotonic, drift, late) in enumerate(clocks)
    ]

    merged = merge_repetition(parts, 0)

    process = merged.phases["process"]
    own = parts[0].repetition.phases["process"]
    earliest = min(late for _, _, late in clocks)
    ends = [late - earliest + (own.to_ns or 0) * (1 + drift / 1e6) for _, drift, late in clocks]
    begins = [late - earliest + (own.from_ns or 0) * (1 + drift / 1e6) for _, drift, late in clocks]
    assert abs((process.from_ns or 0) - min(begins)) <= 2
    assert abs((process.to_ns or 0) - max(ends)) <= 2
    assert process.count == len(parts)


@given(drift_ppm=drifts_ppm, monotonic_ns=st.integers(0, 10**15), at=st.lists(st.integers(0, 20 * NS_PER_SECOND)))
def test_a_row_is_moved_to_where_its_moment_is(drift_ppm: float, monotonic_ns: int, at: list[int]) -> None:
    part = build_part("h", [5], clock=build_clock(monotonic_ns, START_NS, drift_ppm), origin_ns=monotonic_ns)

    moved = np.asarray(at, dtype=np.int64) + distances_ns(part.clock, part.origin_ns, np.asarray(at, dtype=np.int64))

    assert all(abs(found - part.server_ns(moment)) <= 1 for found, moment in zip(moved.tolist(), at, strict=True))
    assert zero_ns([part]) == START_NS
