from __future__ import annotations

import io

import pytest
from rich.console import Console

from pgflow_stress.core.checkup import Checkup, Finding, bad, ok, warn
from pgflow_stress.report.checkup import render_checkup


def shown(findings: list[Finding], encoding: str = "utf-8") -> str:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    checkup = Checkup({}, "the embedded server", [("x", finding) for finding in findings])
    render_checkup(checkup, Console(file=stream, width=80))
    stream.flush()
    return raw.getvalue().decode(encoding)


def test_the_worst_comes_first_each_with_how_to_mend_it() -> None:
    lines = shown([ok("fine"), warn("so so", "do this"), bad("awful", "do that")]).splitlines()

    assert lines == [
        "target: the embedded server",
        "bad   awful",
        "      mend: do that",
        "warn  so so",
        "      mend: do this",
        "ok    fine",
        "1 would make numbers untrustworthy, 1 to know of",
    ]


def test_where_nothing_is_bad_it_says_so() -> None:
    assert shown([ok("fine")]).splitlines()[-1] == "nothing would make numbers untrustworthy, 0 to know of"


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_long_findings_are_wrapped_beside_their_level(encoding: str) -> None:
    text = shown([warn("word … " * 40, "pgflow-stress db clean --dsn …")], encoding)

    assert max(map(len, text.splitlines())) <= 80
    assert text.count("warn") == 1
