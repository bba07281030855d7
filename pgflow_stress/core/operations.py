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


class Status(IntEnum):
    """How the operation of an event row ended."""

    OK = 0
    EMPTY = 1  # a poll that brought nothing
    RETRIED = 2  # refused with an error that is retried
    FAILED = 3  # refused with an error that is not retried
    ADOPTED = 4  # a task completed for a dead worker by its replacement
    SETTLED = 5  # a task whose completion was in doubt and was found done


OPERATION_NAMES = tuple(operation.name.lower() for operation in Operation)
STATUS_NAMES = tuple(status.name.lower() for status in Status)
