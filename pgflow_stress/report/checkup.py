"""What `doctor` shows: what spoils numbers first, each with how to mend it, then what is fine."""

from __future__ import annotations

import textwrap

from rich.console import Console
from rich.text import Text

from pgflow_stress.core.checkup import Checkup, Finding, Level

_LEAD = 6  # columns of the level
_STYLES = {Level.OK: "green", Level.WARN: "yellow", Level.BAD: "bold red"}


def render_checkup(checkup: Checkup, console: Console) -> None:
    """Print every finding, worst first, in the order of the checks within a level."""
    console.print(Text(f"target: {checkup.target}", "bold"), soft_wrap=True)
    for level in reversed(Level):
        for _, finding in checkup.findings:
            if finding.level is level:
                _finding(console, finding)
    counts = {level: sum(finding.level is level for _, finding in checkup.findings) for level in Level}
    console.print(_conclusion(counts), soft_wrap=True)


def _finding(console: Console, finding: Finding) -> None:
    lead, style = str(finding.level), _STYLES[finding.level]
    for text, dim in ((finding.what, False), (f"mend: {finding.mend}" if finding.mend else "", True)):
        if not console.encoding.lower().startswith("utf"):
            text = text.replace("…", "...")  # noqa: PLW2901
        for part in textwrap.wrap(text, max(20, console.width - _LEAD), break_on_hyphens=False):
            line = Text(f"{lead:<{_LEAD}}", style).append(part, "not bold dim" if dim else "not bold default")
            console.print(line, soft_wrap=True)
            lead = ""


def _conclusion(counts: dict[Level, int]) -> str:
    if counts[Level.BAD]:
        return f"{counts[Level.BAD]} would make numbers untrustworthy, {counts[Level.WARN]} to know of"
    return f"nothing would make numbers untrustworthy, {counts[Level.WARN]} to know of"
