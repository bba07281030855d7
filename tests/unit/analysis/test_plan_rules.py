"""Changed plans spoil a comparison, belong to a load for capacity, and are told where they could not be seen."""

from __future__ import annotations

from pgflow_stress.analysis.evidence import Limits
from pgflow_stress.analysis.fingerprints import differences
from pgflow_stress.analysis.verdict import judge
from pgflow_stress.core.result import Verdict
from tests.fixtures.results import ENVIRONMENT, PARAMETERS, build_result
from tests.fixtures.windows import build_window

STAYED = {"before": "a", "after": "a", "changed": False}
CHANGED = {"before": "a", "after": "b", "changed": True}


def verdict_on(server: dict[str, object], purpose: str = "compare", limits: Limits | None = None) -> Verdict:
    repetitions = (build_window(1), build_window(2, server=server), build_window(3))
    return judge({**PARAMETERS, "purpose": purpose}, repetitions, ENVIRONMENT, limits or Limits())


def test_a_changed_plan_is_named_the_hottest_first() -> None:
    plans = {"pgflow.start_flow: insert": CHANGED, "pgflow.complete_task: update": CHANGED, "x: y": STAYED}

    verdict = verdict_on({"plans": plans})

    told = "plan changed inside the window: pgflow.complete_task: update and 1 more (repetition 2)"
    assert verdict.reasons == (told,)
    assert not verdict.metrics["process.per_second"].valid
    assert verdict_on({"plans": plans}, limits=Limits(max_plan_changes=2)).valid
    assert told in verdict_on({"plans": plans}, purpose="capacity").notes


def test_a_change_that_every_repetition_shares_is_the_jobs_own_and_a_note() -> None:
    plans = {"pgflow.complete_task: select": CHANGED, "x: y": STAYED}
    other = {**plans, "pgflow.complete_task: select": {**CHANGED, "after": "c"}}
    alike = [build_window(i, server={"plans": plans}) for i in (1, 2, 3)]
    apart = [*alike[:2], build_window(3, server={"plans": other})]

    shared = judge(PARAMETERS, alike, ENVIRONMENT)
    differing = judge(PARAMETERS, apart, ENVIRONMENT)

    assert shared.valid
    assert any("every repetition alike, as tables fill: pgflow.complete_task: select" in note for note in shared.notes)
    assert not differing.valid
    assert not judge(PARAMETERS, alike[:1], ENVIRONMENT).valid


def test_plans_that_are_made_anew_of_statistics_that_were_asked_for_are_a_note() -> None:
    window = build_window(1, server={"plans": {"pgflow.start_tasks: with": CHANGED}})

    asked = judge({**PARAMETERS, "planner_statistics": "backlog"}, [window], ENVIRONMENT)

    assert not any("plan" in reason for reason in asked.reasons)
    assert "plans were made anew of the backlog's statistics: pgflow.start_tasks: with" in asked.notes
    assert any("plan changed" in reason for reason in judge(PARAMETERS, [window], ENVIRONMENT).reasons)


def test_plans_that_are_outgrown_are_a_note_where_the_database_has_no_history() -> None:
    plans = {"pgflow.start_ready_steps: with": {**STAYED, "outgrown": True}, "x: y": {**STAYED, "outgrown": False}}
    unseen = {"pgflow.start_ready_steps: with": {**STAYED, "outgrown": None}}
    window = build_window(1, server={"plans": plans})

    fresh = verdict_on({"plans": plans})
    aged = judge({**PARAMETERS, "history": 2000}, [window], ENVIRONMENT)
    given = judge({**PARAMETERS, "isolation": "prefix"}, [window], ENVIRONMENT)
    analysed = judge({**PARAMETERS, "planner_statistics": "backlog"}, [window], ENVIRONMENT)

    assert fresh.valid
    (told,) = (note for note in fresh.notes if "nearly empty" in note)
    assert "would by now choose others: pgflow.start_ready_steps: with; --history 2000" in told
    assert not any("nearly empty" in note for note in (*aged.notes, *given.notes, *analysed.notes))
    assert not any("nearly empty" in note for note in verdict_on({"plans": unseen}).notes)


def test_plans_that_stayed_are_not_told_and_unseen_ones_are_noted() -> None:
    assert verdict_on({"plans": {"x: y": STAYED}}).valid
    unseen = verdict_on({"plans_not_seen": "permission denied"})
    assert unseen.valid
    assert "plans of hot statements were not looked at: permission denied" in unseen.notes


def test_capacity_says_how_many_checkpoints_it_had() -> None:
    def notes(checkpoints: int, purpose: str) -> list[str]:
        windows = [build_window(i, server={"checkpoints": checkpoints}) for i in (1, 2, 3)]
        found = judge({**PARAMETERS, "purpose": purpose}, windows, ENVIRONMENT)
        return [note for note in found.notes if "in window" in note]

    assert notes(0, "capacity") == ["no checkpoint in window: capacity takes 2"]
    assert notes(1, "capacity") == ["1 checkpoint in window: capacity takes 2"]
    assert notes(2, "capacity") == []
    assert notes(0, "compare") == []


def test_two_results_of_which_one_was_slowed_by_outgrown_plans_differ_in_that_first() -> None:
    kept, outgrown = (
        build_result([build_window(1, server={"plans": {"x: y": {**STAYED, "outgrown": is_so}}})])
        for is_so in (False, True)
    )

    assert [(one.name, one.base, one.candidate) for one in differences(kept, outgrown)] == [
        ("plans.outgrown", False, True)
    ]
    assert not differences(outgrown, outgrown)
