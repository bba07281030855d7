"""Deadlocks of pgflow's own, provoked: the order in which its functions take locks is what makes them.

A stranger's session calls pgflow's functions for tasks that a worker has in hand, in a transaction that is rolled back:
nothing of it stays but that it had the locks. It looks for deadlocks later than the worker's backend does, so that the
worker is the one that is refused.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

from pgflow_stress.core.arena import Word
from pgflow_stress.engine.faults.base import PROOF_SECONDS, Blow, Fault, Ground, Missed
from pgflow_stress.engine.faults.stop_worker import stop_with_tasks

_TRIES = 40
_STATE = "40P01"
_BLOCKED = "select %(by)s = any(pg_blocking_pids(%(pid)s))"
_LATE = "set deadlock_timeout = '20s'"  # of the stranger: by then the worker's has long been over
_LOCK_STEP = "select from pgflow.step_states where run_id = %(run)s and step_slug = %(step)s for update"
_FAIL = "select pgflow.fail_task(run_id => $1, step_slug => $2, task_index => $3, error_message => 'a stranger''s')"
_COMPLETE = "select pgflow.complete_task(run_id => $1, step_slug => $2, task_index => $3, output => '{}')"
_OF_ONE_STEP = """
select run_id, step_slug, array_agg(task_index order by task_index) from pgflow.step_tasks
where last_worker_id = %(worker)s and status = 'started' and starts_with(flow_slug, %(flows)s)
group by run_id, step_slug having count(*) > 1 order by run_id, step_slug limit 1
"""
_OF_TWO_RUNS = """
select distinct on (run_id) run_id, step_slug, array[task_index] from pgflow.step_tasks
where last_worker_id = %(worker)s and status = 'started' and starts_with(flow_slug, %(flows)s) order by run_id
"""

Held = tuple[Any, str, list[int]]  # run, step, tasks


def _in_map(ground: Ground, blow: Blow) -> None:
    """fail_task of 0.8 has the step and wants the run, complete_task has the run and wants the step."""
    with _stranger(ground) as stranger, ground.connect() as holder, ground.connect() as looking:
        with _stopped_with(ground, blow, looking, _OF_ONE_STEP, 1) as (region, held):
            run, step, tasks = held[0]
            holder.execute("begin")
            holder.execute(_LOCK_STEP, {"run": run, "step": step})  # until both are on their way
            _send(stranger, _FAIL, run, step, tasks[-1])
            _wait_until_blocked(ground, looking, stranger.info.backend_pid, holder.info.backend_pid)
        backend = ground.word(region, Word.BACKEND_PID)
        _wait_until(ground, lambda: _is_blocked(looking, backend, holder, stranger), "the worker came by another way")
        before = _deadlocks(ground)
        holder.execute("rollback")
        _see(ground, blow, stranger, before, "it waits for the run before it takes the step")
        blow.held(
            run_id=str(run), step=step, tasks=tasks, by="fail_task: step, then run; complete_task: run, then step"
        )


def _in_batches(ground: Ground, blow: Blow) -> None:
    """Two transactions that each complete tasks of two runs, one in the other's order."""
    with _stranger(ground) as stranger, ground.connect() as looking:
        with _stopped_with(ground, blow, looking, _OF_TWO_RUNS, 2) as (region, held):
            (first, step, tasks), (last, of_last, tasks_of_last) = held[0], held[-1]
            _send(stranger, _COMPLETE, last, of_last, tasks_of_last[0])
            _answer(ground, stranger)
        backend = ground.word(region, Word.BACKEND_PID)
        _wait_until(ground, lambda: _is_blocked(looking, backend, stranger), "the worker completes a run at a time")
        before = _deadlocks(ground)
        _send(stranger, _COMPLETE, first, step, tasks[0])
        _see(ground, blow, stranger, before, "the worker had no lock on the run before: --completion batch alone has")
        blow.held(run_ids=[str(first), str(last)], by="a batch locks its runs in the order of its tasks")


def _see(ground: Ground, blow: Blow, stranger: Any, before: int, otherwise: str) -> None:
    """Wait until the stranger has got through, and see whom the server refused; then undo all that it did."""
    refused = _answer(ground, stranger)
    stranger.execute("rollback")
    if refused:
        raise Missed(f"the stranger was refused, not the worker: {refused}")
    if not ground.until(lambda: _deadlocks(ground) > before, 0.5):
        raise Missed(f"no deadlock with this pgflow: {otherwise}")
    blow.held(sqlstate=_STATE, refused=_deadlocks(ground) - before)


@contextlib.contextmanager
def _stranger(ground: Ground) -> Iterator[Any]:
    with contextlib.closing(ground.connect()) as connection:  # whatever it is waiting for
        connection.execute(_LATE)
        connection.execute("begin")
        yield connection


@contextlib.contextmanager
def _stopped_with(ground: Ground, blow: Blow, looking: Any, query: str, least: int) -> Iterator[tuple[int, list[Held]]]:
    """A worker that stands still with such tasks in hand; it goes on at the end of the block.

    Raises:
        Missed: there was never one.
    """
    deadline = time.monotonic() + PROOF_SECONDS
    for _ in range(_TRIES):
        with ground.a_worker_alone() as region:
            pid = ground.word(region, Word.PID)
            try:
                _, stopped_ns = stop_with_tasks(ground, looking, region, pid)
                parameters = {"worker": ground.crew.worker_id(region), "flows": ground.slug_prefix + "f"}
                held = looking.execute(query, parameters).fetchall()
                if len(held) >= least:
                    slot = ground.slot_of(region)
                    blow.struck(f"worker {slot}", slot, stopped_ns)
                    yield region, held
                    return
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
        if ground.over.wait(0.01) or time.monotonic() > deadline:
            break
    raise Missed("no worker was seen with such tasks in hand")


def _send(connection: Any, query: str, run: Any, step: str, task: int) -> None:
    parameters = [str(run).encode(), step.encode(), str(task).encode()]
    connection.pgconn.send_query_params(query.encode(), parameters)


def _answer(ground: Ground, connection: Any) -> str:
    """Wait for it; the error, "" where there was none."""
    connection_ = connection.pgconn

    def there() -> bool:
        connection_.consume_input()
        return not connection_.is_busy()

    _wait_until(ground, there, "the stranger was not answered")
    said = ""
    while (result := connection_.get_result()) is not None:
        said = said or result.error_message.decode(errors="replace").strip().partition("\n")[0]
    return said


def _is_blocked(looking: Any, backend: int, *by: Any) -> bool:
    return any(
        looking.execute(_BLOCKED, {"by": one.info.backend_pid, "pid": backend}).fetchone() == (True,) for one in by
    )


def _wait_until_blocked(ground: Ground, looking: Any, backend: int, by: int) -> None:
    blocked = {"by": by, "pid": backend}
    _wait_until(ground, lambda: looking.execute(_BLOCKED, blocked).fetchone() == (True,), "the stranger did not wait")


def _wait_until(ground: Ground, holds: Callable[[], bool], why: str) -> None:
    if not ground.until(holds, PROOF_SECONDS):
        raise Missed(why)


def _deadlocks(ground: Ground) -> int:
    """How often workers of ours were refused so."""
    errors = ground.arena.errors
    return int(errors["count"][errors["sqlstate"] == _STATE.encode()].sum())


DEADLOCK_IN_MAP = Fault(
    "deadlock-in-map", "fail_task by a stranger and complete_task by a worker, each with a lock that the other wants",
    _in_map,
)  # fmt: skip
DEADLOCK_IN_BATCHES = Fault(
    "deadlock-in-batches", "two batches of completions over the same two runs, in opposite orders", _in_batches
)
