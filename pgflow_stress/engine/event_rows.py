"""What the database says of a repetition's events: the final rows that tell what was sent, and what is stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg
from psycopg import sql

from pgflow_stress.core.arena import Arena
from pgflow_stress.core.events import EVENT_TYPES, EventKind, place_in_run
from pgflow_stress.core.ids import run_id
from pgflow_stress.engine.chosen import chosen_of
from pgflow_stress.engine.copying import pieces, triples
from pgflow_stress.engine.driver import make_account
from pgflow_stress.engine.orders import flow_slugs
from pgflow_stress.engine.private_books import new_region
from pgflow_stress.scenario.workload import Workload
from pgflow_stress.target.cleanup import topic_pattern
from pgflow_stress_hot.events import EventBook

Flags = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.uint8]

_INDEX = "(('x' || right(replace({run_id}::text, '-', ''), 15))::bit(60)::bigint & {mask})"
# status: 1 completed, 2 failed, 4 one that is not known
_RUNS = """
copy (select {index},
             case r.status when 'completed' then 1 when 'failed' then 2 when 'started' then 0 else 4 end::int4, 0::int4
      from pgflow.runs r where {of_r}) to stdout (format binary)
"""
# third: 1 has sent its step:started, and 2 * status: 1 completed, 2 failed, 3 skipped, 4 one that is not known
_STEPS = """
copy (select {index}, p.step_index::int4,
             (case when s.started_at is not null and s.initial_tasks > 0 then 1 else 0 end
              + 2 * case s.status when 'completed' then 1 when 'failed' then 2 when 'skipped' then 3
                    when 'created' then 0 when 'started' then 0 else 4 end)::int4
      from pgflow.step_states s join pgflow.steps p using (flow_slug, step_slug)
      where {of_s}) to stdout (format binary)
"""
_UNKNOWN = 4
_FAILED_TASKS = """
copy (select {index}, count(*)::int4, 0::int4 from pgflow.step_tasks k
      where {of_k} and k.status = 'failed' group by k.run_id) to stdout (format binary)
"""
_STORED = "copy (select topic, event from realtime.messages where topic like {topics}) to stdout (format binary)"
# What a row's payload says that it is, where its topic or name says otherwise.
_MISNAMED = """
select m.topic, m.event, m.payload ->> 'run_id', case when m.payload ? 'step_slug'
    then 'step:' || (m.payload ->> 'step_slug') || ':' || split_part(m.payload ->> 'event_type', ':', 2)
    else m.payload ->> 'event_type' end
from realtime.messages m
where (m.topic like {topics} or 'pgflow:run:' || (m.payload ->> 'run_id') like {topics}) and (
    m.topic is distinct from 'pgflow:run:' || (m.payload ->> 'run_id')
    or m.event is distinct from case when m.payload ? 'step_slug'
        then 'step:' || (m.payload ->> 'step_slug') || ':' || split_part(m.payload ->> 'event_type', ':', 2)
        else m.payload ->> 'event_type' end)
"""
# What a payload says of inputs and outputs, against the rows; a map's event says those of its tasks in their order.
# Each event looks its tasks up by their key: of a join with sums of theirs the planner, who knows nothing of these
# tables, makes a loop over all of them.
_MISSTATED = """
with said as materialized (
    select case when m.topic ~ '^pgflow:run:[0-9a-f-]{{36}}$' then substr(m.topic, 12)::uuid end as run_id,
           m.event, m.payload, m.payload ->> 'event_type' as kind, m.payload ->> 'step_slug' as step_slug
    from realtime.messages m where m.topic like {topics} and m.topic = 'pgflow:run:' || (m.payload ->> 'run_id')
)
select e.run_id || ' ' || e.event from said e join pgflow.runs r on r.run_id = e.run_id
where {of_r} and e.kind = any({kinds}) and (
    e.payload ->> 'status' is distinct from split_part(e.kind, ':', 2)
    or case e.kind
        when 'run:started' then e.payload -> 'input' is distinct from r.input
            or e.payload ->> 'flow_slug' is distinct from r.flow_slug
        when 'run:completed' then coalesce(e.payload -> 'output', 'null') <> coalesce(r.output, 'null')
            or e.payload ->> 'flow_slug' is distinct from r.flow_slug
        when 'step:completed' then e.payload -> 'output' is distinct from coalesce((
            select case p.step_type
                when 'map' then jsonb_agg(k.output order by k.task_index) else jsonb_agg(k.output) -> 0 end
            from pgflow.step_tasks k
            join pgflow.steps p on p.flow_slug = k.flow_slug and p.step_slug = k.step_slug
            where k.run_id = e.run_id and k.step_slug = e.step_slug and k.status = 'completed'
            group by p.step_type), '[]')
        else false end)
"""


@dataclass(frozen=True, slots=True)
class Cut:
    """A fault that took the observer's connection with it; stamps are CLOCK_MONOTONIC ns."""

    fault: str
    from_ns: int
    to_ns: int


@dataclass(frozen=True, slots=True)
class EventInput:
    """What the events are held against."""

    arena: Arena
    nonce: int
    slug_prefix: str
    work: Workload
    transport: str
    warnings: int  # of realtime.send, that an event could not be stored
    warning: str  # the first of them
    arrived: bool  # the marker at the end was received: what has not come will not
    lost: str = ""  # why the observer ended early for good
    cuts: tuple[Cut, ...] = ()  # by faults that took hold and cut the observer's connection as well
    answers: Mapping[str, int] = field(default_factory=dict)  # of Supabase Realtime, that are no events, by kind
    allow_rate_limit: bool = False


class EventRows:
    """Reads the database of a repetition, within the caller's snapshot."""

    def __init__(self, connection: psycopg.Connection[Any], given: EventInput) -> None:
        """Nothing is read yet."""
        self._connection = connection
        self._given = given
        self.book = book_of(given)
        self._places = given.arena.size.places
        self._run_flow = given.work.run_flow()
        self._steps_of_flow = given.work.flow_steps()[:, 1]
        self._parts = {
            **chosen_of(given.work, given.slug_prefix, given.nonce).parts(),
            "topics": sql.Literal(topic_pattern(given.nonce)),
            "kinds": sql.Literal(list(EVENT_TYPES)),
        }

    def _query(self, text: str, table: str = "") -> Any:
        index = sql.SQL(_INDEX).format(
            run_id=sql.SQL(f"{table}.run_id" if table else "run_id"), mask=sql.Literal((1 << 58) - 1)
        )
        return sql.SQL(text).format(index=index, **self._parts)

    def final(self) -> tuple[Flags, Flags, Flags]:
        """(what the final rows say was sent, which runs completed, which have a status that is not known)."""
        found = np.zeros((self._given.work.runs, self._places), dtype=bool)
        completed, unjudged = (np.zeros(self._given.work.runs, dtype=bool) for _ in range(2))
        for rows in triples(self._connection, self._query(_RUNS, "r")):
            runs, status = rows["first"].astype(np.int64), rows["second"]
            known = runs < self._given.work.runs
            found[runs[known], place_in_run(EventKind.RUN_STARTED)] = True
            found[runs[known & (status == 1)], place_in_run(EventKind.RUN_COMPLETED)] = True
            found[runs[known & (status == 2)], place_in_run(EventKind.RUN_FAILED)] = True
            completed[runs[known & (status == 1)]] = True
            unjudged[runs[known & (status == _UNKNOWN)]] = True
        first = place_in_run(EventKind.STEP_STARTED)
        for rows in triples(self._connection, self._query(_STEPS, "s")):
            runs, steps, says = (rows[name].astype(np.int64) for name in ("first", "second", "third"))
            known = runs < self._given.work.runs
            runs, steps, says = runs[known], steps[known], says[known]
            known = steps < self._steps_of_flow[self._run_flow[runs]]
            runs, steps, says = runs[known], steps[known], says[known]
            places = first + steps * (place_in_run(EventKind.STEP_STARTED, 1) - first)
            started = says % 2 == 1
            found[runs[started], places[started]] = True
            unjudged[runs[says // 2 == _UNKNOWN]] = True
            ended = (says >= 2) & (says // 2 < _UNKNOWN)
            found[runs[ended], places[ended] + says[ended] // 2] = True
        return found, completed, unjudged

    def stored(self) -> tuple[Counts, list[str]]:
        """(rows of realtime.messages by place, those of our runs without a place in words)."""
        stored = np.zeros(self._given.work.runs * self._places, dtype=np.uint8)
        strays: list[str] = []

        def use(piece: bytes) -> int:
            used, _, found = self.book.count_stored(piece, stored)
            strays.extend(f"{run_id(self._given.nonce, run)} {name.decode(errors='replace')}" for run, name in found)
            return int(used)

        pieces(self._connection, self._query(_STORED), use)
        return stored.reshape((self._given.work.runs, self._places)), strays

    def misnamed(self) -> dict[str, list[tuple[str, int]]]:
        """By what is wrong: (the row in words, the place that its payload says; -1 where it says none of ours)."""
        found: dict[str, list[tuple[str, int]]] = {"wrong topic": [], "wrong type": []}
        for topic, event, said_run, said_event in self._connection.execute(self._query(_MISNAMED)):
            said = f"{said_run} {said_event}"
            _, place = self.book.find(f"pgflow:run:{said_run}".encode(), str(said_event).encode())
            if topic != f"pgflow:run:{said_run}":
                found["wrong topic"].append((f"{said} on {topic}", place))
            else:
                found["wrong type"].append((f"{said} as {event}", place))
        return found

    def misstated(self) -> list[str]:
        """Events whose payload tells another status, input or output than the rows have."""
        return [text for (text,) in self._connection.execute(self._query(_MISSTATED))]

    def failed_tasks(self) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
        """(run indexes, how many of each run's tasks failed for good), in parts."""
        for rows in triples(self._connection, self._query(_FAILED_TASKS, "k")):
            yield rows["first"].astype(np.int64), rows["second"].astype(np.int64)


def book_of(given: EventInput) -> EventBook:
    """A reader of the same books, on a region of its own; it only reads."""
    arena, work = given.arena, given.work
    slugs = flow_slugs(given.slug_prefix, work)
    account = make_account(arena, new_region(1).region, 0, run_id(given.nonce, 0).bytes, slugs, work)
    return EventBook(account, arena.received, arena.strays.view(np.uint8), [list(step.deps) for step in work.steps])
