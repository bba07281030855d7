from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from pgflow_stress.analysis.compare import compare
from pgflow_stress.analysis.comparison import Comparison, Question
from pgflow_stress.analysis.regression import parse
from pgflow_stress.core.errors import UsageFault
from pgflow_stress.report.comparison import comparison_json, render_markdown
from pgflow_stress.report.comparison_terminal import render_comparisons
from pgflow_stress.report.pairing import pairs
from pgflow_stress.report.result_file import dump
from pgflow_stress.report.saved import load
from tests.fixtures.comparisons import measured, saved_together

GATE = Question(fail_on=(parse("process.per_second<-5%"),))


def found(ratio: float, session: str | None = "a session", n: int = 10, name: str = "concurrent-flows") -> Comparison:
    candidate = measured(ratio, n, seed=2, session=session, name=name, parameters={"workers": 4})
    return compare(measured(1.0, session=session), candidate, GATE, ("results/one", "results/two"))


def shown(one: Comparison, encoding: str = "utf-8") -> str:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    render_comparisons([one], Console(file=stream, width=80))
    stream.flush()
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("ratio", [0.8, 1.0, 3.0])
@pytest.mark.parametrize("session", ["a session", None])
def test_every_line_fits_eighty_columns_in_any_encoding(encoding: str, ratio: float, session: str | None) -> None:
    text = shown(found(ratio, session), encoding)

    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text


def test_the_primary_verdict_comes_first_with_its_size_and_its_gate() -> None:
    lines = shown(found(0.8)).splitlines()

    assert lines[1] == "concurrent-flows: worse"
    assert "found        execute.per_second: worse" in lines
    assert any("to -1" in line and "p < 0.0001" in line for line in lines)
    assert "gate         process.per_second<-5%: FIRED" in lines
    assert "differs      parameters.workers: 2 -> 4" in lines


def test_no_difference_comes_with_the_smallest_that_could_have_been_shown() -> None:
    text = " ".join(shown(found(0.9, session=None)).split())

    assert "no difference shown: beyond chance, but not beyond the noise between sessions: 25 %, unmeasured" in text
    assert "the smallest difference that these data could have shown: 2" in text


def test_what_cannot_be_told_says_why_once() -> None:
    text = " ".join(shown(found(0.5, n=3)).split())

    assert "execute.per_second: cannot tell: 3 pairs of counted repetitions: a verdict takes 5" in text
    assert "gate process.per_second<-5%: undecided" in text
    assert text.count("3 pairs") == 2  # the primary's, and all others' together


def test_a_refused_comparison_has_no_table() -> None:
    text = shown(found(1.0, name="single-flow"))

    assert "concurrent-flows: refused" in text
    assert "different scenarios: concurrent-flows and single-flow" in " ".join(text.split())
    assert "verdict" not in text


def test_markdown_has_a_row_a_metric_and_nothing_that_is_html() -> None:
    text = render_markdown([found(0.8), found(1.0)])

    assert text.startswith("## concurrent-flows: worse\n")
    assert "## concurrent-flows: equivalent within ±5 %" in text
    assert "| `execute.per_second` (primary) | worse | 6" in text
    assert "<" not in text
    assert "- parameters.workers: 2 -> 4" in text


@pytest.mark.parametrize("one", [found(0.8), found(0.5, n=3), found(1.0, name="single-flow")])
def test_json_has_the_schema_and_every_figure(one: Comparison) -> None:
    document = json.loads(dump(comparison_json([one], {"version": "1"}, {"exit_code": 0})))

    assert document["schema"] == "pgflow-stress/comparison/1"
    (told,) = document["comparisons"]
    assert told["verdict"] == one.verdict
    assert told["refused"] == one.refused
    assert told["base"] == {"label": "results/one", "repetitions": 10}
    assert [metric["name"] for metric in told["metrics"]] == [metric.name for metric in one.metrics]
    figures = {"verdict", "words", "reason", "base", "candidate", "ratio", "ci95", "p", "p_holm", "detectable", "noise"}
    assert all(figures <= metric.keys() for metric in told["metrics"])
    assert [gate["text"] for gate in told["gates"]] == ["process.per_second<-5%"]


def test_several_scenarios_are_paired_by_name(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("pairs")
    one, two = measured(1.0, 2, name="single-flow"), measured(1.0, 3)
    base = load([saved_together([one, two], folder / "base")])
    candidate = load([saved_together([two, one], folder / "candidate")])

    paired = pairs(base, candidate, ("base", "candidate"))

    assert [(a.name, b.name) for a, b in paired] == [
        ("single-flow",) * 2,
        ("concurrent-flows",) * 2,
    ]


def test_a_scenario_without_its_other_is_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("pairs")
    one, two = measured(1.0, 2, name="single-flow"), measured(1.0, 2)
    base = load([saved_together([one, two], folder / "base")])
    candidate = load([saved_together([one], folder / "candidate")])

    with pytest.raises(UsageFault, match=r"scenario concurrent-flows .*: 1 in base, 0 in candidate"):
        pairs(base, candidate, ("base", "candidate"))
