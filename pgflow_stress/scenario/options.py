"""Everything that can be asked of `run`, resolved from command line, environment and file; no default is left open."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

from pgflow_stress.core.errors import UsageFault
from pgflow_stress.scenario.durations import NO_WORK, SimulatedWork
from pgflow_stress.scenario.faults import FaultSpec
from pgflow_stress.scenario.interference import InterferenceSpec
from pgflow_stress.scenario.own import OwnFlow
from pgflow_stress.scenario.schedule import Arrival, Late, Stage
from pgflow_stress.scenario.soak import PruneSpec


class Mode(StrEnum):
    """How statements are sent, of creation, start and completion alike."""

    SINGLE = "single"  # a statement each and waited for
    PIPELINE = "pipeline"  # a statement and a Sync each, bounded in flight
    BATCH = "batch"  # one statement for many


class Orphans(StrEnum):
    """What a replacement does with tasks that its dead worker had claimed."""

    COMPLETE = "complete"
    FAIL = "fail"
    LEAVE = "leave"


@dataclass(frozen=True, slots=True)
class Deal:
    """How runs are dealt to flows: `even`, `hot:SHARE` of them to the first flow, `zipf:S` by rank."""

    kind: str = "even"
    value: float = 0.0

    def __str__(self) -> str:
        return self.kind if self.kind == "even" else f"{self.kind}:{self.value:g}"

    def weights(self, flows: int) -> tuple[float, ...]:
        """Of each flow; empty where all are alike. Zipf: 1 / rank ^ S."""
        if self.kind == "even" or flows == 1:
            return ()
        if self.kind == "zipf":
            return tuple(1.0 / (index + 1) ** self.value for index in range(flows))
        return (self.value, *[(1.0 - self.value) / (flows - 1)] * (flows - 1))


def parse_deal(text: str) -> Deal:
    """Read `even`, `hot:SHARE` or `zipf:S`.

    Raises:
        UsageFault: anything else.
    """
    kind, _, rest = text.partition(":")
    try:
        if kind == "even" and not rest:
            return Deal()
        if kind == "hot" and 0 < float(rest) < 1:
            return Deal("hot", float(rest))
        if kind == "zipf" and 0 < float(rest) <= 10:
            return Deal("zipf", float(rest))
    except ValueError:
        pass
    raise UsageFault(f"--deal {text!r}: give even, hot:SHARE (hot:0.9) or zipf:S (zipf:1.2)")


@dataclass(frozen=True, slots=True)
class EmptyPoll:
    """What an idle worker does: `spin`, `sleep:MS` or `read-with-poll:S,MS`."""

    kind: str = "sleep"
    sleep_ms: float = 1.0
    max_poll_seconds: int = 2
    poll_interval_ms: int = 100

    def __str__(self) -> str:
        if self.kind == "sleep":
            return f"sleep:{self.sleep_ms:g}"
        if self.kind == "read-with-poll":
            return f"read-with-poll:{self.max_poll_seconds},{self.poll_interval_ms}"
        return self.kind


def parse_empty_poll(text: str) -> EmptyPoll:
    """Read `spin`, `sleep:MS` or `read-with-poll:S,MS`.

    Raises:
        UsageFault: anything else.
    """
    kind, _, rest = text.partition(":")
    try:
        if kind == "spin" and not rest:
            return EmptyPoll("spin")
        if kind == "sleep" and 0 < float(rest) <= 60_000:
            return EmptyPoll("sleep", sleep_ms=float(rest))
        if kind == "read-with-poll":
            seconds, interval = rest.split(",")
            if 1 <= int(seconds) <= 3600 and 1 <= int(interval) <= 60_000:
                return EmptyPoll("read-with-poll", max_poll_seconds=int(seconds), poll_interval_ms=int(interval))
    except ValueError:
        pass
    raise UsageFault(
        f"--empty-poll {text!r}: give spin, sleep:MS (sleep:1) or read-with-poll:S,MS (read-with-poll:2,100)"
    )


def default_workers() -> int:
    """A worker a core that this process may use, at most 8."""
    return max(1, min(8, len(os.sched_getaffinity(0))))


@dataclass(frozen=True, slots=True)
class RealtimeAccess:
    """Where Supabase Realtime is, and what it lets us in with; the secrets are in no result and no message."""

    url: str  # without what its client puts behind it: wss://PROJECT.supabase.co/realtime/v1
    key: str = field(repr=False)  # the project's
    jwt: str | None = field(default=None, repr=False)  # that channels are joined with; None: the key
    private: bool = False  # whether private channels are joined: pgflow sends to public ones

    @property
    def place(self) -> str:
        """The URL without what may be secret in it."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Options of `run` that shape the load; None means the scenario's own default."""

    workers: int = field(default_factory=default_workers)
    steps: int | None = None  # the scenario's size: what its `size` parameter is called
    parameters: tuple[tuple[str, int | float | str], ...] = ()  # of the scenario, by name
    own_flows: tuple[OwnFlow, ...] = ()  # the user's, as they were read
    scenario_file: str | None = None  # the name of the file that said all this
    deal: Deal = field(default_factory=Deal)
    flows: int | None = None
    runs: int | None = None
    scale: float = 1.0
    creation: Mode = Mode.BATCH
    completion: Mode = Mode.BATCH
    completion_batch_size: int = 20
    poll_size: int = 20
    in_flight_statements: int = 32  # most statements in flight of a pipeline
    empty_poll: EmptyPoll = field(default_factory=EmptyPoll)
    vt_seconds: int | None = None  # None: 15, more where the measured cycle needs it
    payload_bytes: int = 32
    orphans: Orphans = Orphans.COMPLETE
    timeout_seconds: float = 600.0
    drain_timeout_seconds: float = 10.0
    stall_timeout_seconds: float = 30.0
    repetitions: int = 5
    precision: float | None = None  # a share; not None: repetitions are a pilot, which says how many it takes
    warmup: int = 1
    seed: int = 1
    in_flight: int | None = None  # runs, of a closed load
    stages: tuple[Stage, ...] = ()  # of an open load: what --rate and --duration say, or --stages
    arrival: Arrival = Arrival.CONSTANT
    late: Late = Late.KEEP
    starters: int | None = None  # None: as many as the load model needs
    duration_seconds: float | None = None  # after which no run is started any more
    events: str = "none"  # the observer's transport
    realtime: RealtimeAccess | None = None  # of the transport realtime
    allow_rate_limit: bool = False  # whether Realtime may refuse by its limits without failing the run
    observer_delay_ms: float = 0.0  # an event, for testing
    observer_cost: bool = False  # repetitions with and without the observer, interleaved
    client_delay_ns: int = 0  # of CPU time a task, for testing and for --probe-client
    probe_client: bool = False  # repetitions with one more worker, and with more client cost a task, interleaved
    history: int | None = None  # finished tasks that a database is aged by; None: what the purpose asks for
    planner_statistics: str = "none"  # or "backlog": taken of what was started, before it is processed
    telemetry: str = "light"  # off, light or full
    telemetry_interval_seconds: float = 1.0
    telemetry_cost: bool = False  # repetitions with and without telemetry, interleaved
    pooler_admin_dsn: str | None = field(default=None, repr=False)  # of PgBouncer's console; may hold a password
    profiled: bool = False  # whether it is told where the server's time went, statement by statement
    call_graphs: bool = False  # of a profile: whether perf samples them
    worker_model: str = "ceiling"
    work: SimulatedWork = NO_WORK  # what each task's handler takes, simulated
    concurrency: int | None = None  # tasks in hand a worker; None: what a poll brings
    max_pg_connections: int = 4  # of a worker, of the model edge-worker
    heartbeat_seconds: float = 5.0  # likewise: between two of them
    faults: tuple[FaultSpec, ...] = ()  # that strike while workers work
    interference: tuple[InterferenceSpec, ...] = ()  # what else goes on meanwhile
    soak: bool = False  # whether the course of a long load is told, window by window
    prunes: tuple[PruneSpec, ...] = ()  # the user's own jobs of retention, while workers work
    reconnect_seconds: float = 0.0  # how long a lost connection is tried to be had again; 0: its worker is replaced
    pin: tuple[tuple[str, tuple[int, ...]], ...] = ()  # role -> CPUs; roles: coordinator, worker, postgres
    purpose: str = "compare"
    host_id: str | None = None  # of a host among several that load one database

    @property
    def arrival_seed(self) -> int:
        """Of the schedule: hosts with one seed and one schedule would all send at the same moments."""
        if self.host_id is None:
            return self.seed
        digest = hashlib.sha256(f"{self.seed} {self.host_id}".encode()).digest()
        return int.from_bytes(digest[:8]) >> 1
