"""SIGSTOP of a worker with tasks in hand, past their visibility: messages are read again while it still has them."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from functools import partial
from pathlib import Path
from typing import Any

from pgflow_stress.core.arena import LedgerBit, Word
from pgflow_stress.core.ids import split_run_id
from pgflow_stress.core.units import NS_PER_SECOND
from pgflow_stress.engine.faults.base import Blow, Fault, Ground, Missed
from pgflow_stress.engine.faults.kill_backend import see_reconnects, terminate
from pgflow_stress_hot.clock import monotonic_ns

_BEYOND_VT_SECONDS = 2.0
_TRIES = 200
_ANSWERED_SECONDS = 0.05  # in which its backend is done with what had been sent
_SHORT_SECONDS = 0.003

_HELD = """
select k.message_id, k.flow_slug from pgflow.step_tasks k
where k.last_worker_id = %(worker)s and k.status = 'started' and starts_with(k.flow_slug, %(flows)s)
"""

_IN_HAND = """
select run_id, step_slug, task_index from pgflow.step_tasks where last_worker_id = %(worker)s and status = 'started'
"""


def _strike(ground: Ground, blow: Blow, *, adopting: bool, terminating: bool = False) -> None:
    with ground.a_worker_alone() as region:
        pid = ground.word(region, Word.PID)
        try:
            with ground.connect() as connection:
                _stand_still(ground, blow, connection, region, adopting=adopting, terminating=terminating)
        except ProcessLookupError:
            raise Missed("the worker had ended by itself") from None
        finally:
            _go_on(pid)
    if terminating:
        see_reconnects(ground, blow, [region])


def _stand_still(
    ground: Ground, blow: Blow, connection: Any, region: int, *, adopting: bool, terminating: bool
) -> None:
    slot, pid = ground.slot_of(region), ground.word(region, Word.PID)
    seconds = blow.strike.spec.lasts_seconds or ground.vt_seconds + _BEYOND_VT_SECONDS
    held, stopped_ns = stop_with_tasks(ground, connection, region, pid)
    blow.struck(f"worker {slot}", slot, stopped_ns)
    before = _reads(connection, held)
    blow.held(pid=pid, state=_state(pid), tasks_in_hand=len(held))
    if terminating:
        terminate(ground, blow, connection, [ground.word(region, Word.BACKEND_PID)])
    if adopting:
        blow.held(tasks_adopted=_adopt(ground, connection, region))
    ground.hold(seconds)
    after = _reads(connection, held)
    blow.held(
        state_at_the_end=_state(pid),
        seconds=round((monotonic_ns() - stopped_ns) / NS_PER_SECOND, 3),
        outlasted_vt=seconds > ground.vt_seconds,
        messages_read_again=sum(1 for message, reads in after.items() if reads > before.get(message, reads)),
    )


def _adopt(ground: Ground, connection: Any, region: int) -> int:
    """Complete its tasks for it, as for one that is dead, and book that each will be completed twice; how many."""
    from pgflow_stress.engine.adoption import complete_for  # noqa: PLC0415  see base
    from pgflow_stress.engine.places import Places, expected_outcomes  # noqa: PLC0415

    order = ground.crew.order_of(region)
    places, steps = Places(order.work), {step.slug: number for number, step in enumerate(order.work.steps)}
    offsets = order.work.step_offsets()
    worker = ground.crew.worker_id(region)

    def place(task: tuple[Any, str, int]) -> int:
        run_id, step, index = task
        found = split_run_id(run_id)
        if found is None or step not in steps:  # of the flow that it was primed on
            return -1
        return int(places.first[found[1]]) + int(offsets[steps[step]]) + index

    # An attempt that is to fail is left to the worker: the run's outcome is known before.
    outcomes = expected_outcomes(order.work, places)
    leave = [] if outcomes is None else [
        task for task in connection.execute(_IN_HAND, {"worker": worker}).fetchall()
        if place(task) >= 0 and ground.arena.ledger[place(task)] >> 4 < outcomes.failed_attempts[place(task)]
    ]  # fmt: skip
    done = complete_for(worker, order, connection, leave)
    adopted = [place(task) for task in done if place(task) >= 0]
    for at in adopted:
        # Nobody else writes this byte: the worker that has the task stands still.
        ground.arena.ledger[at] |= LedgerBit.TWICE
    if not adopted:
        raise Missed(
            "the attempts that it had in hand were to fail"
            if leave
            else "its tasks were completed before they could be adopted"
        )
    return len(adopted)


def stop_with_tasks(ground: Ground, connection: Any, region: int, pid: int) -> tuple[list[tuple[int, str]], int]:
    """Stop it when it holds tasks; ((message, flow) of each, when it was stopped).

    Raises:
        Missed: it never did.
    """
    parameters = {"worker": ground.crew.worker_id(region), "flows": ground.slug_prefix + "f"}
    for _ in range(_TRIES):
        if not ground.until(lambda: ground.word(region, Word.CLAIMED) > 0, 1.0):
            continue
        os.kill(pid, signal.SIGSTOP)
        stopped_ns = monotonic_ns()
        time.sleep(_ANSWERED_SECONDS)
        if held := connection.execute(_HELD, parameters).fetchall():
            return [(int(message), str(flow)) for message, flow in held], stopped_ns
        os.kill(pid, signal.SIGCONT)
        if ground.over.wait(ground.random.uniform(0, _SHORT_SECONDS)):
            break
    raise Missed("it was never seen with a task in hand")


def _reads(connection: Any, held: list[tuple[int, str]]) -> dict[tuple[str, int], int]:
    """How often each message was read so far."""
    from psycopg import sql  # noqa: PLC0415  see base

    found = {}
    for flow in {flow for _, flow in held}:
        ids = [message for message, of in held if of == flow]
        query = sql.SQL("select msg_id, read_ct from {} where msg_id = any(%(ids)s)")
        for message, reads in connection.execute(query.format(sql.Identifier("pgmq", f"q_{flow}")), {"ids": ids}):
            found[flow, int(message)] = int(reads)
    return found


def _state(pid: int) -> str:
    """`T` while it is stopped."""
    try:
        text = (Path("/proc") / str(pid) / "stat").read_text()
    except OSError:
        return "gone"
    return text.rpartition(")")[2].split()[0]


def _go_on(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


STOP_WORKER = Fault(
    "stop-worker", "SIGSTOP of a worker with tasks in hand, by default 2 s longer than their visibility, then SIGCONT",
    partial(_strike, adopting=False), lasts_seconds=0.0, any_model=True,
)  # fmt: skip
STOP_AND_ADOPT = Fault(
    "stop-and-adopt", "the same, its tasks completed meanwhile as for one that is dead: it completes them again",
    partial(_strike, adopting=True), lasts_seconds=0.0,
)  # fmt: skip
STOP_TERMINATE_ADOPT = Fault(
    "stop-terminate-adopt", "the same, its backend terminated before: it connects again, and completes them again",
    partial(_strike, adopting=True, terminating=True), lasts_seconds=0.0,
)  # fmt: skip
