"""Priming: each worker drives a throw-away flow of the same shape on the connection that it will be measured on.

Until its statements have generic plans (the server plans each prepared statement anew five times) and its caches are
warm. The flow's slug and run ids are its own, its books are private memory: nothing of it is counted or audited.
"""

from __future__ import annotations

import dataclasses
import secrets
import uuid
from collections.abc import Sequence
from typing import Any

from pgflow_stress.core.arena import Word
from pgflow_stress.core.errors import RunFailed
from pgflow_stress.core.ids import new_nonce, run_id, split_run_id
from pgflow_stress.engine.driver import END_DONE, Driver
from pgflow_stress.engine.orders import WorkerOrder, prime_slugs
from pgflow_stress.engine.private_books import new_books
from pgflow_stress.engine.statements import INT4, TEXT, UUID, texts_of
from pgflow_stress.scenario.durations import NO_WORK
from pgflow_stress.scenario.options import Mode
from pgflow_stress_hot.wire import encode_array

PRIME_TASKS = 48
PRIMED_FAILURES = 6
PRIME_BATCH = 8  # tasks a statement: six of each kind, one more than are planned anew


def prime(order: WorkerOrder, connection: Any, pool: Sequence[Any] = ()) -> int:
    """Drive the throw-away flow, without simulated work; mean ns a task of the process phase.

    Args:
        pool: connections beside it that the worker works on as well.

    Raises:
        RunFailed: the server refused it, or the connection was lost; the message says how.
    """
    work = order.work.sample(PRIME_TASKS)
    options = dataclasses.replace(
        order.options,
        workers=1,
        poll_size=min(PRIME_BATCH, order.options.poll_size),
        completion_batch_size=min(PRIME_BATCH, order.options.completion_batch_size),
        work=NO_WORK,
    )
    small = dataclasses.replace(order, slot=0, work=work, options=options, starts=True)
    nonce = nonce_before(order.first_run_id)
    books = new_books(work, prime_slugs(order.slug_prefix, order.region, work.flows), nonce, rows=1)
    small = dataclasses.replace(small, first_run_id=run_id(nonce, 0).bytes)
    driver = Driver(small, books.account, connection, books.header, PRIME_BATCH, pool, texts_of(order))
    for name, drive in (("create", driver.create), ("start", driver.start), ("process", driver.process)):
        if drive() != END_DONE:
            refusal = books.private.errors[0]
            raise RunFailed(
                f"priming could not {name}: {refusal['sqlstate'].decode()} {refusal['text'].decode(errors='replace')}"
            )
    if order.work.failing is not None:
        _plan_failures(order, connection)
        for one in pool:
            for _ in range(PRIMED_FAILURES):
                one.execute("select pgflow.fail_task(%s, 'none', 0, 'none')", (uuid.UUID(int=0),))
    words = books.private.words
    completed = max(1, int(words[Word.TASKS_COMPLETED]))
    return int(words[Word.PROCESS_TO_NS] - words[Word.PROCESS_FROM_NS]) // completed


def _plan_failures(order: WorkerOrder, connection: Any) -> None:
    """fail_task for a task that is none, which pgflow answers without a row: so the statement is planned."""
    task: list[bytes] = [bytes(16), b"none", bytes(4)]
    if order.options.completion is Mode.BATCH:
        task = [encode_array(UUID, [bytes(16)]), encode_array(TEXT, [b"none"]), encode_array(INT4, [0])]
    values, sent_whole = [*task, b"none"], [text for text in texts_of(order) if text[0] == b"fail"]
    for _ in range(PRIMED_FAILURES):
        if sent_whole:
            _, sql, types = sent_whole[0]
            result = connection.pgconn.exec_params(sql, values, types, [1] * len(values), 1)
        else:
            result = connection.pgconn.exec_prepared(b"fail", values, [1] * len(values), 1)
        if result.error_message:
            raise RunFailed(f"priming could not fail: {result.error_message.decode(errors='replace').strip()}")


def nonce_before(first_run_id: bytes) -> int:
    """A nonce whose run ids sort before the measured ones.

    After what is there an index grows by other page splits than before it: left to chance, every second repetition
    would need 1 % more buffers and WAL.
    """
    measured = split_run_id(uuid.UUID(bytes=first_run_id))
    return secrets.randbelow(measured[0]) if measured and measured[0] else new_nonce()
