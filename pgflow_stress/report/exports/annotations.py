"""GitHub's workflow commands: what did not hold, shown beside a pull request's checks."""

from __future__ import annotations

from collections.abc import Sequence

from pgflow_stress.report.cases import Case, cases_of
from pgflow_stress.report.printable import printable
from pgflow_stress.report.saved import Saved

_COMMANDS = {"failed": "error", "undecided": "warning"}


def render(saved: Sequence[Saved]) -> str:
    """A line a case that failed (`::error`) or was not decided (`::warning`), and one `::notice` a result."""
    lines = []
    for one in saved:
        cases = cases_of(one.result)
        lines += [_line(one.name, case) for case in cases if case.outcome in _COMMANDS]
        passed = sum(case.outcome == "passed" for case in cases)
        lines.append(f"::notice title={_property(one.name)}::{_data(f'{passed} of {len(cases)} checks held')}")
    return "".join(f"{line}\n" for line in lines)


def _line(scenario: str, case: Case) -> str:
    title = _property(f"{scenario}: {case.name}")
    return f"::{_COMMANDS[case.outcome]} title={title}::{_data(case.told)}"


def _data(text: str) -> str:
    """A value may not end its line: github.com/actions/toolkit, packages/core/src/command.ts."""
    return printable(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
