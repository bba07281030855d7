"""Two results against each other: a verdict for every metric, or why there is none.

A verdict is never made of a test that could not be computed, of a metric that its own result calls invalid, or of fewer
than five repetitions a side: those are *cannot tell*, with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pgflow_stress.analysis import statistics
from pgflow_stress.analysis.comparison import DEFAULT_WITHIN, Comparison, MetricComparison, Question, Side, Verdict
from pgflow_stress.analysis.fingerprints import Noise, differences, noise_between, refusal, same_session
from pgflow_stress.analysis.metrics import METRICS, describe
from pgflow_stress.analysis.permutation import Exact, exact
from pgflow_stress.analysis.summary import summarise
from pgflow_stress.core.result import Metric, Result

LEAST_REPETITIONS = 5
_COMPARED_LEAVES = ("per_second", "p50", "p99")
_COMPARED_KINDS = ("cost", "size", "work")
_CALLED = ("base", "candidate")
_SAME_VALUE = 1e-6  # a number of a summary against the repetition's own, both gone through text


def compare(
    base: Result, candidate: Result, question: Question | None = None, labels: tuple[str, str] = _CALLED
) -> Comparison:
    """One candidate against the base: pairs of repetitions where both are of one session, else two independent sides.

    Args:
        base, candidate: counted repetitions alone take part.
        question: primary metric, limit of equivalence, gates.
        labels: what the sides are called.
    Raises:
        ValueError: a result's repetitions hold what are no numbers.
    """
    question = question or Question()
    counted = [sum(repetition.counted for repetition in result.repetitions) for result in (base, candidate)]
    sides = [Side(label, n) for label, n in zip(labels, counted, strict=True)]
    refused = refusal(base, candidate)
    found: tuple[MetricComparison, ...] = ()
    if refused is None:
        names = _compared(base.summary, candidate.summary, question.primaries)
        pair = _Pair(base, candidate)
        found = _decided([_computed(pair, name, question) for name in names], question.within)
    return Comparison(
        scenario=str(base.scenario.get("name")),
        base=sides[0],
        candidate=sides[1],
        question=question,
        paired=same_session(base, candidate),
        differences=differences(base, candidate),
        metrics=found,
        refused=refused,
    )


def _compared(base: Mapping[str, Metric], candidate: Mapping[str, Metric], primaries: Sequence[str]) -> dict[str, None]:
    """The primaries, then a few of each phase and every cost, where either side has a value.

    Not all that is known: rates over two windows and eight percentiles of one phase are one fact told ten times, and a
    larger family hides what it holds.
    """
    others = (
        name
        for name, info in METRICS.items()
        if info.better is not None
        and (info.kind in _COMPARED_KINDS or name.rpartition(".")[2] in _COMPARED_LEAVES)
        and not name.startswith(("end_to_end.latency_ns.", "steady."))  # as execute's; as process
    )
    measured = (name for name in others if any(name in side and side[name].n for side in (base, candidate)))
    return dict.fromkeys((*primaries, *measured))


class _Pair:
    """Both results, and what their metrics are when they are computed anew."""

    def __init__(self, base: Result, candidate: Result) -> None:
        self.results = (base, candidate)
        self.paired = same_session(base, candidate)
        self._anew = [_summary(called, result) for called, result in zip(_CALLED, self.results, strict=True)]
        self._indexes = [[r.index for r in result.repetitions if r.counted] for result in self.results]

    def values(self, name: str) -> list[dict[int, float]]:
        """Of each side by the repetition's index, those that have one; of pairs only whole ones.

        Raises:
            ValueError: the metric cannot be relied on; the message says why.
        """
        found = [self._values(side, name) for side in (0, 1)]
        if self.paired:
            both = sorted(found[0].keys() & found[1].keys())
            found = [{index: side[index] for index in both} for side in found]
        return found

    def marks(self, name: str) -> tuple[str, ...]:
        """What speaks against the metric by itself, of either side."""
        verdicts = (result.verdict.metrics.get(name) for result in self.results)
        return tuple(dict.fromkeys(reason for one in verdicts if one and not one.valid for reason in one.reasons))

    def _values(self, side: int, name: str) -> dict[int, float]:
        called, result, indexes = _CALLED[side], self.results[side], self._indexes[side]
        metric, verdict = result.summary.get(name), result.verdict.metrics.get(name)
        if metric is None or not metric.n:
            raise ValueError(f"not measured in the {called}")
        if verdict is None or not (verdict.valid or verdict.comparable):
            why = "; ".join(map(str, verdict.reasons)) if verdict else "its result has no verdict on it"
            raise ValueError(f"not valid in the {called}: {why}")
        anew = self._anew[side].get(name)
        if len(metric.values) != len(indexes) or (anew is not None and not _agree(metric.values, anew.values)):
            raise ValueError(f"the summary of the {called} is not that of its counted repetitions")
        if len(set(indexes)) != len(indexes):
            raise ValueError(f"a repetition of the {called} is there twice")
        return {index: value for index, value in zip(indexes, metric.values, strict=True) if value is not None}


def _summary(called: str, result: Result) -> dict[str, Metric]:
    try:
        return summarise(result.repetitions)
    except (TypeError, AttributeError, KeyError, OverflowError, ValueError) as error:
        # It came out of a file: whatever stands there for a number, no verdict is made of it.
        raise ValueError(f"the numbers of the {called} cannot be read: {error}") from None


def _agree(stated: Sequence[object], anew: Sequence[float | None]) -> bool:
    return all(
        one is other
        if one is None or other is None
        else isinstance(one, int | float) and abs(one - other) <= _SAME_VALUE * abs(other)
        for one, other in zip(stated, anew, strict=True)
    )


@dataclass(frozen=True, slots=True)
class _Computed:
    """A metric before its verdict, which the other metrics have a part in; `found` None where it is *cannot tell*."""

    metric: MetricComparison
    found: statistics.LogRatio | Exact | None = None

    @property
    def margin(self) -> float:
        """What the two sides may differ by for no reason."""
        return self.metric.noise.share if self.metric.noise else 0.0


def compare_values(
    name: str,
    base: Sequence[float],
    candidate: Sequence[float],
    *,
    paired: bool,
    within: float = DEFAULT_WITHIN,
    noise: Noise | None = None,
) -> MetricComparison:
    """One metric alone, as the primary one, out of bare values: a value a repetition; paired: the i-th of both."""
    metric = MetricComparison(name, True, Verdict.CANNOT_TELL)
    try:
        (decided,) = _decided([_measured(metric, base, candidate, paired, within, noise)], within)
    except ValueError as why:
        return replace(metric, n=(len(base), len(candidate)), reason=str(why))
    return decided


def _computed(pair: _Pair, name: str, question: Question) -> _Computed:
    metric = MetricComparison(name, name in question.primaries, Verdict.CANNOT_TELL)
    try:
        before, after = (list(side.values()) for side in pair.values(name))
        metric = replace(metric, n=(len(before), len(after)), marks=pair.marks(name))
        noise = noise_between(*pair.results, name)
        return _measured(metric, before, after, pair.paired, question.within, noise)
    except ValueError as why:
        return _Computed(replace(metric, reason=str(why)))


def _measured(
    metric: MetricComparison,
    base: Sequence[float],
    candidate: Sequence[float],
    paired: bool,
    within: float,
    noise: Noise | None,
) -> _Computed:
    """Every figure but the corrected ones.

    Raises:
        ValueError: too few repetitions, or values that no test can be made of.
    """
    _require_repetitions(len(base), len(candidate), paired)
    margin = noise.share if noise else 0.0
    metric = replace(
        metric,
        base=statistics.geometric_centre(base),
        candidate=statistics.geometric_centre(candidate),
        n=(len(base), len(candidate)),
        noise=noise,
    )
    # Times that do not vary were not measured; counters may.
    counted = exact(base, candidate, paired=paired) if describe(metric.name).is_counted else None
    if counted is not None:
        metric = replace(
            metric,
            ratio=counted.ratio,
            ci95=(counted.ratio, counted.ratio),
            p=counted.p_beyond(margin),
            p_equivalent=counted.p_equivalent(within, margin),
            exact=True,
        )
        return _Computed(metric, counted)
    found = (statistics.paired if paired else statistics.welch)(base, candidate)
    metric = replace(
        metric,
        ratio=found.ratio,
        ci95=found.interval(),
        p=statistics.p_beyond(found, margin),
        p_equivalent=statistics.p_equivalent(found, within, margin),
        detectable=statistics.detectable(found, margin),
    )
    return _Computed(metric, found)


def _require_repetitions(before: int, after: int, paired: bool) -> None:
    least = min(before, after)
    if least < LEAST_REPETITIONS:
        if paired:
            what = f"{least} pair{'' if least == 1 else 's'} of counted repetitions"
        else:
            what = f"{before} and {after} counted repetitions"
        raise ValueError(f"{what}: a verdict takes {LEAST_REPETITIONS}{'' if paired else ' a side'}")


def _decided(computed: Sequence[_Computed], within: float) -> tuple[MetricComparison, ...]:
    """With corrected p values and verdicts: each primary metric by itself, all others as one family."""
    family = [one.metric for one in computed if one.found and not one.metric.primary]
    corrected = _holm({metric.name: metric.p for metric in family})
    equivalent = _holm({metric.name: metric.p_equivalent for metric in family})
    decided = []
    for one in computed:
        metric = one.metric
        if one.found and metric.primary:
            metric = _verdict(replace(metric, p_holm=metric.p), within)
        elif one.found:
            # What a family can show is told at the level that its first member must reach.
            metric = replace(
                metric,
                p_holm=corrected[metric.name],
                p_equivalent=equivalent[metric.name],
                detectable=_detectable(one, statistics.ALPHA / len(family)),
            )
            metric = _verdict(metric, within)
        decided.append(metric)
    return tuple(decided)


def _detectable(one: _Computed, alpha: float) -> float | None:
    if not isinstance(one.found, statistics.LogRatio):
        return None
    try:
        return statistics.detectable(one.found, one.margin, alpha)
    except ValueError:  # beyond all numbers
        return None


def _holm(ps: Mapping[str, float | None]) -> dict[str, float]:
    known = {name: p for name, p in ps.items() if p is not None}
    return dict(zip(known, statistics.holm(list(known.values())), strict=True))


def _verdict(metric: MetricComparison, within: float) -> MetricComparison:
    """The verdict of a metric whose numbers are all there, with what a reader needs to know beside it."""
    ratio, p, p_equivalent = metric.ratio, metric.p_holm, metric.p_equivalent
    assert ratio is not None
    assert p is not None
    assert p_equivalent is not None
    is_equivalent = p_equivalent < statistics.ALPHA
    if p < statistics.ALPHA:
        is_better = (ratio > 1) == (describe(metric.name).better == "higher")
        verdict = Verdict.BETTER if is_better else Verdict.WORSE
        reason = f"though within ±{100 * within:g} %" if is_equivalent else ""
    elif is_equivalent:
        verdict, reason = Verdict.EQUIVALENT, ""
    else:
        verdict, reason = Verdict.NO_DIFFERENCE, _why_none(metric)
    return replace(metric, verdict=verdict, reason=reason)


def _why_none(metric: MetricComparison) -> str:
    """Where the repetitions differ beyond chance, but too few do, or sessions may differ as much by themselves."""
    if metric.exact and metric.noise is None:
        return "it does not vary, but the repetitions are too few for an exact test among so many metrics"
    if metric.noise is None or metric.ci95 is None or metric.ci95[0] <= 1 <= metric.ci95[1]:
        return ""
    known = "measured" if metric.noise.measured else "unmeasured"
    return f"beyond chance, but not beyond the noise between sessions: {100 * metric.noise.share:.3g} %, {known}"
