"""report.histograms: the percentile text holds what was recorded, in HdrHistogram's form."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st

from pgflow_stress.core import hdr
from pgflow_stress.core.latency import histogram_of
from pgflow_stress.core.units import NS_PER_MS
from pgflow_stress.report.histograms import percentile_text, to_hdr


@given(values=st.lists(st.integers(0, 10**11), min_size=1, max_size=80), times=st.integers(1, 40))
def test_every_line_is_the_value_that_its_share_of_the_items_does_not_exceed(values: list[int], times: int) -> None:
    histogram = histogram_of(values, [times] * len(values))
    ordered, total = sorted(values), len(values) * times

    rows = [line.split() for line in percentile_text(histogram).decode().splitlines()[2:-3]]

    for value, percentile, count, *_ in rows:
        rank = hdr.percentiles(histogram.counts, [float(percentile)])[0]
        assert value == f"{rank / NS_PER_MS:.3f}"
        assert int(count) == times * sum(one <= rank for one in ordered)
    assert rows[-1][1:] == ["1.000000000000", str(total)]
    assert [float(row[1]) for row in rows] == sorted(float(row[1]) for row in rows)


def test_percentiles_come_five_to_each_halving() -> None:
    lines = percentile_text(histogram_of(range(1, 1001))).decode().splitlines()

    assert [line.split()[1] for line in lines[2:10]] == [
        f"{percentile:.12f}" for percentile in (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.55, 0.6)
    ]


def test_header_and_footer_are_those_of_the_package() -> None:
    histogram, theirs = histogram_of([10**6, 2 * 10**6, 3 * 10**6]), io.BytesIO()
    to_hdr(histogram).output_percentile_distribution(theirs, NS_PER_MS, 5)

    ours, expected = percentile_text(histogram).decode().splitlines(), theirs.getvalue().decode().splitlines()

    assert ours[:2] == expected[:2]
    assert ours[-3:-1] == [
        "#[Mean    =        2.000, StdDeviation   =        0.816]",
        "#[Max     =        3.000, TotalCount     =            3]",
    ]
    assert [line.split("=")[0] for line in ours[-3:]] == [line.split("=")[0] for line in expected[-3:]]


def test_nothing_recorded_is_a_header_and_zeros() -> None:
    lines = percentile_text(histogram_of([])).decode().splitlines()

    assert len(lines) == 5
    assert "0.000" in lines[2]
