"""What the coordinator asks of the nursery and of each of its children: plain data, sent through a pipe."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

from pgflow_stress.core.arena import ArenaSize
from pgflow_stress.scenario.options import RealtimeAccess, RunOptions
from pgflow_stress.scenario.workload import Workload
from pgflow_stress.target.base import Pooler, PoolMode

OURS = "pgflow-stress: "  # how the application_name of each of our connections begins


class Role(StrEnum):
    """What a child of the nursery is there for."""

    WORKER = "worker"
    STARTER = "starter"
    OBSERVER = "observer"
    SAMPLER = "sampler"
    PROXY = "proxy"
    INTERFERER = "interferer"


class State(IntEnum):
    """Where a worker stands: its state word. It waits for the phase of the same value before it goes on.

    A starter has started when no run is left to be started. An observer is primed when it receives, and processed when
    it has received all that it should. A sampler is primed when it can sample, and started when it does.
    """

    BORN = 0
    CONNECTED = 1
    PRIMED = 2
    CREATED = 3
    STARTED = 4
    PROCESSED = 5
    ENDED = 6


class Sampling(IntEnum):
    """What the coordinator tells the sampler, by the word of `House.TO_SAMPLER`."""

    WAIT = 0
    GO = 1
    END = 2  # the window is over: take the last readings, then end


class ChildExit(IntEnum):
    """How a child's process ends; the reason for 3 and 4 is in its errors in the arena."""

    DONE = 0
    LOST_CONNECTION = 3
    REFUSED = 4  # by the server, for good
    BROKEN = 5  # a defect of ours


@dataclass(frozen=True, slots=True)
class WorkerOrder:
    """Everything that one worker needs to know."""

    region: int  # of the arena: its own from birth to death
    slot: int  # its part of the work: flows, runs and queues are dealt by slot
    size: ArenaSize
    conninfo: str
    embedded: bool  # which libpq fits: the embedded server's own, or the system's
    worker_id: bytes  # 16 bytes
    first_run_id: bytes  # 16 bytes: the id of run 0
    slug_prefix: str
    work: Workload
    options: RunOptions
    cpus: tuple[int, ...] = ()  # that the worker runs on; any, where none is named
    backend_cpus: tuple[int, ...] = ()  # that its backend runs on
    replaces_region: int | None = None
    replaces_worker_id: bytes | None = None
    replaces_earlier: tuple[bytes, ...] = ()  # those that this one had replaced, maybe without adopting what they left
    role: Role = Role.WORKER  # or STARTER, which starts runs and does nothing else
    starts: bool = True  # a worker: whether it starts the runs of its slot before it works
    pooler: Pooler | None = None  # that its connections go through

    @property
    def shares_backends(self) -> bool:
        """Whether a pooler gives each transaction of its another backend."""
        return shares_backends(self.pooler)

    def application_name(self, title: str) -> str:
        """What its connections are called.

        One name for all where backends are shared: a pooler sets it anew each time a backend goes from one client to
        another of another name.
        """
        return f"{OURS}{title}" if not self.shares_backends else pooled_name(self.slug_prefix)


@dataclass(frozen=True, slots=True)
class ObserverOrder:
    """Everything that an observer needs to know."""

    region: int
    size: ArenaSize
    conninfo: str
    embedded: bool
    transport: str  # "wal", "notify" or "realtime"
    first_run_id: bytes
    slug_prefix: str
    work: Workload
    marker: bytes  # what ends it begins with this, its number follows
    slot: str = ""  # of "wal", with the publication
    publication: str = ""
    channel: str = ""  # of "notify"; of "realtime" the topic that ends are marked on
    realtime: RealtimeAccess | None = None  # of "realtime"
    delay_ns: int = 0  # an event
    cpus: tuple[int, ...] = ()
    replaces_region: int | None = None
    role: Role = Role.OBSERVER


@dataclass(frozen=True, slots=True)
class SamplerOrder:
    """Everything that a sampler needs to know."""

    region: int
    size: ArenaSize
    conninfo: str
    embedded: bool
    level: str  # "light" or "full"
    interval_ns: int
    coordinator_pid: int
    pooler_admin_dsn: str | None = field(default=None, repr=False)
    cpus: tuple[int, ...] = ()
    replaces_region: int | None = None  # it is not replaced
    profiled: bool = False  # whether it is asked, too, which backends are executing and which of those are held up
    role: Role = Role.SAMPLER


@dataclass(frozen=True, slots=True)
class ProxyOrder:
    """Everything that a proxy in front of the server needs to know; it has no region of the arena."""

    name: str  # of the socket on which it is told what to do
    listen: str  # path of the socket that workers connect to; "": a port of the loopback, which it says
    server: str | tuple[str, int]  # path of the server's, or its address and port
    conninfo: str
    embedded: bool
    region: int = -1
    role: Role = Role.PROXY


@dataclass(frozen=True, slots=True)
class InterferenceOrder:
    """Everything that the process of one interference needs to know; it has no region of the arena."""

    name: str  # of the kind
    control: str  # name of the socket on which it is told what to do
    conninfo: str
    embedded: bool
    slug_prefix: str
    own_name: str  # of what it makes that is not pgflow's: the repetition's
    own_database: bool  # whether all of the database is ours
    seed: int
    count: int | None = None
    cpus: tuple[int, ...] = ()
    region: int = -1
    role: Role = Role.INTERFERER


RegionOrder = WorkerOrder | ObserverOrder | SamplerOrder  # of those that report through the arena
Order = RegionOrder | ProxyOrder | InterferenceOrder


@dataclass(frozen=True, slots=True)
class Exited:
    """The nursery says that a child's process has ended. exitcode < 0: by that signal."""

    role: Role
    region: int
    pid: int
    exitcode: int


def shares_backends(pooler: Pooler | None) -> bool:
    """Whether each transaction of a client may have another backend."""
    return pooler is not None and pooler.mode is PoolMode.TRANSACTION


def pooled_name(slug_prefix: str) -> str:
    """The application_name of every connection of a repetition through a pooler that shares backends."""
    return f"{OURS}worker of {slug_prefix.rstrip('_')}"


def flow_slugs(prefix: str, work: Workload) -> list[bytes]:
    """Slugs of the measured flows: of one length, in the order of their indexes; of a deployed flow its own."""
    if work.deployed is not None:
        return [work.deployed.encode()]
    width = len(str(work.flows - 1))
    return [f"{prefix}f{index:0{width}d}".encode() for index in range(work.flows)]


def prime_slugs(prefix: str, region: int, flows: int) -> list[bytes]:
    """The slugs of the flows that a process primes on."""
    return [f"{prefix}p{region}_{index}".encode() for index in range(flows)]
