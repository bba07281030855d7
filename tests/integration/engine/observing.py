"""A database with an observer on it, driven by hand: pgflow's own functions, one call after another."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg

from pgflow_stress.core.arena import Arena, Header, Stop, Word
from pgflow_stress.core.ids import new_nonce, run_id
from pgflow_stress.engine.audit import snapshot
from pgflow_stress.engine.control import Control
from pgflow_stress.engine.event_accounts import EventFindings, account_for_events
from pgflow_stress.engine.event_rows import EventInput
from pgflow_stress.engine.interrupts import Interrupts
from pgflow_stress.engine.nursery import Nursery
from pgflow_stress.engine.observation import Means, Observation
from pgflow_stress.engine.orders import State, flow_slugs
from pgflow_stress.engine.sizing import arena_size
from pgflow_stress.scenario.flow import FlowShape
from pgflow_stress.scenario.options import RunOptions
from pgflow_stress.scenario.plan import Plan
from pgflow_stress.scenario.workload import workload
from pgflow_stress.target.base import Target

_PATIENCE_SECONDS = 60.0
_WARNING = "ErrorSendingBroadcastMessage"


@dataclass
class Observed:
    """Runs of one flow in a database of their own, and who watches them."""

    connection: psycopg.Connection[Any]
    arena: Arena
    control: Control
    observation: Observation
    plan: Plan
    nonce: int
    slug: str
    warnings: list[str] = field(default_factory=list)

    def create(self, max_attempts: int = 3) -> None:
        """The flow, as its shape says."""
        steps = self.plan.shape.steps
        self.connection.execute("select pgflow.create_flow(%s, %s, 0)", (self.slug, max_attempts))
        for step in steps:
            self.connection.execute(
                "select pgflow.add_step(%s, %s, deps_slugs => %s, step_type => %s)",
                (self.slug, step.slug, [steps[dep].slug for dep in step.deps], step.kind),
            )

    def start(self, run: int, given: object = None) -> None:
        """Start a run."""
        self.connection.execute(
            "select pgflow.start_flow(%s, %s::jsonb, %s)",
            (self.slug, json.dumps({} if given is None else given), run_id(self.nonce, run)),
        )

    def work(self, output_of: Callable[[str, int], object] = lambda _step, _attempt: {}) -> None:
        """Work until no message is left; a step whose output is an Exception fails its task."""
        (worker,) = self.connection.execute("select gen_random_uuid()").fetchone() or (None,)
        self.connection.execute(
            "insert into pgflow.workers (worker_id, queue_name, function_name) values (%s, %s, 'test')",
            (worker, self.slug),
        )
        attempts: dict[tuple[Any, ...], int] = {}
        while True:
            rows = self.connection.execute("select msg_id from pgmq.read(%s, 60, 50)", (self.slug,)).fetchall()
            if not rows:
                left = self.connection.execute(f'select count(*) from pgmq."q_{self.slug}"').fetchone()
                if not left or not left[0]:
                    return
                time.sleep(0.05)  # a retry's message becomes visible a little later
                continue
            tasks = self.connection.execute(
                "select run_id, step_slug, task_index from pgflow.start_tasks(%s, %s, %s)",
                (self.slug, [one for (one,) in rows], worker),
            ).fetchall()
            for task in tasks:
                attempts[task] = attempts.get(task, 0) + 1
                output = output_of(task[1], attempts[task])
                if isinstance(output, Exception):
                    self.connection.execute("select pgflow.fail_task(%s, %s, %s, %s)", (*task, str(output)))
                else:
                    self.connection.execute(
                        "select pgflow.complete_task(%s, %s, %s, %s::jsonb)", (*task, json.dumps(output))
                    )

    def deliver(self, seconds: float = _PATIENCE_SECONDS) -> bool:
        """Send the end and wait for it; whether it came."""
        deadline = time.monotonic() + seconds
        while not self.observation.arrived() and time.monotonic() < deadline:
            self.observation.mark()
            self.observation.watch(0)
            time.sleep(0.005)
        return self.observation.arrived()

    def account(self) -> EventFindings:
        """The three counts and what is between them."""
        lost = [text for text in self.warnings if _WARNING in text]
        given = EventInput(
            self.arena, self.nonce, self.plan_prefix, self.plan.work, self.observation.transport,
            len(lost), lost[0] if lost else "", self.observation.arrived(), self.observation.lost,
        )  # fmt: skip
        with snapshot(self.connection):
            return account_for_events(self.connection, given)

    @property
    def plan_prefix(self) -> str:
        return self.slug[: self.slug.rindex("_") + 1]

    @property
    def words(self) -> Any:
        """Sum of the observers' words."""
        return self.arena.words.sum(axis=0)

    def cut(self) -> None:
        """End the observer's backend, and wait until it is back."""
        before = int(self.words[Word.RECONNECTS])
        pid = int(self.arena.words[self.observation._order.region, Word.BACKEND_PID])
        self.connection.execute("select pg_terminate_backend(%s)", (pid,))
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while int(self.words[Word.RECONNECTS]) == before and time.monotonic() < deadline:
            time.sleep(0.005)
        while int(self.arena.words[self.observation._order.region, Word.BACKEND_PID]) == pid:
            assert time.monotonic() < deadline
            time.sleep(0.005)


@contextlib.contextmanager
def observed(target: Target, shape: FlowShape, transport: str, runs: int = 3, **options: Any) -> Iterator[Observed]:
    """An observed database; nothing is left of it afterwards."""
    plan = Plan(
        "by-hand", workload(shape, 1, runs), "backlog-drain", RunOptions(workers=1, events=transport, **options)
    )
    arena = Arena(arena_size(plan))
    arena.deal(plan.work.run_flow(), plan.work.first_task())
    nursery = Nursery(arena)
    nonce = new_nonce()
    try:
        database = target.acquire(nonce)
        try:
            with psycopg.connect(database.conninfo, autocommit=True) as connection:
                control = Control(database.conninfo)
                observation = Observation(
                    Means(arena, nursery, control, Interrupts()), plan, database, target.embedded, nonce
                )
                slug = flow_slugs(database.slug_prefix, plan.work)[0].decode()
                made = Observed(connection, arena, control, observation, plan, nonce, slug)
                connection.add_notice_handler(lambda notice: made.warnings.append(str(notice.message_primary)))
                try:
                    yield made
                finally:
                    if not observation.arrived():
                        arena.header[Header.STOP] = Stop.NOW
                    arena.header[Header.PHASE] = State.ENDED
                    assert observation.wait_for_end(10)
                    assert not observation.close()
                    control.close()
        finally:
            assert not target.release(database).leftovers
    finally:
        nursery.close()
        arena.close()
