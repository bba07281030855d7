"""The task rows of some runs, each joined with its claim and its completing statement. By column, never row by row."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from pgflow_stress.core.arena import Arena, LedgerBit, RunWord, Word
from pgflow_stress.core.operations import Operation, Status
from pgflow_stress.core.recording import EVENT_DTYPE
from pgflow_stress.engine.sizing import observer_regions, starter_regions

Int64s = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.void]  # EVENT_DTYPE

MOST_RUNS = 50_000  # that are looked at; of more, so many are drawn
MOST_TASKS = 2_000_000  # of those runs together, so that a long soak's books fit beside its arena
_FROM_THE_DEAD = (Status.ADOPTED, Status.SETTLED)
_NO_ROWS = np.zeros(0, dtype=EVENT_DTYPE)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The runs that are looked at."""

    completed: int  # all that completed, and had a task
    recorded: int  # of those, with a row for every task
    runs: Int64s  # indexes, ascending
    failed: int  # that did not complete
    without_tasks: int  # over with their start


@dataclass(frozen=True, slots=True)
class TaskRows:
    """One entry a task row; arrays of equal length, stamps in ns of CLOCK_MONOTONIC."""

    run: Int64s  # its place among the chosen runs
    step: Int64s
    task: Int64s
    read_ns: Int64s
    claimed_ns: Int64s  # 0 where its claim was not recorded
    sent_ns: Int64s  # 0 where its completing statement was not recorded
    done_ns: Int64s
    adopted: Bools  # for a dead worker: nobody saw when
    retried: Bools  # a completion of its batch was refused and sent again
    failed_before: Bools  # attempts of it failed by design: the rows of those are the statements' alone


def choose_runs(arena: Arena, seed: int, steps: int = 1) -> Chosen:
    """Completed runs whose rows are all there; of very many a sample, the same for the same seed.

    Args:
        steps: of all shapes: for each, every run that is looked at has a place.
    """
    words, tasks = arena.runs, arena.tasks_of_runs
    is_failed = words[:, RunWord.FAILED_NS] > 0
    completed = np.flatnonzero((words[:, RunWord.COMPLETED] >= tasks) & ~is_failed & (tasks > 0))
    recorded = completed
    if arena.words[:, Word.ROWS_LEFT_OUT].any():
        recorded = completed[(_rows_by_run(arena) >= tasks)[completed]]
    most = max(1, min(MOST_RUNS, MOST_TASKS // max(steps, int(tasks.max(initial=1)))))
    chosen = recorded
    if len(recorded) > most:
        chosen = np.sort(np.random.default_rng(seed).choice(recorded, most, replace=False))
    without_tasks = np.count_nonzero((words[:, RunWord.STARTED_NS] > 0) & (tasks == 0))
    return Chosen(len(completed), len(recorded), chosen, int(np.count_nonzero(is_failed)), int(without_tasks))


def _rows_by_run(arena: Arena) -> Int64s:
    counts = np.zeros(arena.size.runs, dtype=np.int64)
    for process in _working(arena):
        for rows in arena.read_rows(process):
            runs = rows["run_index"][rows["operation"] == Operation.TASK]
            counts += np.bincount(runs, minlength=len(counts))
    return counts


def _working(arena: Arena) -> range:
    return range(starter_regions(arena.size).stop)


def task_rows(arena: Arena, chosen: Int64s, offsets: Int64s) -> TaskRows:
    """The rows of every task of the chosen runs, process by process.

    Args:
        offsets: int64[steps]: where each step's tasks begin among those of its run.
    """
    place = np.full(arena.size.runs, -1, dtype=np.int64)
    place[chosen] = np.arange(len(chosen))
    firsts = arena.first_task[:-1]
    parts = [_joined(arena, _needed(arena, process, place), place, firsts, offsets) for process in _working(arena)]
    return TaskRows(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(TaskRows)))


def _needed(arena: Arena, process: int, place: Int64s) -> Rows:
    """Rows of the chosen runs' tasks, and of the statements that claimed and completed; in the order recorded."""
    kept = []
    for rows in arena.read_rows(process):
        operation = rows["operation"]
        is_task = (operation == Operation.TASK) & (place[rows["run_index"]] >= 0)
        kept.append(rows[is_task | (operation == Operation.START_TASKS) | (operation == Operation.COMPLETE)])
    return np.concatenate(kept) if kept else _NO_ROWS


def _joined(arena: Arena, rows: Rows, place: Int64s, firsts: Int64s, offsets: Int64s) -> TaskRows:
    operation, status, batch = rows["operation"], rows["status"], rows["batch"]
    is_ok = status == Status.OK
    tasks = np.flatnonzero(operation == Operation.TASK)
    claims = np.flatnonzero((operation == Operation.START_TASKS) & is_ok)
    statements = np.flatnonzero((operation == Operation.COMPLETE) & is_ok)
    refused = batch[(operation == Operation.COMPLETE) & (status == Status.RETRIED)]
    # A worker claims batch by batch, and records the tasks of a statement just before the statement.
    claim = _nth(claims, np.searchsorted(batch[claims], batch[tasks]))
    statement = _nth(statements, np.searchsorted(statements, tasks))
    is_claim = (claim >= 0) & (batch[claim] == batch[tasks])
    # Of work in hand a statement completes tasks of several batches, and its row then names none of them.
    is_statement = (statement >= 0) & (rows["done_ns"][statement] == rows["done_ns"][tasks])
    run, step = rows["run_index"][tasks], rows["step_index"][tasks].astype(np.int64)
    task = rows["task_index"][tasks].astype(np.int64)
    return TaskRows(
        run=place[run],
        step=step,
        task=task,
        read_ns=rows["sent_ns"][tasks],
        claimed_ns=np.where(is_claim, rows["done_ns"][claim], 0),
        sent_ns=np.where(is_statement, rows["sent_ns"][statement], 0),
        done_ns=rows["done_ns"][tasks],
        adopted=np.isin(status[tasks], _FROM_THE_DEAD),
        retried=np.isin(batch[tasks], refused),
        failed_before=arena.ledger[firsts[run] + offsets[step] + task] >= LedgerBit.FAILED,
    )


def _nth(places: Int64s, number: Int64s) -> Int64s:
    """places[number], -1 where there are not so many."""
    return np.append(places, -1)[number]


def starts_answered_ns(arena: Arena) -> Int64s:
    """When each start_flow that was seen to be answered was."""
    found = [np.zeros(0, dtype=np.int64)]
    for process in _working(arena):
        for rows in arena.read_rows(process):
            is_start = (rows["operation"] == Operation.START_FLOW) & (rows["status"] == Status.OK)
            found.append(rows["done_ns"][is_start])
    return np.concatenate(found)


def completed_received_ns(arena: Arena) -> Int64s:
    """int64[runs]: when the observer first received run:completed; 0 where it did not."""
    received = np.full(arena.size.runs, np.iinfo(np.int64).max, dtype=np.int64)
    for process in observer_regions(arena.size):
        for rows in arena.read_rows(process):
            events = rows[rows["operation"] == Operation.DELIVER_RUN_COMPLETED]
            np.minimum.at(received, events["run_index"], events["done_ns"])
    return np.where(received == np.iinfo(np.int64).max, 0, received)
