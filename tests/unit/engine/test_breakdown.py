"""The breakdown of arenas whose times are known: which path, which hop, and which runs are left out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pgflow_stress.core.arena import WRITTEN_OFF, LedgerBit, RunWord, Word
from pgflow_stress.core.operations import Status
from pgflow_stress.engine import breakdown_rows
from pgflow_stress.engine.breakdown import breakdown
from pgflow_stress.scenario.flow import FlowShape, Step
from pgflow_stress.scenario.workload import Workload, workload
from tests.fixtures.arenas import CHAIN, FAN_IN, MAP, Story

STEP = ("queue_wait", "claim", "work", "completion")


def by_step(found: Any) -> list[tuple[str | None, list[float]]]:
    return [(place["step"], [place["mean_ns"][hop] for hop in STEP]) for place in found["by_position"]]


def chain_of_one_run(story: Story, run: int = 0, at_ns: int = 1_000) -> None:
    story.start(run, at_ns + 5, at_ns + 25, intended_ns=at_ns)
    story.cycle(at_ns + 32, at_ns + 50, (at_ns + 53, at_ns + 70, [(run, 0, 0)]))
    story.cycle(at_ns + 60, at_ns + 90, (at_ns + 94, at_ns + 120, [(run, 1, 0)]), process=1)
    story.cycle(at_ns + 121, at_ns + 130, (at_ns + 132, at_ns + 150, [(run, 2, 0)]))


def test_a_chain_is_walked_from_its_start_to_its_last_answer_and_adds_up() -> None:
    story = Story(CHAIN, 1)
    chain_of_one_run(story)

    found = breakdown(story.arena, story.work, 1)

    # The poll of b was sent 10 before a was answered: no wait, and its claim begins at the answer.
    assert by_step(found) == [("a", [7, 18, 3, 17]), ("b", [0, 20, 4, 26]), ("c", [1, 9, 2, 18])]
    assert found["mean_ns"] == {
        "wait": 5, "start": 20, "queue_wait": 8, "claim": 47, "work": 9, "completion": 61,
    }  # fmt: skip
    assert found["response_ns"] == 150 == sum(found["mean_ns"].values())
    assert (found["residual_ns"], found["residual_share"]) == (0, 0)
    assert found["path_steps"] == {"mean": 3, "most": 3}
    assert (found["completed_runs"], found["looked_at"], found["runs"], found["left_out"]) == (1, 1, 1, {})


def test_of_several_parents_the_last_one_released_the_step() -> None:
    story = Story(FAN_IN, 2)
    for run, slow in ((0, 0), (1, 1)):
        story.start(run, 100, 110)
        for step in (0, 1):
            done_ns = 300 if step == slow else 200
            story.cycle(120, 130, (140, done_ns, [(run, step, 0)]), process=step)
        story.cycle(320, 330, (340, 400, [(run, 2, 0)]))

    found = breakdown(story.arena, story.work, 1)

    assert by_step(found) == [(None, [10, 10, 10, 160]), ("c", [20, 10, 10, 60])]
    assert "wait" not in found["mean_ns"]  # nothing was scheduled
    assert found["response_ns"] == 300 == sum(found["mean_ns"].values())


def test_a_statement_that_completes_tasks_of_several_polls_times_each_by_its_own_claim() -> None:
    story = Story(FlowShape((Step("a"), Step("b", (0,)))), 2)
    for run in (0, 1):
        story.start(run, 0, 10)
        story.cycle(10, 20 + run)
    for run in (0, 1):
        story.task(10, 60, (run, 0, 0), batch=1 + run)
    story.statement(50, 60)
    for run in (0, 1):
        story.cycle(70, 80, (85, 90, [(run, 1, 0)]))

    found = breakdown(story.arena, story.work, 1)

    assert found["runs"] == 2
    assert by_step(found) == [("a", [0, 10.5, 29.5, 10]), ("b", [10, 10, 5, 5])]


def test_a_step_of_many_tasks_ends_with_the_last_of_them() -> None:
    story = Story(MAP, 1)
    story.start(0, 0, 10)
    story.cycle(10, 20, (20, 30, [(0, 0, 0)]))
    story.cycle(31, 40, (42, 60, [(0, 1, 0), (0, 1, 2)]))
    story.cycle(35, 55, (58, 90, [(0, 1, 1)]), process=1)
    story.cycle(95, 100, (101, 110, [(0, 2, 0)]))

    found = breakdown(story.arena, story.work, 1)

    assert by_step(found) == [("a", [0, 10, 0, 10]), ("m", [5, 20, 3, 32]), ("z", [5, 5, 1, 9])]
    assert found["response_ns"] == 110


def test_a_step_without_tasks_is_released_and_done_with_its_parents() -> None:
    shape = FlowShape((Step("a"), Step("empty", (0,), "map", 0), Step("z", (1,))))
    story = Story(shape, 1)
    story.start(0, 0, 10)
    story.cycle(10, 20, (20, 30, [(0, 0, 0)]))
    story.cycle(33, 40, (41, 50, [(0, 2, 0)]))

    found = breakdown(story.arena, story.work, 1)

    assert by_step(found) == [("a", [0, 10, 0, 10]), ("z", [3, 7, 1, 9])]


def test_a_statement_that_completed_many_is_told_from_the_next_of_its_batch() -> None:
    shape = FlowShape((Step("a"), Step("b")))
    story = Story(shape, 2)
    for run in (0, 1):
        story.start(run, 0, 10)
    story.cycle(
        10, 20, (22, 30, [(0, 0, 0), (1, 0, 0)]), (23, 40, [(1, 1, 0)]), (35, 60, [(0, 1, 0)])
    )  # fmt: skip

    found = breakdown(story.arena, story.work, 1)

    assert found["mean_ns"]["work"] == ((23 - 20) + (35 - 20)) / 2
    assert found["mean_ns"]["completion"] == ((40 - 23) + (60 - 35)) / 2


def test_stamps_that_contradict_the_order_of_causes_are_left_over_and_seen() -> None:
    story = Story(CHAIN, 1)
    story.start(0, 0, 100)
    story.cycle(100, 110, (110, 200, [(0, 0, 0)]))
    story.cycle(120, 180, (190, 250, [(0, 1, 0)]), process=1)  # claimed 20 before the client read a's answer
    story.cycle(250, 260, (260, 300, [(0, 2, 0)]))

    found = breakdown(story.arena, story.work, 1)

    assert found["response_ns"] == 300
    assert found["residual_ns"] == -20
    assert found["residual_share"] == pytest.approx(20 / 300)
    assert sum(found["mean_ns"].values()) + found["residual_ns"] == 300
    assert min(found["mean_ns"].values()) >= 0


def test_what_is_left_over_of_one_run_never_makes_up_for_another() -> None:
    story = Story(CHAIN, 2)
    for run in (0, 1):
        chain_of_one_run(story, run)
    story.arena.runs[0, RunWord.LAST_DONE_NS] += 30
    story.arena.runs[1, RunWord.LAST_DONE_NS] -= 30

    found = breakdown(story.arena, story.work, 1)

    assert found["residual_ns"] == 0
    assert found["residual_share"] == pytest.approx(60 / 300)


@pytest.mark.parametrize("status", [Status.ADOPTED, Status.SETTLED])
def test_a_run_whose_path_was_completed_for_a_dead_worker_is_left_out(status: Status) -> None:
    story = Story(CHAIN, 2)
    chain_of_one_run(story)
    story.start(1, 0, 10)
    story.cycle(10, 20, (20, 30, [(1, 0, 0)]))
    story.task(500, 500, (1, 1, 0), status=status)
    story.cycle(510, 520, (520, 530, [(1, 2, 0)]))

    found = breakdown(story.arena, story.work, 1)

    assert (found["runs"], found["left_out"]) == (1, {"adopted": 1})
    assert found["response_ns"] == 150


def test_what_was_refused_and_sent_again_beside_the_path_does_not_matter_and_on_it_does() -> None:
    story = Story(FAN_IN, 2)
    for run in (0, 1):
        story.start(run, 0, 10)
        story.cycle(10, 20, (20, 100 if run else 30, [(run, 0, 0)]), refused_ns=25)
        story.cycle(10, 20, (20, 50, [(run, 1, 0)]), process=1)
        story.cycle(110, 120, (120, 130, [(run, 2, 0)]))

    found = breakdown(story.arena, story.work, 1)

    assert (found["runs"], found["left_out"]) == (1, {"retried": 1})
    assert found["by_position"][0]["step"] == "b"


def test_a_task_that_was_attempted_again_leaves_its_run_out() -> None:
    story = Story(CHAIN, 2)
    for run in (0, 1):
        chain_of_one_run(story, run)
    story.task(2_000, 2_100, (1, 1, 0), status=Status.FAILED)

    found = breakdown(story.arena, story.work, 1)

    assert (found["runs"], found["left_out"]) == (1, {"attempted_again": 1})


def test_a_start_that_nobody_saw_answered_leaves_its_run_out() -> None:
    story = Story(CHAIN, 1)
    chain_of_one_run(story)
    story.arena.runs[0, RunWord.STARTED_NS] += 3  # as a replacement books it

    found = breakdown(story.arena, story.work, 1)

    assert found == {"completed_runs": 1, "looked_at": 1, "runs": 0, "left_out": {"start_in_doubt": 1}}


def test_runs_whose_rows_found_no_room_are_counted_and_the_others_told() -> None:
    story = Story(CHAIN, 3)
    for run in range(3):
        chain_of_one_run(story, run, 1_000 * (run + 1))
    story.arena.words[0, Word.ROWS] -= 1  # the last completing statement
    story.arena.words[0, Word.ROWS_LEFT_OUT] = 1
    story.arena.words[1, Word.ROWS] -= 2  # b of the last run, and its statement
    story.arena.words[1, Word.ROWS_LEFT_OUT] = 2

    found = breakdown(story.arena, story.work, 1)

    assert (found["completed_runs"], found["runs"], found["left_out"]) == (3, 2, {"rows_left_out": 1})
    assert found["response_ns"] == 150


def test_a_completing_statement_that_was_not_recorded_is_no_guess() -> None:
    story = Story(CHAIN, 2)
    for run in range(2):
        chain_of_one_run(story, run, 1_000 * (run + 1))
    story.arena.words[0, Word.ROWS] -= 1

    found = breakdown(story.arena, story.work, 1)

    assert (found["runs"], found["left_out"]) == (1, {"rows_left_out": 1})


def test_of_very_many_runs_a_sample_is_drawn_by_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breakdown_rows, "MOST_RUNS", 10)
    story = Story(CHAIN, 40)
    for run in range(40):
        chain_of_one_run(story, run, 1_000 * (run + 1))

    found = breakdown(story.arena, story.work, 7)
    drawn = [breakdown_rows.choose_runs(story.arena, seed).runs.tolist() for seed in (7, 7, 8)]

    assert (found["completed_runs"], found["looked_at"], found["runs"]) == (40, 10, 10)
    assert drawn[0] == drawn[1] != drawn[2]


def test_the_tail_is_of_the_runs_about_the_p99_and_only_where_there_are_ten_of_them() -> None:
    shape = FlowShape((Step("a"),))
    story = Story(shape, 1_000)
    for run in range(1_000):
        story.start(run, 0, 10)
        story.cycle(10, 20, (20, 1_000 + run, [(run, 0, 0)]))

    found = breakdown(story.arena, story.work, 1)

    assert found["tail"]["runs"] == 10
    assert found["tail"]["response_ns"] == np.arange(1_985, 1_995).mean()
    assert found["tail"]["mean_ns"]["completion"] == found["tail"]["response_ns"] - 20
    assert breakdown(_chains(900), workload(CHAIN, runs=900), 1)["tail"] is None


def _chains(runs: int) -> Any:
    story = Story(CHAIN, runs)
    for run in range(runs):
        chain_of_one_run(story, run)
    return story.arena


def test_delivery_is_told_beyond_the_response_time_and_may_be_before_it() -> None:
    story = Story(CHAIN, 3, observed=True)
    for run in range(3):
        chain_of_one_run(story, run)
    story.received(0, 1_150 + 40)
    story.received(1, 1_150 - 10)
    story.received(1, 1_150 + 900)  # again

    found = breakdown(story.arena, story.work, 1)

    assert found["delivery"] == {"runs": 2, "mean_ns": 15, "tail_ns": None}
    assert found["response_ns"] == 150


def test_a_long_path_is_told_as_a_whole() -> None:
    shape = FlowShape(tuple(Step(f"s{i}", (i - 1,) if i else ()) for i in range(11)))
    story = Story(shape, 1)
    story.start(0, 0, 10)
    for step in range(11):
        at_ns = 10 + 10 * step
        story.cycle(at_ns + 1, at_ns + 3, (at_ns + 4, at_ns + 10, [(0, step, 0)]))

    found = breakdown(story.arena, story.work, 1)

    assert found["by_position"] == []
    assert found["path_steps"]["most"] == 11
    assert found["mean_ns"] == {"start": 10, "queue_wait": 11, "claim": 22, "work": 11, "completion": 66}


def test_without_a_completed_run_nothing_is_told() -> None:
    story = Story(CHAIN, 1)
    story.start(0, 0, 10)
    story.cycle(10, 20, (20, 30, [(0, 0, 0)]))

    assert breakdown(story.arena, story.work, 1) == {"completed_runs": 0, "looked_at": 0, "runs": 0, "left_out": {}}


def test_runs_of_several_shapes_are_walked_each_along_its_own_and_their_hops_put_together() -> None:
    single = FlowShape((Step("only"),))
    work = Workload((CHAIN, single), (0, 1), 4, (1.0, 1.0))
    story = Story(work, 4)
    for run, flow in enumerate(work.run_flow().tolist()):
        if flow == 0:
            chain_of_one_run(story, run)
        else:
            story.start(run, 1_000, 1_010, intended_ns=990)
            story.cycle(1_012, 1_015, (1_020, 1_050, [(run, 3, 0)]))

    found = breakdown(story.arena, work, 1)

    assert (found["completed_runs"], found["runs"], found["left_out"]) == (4, 4, {})
    assert found["path_steps"] == {"mean": 2, "most": 3}
    assert found["response_ns"] == (150 + 60) / 2
    assert found["mean_ns"]["completion"] == (61 + 30) / 2
    assert found["residual_share"] == 0
    assert [(place["step"], place["runs"]) for place in found["by_position"]] == [(None, 4), ("b", 2), ("c", 2)]


def test_a_task_of_the_path_that_failed_before_by_design_leaves_its_run_out_and_one_beside_it_does_not() -> None:
    story = Story(FAN_IN, 2)
    for run, slow in ((0, 0), (1, 1)):
        story.start(run, 100, 110)
        for step in (0, 1):
            done_ns = 300 if step == slow else 200
            story.cycle(120, 130, (140, done_ns, [(run, step, 0)]), process=step)
        story.cycle(320, 330, (340, 400, [(run, 2, 0)]))
        story.arena.ledger[story.work.first_task()[run]] += 2 * LedgerBit.FAILED  # step a of either run

    found = breakdown(story.arena, story.work, 1)

    assert (found["runs"], found["left_out"]) == (1, {"attempted_again": 1})
    assert found["by_position"][0]["step"] == "b"


def test_failed_runs_and_runs_without_tasks_are_left_out_by_name() -> None:
    empty = FlowShape((Step("none", (), "map", 0),))
    work = Workload((CHAIN, empty), (0, 1), 4, (1.0, 1.0))
    story = Story(work, 4)
    chains, empties = (np.flatnonzero(work.run_flow() == flow).tolist() for flow in (0, 1))
    chain_of_one_run(story, chains[0])
    story.start(chains[1], 0, 10)
    story.cycle(10, 20, (20, 30, [(chains[1], 0, 0)]))
    story.arena.runs[chains[1], [RunWord.FAILED_NS, RunWord.COMPLETED]] = 40, WRITTEN_OFF + 1
    story.start(empties[0], 0, 10)  # the other is never started

    found = breakdown(story.arena, work, 1)

    assert (found["completed_runs"], found["runs"]) == (1, 1)
    assert found["left_out"] == {"failed": 1, "without_tasks": 1}


def test_without_any_run_there_is_nothing_to_break_down() -> None:
    work = workload(CHAIN, runs=0)

    found = breakdown(Story(work, 0).arena, work, 1)

    assert found == {"completed_runs": 0, "looked_at": 0, "runs": 0, "left_out": {}}
