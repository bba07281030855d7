"""A comparison as a person reads it at a glance: the primary verdict first, then every metric, then what differs."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pgflow_stress.analysis.comparison import Comparison, Verdict
from pgflow_stress.analysis.metrics import describe
from pgflow_stress.report import comparison as words
from pgflow_stress.report.page import Page

_STYLES = {
    Verdict.BETTER: "green",
    Verdict.WORSE: "red",
    Verdict.EQUIVALENT: "",
    Verdict.NO_DIFFERENCE: "",
    Verdict.CANNOT_TELL: "yellow",
}
_LEAD = 13  # columns of the left-hand words
_MOST_DIFFERENCES = 20


def render_comparisons(comparisons: Sequence[Comparison], console: Console) -> None:
    """Print each comparison.

    Args:
        comparisons: in the order in which they were asked for.
        console: of standard error; its width, encoding and NO_COLOR are heeded.
    """
    for one in comparisons:
        _ComparisonPage(console, _LEAD).show(one)


class _ComparisonPage(Page):
    def show(self, one: Comparison) -> None:
        """One comparison."""
        self.console.print()
        self.console.print(Text(self.text(words.title(one)), "bold"))
        self.lines("base", [one.base.label])
        self.lines("candidate", [one.candidate.label])
        self.lines("compared", [words.method(one)])
        self.lines("found", words.conclusion(one), "red" if one.refused else _STYLES[one.verdict])
        for gate in one.gates:
            self.lines("gate", [words.gate_words(gate)], {True: "red", None: "yellow"}.get(gate.fired, ""))
        if any(metric.ratio is not None for metric in one.metrics):
            self.console.print()
            self.metrics(one)
            self.console.print()
        self.lines("cannot tell", words.unable(one), "yellow")
        differing = words.differing(one)
        if more := len(differing) - _MOST_DIFFERENCES:
            differing = differing[:_MOST_DIFFERENCES] + ([f"and {more} more, in --json"] if more > 0 else [])
        self.lines("differs", differing)

    def metrics(self, one: Comparison) -> None:
        """A line a metric that something can be said of."""
        table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False, header_style="dim")
        for column in ("metric", "base", "change (95 %)", "verdict"):
            right = column in ("base", "change (95 %)")
            table.add_column(column, justify="right" if right else "left", no_wrap=column != "verdict")
        for metric in one.metrics:
            if metric.ratio is None:
                continue
            cells = (
                metric.name,
                describe(metric.name).format(metric.base),
                words.change(metric),
                str(metric.verdict),  # its limit is said above
            )
            table.add_row(*(Text(self.text(cell), _STYLES[metric.verdict]) for cell in cells))
        self.console.print(table)
