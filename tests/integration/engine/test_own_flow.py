"""A user's own flows: real files, unedited, read, created, run and audited; and files that define no flow."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from pgflow_stress.core.errors import UsageFault
from pgflow_stress.core.ids import new_nonce
from pgflow_stress.scenario.conditions import contains
from pgflow_stress.target.base import Target, TargetOptions
from pgflow_stress.target.flow_reading import read_files
from tests.integration.engine.conftest import Run
from tests.integration.engine.test_scenarios import ONCE, _exact
from tests.integration.target.helpers import LATER_PGFLOW, needs_later_pgflow, rows

FLOWS = Path(__file__).resolve().parents[2] / "data/flows"
FILES = ("fulfil_order.sql", "crawl_site.sql", "sync_accounts.sql")


def test_compiled_flows_are_run_unedited_with_their_own_options_and_exactly_accounted_for(run: Run) -> None:
    text = ",".join(f"{FLOWS / name}:{weight}" for name, weight in zip(FILES, (2, 1, 1), strict=True))

    code, document, said = run("--flow", text, "--runs", 8, "--elements", 3, *ONCE)

    assert code == 0, said
    repetition = _exact(document)
    parameters = document["scenario"]["parameters"]
    assert document["scenario"]["name"] == "own-flow"
    assert [flow["flow"] for flow in parameters["own_flows"]] == ["fulfilOrder", "crawl_site", "sync_accounts"]
    assert repetition["tasks"]["expected"] == 4 * 7 + 2 * 9 + 2 * 6
    assert repetition["phases"]["create"]["count"] == 7 + 5 + 4
    assert repetition["phases"]["process"]["seconds"] > 2  # start_delay is pgflow's to obey
    names = [check["name"] for check in repetition["audit"]["checks"]]
    assert "flows: steps and dependencies are the plan's" in names


@needs_later_pgflow
def test_conditions_are_met_where_they_can_be_and_what_is_skipped_is_accounted_for(run: Run) -> None:
    code, document, said = run(
        "--flow", FLOWS / "route_ticket.sql", "--runs", 5, "--payload", 200, "--pgflow", LATER_PGFLOW, *ONCE
    )

    assert code == 0, said
    repetition = _exact(document)
    assert repetition["tasks"]["expected"] == 5 * 3
    assert repetition["events"]["received"]["step:skipped"] == 5 * 4


FLOW = "SELECT pgflow.create_flow('orders');\n"
STEP = "SELECT pgflow.add_step('orders', 'a');\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            FLOW + STEP + "  SELECT pgflow.add_step('orders', 'b', ARRAY['c']);",
            "f.sql:3:3: .*depends on 'c', which is not",
        ),
        (FLOW + "SELECT pgflow.add_step('orders', 'a', ARRAY['a']);", "f.sql:2:1: "),
        (
            FLOW + STEP + "SELECT pgflow.add_step('orders', 'b', ARRAY['a', 'a']);",
            "f.sql:3:1: step 'b' names a dependency",
        ),
        (FLOW + STEP + STEP, "f.sql:3:1: step 'a' is there twice"),
        (FLOW + FLOW, "f.sql:2:1: flow 'orders' is created twice"),
        (STEP, "f.sql:1:1: a step of a flow that is not created before it"),
        (f"SELECT pgflow.create_flow('{'a' * 48}');", "f.sql:1:1: .*47"),
        ("SELECT pgflow.create_flow('a-b');", "f.sql:1:1: "),
        (FLOW + "SELECT pgflow.add_step('orders', 'a' 5);", "f.sql:2:38: syntax error"),
        (FLOW + "SELECT pgflow.add_step('orders', 'run');", "f.sql:2:1: "),
        (
            FLOW + STEP + "SELECT pgflow.add_step('orders', 'm', ARRAY['a','b'], step_type => 'map');",
            "f.sql:3:1: Map step",
        ),
        (FLOW + "SELECT pgflow.add_step('orders', 'a', nothing => 1);", "f.sql:2:8: .*--pgflow names another"),
        (FLOW + "SELECT pgflow.create_flow('slow' || pg_sleep(60)::text);", "f.sql:2:1: canceling statement"),
    ],
)
def test_a_file_that_defines_no_flow_is_refused_with_line_and_column(
    target: Target, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    monkeypatch.setattr("pgflow_stress.target.flow_reading.STATEMENT_TIMEOUT", "500ms")

    with pytest.raises(UsageFault, match=said):
        read_files(TargetOptions(), [{"name": "f.sql", "text": text}], quiet=True)


def test_files_are_read_apart_and_nothing_of_them_stays(target: Target) -> None:
    files = [{"name": name, "text": (FLOWS / name).read_text()} for name in FILES]

    first = read_files(TargetOptions(), files, quiet=True)
    again = read_files(TargetOptions(), files[:1], quiet=True)

    assert [(flow.source, len(flow.steps)) for flow in first] == [
        (name, n) for name, n in zip(FILES, (7, 5, 4), strict=True)
    ]
    assert again == first[:1]
    assert [step.slug for step in first[0].steps][-1] == "close"
    assert first[0].steps[-1].deps == ("label", "invoice", "notify")
    assert first[2].steps[0].options.max_attempts == 6
    assert first[2].steps[3].options.start_delay_seconds == 2


def test_what_contains_a_condition_here_contains_it_there(target: Target) -> None:
    draw = random.Random(7)
    leaves: tuple[Any, ...] = (1, 1.0, True, None, "x", {}, [])

    def value(depth: int) -> Any:
        kind = draw.randrange(4) if depth else 0
        if kind == 1:
            return [value(depth - 1) for _ in range(draw.randrange(3))]
        return {draw.choice("ab"): value(depth - 1) for _ in range(2)} if kind > 1 else draw.choice(leaves)

    pairs = [(value(3), {draw.choice("ab"): value(2)}) for _ in range(2000)]
    database = target.acquire(new_nonce())
    try:
        there = rows(
            database.conninfo,
            "SELECT v @> p FROM unnest(%s::jsonb[], %s::jsonb[]) WITH ORDINALITY AS u(v, p, n) ORDER BY n",
            [json.dumps(one) for one, _ in pairs],
            [json.dumps(pattern) for _, pattern in pairs],
        )
    finally:
        target.release(database)

    assert [contains(one, pattern) for one, pattern in pairs] == [does for (does,) in there]
    assert 50 < sum(does for (does,) in there) < 1950


def test_a_line_that_is_typed_with_a_bad_file_ends_with_one_line(run: Run, tmp_path: Path) -> None:
    bad = tmp_path / "bad.sql"
    bad.write_text(FLOW + STEP + STEP)

    code, document, said = run("--flow", bad)

    assert (code, document) == (2, None)
    assert said == f"pgflow-stress: {bad}:3:1: step 'a' is there twice\n"
