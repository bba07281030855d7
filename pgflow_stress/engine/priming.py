"""Priming: each worker drives a throw-away flow of the same shape on the connection that it will be measured on.

Until its statements have generic plans (the server plans each prepared statement anew five times) and its caches are
warm. The flow's slug and run ids are its own, its books are private memory: nothing of it is counted or audited.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from pgflow_stress.core.arena import BUCKETS, ERROR_DTYPE, ERROR_SLOTS, PROCESS_WORDS, RUN_WORDS, STATS, Header, Word
from pgflow_stress.core.errors import RunFailed
from pgflow_stress.core.ids import new_nonce, run_id
from pgflow_stress.core.operations import Operation
from pgflow_stress.core.recording import EVENT_DTYPE
from pgflow_stress.engine.driver import END_DONE, Driver
from pgflow_stress.engine.orders import WorkerOrder, prime_slug
from pgflow_stress_hot.account import Account
from pgflow_stress_hot.recorder import Region
from pgflow_stress_hot.slugs import SlugTable

PRIME_TASKS = 48
PRIME_BATCH = 8  # tasks a statement: six of each kind, one more than are planned anew
_VT_SECONDS = 60


def prime(order: WorkerOrder, connection: Any) -> int:
    """Drive the throw-away flow; mean ns a task of the process phase.

    Raises:
        RunFailed: the server refused it, or the connection was lost; the message says how.
    """
    shape = order.shape.sample(PRIME_TASKS)
    runs = -(-PRIME_TASKS // shape.tasks_per_run)
    options = dataclasses.replace(
        order.options,
        workers=1,
        poll_size=min(PRIME_BATCH, order.options.poll_size),
        completion_batch_size=min(PRIME_BATCH, order.options.completion_batch_size),
    )
    small = dataclasses.replace(order, slot=0, shape=shape, flows=1, runs=runs, options=options)
    words = np.zeros(PROCESS_WORDS, dtype=np.int64)
    errors = np.zeros(ERROR_SLOTS, dtype=ERROR_DTYPE)
    header = np.zeros(PROCESS_WORDS, dtype=np.int64)
    header[Header.STARTS_DONE] = 1
    header[Header.VT_SECONDS] = _VT_SECONDS
    region = Region(
        words,
        np.zeros(EVENT_DTYPE.itemsize, dtype=np.uint8),
        np.zeros((len(Operation), BUCKETS), dtype=np.int64),
        np.zeros((len(Operation), STATS), dtype=np.int64),
        errors.view(np.uint8),
    )
    account = Account(
        region,
        header,
        np.zeros((runs, RUN_WORDS), dtype=np.int64),
        np.zeros(runs * shape.tasks_per_run, dtype=np.uint8),
        np.array([step.tasks for step in shape.steps], dtype=np.int64),
        np.array(shape.step_offsets(), dtype=np.int64),
        np.zeros((1, 1), dtype=np.int64),
        np.zeros((1, 1), dtype=np.int64),
        np.full(1, -1, dtype=np.int64),
        0,
        run_id(new_nonce(), 0).bytes,
        SlugTable([prime_slug(order.slug_prefix, order.region)]),
        SlugTable([step.slug.encode() for step in shape.steps]),
    )
    driver = Driver(small, account, connection, header, steps_per_statement=PRIME_BATCH)
    for name, drive in (("create", driver.create), ("start", driver.start), ("process", driver.process)):
        if drive() != END_DONE:
            refusal = errors[0]
            raise RunFailed(
                f"priming could not {name}: {refusal['sqlstate'].decode()} {refusal['text'].decode(errors='replace')}"
            )
    completed = max(1, int(words[Word.TASKS_COMPLETED]))
    return int(words[Word.PROCESS_TO_NS] - words[Word.PROCESS_FROM_NS]) // completed
