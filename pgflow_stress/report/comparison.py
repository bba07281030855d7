"""A comparison as JSON, `pgflow-stress/comparison/1`, as Markdown, and the words that the terminal shares with it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from pgflow_stress.analysis import formats
from pgflow_stress.analysis.comparison import Comparison, Gate, MetricComparison, Verdict
from pgflow_stress.analysis.fingerprints import Noise
from pgflow_stress.analysis.metrics import describe
from pgflow_stress.core.result import Json

SCHEMA = "pgflow-stress/comparison/1"
_GATE_WORDS = {True: "FIRED", False: "did not fire", None: "undecided"}
_MOST_VALUE = 60  # characters of a value that differs


def comparison_json(comparisons: Sequence[Comparison], tool: Json, outcome: Json) -> Json:
    """The document.

    Args:
        comparisons: each candidate, scenario by scenario.
        tool: version and revision of who compares.
        outcome: {exit_code, codes, reasons}.
    """
    return {
        "schema": SCHEMA,
        "tool": tool,
        "comparisons": [_comparison(one) for one in comparisons],
        "outcome": outcome,
    }


def _comparison(one: Comparison) -> Json:
    return {
        "scenario": one.scenario,
        "base": {"label": one.base.label, "repetitions": one.base.counted},
        "candidate": {"label": one.candidate.label, "repetitions": one.candidate.counted},
        "paired": one.paired,
        "primary": one.question.primary,
        "equivalent_within": one.question.within,
        "refused": one.refused,
        "verdict": str(one.verdict),
        "gates": [{"text": gate.text, "metric": gate.metric, "fired": gate.fired} for gate in one.gates],
        "differences": [
            {"name": found.name, "base": _plain(found.base), "candidate": _plain(found.candidate)}
            for found in one.differences
        ],
        "metrics": [_metric(metric, one.question.within) for metric in one.metrics],
    }


def _plain(value: Any) -> Any:
    """JSON has no infinities, though a file may hold 1e999."""
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return str(value)
    return value


def _metric(metric: MetricComparison, within: float) -> Json:
    noise = metric.noise
    return {
        "name": metric.name,
        "unit": describe(metric.name).unit,
        "primary": metric.primary,
        "verdict": str(metric.verdict),
        "words": verdict_words(metric, within),
        "reason": metric.reason,
        "base": metric.base,
        "candidate": metric.candidate,
        "n": list(metric.n),
        "ratio": metric.ratio,
        "ci95": list(metric.ci95) if metric.ci95 else None,
        "p": metric.p,
        "p_holm": metric.p_holm,
        "p_equivalent": metric.p_equivalent,
        "detectable": metric.detectable,
        "exact": metric.exact,
        "marks": list(metric.marks),
        "noise": {"share": noise.share, "measured": noise.measured} if noise else None,
    }


def verdict_words(metric: MetricComparison, within: float) -> str:
    """The verdict with the limit that belongs to it."""
    if metric.verdict is Verdict.EQUIVALENT:
        return f"equivalent within ±{100 * within:g} %"
    return str(metric.verdict)


def change(metric: MetricComparison) -> str:
    """The estimate with its 95 % interval: "-9.8 % (-11 to -8.4)", with a doubling in it "2.40 x (1.90 to 3.00)"."""
    if metric.ratio is None or metric.ci95 is None:
        return formats.ABSENT
    numbers = (metric.ratio, *metric.ci95)
    unit = "%" if max(numbers) < 2 else "x"
    estimate, low, high = (_percent(n) if unit == "%" else formats.significant(n) for n in numbers)
    return f"{estimate} {unit} ({low} to {high})"


def _percent(ratio: float) -> str:
    percent = 100 * (ratio - 1)
    return f"{'-' if percent < 0 else '+'}{formats.significant(abs(percent), 2)}"


def title(one: Comparison) -> str:
    """The scenario and what was found of it."""
    metric = one.primary
    return f"{one.scenario}: {verdict_words(metric, one.question.within) if metric else 'refused'}"


def conclusion(one: Comparison) -> list[str]:
    """What was found of the primary metric, in a sentence or two."""
    if one.refused is not None:
        return [f"refused: {one.refused}"]
    metric = one.primary
    if metric is None:  # only a refused comparison is without
        return []
    lines = [f"{metric.name}: {verdict_words(metric, one.question.within)}{_because(metric)}"]
    if metric.ratio is not None:
        against = f" against ±{100 * metric.noise.share:.3g} %" if metric.noise else ""
        lines.append(f"{change(metric)}, p {_p(metric.p)}{against}")
    if metric.verdict is Verdict.NO_DIFFERENCE:
        lines.append(f"the smallest difference that these data could have shown: {detectable(metric)}")
    if metric.marks:
        lines.append(f"of windows that are not valid by themselves: {'; '.join(metric.marks)}")
    return lines


def _because(metric: MetricComparison) -> str:
    if not metric.reason:
        return ""
    return f", {metric.reason}" if metric.verdict in (Verdict.BETTER, Verdict.WORSE) else f": {metric.reason}"


def detectable(metric: MetricComparison) -> str:
    """As a share, found in four of five such comparisons."""
    return formats.ABSENT if metric.detectable is None else f"{formats.significant(100 * metric.detectable, 2)} %"


def _p(p: float | None) -> str:
    if p is None:
        return formats.ABSENT
    return "< 0.0001" if p < 0.0001 else f"{p:.2g}"


def method(one: Comparison) -> str:
    """How the two sides were held against each other."""
    n = f"{one.base.counted} and {one.candidate.counted} counted repetitions"
    if one.paired:
        return f"measured in turns, compared in pairs (paired t on log ratios); {n}"
    noise = next((metric.noise for metric in one.metrics if metric.noise), None)
    return f"separate sessions (Welch's t on logs{_noise(noise)}); {n}"


def _noise(noise: Noise | None) -> str:
    if noise is None:
        return ""
    known = "measured" if noise.measured else "unmeasured"
    return f"; better or worse only beyond the noise between sessions, {100 * noise.share:.3g} %, {known}"


def unable(one: Comparison) -> list[str]:
    """Metrics beside the primary of which nothing can be told, those of one reason together."""
    by_reason: dict[str, list[str]] = {}
    for metric in one.metrics:
        if metric.verdict is Verdict.CANNOT_TELL and metric.name != one.question.primary:
            by_reason.setdefault(metric.reason, []).append(metric.name)
    return [f"{', '.join(names)}: {reason}" for reason, names in by_reason.items()]


def differing(one: Comparison) -> list[str]:
    """Every fact that differs between the two, a line each."""
    return [f"{found.name}: {_value(found.base)} -> {_value(found.candidate)}" for found in one.differences]


def _value(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= _MOST_VALUE else f"{text[: _MOST_VALUE - 3]}..."


def gate_words(gate: Gate) -> str:
    """A --fail-on and what became of it."""
    return f"{gate.text}: {_GATE_WORDS[gate.fired]}"


def render_markdown(comparisons: Iterable[Comparison]) -> str:
    """A section a comparison, as a pull request shows it."""
    return "\n".join(_section(one) for one in comparisons)


def _section(one: Comparison) -> str:
    lines = [f"## {_cell(title(one))}", ""]
    lines += [f"`{_cell(one.base.label)}` (base) against `{_cell(one.candidate.label)}`; {_cell(method(one))}", ""]
    lines += [
        *(f"- {_cell(line)}" for line in conclusion(one)),
        *(f"- **{_cell(gate_words(gate))}**" for gate in one.gates),
        "",
    ]
    if rows := [_row(metric, one.question.within) for metric in one.metrics if metric.ratio is not None]:
        header = ("metric", "verdict", "base", "candidate", "change (95 %)", "p", "could have shown")
        rule = ("---", "---", "---:", "---:", "---:", "---:", "---:")
        lines += [*(f"| {' | '.join(map(_cell, row))} |" for row in (header, rule, *rows)), ""]
    for heading, said in (("Cannot tell", unable(one)), ("Differs beside the numbers", differing(one))):
        if said:
            lines += [f"{heading}:", "", *(f"- {_cell(line)}" for line in said), ""]
    return "\n".join(lines)


def _row(metric: MetricComparison, within: float) -> Sequence[str]:
    info = describe(metric.name)
    return (
        f"`{metric.name}`{' (primary)' if metric.primary else ''}",
        verdict_words(metric, within),
        info.format(metric.base),
        info.format(metric.candidate),
        change(metric),
        _p(metric.p_holm),
        detectable(metric),
    )


def _cell(text: object) -> str:
    """Nothing in it may end a table's cell, or begin HTML."""
    return str(text).replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
