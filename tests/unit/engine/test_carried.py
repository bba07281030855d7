from __future__ import annotations

from typing import Any

import pytest

from pgflow_stress.engine.carried import Carrier, missing, type_of
from pgflow_stress.engine.chosen import Chosen

RUN = "01234567-89ab-8def-8123-456789abcdef"


class Functions:
    """A database whose functions of pgflow's name some words; counts what it is asked."""

    def __init__(self, source: str) -> None:
        self.source, self.asked = source, 0

    def execute(self, _query: str, words: tuple[str, str]) -> Functions:
        self.asked += 1
        self.found = any(word in self.source for word in words)
        return self

    def fetchone(self) -> tuple[int]:
        return (int(self.found),)


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ("run:paused", "run:paused"),
        ("step:a:archived", "step:archived"),
        ("step:a:b:archived", "step:archived"),
        ("strange", "strange"),
    ],
)
def test_an_event_has_its_type_without_its_steps_slug(event: str, kind: str) -> None:
    assert type_of(event) == kind


def test_only_what_pgflows_functions_name_is_carried_and_each_type_is_asked_for_once() -> None:
    database: Any = Functions("concat('step:', slug, ':archived')")

    found = Carrier(database).sort([f"{RUN} step:a:archived", f"{RUN} step:b:archived", f"{RUN} step:b:burnt"])

    assert found.carried == {"step:archived": 2}
    assert found.strays == (f"{RUN} step:b:burnt",)
    assert database.asked == 2


def test_a_known_type_in_no_place_of_the_flow_stays_a_stray() -> None:
    database: Any = Functions("':completed'")

    found = Carrier(database).sort([f"{RUN} step:nobody:completed"])

    assert found.carried == {}
    assert database.asked == 0


def test_carried_events_that_were_not_received_are_told_by_type() -> None:
    carrier = Carrier(Functions("'run:paused'"))
    stored, received = carrier.sort([f"{RUN} run:paused"] * 3), carrier.sort([f"{RUN} run:paused"])

    assert missing(stored, received) == ["run:paused: 3 stored, 1 received"]
    assert missing(stored, stored) == []


@pytest.mark.parametrize("runs", ["", "{run} between 'a' and 'b'"])
def test_runs_that_are_left_out_are_left_out_of_every_rows_choice(runs: str) -> None:
    chosen = Chosen("{slug} = {deployed}", runs, values={"deployed": "shop"})

    assert chosen.but([]) is chosen
    parts = chosen.but([RUN]).parts()
    for alias in "rsck":
        assert f'"{alias}"."run_id" <> all(\'{{{RUN}}}\'::uuid[])' in parts[f"of_{alias}"].as_string(None)
    assert "run_id" not in parts["flows_r"].as_string(None)
