"""Phases out of the arena: one common window, each phase inside it."""

from __future__ import annotations

import pytest

from pgflow_stress.core.arena import Arena, ArenaSize, LedgerBit, RunWord, Word
from pgflow_stress.core.errors import UsageFault
from pgflow_stress.core.operations import Operation
from pgflow_stress.engine.accounts import take_accounts, waits_by_worker

ORIGIN_NS = 1_000_000_000


@pytest.fixture
def arena() -> Arena:
    return Arena(ArenaSize(processes=3, flows=2, runs=2, tasks=4, rows=64))


def _worked(arena: Arena) -> None:
    for process, offset in ((0, 0), (1, 5_000_000)):
        words = arena.words[process]
        words[Word.CREATE_FROM_NS] = ORIGIN_NS + 1_000_000 + offset
        words[Word.CREATE_TO_NS] = ORIGIN_NS + 20_000_000 + offset
        words[Word.START_FROM_NS] = ORIGIN_NS + 30_000_000 + offset
        words[Word.START_TO_NS] = ORIGIN_NS + 40_000_000 + offset
        words[Word.PROCESS_FROM_NS] = ORIGIN_NS + 50_000_000 + offset
        words[Word.PROCESS_TO_NS] = ORIGIN_NS + 90_000_000 + offset
        words[Word.STEPS_CREATED] = 2
        words[Word.RUNS_STARTED] = 1
        arena.runs[process, RunWord.SENT_NS] = ORIGIN_NS + 30_000_000 + offset
        arena.runs[process, RunWord.STARTED_NS] = ORIGIN_NS + 40_000_000 + offset
        arena.runs[process, RunWord.LAST_DONE_NS] = ORIGIN_NS + 90_000_000 + offset
        arena.runs[process, RunWord.COMPLETED] = 2
        arena.counts[process, Operation.TASK, 0] = 2
        arena.stats[process, Operation.TASK] = (1, 80_000_000, 40_000_000, 0)
    arena.ledger[:] = LedgerBit.CLAIMED | LedgerBit.COMPLETED


def test_phases_begin_with_the_first_worker_and_end_with_the_last(arena: Arena) -> None:
    _worked(arena)

    taken = take_accounts(arena, ORIGIN_NS)

    spans = {name: (p.from_ns, p.to_ns, p.count) for name, p in taken.phases.items()}
    assert spans == {
        "create": (1_000_000, 25_000_000, 4),
        "start": (30_000_000, 45_000_000, 2),
        "process": (50_000_000, 95_000_000, 4),
        "execute": (30_000_000, 95_000_000, 4),
        "deliver": (None, None, 0),
        "end_to_end": (1_000_000, 95_000_000, 4),
    }
    assert taken.window_seconds == pytest.approx(0.094)


def test_a_run_counts_for_execute_once_all_its_tasks_are_completed(arena: Arena) -> None:
    _worked(arena)
    arena.runs[1, RunWord.COMPLETED] = 1

    taken = take_accounts(arena, ORIGIN_NS)

    assert taken.phases["execute"].latency_ns.count == 1
    assert taken.phases["execute"].latency_ns.max == 60_000_000


def test_where_nothing_was_completed_the_window_is_that_of_what_was_done(arena: Arena) -> None:
    _worked(arena)
    arena.ledger[:] = 0
    arena.runs[:, [RunWord.LAST_DONE_NS, RunWord.COMPLETED]] = 0

    taken = take_accounts(arena, ORIGIN_NS)

    assert taken.phases["end_to_end"].count == 0
    assert taken.window_seconds == pytest.approx(0.044)


def test_an_open_claim_is_one_without_its_completion(arena: Arena) -> None:
    _worked(arena)
    arena.ledger[0] = LedgerBit.CLAIMED

    taken = take_accounts(arena, ORIGIN_NS)

    assert (taken.tasks_completed, taken.tasks_claimed_open) == (3, 1)


def test_a_cleared_arena_is_all_zero(arena: Arena) -> None:
    _worked(arena)

    arena.clear()

    assert not arena.words.any()
    assert not arena.ledger.any()


def test_an_arena_beyond_this_machines_memory_is_refused_before_it_is_made() -> None:
    with pytest.raises(UsageFault, match="MiB of memory"):
        Arena(ArenaSize(processes=2, flows=1, runs=10**12, tasks=10**12, rows=10))


def test_what_held_the_workers_up_is_a_share_of_their_own_time(arena: Arena) -> None:
    _worked(arena)
    for process, (waited, queued) in enumerate([(20_000_000, 4_000_000), (0, 0)]):
        words = arena.words[process]
        words[Word.WAITED_FOR_NS], words[Word.RUN_QUEUE_NS] = waited, queued
        words[Word.CPU_FROM_NS], words[Word.CPU_TO_NS] = 1, 1 + 10_000_000

    found = waits_by_worker(arena)

    assert (found["server_waited_share"], found["run_queue_share"]) == (0.25, 0.05)
    assert found["by_worker"]["server_waited_share"] == [0.5, 0.0]
    assert found["by_worker"]["cpu_share"] == [0.25, 0.25]


def test_a_kernel_that_does_not_tell_leaves_no_share_of_the_run_queue(arena: Arena) -> None:
    _worked(arena)
    arena.words[:2, Word.CPU_TO_NS] = 5
    arena.words[1, Word.RUN_QUEUE_NS] = -1

    assert waits_by_worker(arena)["run_queue_share"] is None
