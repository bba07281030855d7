from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from pgflow_stress.analysis.consistency import check_result
from pgflow_stress.core.result import Audit, Phase, Repetition, Result
from tests.fixtures.results import build_observed_result, build_repetition, build_result, quick_look


def with_phase(name: str, change: Callable[[Phase], Phase]) -> Callable[[Repetition], Repetition]:
    return lambda r: replace(r, phases={**r.phases, name: change(r.phases[name])})


BROKEN: dict[str, Callable[[Repetition], Repetition]] = {
    "outcomes add up": lambda r: replace(r, tasks=replace(r.tasks, failed=1)),
    "audit.ok says what its checks say": lambda r: replace(r, audit=Audit(False, r.audit.checks)),
    "the common window is that of end_to_end": lambda r: replace(r, window={"seconds": 99.0}),
    "seconds = to_ns - from_ns": with_phase("process", lambda p: replace(p, seconds=p.seconds + 1)),
    "per_second = count / seconds": with_phase("create", lambda p: replace(p, per_second=1.0)),
    "per_second_common = count / window": with_phase("start", lambda p: replace(p, per_second_common=None)),
    "from_ns lies before to_ns": with_phase("execute", lambda p: replace(p, to_ns=p.from_ns)),
    "did not happen and says so": with_phase("start", lambda p: replace(p, count=0)),
    "percentiles ascend": with_phase("create", lambda p: replace(p, latency_ns=replace(p.latency_ns, p50=10**12))),
}


def failed(result: Result) -> list[str]:
    return [check.name for check in check_result(result) if not check.ok]


@pytest.mark.parametrize(
    "result",
    [build_result(), quick_look(), build_result([build_repetition(0, warmup=True)]), build_observed_result()],
)
def test_a_result_of_ours_agrees_with_itself(result: Result) -> None:
    assert failed(result) == []


@pytest.mark.parametrize("name", BROKEN)
def test_what_does_not_agree_is_named_with_its_repetition(name: str) -> None:
    result = build_result()
    repetitions = list(result.repetitions)
    repetitions[1] = BROKEN[name](repetitions[1])

    names = failed(replace(result, repetitions=tuple(repetitions)))

    assert any(found.startswith("repetition 1") and name in found for found in names)
    assert "the result agrees with itself" in names


def test_a_summary_that_is_not_of_its_repetitions_is_named() -> None:
    result = build_result()
    wrong = replace(result.summary["process.per_second"], mean=1.0)

    names = failed(replace(result, summary={**result.summary, "process.per_second": wrong}))

    assert "summary process.per_second is that of the counted repetitions" in names
