"""An observer process: subscribe, take what comes without the GIL, count it by id; it reports through the arena alone.

It connects again where its connection is cut. The log is read on from what was confirmed, and what comes twice is told
by its place in it; notifications of the time between are gone, and that time is noted.
"""

from __future__ import annotations

import gc
import resource
import threading
import time
from collections.abc import Callable

import numpy as np
import psycopg

from pgflow_stress.core.arena import MOST_GAPS, Arena, Header, Stop, Word
from pgflow_stress.core.errors import StressError
from pgflow_stress.engine.child import lead
from pgflow_stress.engine.clock_relation import ClockRelation, relate
from pgflow_stress.engine.driver import make_account
from pgflow_stress.engine.observer_samples import Sampler
from pgflow_stress.engine.orders import ChildExit, ObserverOrder, State, flow_slugs
from pgflow_stress.engine.process import rss_peak_bytes
from pgflow_stress.engine.realtime_observer import RealtimeObserver
from pgflow_stress.engine.sizing import observer_regions
from pgflow_stress.engine.vitals import begin_window
from pgflow_stress.target.pooler import backend_of
from pgflow_stress_hot.clock import monotonic_ns
from pgflow_stress_hot.events import EventBook
from pgflow_stress_hot.following import follow_notify, follow_wal
from pgflow_stress_hot.pgoutput import Stream
from pgflow_stress_hot.recorder import Region

_DONE, _STOPPED, _LOST, _BROKEN = range(4)  # FollowEnd of ext/pgflow_stress_hot/following.pyx
_RECONNECT_SECONDS = 30.0  # a server that recovers from a crash refuses for a while
_FIRST_PAUSE_SECONDS = 0.02
_LONGEST_PAUSE_SECONDS = 1.0
_BARRIER_SLEEP_SECONDS = 0.002
_COPY_BOTH = psycopg.pq.ExecStatus.COPY_BOTH


def observe(arena: Arena, order: ObserverOrder) -> int:
    """The whole life of an observer; its exit code. Runs in the forked child."""
    kind = RealtimeObserver if order.transport == "realtime" else _Observer
    return lead(
        arena,
        order,
        f"observer {order.transport}",
        lambda region: kind(arena, order, region).live(),
        on_lost=ChildExit.REFUSED,  # it has tried again for as long as it may
    )


class _Observer:
    def __init__(self, arena: Arena, order: ObserverOrder, region: Region) -> None:
        self._arena = arena
        self._order = order
        self._words = arena.words[order.region]
        account = make_account(
            arena, region, order.region, order.first_run_id, flow_slugs(order.slug_prefix, order.work), order.work
        )
        self._book = EventBook(
            account, arena.received, arena.strays.view(np.uint8), [list(step.deps) for step in order.work.steps]
        )
        self._relation = ClockRelation(0, 0)
        if order.replaces_region is not None:
            dead = arena.words[order.replaces_region]
            for word in (Word.COMMIT_LSN, Word.COMMIT_POSITION, Word.CONFIRMED_LSN):
                self._words[word] = dead[word]

    def live(self) -> ChildExit:
        """Subscribe, follow until the end, stay until the coordinator has read what it left."""
        open_connection, follow = {
            "wal": (self._open_log, self._follow_log),
            "notify": (self._open_channel, self._follow_channel),
        }[self._order.transport]
        connection = self._connect(open_connection, time.monotonic() + _RECONNECT_SECONDS)
        gc.collect()
        gc.freeze()
        gc.disable()
        stop_sampling = threading.Event()
        sampler = Sampler(self._arena, self._order, stop_sampling)
        thread = threading.Thread(target=sampler.run, daemon=True)
        thread.start()
        if self._order.replaces_region is not None:
            self._note_gap(int(self._arena.words[self._order.replaces_region, Word.LAST_RECEIVED_NS]))
        begin_window(self._arena.vitals[self._order.region])
        self._words[Word.STATE] = State.PRIMED
        try:
            end, alive_ns = follow(connection)
            while end == _LOST:
                connection.close()
                self._words[Word.RECONNECTS] += 1
                connection = self._connect(open_connection, time.monotonic() + _RECONNECT_SECONDS)
                self._note_gap(alive_ns)
                end, alive_ns = follow(connection)
        finally:
            stop_sampling.set()
        self._words[Word.OBSERVER_CPU_NS] = _cpu_ns()
        self._words[Word.RSS_PEAK_BYTES] = rss_peak_bytes()
        if end == _BROKEN:
            raise StressError("the server's replication stream could not be read")
        self._words[Word.STATE] = State.PROCESSED
        connection.close()
        thread.join(timeout=2)
        while self._arena.header[Header.PHASE] < State.ENDED and self._arena.header[Header.STOP] < Stop.NOW:
            time.sleep(_BARRIER_SLEEP_SECONDS)
        self._words[Word.STATE] = State.ENDED
        return ChildExit.DONE

    def _connect(self, open_connection: Callable[[], psycopg.Connection], deadline: float) -> psycopg.Connection:
        pause_seconds = _FIRST_PAUSE_SECONDS
        while True:
            began_ns = monotonic_ns()
            try:
                connection = open_connection()
            except psycopg.OperationalError as error:
                stopped = self._arena.header[Header.STOP] >= Stop.NOW
                if stopped or time.monotonic() > deadline or _is_final(error):
                    raise
                time.sleep(pause_seconds)
                pause_seconds = min(2 * pause_seconds, _LONGEST_PAUSE_SECONDS)
                continue
            if not self._words[Word.SUBSCRIBE_NS]:
                self._words[Word.SUBSCRIBE_NS] = monotonic_ns() - began_ns
            self._words[Word.BACKEND_PID] = (
                connection.info.backend_pid if self._order.transport == "wal" else backend_of(connection)
            )
            self._words[Word.BACKEND_SOCKET] = connection.fileno()
            return connection

    def _open_log(self) -> psycopg.Connection:
        order = self._order
        self._relate_clocks()
        connection = psycopg.connect(
            order.conninfo,
            autocommit=True,
            replication="database",
            application_name=f"pgflow-stress: observer {order.transport}",
            connect_timeout=10,
        )
        confirmed = int(self._words[Word.CONFIRMED_LSN])
        done = connection.pgconn.exec_(
            f'START_REPLICATION SLOT "{order.slot}" LOGICAL {confirmed >> 32:X}/{confirmed & 0xFFFFFFFF:X} '
            f"(proto_version '1', publication_names '\"{order.publication}\"', messages 'true')".encode()
        )
        if done.status != _COPY_BOTH:
            message = connection.pgconn.get_error_message().strip()
            state = (done.error_field(psycopg.pq.DiagnosticField.SQLSTATE) or b"").decode()
            connection.close()
            raise _RefusedReplication(message, state)
        return connection

    def _relate_clocks(self) -> None:
        with psycopg.connect(self._order.conninfo, autocommit=True, connect_timeout=10) as connection:
            self._relation = relate(connection)
        self._words[Word.CLOCK_OFFSET_NS] = self._relation.offset_ns
        self._words[Word.CLOCK_ERROR_NS] = self._relation.error_ns

    def _follow_log(self, connection: psycopg.Connection) -> tuple[int, int]:
        stream = Stream(
            self._book,
            self._order.marker,
            int(self._words[Word.COMMIT_LSN]),
            int(self._words[Word.COMMIT_POSITION]),
            time.time_ns() - monotonic_ns() + self._relation.offset_ns,
        )
        return follow_wal(connection, stream, self._order.delay_ns), 0

    def _open_channel(self) -> psycopg.Connection:
        order = self._order
        connection = psycopg.connect(
            order.conninfo,
            autocommit=True,
            application_name=f"pgflow-stress: observer {order.transport}",
            connect_timeout=10,
        )
        connection.execute(f'listen "{order.channel}"'.encode())
        return connection

    def _follow_channel(self, connection: psycopg.Connection) -> tuple[int, int]:
        order = self._order
        end, alive_ns = follow_notify(connection, self._book, order.channel.encode(), order.marker, order.delay_ns)
        return int(end), int(alive_ns)

    def _note_gap(self, alive_ns: int) -> None:
        if self._order.transport != "notify" or not alive_ns:
            return
        gaps = int(self._arena.words[list(observer_regions(self._order.size)), Word.GAPS].sum())
        if gaps < MOST_GAPS:
            self._arena.gaps[gaps] = alive_ns, monotonic_ns()
        else:  # the last place holds all that come after
            self._arena.gaps[-1, 1] = monotonic_ns()
        self._words[Word.GAPS] += 1


class _RefusedReplication(psycopg.OperationalError):
    """START_REPLICATION was refused."""

    def __init__(self, message: str, state: str) -> None:
        super().__init__(message)
        self.sqlstate = state


def _is_final(error: psycopg.OperationalError) -> bool:
    # 55006: the slot is still held by the connection that was cut; 57: the server is on its way down or up.
    state = error.sqlstate or "08000"
    return state[:2] not in ("08", "57", "53") and state != "55006"


def _cpu_ns() -> int:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return round((used.ru_utime + used.ru_stime) * 1e9)
