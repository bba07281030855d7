"""The operations that are timed, in the order of their codes in the arena and in the files.

The extension has the same codes (ext/pgflow_stress_hot/operations.pxd); a test holds the two together.
"""

from __future__ import annotations

from enum import IntEnum


class Operation(IntEnum):
    """One timed operation; the value is the code in an event row and the index of its histogram."""

    CREATE_FLOW = 0
    ADD_STEP = 1
    START_FLOW = 2
    READ = 3
    START_TASKS = 4
    COMPLETE = 5
    TASK = 6  # poll sent - completion answered: the cycle time
    ROUND_TRIP = 7  # an empty statement, outside any window
    # One event, the statement that caused it sent - received; in the order of core.events.EventKind.
    DELIVER_RUN_STARTED = 8
    DELIVER_RUN_COMPLETED = 9
    DELIVER_RUN_FAILED = 10
    DELIVER_STEP_STARTED = 11
    DELIVER_STEP_COMPLETED = 12
    DELIVER_STEP_FAILED = 13
    DELIVER_STEP_SKIPPED = 14
    # One event, its commit by the server's clock - received; the negative ones have a histogram of their own.
    AFTER_COMMIT = 15
    BEFORE_COMMIT = 16
    # Of a run that a starter starts: start_flow sent - answered; between its intended time and its sending, how long
    # every starter was busy in the server, and how long the process was late.
    START_SERVICE = 17
    LAG_BUSY = 18
    LAG_LATE = 19
    FAIL = 20  # fail_task, of tasks that fail by design


class Status(IntEnum):
    """How the operation of an event row ended."""

    OK = 0
    EMPTY = 1  # a poll that brought nothing
    RETRIED = 2  # refused with an error that is retried
    FAILED = 3  # refused with an error that is not retried
    ADOPTED = 4  # a task completed for a dead worker by its replacement
    SETTLED = 5  # a task whose completion was in doubt and was found done
    LOST = 6  # a task whose completion had been acknowledged and was lost in a crash; sent_ns: when it was acknowledged


DELIVERIES = tuple(operation for operation in Operation if operation.name.startswith("DELIVER_"))
OPERATION_NAMES = tuple(operation.name.lower() for operation in Operation)
STATUS_NAMES = tuple(status.name.lower() for status in Status)
# Whose latencies a phase's are: core.latency merges them.
PHASE_OPERATIONS: dict[str, tuple[str, ...]] = {
    "create": ("create_flow", "add_step"),
    "start": ("start_flow",),
    "process": ("task",),
    "execute": ("execute",),
    "end_to_end": ("execute",),
    "deliver": tuple(operation.name.lower() for operation in DELIVERIES),
}
