from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pgflow_stress.analysis.evidence import Limits
from pgflow_stress.analysis.observing import backlog_at_end
from pgflow_stress.analysis.verdict import judge
from pgflow_stress.core.phase import nothing
from pgflow_stress.core.result import Repetition, Verdict
from tests.fixtures.results import ENVIRONMENT, PARAMETERS, build_observed, build_repetition, flooded


def verdict_on(*repetitions: Repetition, limits: Limits | None = None) -> Verdict:
    return judge({**PARAMETERS, "events": "wal"}, repetitions, ENVIRONMENT, limits or Limits())


def against_delivery(verdict: Verdict) -> str:
    return "; ".join(verdict.metrics["deliver.latency_ns.p50"].reasons)


def steps(count: int, *points: tuple[float, float]) -> list[int]:
    """Pending events that go straight from point to point: (share of the window, events)."""
    at = (np.arange(count) + 1) / count
    return [int(value) for value in np.interp(at, [x for x, _ in points], [y for _, y in points])]


def test_an_observer_that_keeps_up_leaves_delivery_valid() -> None:
    healthy = [build_observed(i, pending=steps(50, (0, 3), (0.5, 9), (1, 4))) for i in (1, 2, 3)]

    verdict = verdict_on(*healthy)

    assert against_delivery(verdict) == ""
    assert verdict.metrics["deliver.per_second"].valid


def test_a_flood_spoils_delivery_alone_and_names_its_numbers() -> None:
    verdict = verdict_on(flooded(1), flooded(2))

    assert against_delivery(verdict).startswith(
        "flood: events piled up at the observer: 3,120 pending at the window's end, 31 s until they are received "
        "(repetition 1, 2); delivery latencies are of a backlog"
    )
    assert not verdict.metrics["deliver.per_second"].valid
    assert not any("flood" in reason for reason in verdict.metrics["process.per_second"].reasons)
    assert not any("flood" in reason for reason in verdict.reasons)


RECEIVED = [int(n) * 25 for n in range(1, 53)]  # 100 a second
GROWING = steps(52, (0, 0), (1, 1_000))


@pytest.mark.parametrize(
    ("why", "pending", "drained_seconds"),
    [
        ("a burst at the start that is worked off", steps(52, (0, 0), (0.1, 3_000), (1, 150)), 1.5),
        ("one that is still being worked off at the end", steps(52, (0, 0), (0.1, 3_000), (1, 400)), 4),
        ("received within a second of the window's end", GROWING, 0.9),
        ("a moment's pile in the middle", steps(52, (0, 0), (0.5, 2_000), (0.6, 0), (1, 0)), 2),
        ("nothing at all", [0] * 52, 2),
    ],
)
def test_what_is_no_flood_is_not_called_one(why: str, pending: list[int], drained_seconds: float) -> None:
    kept_up = build_observed(1, tasks=3_000, pending=pending, received=RECEIVED, drained_seconds=drained_seconds)

    assert "flood" not in against_delivery(verdict_on(kept_up)), why


@pytest.mark.parametrize(
    ("why", "pending", "received"),
    [
        ("a burst, and growing on", steps(52, (0, 0), (0.1, 800), (1, 1_200)), RECEIVED),
        ("nothing is received before the end", GROWING, [0] * 52),
        ("one sample only", [500], [100]),
        ("two samples", [300, 600], [50, 100]),
    ],
)
def test_a_flood_is_found_whatever_its_shape(why: str, pending: list[int], received: list[int]) -> None:
    flood = build_observed(1, tasks=3_000, pending=pending, received=received, drained_seconds=5)

    assert "flood" in against_delivery(verdict_on(flood)), why


def test_a_few_events_under_way_are_no_flood_however_slow_the_observer() -> None:
    few = build_observed(1, pending=[20, 60, 99], received=[0, 1, 2], drained_seconds=5)

    assert "flood" not in against_delivery(verdict_on(few))
    assert "flood" in against_delivery(verdict_on(few, limits=Limits(min_pending_events=10)))


def test_events_that_never_come_are_lost_and_no_flood() -> None:
    silent = build_observed(1, pending=GROWING, received=[0] * 52)
    never = {**silent.events, "stored": {}, "received": {}, "missing": 1_200}
    silent = replace(silent, events=never, phases={**silent.phases, "deliver": nothing()})

    verdict = verdict_on(silent)

    assert not [text for text in (*verdict.notes, against_delivery(verdict)) if "flood" in text]


def test_events_that_are_not_waited_for_any_longer_are_a_flood() -> None:
    late = {"name": "not received yet", "count": 900, "ids": []}
    slow = build_observed(1, pending=GROWING, received=[int(n) for n in range(52)], differences=[late])
    slow = replace(slow, events={**slow.events, "received": {"step:completed": 60}})

    assert "flood: events piled up at the observer: 909 pending" in against_delivery(verdict_on(slow))


def test_a_window_that_ends_with_a_burst_under_way_is_no_flood() -> None:
    # The only sample in the window was taken between a statement's answer and its events: all came right after.
    brisk = build_observed(1, pending=[880], received=[0], process_seconds=0.1, drained_seconds=0.05)

    assert "flood" not in against_delivery(verdict_on(brisk))


def test_what_is_pending_after_the_window_is_no_matter() -> None:
    late = build_observed(1, tasks=3_000, pending=steps(52, (0, 0), (1, 5)), received=RECEIVED)
    backlog = late.events["backlog"]
    after = {name: [*values, 9_999] for name, values in backlog.items()}
    end = late.window["seconds"]
    after["seconds"] = [*backlog["seconds"], end + 1]

    found = backlog_at_end(replace(late, events={**late.events, "backlog": after}))

    assert found is not None
    assert found.pending == 5


def test_in_a_window_too_short_for_a_sample_the_first_after_it_stands_in() -> None:
    short = build_observed(1, pending=[800], received=[40], process_seconds=0.1, drained_seconds=8)
    after = {**short.events["backlog"], "seconds": [short.window["seconds"] + 0.2]}

    verdict = verdict_on(replace(short, events={**short.events, "backlog": after}))

    assert "flood: events piled up at the observer: 800 pending" in against_delivery(verdict)


def test_a_flood_of_a_run_that_does_not_count_is_noted_all_the_same() -> None:
    verdict = verdict_on(replace(flooded(1), interrupted=True))

    assert any(note.startswith("flood: ") for note in verdict.notes)


def test_a_slowed_observer_is_a_note() -> None:
    assert "observer slowed by 10 ms an event" in verdict_on(flooded(1), flooded(2)).notes
    assert not [note for note in verdict_on(build_observed(1)).notes if "slowed" in note]


def test_gaps_spoil_delivery_and_say_how_long_the_observer_was_away() -> None:
    away = build_observed(2, gaps=[(19 * 10**8, 21 * 10**8), (3 * 10**9, 315 * 10**7)])

    reasons = against_delivery(verdict_on(build_observed(1), away))

    assert "the observer was away: 2 gaps, 0.35 s (repetition 2); events of that time are late or lost" in reasons


def test_gaps_before_the_first_emitting_statement_cost_nothing() -> None:
    early = build_observed(1, gaps=[(-(10**9), -9 * 10**8), (10**9, 11 * 10**8)])  # runs are started from 2 s on

    assert "observer" not in against_delivery(verdict_on(early))


@pytest.mark.parametrize(
    ("says", "told"),
    [
        ({"reconnects": 2}, "the observer was cut off: 2 times (repetition 2); events of that time are late"),
        ({"lost": "killed thrice"}, "the observer was lost (repetition 2): killed thrice"),
    ],
)
def test_an_observer_that_was_cut_off_or_lost_spoils_delivery(says: dict[str, object], told: str) -> None:
    troubled = build_observed(2)
    troubled = replace(troubled, events={**troubled.events, "observer": {**troubled.events["observer"], **says}})

    assert told in against_delivery(verdict_on(build_observed(1), troubled))


def test_being_notified_is_noted_as_a_change_of_the_system_under_test() -> None:
    notified = verdict_on(build_observed(1, transport="notify"), build_observed(2, transport="notify"))

    said = [note for note in notified.notes if "system under test" in note]
    assert said == ["notify changes the system under test: trigger on realtime.messages"]
    assert not [note for note in verdict_on(build_observed(1)).notes if "system under test" in note]


@pytest.mark.parametrize(
    "events",
    [
        {"transport": "none"},
        {},
        {"transport": "wal"},
        {"transport": "notify", "observer": None, "backlog": None},
        {"transport": "wal", "backlog": {"seconds": [], "received": [], "events": []}},
        {"transport": "wal", "backlog": {"seconds": [4.0], "received": [None], "events": [None]}},
    ],
)
def test_documents_that_know_less_are_judged_all_the_same(events: dict[str, object]) -> None:
    verdict = verdict_on(replace(build_repetition(1), events=events))

    assert not [text for text in (*verdict.notes, *verdict.reasons) if "flood" in text or "away" in text]
