"""What a reader must know of a repetition's events beside their counts."""

from __future__ import annotations

from pgflow_stress.engine.conclusion import doubled_by_pgflow


def test_what_pgflow_sends_twice_is_an_incident_and_nothing_else_is() -> None:
    ids = [f"run-{number} step:s1:completed" for number in range(5)]
    events = {
        "differences": [
            {"name": "doubled by pgflow", "count": 5, "ids": ids, "detail": ""},
            {"name": "never sent", "count": 1, "ids": ["x"], "detail": ""},
        ]
    }

    (incident,) = doubled_by_pgflow(events)

    assert incident.kind == "doubled by pgflow"
    assert incident.detail.startswith("5: run-0 step:s1:completed, ")
    assert incident.detail.endswith("…")


def test_without_an_observer_there_is_none() -> None:
    assert doubled_by_pgflow({"transport": "none"}) == ()
