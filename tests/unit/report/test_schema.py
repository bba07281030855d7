from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jsonschema
import pytest

from pgflow_stress.core.result import Result, to_json
from pgflow_stress.report.result_file import dump
from tests.fixtures.breakdowns import broken_down, broken_down_result
from tests.fixtures.results import (
    build_baseline,
    build_observed,
    build_observed_result,
    build_repetition,
    build_result,
    flooded,
    lossy,
    quick_look,
)
from tests.fixtures.schemas import ACCEPTANCE, PACKAGED, PUBLISHED, faults, needs_acceptance
from tests.fixtures.telemetry import build_sampled
from tests.fixtures.windows import build_window

COST = {
    "exit_code": 0,
    "codes": [],
    "reasons": [],
    "observer_cost": {
        "process.per_second": {"ratio": 0.97, "ci95": [0.95, 0.99], "n": 5},
        "execute.per_second": {"ratio": None, "ci95": None, "n": 0},
    },
}
RESULTS: dict[str, Callable[[], Result]] = {
    "whole": build_result,
    "quick look": quick_look,
    "nothing counted": lambda: build_result([build_repetition(0, warmup=True)]),
    "nothing completed": lambda: build_result([build_repetition(0, interrupted=True, completed=0)]),
    "observed": build_observed_result,
    "notified": lambda: build_observed_result(build_observed(1, transport="notify", pending=[5, 0])),
    "flood": lambda: build_observed_result(flooded()),
    "events lost": lambda: build_observed_result(lossy()),
    "with a course": lambda: build_result([build_window(i, server={"checkpoints": None}) for i in (1, 2, 3)]),
    "observer cost": lambda: build_observed_result(build_observed(1), build_baseline(2), outcome=COST),
    "broken down": broken_down_result,
    "not broken down": lambda: broken_down_result(broken_down(1, runs=0, left_out={"retried": 3})),
    "sampled": lambda: build_result([build_sampled(1), build_sampled(2, complete=False, serialisation=None)]),
    "one run": lambda: build_result([build_repetition(1, runs=1)], parameters={"runs": 1, "flows": 1}),
}


def document_of(result: Result) -> Any:
    return json.loads(dump(to_json(result)))


@pytest.mark.parametrize("kind", RESULTS)
def test_every_kind_of_result_fits_the_published_schema(kind: str) -> None:
    assert faults(document_of(RESULTS[kind]()), PUBLISHED) == []


@needs_acceptance
@pytest.mark.parametrize("kind", RESULTS)
def test_every_kind_of_result_fits_the_acceptance_schema(kind: str) -> None:
    assert faults(document_of(RESULTS[kind]()), ACCEPTANCE) == []


def test_the_packaged_schema_is_the_published_one() -> None:
    assert PACKAGED.read_bytes() == PUBLISHED.read_bytes()


def test_the_published_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(PUBLISHED.read_text()))


def test_the_published_schema_finds_a_phase_that_says_both() -> None:
    result = build_result()
    repetition = result.repetitions[1]
    torn = replace(repetition.phases["process"], count=0)
    broken = replace(repetition, phases={**repetition.phases, "process": torn})

    assert faults(document_of(replace(result, repetitions=(broken,))), PUBLISHED)


def test_the_published_schema_knows_every_part_of_what_an_observer_tells() -> None:
    defined = json.loads(PUBLISHED.read_text())["$defs"]
    described = defined["repetition"]["properties"]["events"]["properties"]
    events = flooded().events

    assert set(events) <= set(described)
    assert set(events["delivery_ns"]) <= set(described["delivery_ns"]["properties"])
    assert set(events["observer"]) <= set(defined["observer"]["properties"])
    assert set(events["backlog"]) <= set(defined["backlog"]["properties"])


@needs_acceptance
def test_the_published_schema_asks_for_all_that_the_acceptance_one_asks_for() -> None:
    ours, theirs = json.loads(PUBLISHED.read_text()), json.loads(ACCEPTANCE.read_text())

    assert set(theirs["required"]) <= set(ours["required"])
    assert set(theirs["properties"]["summary"]["required"]) <= set(ours["properties"]["summary"]["required"])
    theirs_of_repetition = theirs["properties"]["repetitions"]["items"]["required"]
    assert set(theirs_of_repetition) <= set(ours["$defs"]["repetition"]["required"])
