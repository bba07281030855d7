from __future__ import annotations

from dataclasses import replace

import pytest

from pgflow_stress.analysis import statistics
from pgflow_stress.analysis.compare import compare
from pgflow_stress.analysis.comparison import Comparison, MetricComparison, Question, Verdict
from pgflow_stress.analysis.regression import parse
from pgflow_stress.core.result import Json, Metric, Result
from pgflow_stress.report.comparison import conclusion
from tests.fixtures.comparisons import measured, with_metric, without_validity
from tests.fixtures.results import ENVIRONMENT, build_result

SESSION = "a session"


def in_turns(ratio: float, n: int = 10, spread: float = 0.02, seeds: tuple[int, int] = (1, 2)) -> tuple[Result, Result]:
    """Both sides of one interleaved measurement."""
    base = measured(1.0, n, spread, seeds[0], session=SESSION)
    return base, measured(ratio, n, spread, seeds[1], session=SESSION)


def primary(found: Comparison) -> MetricComparison:
    assert found.primary is not None
    return found.primary


def metric(found: Comparison, name: str) -> MetricComparison:
    return next(one for one in found.metrics if one.name == name)


@pytest.mark.parametrize(
    ("ratio", "verdict"),
    [(0.9, Verdict.WORSE), (1.1, Verdict.BETTER), (1.0, Verdict.EQUIVALENT)],
)
def test_a_planted_ratio_is_found_with_its_size(ratio: float, verdict: Verdict) -> None:
    found = compare(*in_turns(ratio))

    assert found.paired
    assert found.verdict is verdict
    low, high = primary(found).ci95 or (0, 0)
    assert low < ratio < high
    assert primary(found).ratio == pytest.approx(ratio, rel=0.03)
    assert primary(found).n == (10, 10)


def test_more_of_a_cost_is_worse() -> None:
    base, candidate = in_turns(1.0)
    base = with_metric(base, "server.wal_bytes_per_task", [4_000.0 + i for i in range(10)])
    candidate = with_metric(candidate, "server.wal_bytes_per_task", [4_040.0 + i * 1.1 for i in range(10)])

    found = compare(base, candidate, Question(primary="server.wal_bytes_per_task"))

    assert found.verdict is Verdict.WORSE
    assert primary(found).reason == "though within ±5 %"


def test_where_neither_is_shown_the_smallest_difference_that_could_have_been_is_told() -> None:
    base = measured(session=SESSION, factors=[0.93, 1.06, 0.97, 1.05, 0.94, 1.04])
    candidate = measured(session=SESSION, factors=[1.05, 0.96, 1.06, 0.93, 0.98, 1.03])

    found = compare(base, candidate)

    assert found.verdict is Verdict.NO_DIFFERENCE
    assert 0.05 < (primary(found).detectable or 0) < 0.5
    assert not found.undecided


@pytest.mark.parametrize("n", [1, 2, 4])
@pytest.mark.parametrize("session", [None, SESSION])
def test_below_five_repetitions_a_side_nothing_is_told(n: int, session: str | None) -> None:
    found = compare(measured(1.0, 10, session=session), measured(0.2, n, seed=2, session=session))

    assert found.verdict is Verdict.CANNOT_TELL
    assert primary(found).ratio is None
    assert "a verdict takes 5" in primary(found).reason
    assert found.undecided


def test_only_counted_repetitions_take_part() -> None:
    base, candidate = in_turns(0.9)

    found = compare(base, candidate)

    assert (found.base.counted, found.candidate.counted) == (10, 10)  # of 11: the warm-up is a tenth as fast
    assert primary(found).base == pytest.approx(20_000 / 30, rel=0.03)


def test_a_pair_that_lost_one_half_is_left_out_whole() -> None:
    base, candidate = in_turns(0.9)
    lost = tuple(replace(r, lost_worker=r.index == 3) for r in candidate.repetitions)

    found = compare(base, build_result(lost, environment={"session": SESSION}))

    assert primary(found).n == (9, 9)
    assert found.verdict is Verdict.WORSE


def test_a_metric_that_its_result_calls_invalid_cannot_be_told() -> None:
    base, candidate = in_turns(0.9)

    found = compare(base, without_validity(candidate, "execute.per_second", "too short"))

    assert found.verdict is Verdict.CANNOT_TELL
    assert primary(found).reason == "not valid in the candidate: too short"


def test_a_window_that_is_too_short_is_compared_and_the_comparison_says_so() -> None:
    base, candidate = in_turns(0.9)
    short = without_validity(candidate, "execute.per_second", "too short", comparable=True)

    found = compare(base, short)

    assert found.verdict is Verdict.WORSE
    assert primary(found).marks == ("too short",)
    assert "not valid by themselves: too short" in conclusion(found)[-1]


def test_a_verdict_that_says_nothing_of_a_metric_is_no_word_for_it() -> None:
    base, candidate = in_turns(0.9)
    silent = replace(base, verdict=replace(base.verdict, metrics={}))

    found = compare(silent, candidate)

    assert {one.verdict for one in found.metrics} == {Verdict.CANNOT_TELL}
    assert "no verdict on it" in primary(found).reason


def test_a_summary_that_is_not_its_repetitions_is_not_believed() -> None:
    base, candidate = in_turns(1.0)
    stated = candidate.summary["execute.per_second"]
    values = tuple(value / 2 for value in stated.values if value is not None)
    false = replace(candidate, summary={**candidate.summary, "execute.per_second": replace(stated, values=values)})

    found = compare(base, false)

    assert found.verdict is Verdict.CANNOT_TELL
    assert "summary of the candidate" in primary(found).reason


@pytest.mark.parametrize("values", [(float("nan"),) * 10, (0.0,) * 10, (-1.0, 1.0) * 5, ("9",) * 10])
def test_a_test_that_cannot_be_computed_gives_no_verdict(values: tuple[float, ...]) -> None:
    base, candidate = in_turns(1.0)
    name = "server.probe_ns_per_task"
    said = Metric(1.0, None, None, 10, values)
    base, candidate = (
        replace(
            with_metric(side, name, [1.0 + i for i in range(10)]),
            repetitions=side.repetitions,
            summary={**side.summary, name: said},
        )
        for side in (base, candidate)
    )

    found = metric(compare(base, candidate, Question(primary=name)), name)

    assert found.verdict is Verdict.CANNOT_TELL
    assert found.reason
    assert (found.p, found.ratio, found.ci95) == (None, None, None)


def test_repetitions_of_no_numbers_are_refused() -> None:
    base, candidate = in_turns(1.0)
    broken = replace(
        candidate,
        repetitions=tuple(
            replace(r, phases={**r.phases, "execute": replace(r.phases["execute"], per_second="fast")})  # type: ignore[arg-type]
            for r in candidate.repetitions
        ),
    )

    with pytest.raises(ValueError, match="the numbers of the candidate cannot be read"):
        compare(base, broken)


@pytest.mark.parametrize(
    ("ratio", "verdict", "reason"),
    [
        (0.6, Verdict.WORSE, ""),
        (1.6, Verdict.BETTER, ""),
        (0.85, Verdict.NO_DIFFERENCE, "beyond chance, but not beyond the noise between sessions: 25 %, unmeasured"),
        (1.0, Verdict.NO_DIFFERENCE, ""),
    ],
)
def test_between_sessions_only_what_is_beyond_their_noise_is_a_difference(
    ratio: float, verdict: Verdict, reason: str
) -> None:
    found = compare(measured(1.0), measured(ratio, seed=2))

    assert not found.paired
    assert (found.verdict, primary(found).reason) == (verdict, reason)
    assert (primary(found).detectable or 0) > 0.25


def noise(share: float, sessions: int = 5, host: str = "one") -> Json:
    figures = {"sessions": sessions, "execute.per_second": share}
    return {
        "host": {**ENVIRONMENT["host"], "name": host},
        "calibration": {"noise": {"measured_at": "2026-01-01T00:00:00Z", "figures": figures}},
    }


@pytest.mark.parametrize(
    ("before", "after", "share", "is_measured", "verdict"),
    [
        (noise(0.03), noise(0.02), 0.03, True, Verdict.WORSE),
        (noise(0.03, sessions=4), noise(0.02, sessions=4), 0.25, False, Verdict.NO_DIFFERENCE),
        (noise(0.03), {}, 0.25, False, Verdict.NO_DIFFERENCE),
        (noise(0.03), noise(0.03, host="other"), 0.25, False, Verdict.NO_DIFFERENCE),
        (noise(0.4), noise(0.4, host="other"), 0.4, False, Verdict.NO_DIFFERENCE),
        ({"calibration": {"noise": 0.03}}, {"calibration": {"noise": 0.02}}, 0.03, True, Verdict.WORSE),
        ({"calibration": {"noise": 1.5}}, {"calibration": {"noise": 0.02}}, 0.99, True, Verdict.NO_DIFFERENCE),
        (noise(float("nan")), noise(0.02), 0.25, False, Verdict.NO_DIFFERENCE),
    ],
)
def test_noise_between_sessions_is_measured_on_one_host_or_taken_to_be_large(
    before: Json, after: Json, share: float, is_measured: bool, verdict: Verdict
) -> None:
    found = compare(measured(1.0, environment=before), measured(0.85, seed=2, environment=after))

    used = primary(found).noise
    assert used is not None
    assert (used.share, used.measured) == (share, is_measured)
    assert found.verdict is verdict


def test_between_quiet_sessions_equivalence_takes_their_noise_into_account() -> None:
    quiet, loud = noise(0.01), noise(0.06)

    shown = compare(measured(1.0, environment=quiet), measured(1.0, seed=2, environment=quiet))
    hidden = compare(measured(1.0, environment=loud), measured(1.0, seed=2, environment=loud))

    assert (shown.verdict, hidden.verdict) == (Verdict.EQUIVALENT, Verdict.NO_DIFFERENCE)


def test_another_scenario_or_load_model_is_refused() -> None:
    base = measured(1.0, 5)

    other = compare(base, measured(1.0, 5, name="single-flow"))
    model = compare(base, replace(base, load_model="open"))

    assert other.refused == "different scenarios: concurrent-flows and single-flow"
    assert model.refused == "different load models: backlog-drain and open"
    assert (other.metrics, other.verdict, other.undecided) == ((), Verdict.CANNOT_TELL, True)


def calibrated(commits: object, tasks: object = 5_000.0) -> Json:
    disk = {"connections_1.commits_per_second": commits, "connections_1.commit_p99_ns": 9e6}
    return {"calibration": {"disk": {"figures": disk}, "ceiling": {"figures": {"tasks_per_second": tasks}}}}


@pytest.mark.parametrize(
    ("before", "after", "refused"),
    [
        (calibrated(1_000.0), calibrated(2_100.0), True),
        (calibrated(2_100.0), calibrated(1_000.0), True),
        (calibrated(1_000.0), calibrated(1_900.0), False),
        (calibrated(1_000.0, 5_000.0), calibrated(1_000.0, 11_000.0), True),
        (calibrated(1_000.0), calibrated(None), False),
        (calibrated(1_000.0), calibrated("fast"), False),
        (calibrated(1_000.0), {"calibration": None}, False),
    ],
)
def test_disks_or_ceilings_of_another_kind_are_refused(before: Json, after: Json, refused: bool) -> None:
    found = compare(measured(1.0, 5, environment=before), measured(1.0, 5, seed=2, environment=after))

    assert (found.refused is not None) is refused


def test_within_one_session_the_machine_is_one() -> None:
    before, after = calibrated(1_000.0), calibrated(90_000.0)  # fsync may be what is tested

    found = compare(
        measured(1.0, 5, session=SESSION, environment=before),
        measured(1.0, 5, seed=2, session=SESSION, environment=after),
    )

    assert found.refused is None


def test_whatever_differs_beside_the_numbers_is_listed() -> None:
    host = {**ENVIRONMENT["host"], "load_1m_before": 0.1}
    other = {"host": {**host, "kernel": "6.9.0", "load_1m_before": 1.7}, "pgflow": {"version": "0.14.1"}}
    base = measured(1.0, 5, environment={"host": host})
    candidate = measured(1.0, 5, parameters={"workers": 4}, environment=other)

    found = {one.name: (one.base, one.candidate) for one in compare(base, candidate).differences}

    assert found == {
        "host.kernel": ("6.1.0", "6.9.0"),
        "pgflow.version": ("0.8.1", "0.14.1"),
        "pgflow.pgmq": ("1.13.0", "absent"),
        "parameters.workers": (2, 4),
    }


def test_all_but_the_primary_share_their_five_percent() -> None:
    found = compare(*in_turns(0.9))

    family = [one for one in found.metrics if not one.primary and one.p is not None]
    assert len(family) > 1
    assert primary(found).p_holm == primary(found).p
    least = min(family, key=lambda one: one.p or 0)
    assert least.p_holm == pytest.approx(len(family) * (least.p or 0))
    assert all((one.p_holm or 0) >= (one.p or 0) for one in family)


def test_a_gated_metric_counts_as_primary() -> None:
    question = Question(fail_on=(parse("process.per_second<-5%"),))

    found = compare(*in_turns(0.9), question)

    assert [one.name for one in found.metrics if one.primary] == ["execute.per_second", "process.per_second"]
    assert metric(found, "process.per_second").p_holm == metric(found, "process.per_second").p


@pytest.mark.parametrize(
    ("ratio", "limit", "fired"),
    [(0.8, "-5%", True), (0.8, "-30%", False), (1.2, "-5%", False), (1.0, "-0%", False)],
)
def test_a_gate_fires_where_it_is_worse_and_beyond_the_limit(ratio: float, limit: str, fired: bool) -> None:
    found = compare(*in_turns(ratio), Question(fail_on=(parse(f"execute.per_second<{limit}"),)))

    assert [gate.fired for gate in found.gates] == [fired]
    assert not found.undecided


def test_a_gate_on_what_cannot_be_told_is_undecided() -> None:
    found = compare(*in_turns(0.5, n=4), Question(fail_on=(parse("execute.per_second<-5%"),)))

    assert [gate.fired for gate in found.gates] == [None]
    assert found.undecided


def test_what_one_side_did_not_measure_cannot_be_told() -> None:
    found = compare(*in_turns(1.0), Question(primary="deliver.per_second"))

    assert found.verdict is Verdict.CANNOT_TELL
    assert primary(found).reason == "not measured in the base"


@pytest.mark.parametrize("environment", [{"host": None, "calibration": 7, "settings": [1]}, {"session": {}}])
def test_a_strange_fingerprint_is_no_failure(environment: Json) -> None:
    found = compare(measured(1.0, 5, environment=environment), measured(0.5, 5, seed=2, environment=environment))

    assert found.verdict in set(Verdict)


def test_equal_results_have_no_difference_whatever_their_session() -> None:
    alone, turned = measured(1.0), measured(1.0, session=SESSION)

    assert compare(alone, alone).verdict is Verdict.NO_DIFFERENCE
    assert compare(turned, turned).verdict is Verdict.CANNOT_TELL  # every pair is the same: nothing to test


@pytest.mark.parametrize("step", ["paired", "welch", "p_beyond", "p_equivalent"])
def test_no_verdict_is_made_of_a_test_that_raised(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def planted(*_: object, **__: object) -> float:
        raise ValueError("planted")

    monkeypatch.setattr(statistics, step, planted)
    base, worse = in_turns(0.5) if step == "paired" else (measured(1.0), measured(0.5, seed=2))
    gate = parse("execute.per_second<-5%")

    found = compare(base, worse, Question(fail_on=(gate,)))

    assert found.verdict is Verdict.CANNOT_TELL
    assert primary(found).reason == "planted"
    assert [one.fired for one in found.gates] == [None]
