"""The course of one `compare` of saved results: read, pair, judge, write, show; `interleaving` measures them first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pgflow_stress.analysis.comparison import Comparison, Question
from pgflow_stress.analysis.regression import parse, require_metric
from pgflow_stress.cli.assemble import outcome, tool
from pgflow_stress.cli.output import STANDARD_OUTPUT, check_json, write_json
from pgflow_stress.cli.streams import complain, say, show, write_data
from pgflow_stress.core.errors import UsageFault
from pgflow_stress.core.exit_codes import ExitCode, worst
from pgflow_stress.core.result import Result
from pgflow_stress.engine.measurement import Ending

if TYPE_CHECKING:  # it brings numpy, which --help is not to wait for
    from pgflow_stress.report.saved import Saved


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of two results, and how it is told."""

    primary: str
    within: float  # a share
    fail_on: tuple[str, ...]
    strict: bool
    json: str | None
    markdown: bool
    page: str | None = None  # where the comparison goes as a page


@dataclass(frozen=True, slots=True)
class CompareRequest:
    """One call of `compare` that reads its results."""

    base: Path
    candidates: tuple[Path, ...]
    asked: Asked


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two results and where they are from."""

    base: Saved
    candidate: Saved
    labels: tuple[str, str]

    @property
    def results(self) -> tuple[Result, Result]:
        """Both."""
        return self.base.result, self.candidate.result


def execute(request: CompareRequest) -> ExitCode:
    """Compare, then tell: 6 where a gate fired, with --strict 5 where it is undecided, 2 where it was refused."""
    asked = request.asked
    if asked.markdown and asked.json == STANDARD_OUTPUT:
        raise UsageFault("--format md and --json - would share standard output: give --json PATH")
    if asked.json:
        check_json(asked.json)
    if asked.page:
        check_page(asked.page)
    from pgflow_stress.report.malformed import told_if_malformed  # noqa: PLC0415  --help is to be quick

    found = _read(request)
    with told_if_malformed([side for pair in found for side in (pair.base, pair.candidate)]):
        return _tell(asked, found)


def _tell(asked: Asked, found: Sequence[_Pair]) -> ExitCode:
    question = _question(asked, found)
    comparisons = [compare_pair(*pair.results, question, pair.labels) for pair in found]
    endings = [ending for one in comparisons for ending in endings_of(one, asked.strict)]
    if asked.json:
        from pgflow_stress.report.comparison import comparison_json  # noqa: PLC0415  --help is to be quick

        write_json(comparison_json(comparisons, tool(), outcome(endings)), asked.json)
    if asked.page:
        write_page(asked.page, [(one, pair.base, pair.candidate) for one, pair in zip(comparisons, found, strict=True)])
        say(f"written: {asked.page}")
    show_comparisons(comparisons, asked.markdown)
    for ending in endings:
        complain(ending.reason)
    return worst(ending.code for ending in endings)


def _read(request: CompareRequest) -> list[_Pair]:
    from pgflow_stress.report.pairing import pairs  # noqa: PLC0415
    from pgflow_stress.report.saved import load  # noqa: PLC0415

    base = load([request.base])
    found = []
    for path in request.candidates:
        labels = (str(request.base), str(path))
        found += [_Pair(one, other, labels) for one, other in pairs(base, load([path]), labels)]
    return found


def _question(asked: Asked, found: Sequence[_Pair]) -> Question:
    measured = {name for pair in found for result in pair.results for name in result.summary}
    require_metric("--primary", asked.primary, measured)
    return Question(asked.primary, asked.within, tuple(parse(text, measured) for text in asked.fail_on))


def check_page(where: str) -> None:
    """Check, before anything is compared, that a page can be put there.

    Raises:
        UsageFault: it cannot.
    """
    from pgflow_stress.report.result_file import require_writable  # noqa: PLC0415

    require_writable(Path(where))


def write_page(where: str, found: Sequence[tuple[Comparison, Saved, Saved]]) -> None:
    """The comparisons as one page, with the distributions of both sides where their histograms are.

    Raises:
        UsageFault: histograms cannot be read.
        RunFailed: the page could not be written.
    """
    from pgflow_stress.report.comparison_page import Compared, render_comparison  # noqa: PLC0415
    from pgflow_stress.report.result_file import write_atomically  # noqa: PLC0415
    from pgflow_stress.report.subject import Subject  # noqa: PLC0415

    compared = [Compared(one, *(Subject(side.result, side.histograms()) for side in sides)) for one, *sides in found]
    write_atomically(Path(where), render_comparison(compared))


def compare_pair(base: Result, candidate: Result, question: Question, labels: tuple[str, str]) -> Comparison:
    """The verdict between two results.

    Raises:
        UsageFault: what stands for numbers in one of them is none.
    """
    from pgflow_stress.analysis.compare import compare  # noqa: PLC0415  it brings scipy

    try:
        return compare(base, candidate, question, labels)
    except ValueError as error:
        raise UsageFault(f"{' and '.join(labels)}: {error}") from None


def endings_of(one: Comparison, strict: bool) -> Iterator[Ending]:
    """Every reason for a code other than 0."""
    if one.refused is not None:
        yield Ending(ExitCode.USAGE, f"{one.base.label} and {one.candidate.label} are not compared: {one.refused}")
    for gate in one.gates:
        if gate.fired:
            yield Ending(ExitCode.GATE_FAILED, f"{one.scenario}: {gate.text} fired")
        elif gate.fired is None and strict:
            yield _undecided(one, gate.text, gate.metric)
    if strict and one.undecided and not one.gates:
        yield _undecided(one, one.question.primary, one.question.primary)


def _undecided(one: Comparison, what: str, name: str) -> Ending:
    reason = next((metric.reason for metric in one.metrics if metric.name == name), None)
    why = reason or one.refused or "there is no verdict"
    return Ending(ExitCode.INVALID, f"{one.scenario}: {what} could not be decided: {why}")


def show_comparisons(comparisons: Sequence[Comparison], markdown: bool) -> None:
    """Markdown to standard output, or text to standard error."""
    if markdown:
        from pgflow_stress.report.comparison import render_markdown  # noqa: PLC0415

        write_data(render_markdown(comparisons))
        return
    from pgflow_stress.report.comparison_terminal import render_comparisons  # noqa: PLC0415

    show(partial(render_comparisons, comparisons))
