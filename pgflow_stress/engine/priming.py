"""Priming: each worker drives a throw-away flow of the same shape on the connection that it will be measured on.

Until its statements have generic plans (the server plans each prepared statement anew five times) and its caches are
warm. The flow's slug and run ids are its own, its books are private memory: nothing of it is counted or audited.
"""

from __future__ import annotations

import dataclasses
import secrets
import uuid
from typing import Any

from pgflow_stress.core.arena import Word
from pgflow_stress.core.errors import RunFailed
from pgflow_stress.core.ids import new_nonce, run_id, split_run_id
from pgflow_stress.engine.driver import END_DONE, Driver
from pgflow_stress.engine.orders import WorkerOrder, prime_slug
from pgflow_stress.engine.private_books import new_books

PRIME_TASKS = 48
PRIME_BATCH = 8  # tasks a statement: six of each kind, one more than are planned anew


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
    small = dataclasses.replace(order, slot=0, shape=shape, flows=1, runs=runs, options=options, starts=True)
    nonce = nonce_before(order.first_run_id)
    books = new_books(shape, [prime_slug(order.slug_prefix, order.region)], runs, nonce, rows=1)
    small = dataclasses.replace(small, first_run_id=run_id(nonce, 0).bytes)
    driver = Driver(small, books.account, connection, books.header, steps_per_statement=PRIME_BATCH)
    for name, drive in (("create", driver.create), ("start", driver.start), ("process", driver.process)):
        if drive() != END_DONE:
            refusal = books.private.errors[0]
            raise RunFailed(
                f"priming could not {name}: {refusal['sqlstate'].decode()} {refusal['text'].decode(errors='replace')}"
            )
    words = books.private.words
    completed = max(1, int(words[Word.TASKS_COMPLETED]))
    return int(words[Word.PROCESS_TO_NS] - words[Word.PROCESS_FROM_NS]) // completed


def nonce_before(first_run_id: bytes) -> int:
    """A nonce whose run ids sort before the measured ones.

    After what is there an index grows by other page splits than before it: left to chance, every second repetition
    would need 1 % more buffers and WAL.
    """
    measured = split_run_id(uuid.UUID(bytes=first_run_id))
    return secrets.randbelow(measured[0]) if measured and measured[0] else new_nonce()
