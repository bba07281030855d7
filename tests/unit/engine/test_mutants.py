"""The self-test's table: enough mutants, each of a name of its own, each with a check that there is."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from psycopg import sql

from pgflow_stress.engine.audit import AUDIT_CHECKS
from pgflow_stress.engine.event_accounts import EVENT_CHECKS
from pgflow_stress.engine.self_test.base import Mutant, Where, names_of, planting
from pgflow_stress.engine.self_test.mutants import MUTANTS

LEAST = 25
PROOF = (Path(__file__).resolve().parents[3] / "docs/proof.md").read_text(encoding="utf-8")


def test_there_are_enough_and_no_name_is_used_twice() -> None:
    assert len(MUTANTS) >= LEAST
    assert [name for name, count in Counter(mutant.name for mutant in MUTANTS).items() if count > 1] == []


def test_each_is_to_be_caught_by_a_check_that_there_is_and_each_check_catches_one() -> None:
    checks = {*AUDIT_CHECKS, *EVENT_CHECKS}

    assert {mutant.caught_by for mutant in MUTANTS} <= checks
    assert checks - {mutant.caught_by for mutant in MUTANTS} == set()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_its_sql_names_only_what_the_job_has(mutant: Mutant) -> None:
    assert isinstance(planting(mutant, 7), sql.Composed)
    assert names_of(7).keys() >= {part for part in ("run", "flow", "queue", "archive") if f"{{{part}}}" in mutant.plant}


def test_a_job_is_observed_where_a_check_of_events_is_to_catch_it_and_only_there() -> None:
    jobs = [mutant for mutant in MUTANTS if mutant.where is Where.FUNCTIONS]

    assert [mutant.name for mutant in jobs if (mutant.caught_by in EVENT_CHECKS) != mutant.events] == []


def test_the_document_has_a_row_for_each() -> None:
    missing = [one.name for one in MUTANTS if f"| {one.name} | {one.what} | {one.caught_by} |" not in PROOF]

    assert missing == []
