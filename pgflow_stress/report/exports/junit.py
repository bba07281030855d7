"""JUnit XML: a suite a result; its verdict, its thresholds and each check of its audit as cases."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from pgflow_stress.report.cases import Case, cases_of
from pgflow_stress.report.printable import printable
from pgflow_stress.report.saved import Saved


def render(saved: Sequence[Saved]) -> str:
    """What a CI server reads: `failure` where a check or a threshold did not hold, `skipped` where undecided."""
    root = ET.Element("testsuites", name="pgflow-stress")
    for number, one in enumerate(saved, 1):
        cases = cases_of(one.result)
        seconds = sum(repetition.window["seconds"] for repetition in one.result.repetitions)
        suite = ET.SubElement(
            root,
            "testsuite",
            {"name": printable(f"{number:02d}-{one.name}"), "time": f"{seconds:.3f}", **_counts(cases)},
        )
        for case in cases:
            _add(suite, one.name, case)
    for count in ("tests", "failures", "errors", "skipped"):
        root.set(count, str(sum(int(suite.get(count, 0)) for suite in root)))
    ET.indent(root, " ")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _counts(cases: Sequence[Case]) -> dict[str, str]:
    outcomes = [case.outcome for case in cases]
    return {
        "tests": str(len(cases)),
        "failures": str(outcomes.count("failed")),
        "errors": "0",
        "skipped": str(outcomes.count("undecided")),
    }


def _add(suite: ET.Element, scenario: str, case: Case) -> None:
    element = ET.SubElement(
        suite, "testcase", name=printable(case.name), classname=printable(f"{scenario}.{case.kind}"), time="0"
    )
    if case.outcome == "failed":
        failure = ET.SubElement(element, "failure", message=printable(case.told), type=case.kind)
        failure.text = printable(case.detail or case.told)
    elif case.outcome == "undecided":
        ET.SubElement(element, "skipped", message=printable(case.told))
