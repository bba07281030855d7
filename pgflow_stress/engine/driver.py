"""A worker's hands: the work dealt to its slot, driven through the extension on its one connection."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pgflow_stress.core.arena import Arena
from pgflow_stress.core.operations import Operation
from pgflow_stress.engine.orders import WorkerOrder
from pgflow_stress.engine.processing import Processing, window_of
from pgflow_stress.engine.statements import texts_of
from pgflow_stress.scenario.options import Mode
from pgflow_stress.scenario.workload import Workload
from pgflow_stress_hot.account import Account
from pgflow_stress_hot.connection import BorrowedConnection
from pgflow_stress_hot.creation import Creator
from pgflow_stress_hot.recorder import Region
from pgflow_stress_hot.slugs import SlugTable

WARNING_STATE = b"01000"  # SQLSTATE of a WARNING that names no other

END_DONE, END_STOPPED, END_LOST, END_REFUSED = range(4)  # LoopEnd of ext/pgflow_stress_hot/flight.pxd

# Sizes of one batched statement: a queue is two tables and their locks, a start of a run writes a row a step and task.
FLOWS_PER_STATEMENT = 16
STEPS_PER_STATEMENT = 1000
TASKS_STARTED_PER_STATEMENT = 1000
MOST_RUNS_PER_STATEMENT = 100


def payload(size_bytes: int) -> bytes:
    """A jsonb value in binary (version byte 1, then text) whose text has this many bytes; at least 2, `{}`."""
    if size_bytes < len('{"p":""}'):
        return b"\x01{}"
    return b'\x01{"p":"' + b"x" * (size_bytes - len('{"p":""}')) + b'"}'


def containing(text: str, size_bytes: int) -> bytes:
    """A jsonb value with all of a JSON object in it, filled up to so many bytes as `payload` is."""
    value = json.loads(text)
    room = size_bytes - len(json.dumps({**value, "p": ""}))
    if room >= 0 and "p" not in value:
        value["p"] = "x" * room
    return b"\x01" + json.dumps(value).encode()


def payload_sql(size_bytes: int) -> str:
    """The same value as an expression of SQL, so that it need not be sent again to be compared with."""
    if size_bytes < len('{"p":""}'):
        return "'{}'::jsonb"
    filler = size_bytes - len('{"p":""}')
    return f"jsonb_build_object('p', repeat('x', {filler}))"


def array_payload(elements: int) -> bytes:
    """A jsonb array of so many small numbers, likewise."""
    return b"\x01[" + b",".join(str(index % 10).encode() for index in range(elements)) + b"]"


def inputs_of(work: Workload, size_bytes: int) -> list[bytes]:
    """For each flow what its runs are given: an array where a root map wants one, else what its conditions want."""
    by_shape = [_value(shape.input_elements, shape.input, size_bytes) for shape in work.shapes]
    return [by_shape[shape] for shape in work.shape_of]


def outputs_of(work: Workload, size_bytes: int) -> list[bytes]:
    """For each step what its tasks give: an array where a map is over it, else what conditions after it want."""
    values: dict[tuple[int | None, str | None], bytes] = {}
    wanted = [
        (elements, step.output)
        for shape in work.shapes
        for step, elements in zip(shape.steps, shape.output_elements(), strict=True)
    ]
    for elements, text in wanted:
        if (elements, text) not in values:
            values[elements, text] = _value(elements, text, size_bytes)
    return [values[one] for one in wanted]


def _value(elements: int | None, text: str | None, size_bytes: int) -> bytes:
    if elements is not None:
        return array_payload(elements)
    return payload(size_bytes) if text is None else containing(text, size_bytes)


def make_account(
    arena: Arena, region: Region, row: int, first_run_id: bytes, flows: Sequence[bytes], work: Workload
) -> Account:
    """The books of the process that writes `row` of started and done, in views of this arena (or one like it)."""
    steps = work.steps
    return Account(
        region,
        arena.header,
        arena.runs,
        arena.run_flow,
        arena.first_task,
        arena.ledger,
        np.array([step.tasks for step in steps], dtype=np.int64),
        np.array(work.step_offsets(), dtype=np.int64),
        work.flow_steps(),
        arena.started,
        arena.done,
        arena.steps_created,
        row,
        first_run_id,
        SlugTable(list(flows)),
        SlugTable([step.slug.encode() for step in steps]),
        arena.caused,
        failing_tables(work, arena.run_flow, arena.first_task),
    )


def failing_tables(
    work: Workload, run_flow: npt.NDArray[np.int64], first_task: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64], int] | None:
    """What an Account needs to know which attempts fail by design; None where none does."""
    failing = work.failing
    if failing is None:
        return None
    below = failing.fail_below(tuple(len(shape.steps) for shape in work.shapes))
    shape_of_run = np.array(work.shape_of, dtype=np.int64)[run_flow]
    return below, failing.doomed_tasks(first_task, shape_of_run), failing.seed


def in_order_of_inputs(
    runs: npt.NDArray[np.int64], run_flow: npt.NDArray[np.int64], inputs: Sequence[bytes]
) -> npt.NDArray[np.int64]:
    """The same runs, those that are given the same one after another."""
    number = {value: index for index, value in enumerate(dict.fromkeys(inputs))}
    by_flow = np.array([number[value] for value in inputs])
    return runs[np.argsort(by_flow[run_flow[runs]], kind="stable")]


class Driver:
    """Creates, starts and processes what is dealt to a slot; each call returns a LoopEnd."""

    def __init__(
        self,
        order: WorkerOrder,
        account: Account,
        connection: Any,
        header: npt.NDArray[np.int64],
        steps_per_statement: int = STEPS_PER_STATEMENT,
        pool: Sequence[Any] = (),
        texts: Sequence[tuple[bytes, bytes, tuple[int, ...]]] | None = None,
    ) -> None:
        """Allocate everything that the loops fill.

        Args:
            pool: connections beside it that the process phase works on as well.
            texts: what statements are sent as, where that is not as this order has it.
        """
        self._texts = texts_of(order) if texts is None else texts
        options, work = order.options, order.work
        self._connection = connection
        self._header = header
        self._creation_piped = options.creation is not Mode.SINGLE
        created = 0 if work.deployed is not None else work.flows
        flows = np.arange(order.slot, created, options.workers, dtype=np.int64)
        dealt = np.arange(order.slot, work.runs, options.workers, dtype=np.int64)
        self._runs = dealt if order.starts else dealt[:0]
        self._region = account.region
        self.notices = 0
        self.warnings = 0  # realtime.send's: events that it could not store
        inputs, outputs = inputs_of(work, options.payload_bytes), outputs_of(work, options.payload_bytes)
        if len(set(inputs)) > 1:  # runs of one statement are given the same: each flow has a queue of its own anyway
            self._runs = in_order_of_inputs(self._runs, work.run_flow(), inputs)
        steps = work.steps
        most_tasks = max(1, *(shape.tasks_per_run for shape in work.shapes))
        self._creator = Creator(
            account,
            flows,
            [("{" + ",".join(steps[dep].slug for dep in step.deps) + "}").encode() for step in steps],
            [step.kind.encode() for step in steps],
            inputs,
            options.creation is Mode.BATCH,
            window_of(options.creation, options.in_flight_statements),
            FLOWS_PER_STATEMENT,
            steps_per_statement,
            max(1, min(MOST_RUNS_PER_STATEMENT, TASKS_STARTED_PER_STATEMENT // most_tasks)),
            order.shares_backends,
        )
        self._processing = Processing(order, account, [connection, *pool], header, outputs, self._texts)

    def create(self) -> int:
        """Create the flows of this slot."""
        with BorrowedConnection(self._connection, self._header, self._creation_piped, self._texts) as borrowed:
            end = self._creator.create(borrowed)
            self._note(borrowed, Operation.ADD_STEP)
        return end

    def start(self) -> int:
        """Start the runs of this slot."""
        with BorrowedConnection(self._connection, self._header, self._creation_piped, self._texts) as borrowed:
            end = self._creator.start(borrowed, self._runs)
            self._note(borrowed, Operation.START_FLOW)
        return end

    def process(self) -> int:
        """Work until all started runs are done."""
        end, borrowed = self._processing.run()
        for one in borrowed:
            self._note(one, Operation.COMPLETE)
        return end

    @property
    def work_ns(self) -> int:
        """What the simulated work of the tasks that were in hand takes, added up."""
        return self._processing.work_ns

    def _note(self, borrowed: BorrowedConnection, operation: Operation) -> None:
        self.notices += borrowed.notices
        self.warnings += note_warnings(self._region, borrowed, operation)


def note_warnings(region: Region, borrowed: BorrowedConnection, operation: Operation) -> int:
    """Leave realtime.send's warnings in the arena; how many there were."""
    count, text = borrowed.warnings
    if count:
        region.warn(operation, count, WARNING_STATE, text)
    return count
