"""Dask's cluster: its scheduler, one agent on each of its hosts, and the lines by which they are led."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgflow_stress.core.errors import RunFailed, SetUpFault
from pgflow_stress.core.result import Json
from pgflow_stress.engine.hosts.agent import (
    AgentOrder,
    AgentReport,
    about,
    be_deaf,
    distributed,
    lines,
    look,
    run_agent,
)

_QUIET = Path(__file__).with_name("dask.json")  # scripts/dask hands it to the processes that it becomes
_CONNECT_SECONDS = 10.0
_LOOK_SECONDS = 120.0
_TICK_SECONDS = 0.1
_SEEN_EVERY_SECONDS = 1.0
_INSTALL = "type: scripts/stress run --hosts …, which installs it, or pip install 'pgflow-stress[dask]'"


@dataclass(frozen=True, slots=True)
class Agent:
    """One host's, on a Dask worker of it."""

    host: str
    address: str  # the Dask worker's


class Cluster:
    """A context manager: connected to a scheduler, or with one of its own on this machine."""

    def __init__(self, hosts: str, local: int | None) -> None:
        """Nothing is connected yet.

        Args:
            hosts: as it was typed.
            local: how many agents are to be here; None: the scheduler at `hosts` has them.
        """
        self._hosts = hosts
        self._local = local
        self._stack = contextlib.ExitStack()
        self._client: Any = None
        self.agents: tuple[Agent, ...] = ()

    def __enter__(self) -> Cluster:
        """Connect, and choose a worker on each host.

        Raises:
            SetUpFault: Dask is not installed, nobody answers, or there is no worker.
        """
        try:
            package = distributed()
        except ImportError:
            raise SetUpFault(f"--hosts needs Dask, which is not installed; {_INSTALL}") from None
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        with contextlib.ExitStack() as stack, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a slow disk, for one: nobody here could do anything about it
            address = self._hosts if self._local is None else self._start(stack, self._local)
            try:
                self._client = stack.enter_context(
                    package.Client(address, timeout=_CONNECT_SECONDS, name="pgflow-stress")
                )
            except (OSError, TimeoutError, ValueError) as error:
                raise SetUpFault(
                    f"no Dask scheduler answers at {address} ({_one_line(error)}): start one there, "
                    "scripts/dask scheduler, and on each host scripts/dask worker tcp://HOST:8786 --nthreads 1"
                ) from None
            self.agents = self._choose()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_exception: object) -> None:
        """Disconnect; what was started here ends."""
        self._stack.close()

    def _start(self, stack: contextlib.ExitStack, agents: int) -> str:
        import dask  # noqa: PLC0415  an extra

        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="pgflow-stress-dask-"))
        # Dask looks at its own processes a hundred times a second, on the cores that are measured.
        quiet = dask.config.merge(dask.config.config, json.loads(_QUIET.read_text(encoding="utf-8")))
        stack.enter_context(dask.config.set({"distributed": quiet["distributed"], "temporary-directory": folder}))
        cluster = stack.enter_context(
            distributed().LocalCluster(
                n_workers=agents, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None,
                memory_limit=0, silence_logs=logging.CRITICAL,
            )
        )  # fmt: skip
        cluster.wait_for_workers(agents, timeout=_LOOK_SECONDS)
        return str(cluster.scheduler_address)

    def _choose(self) -> tuple[Agent, ...]:
        """A worker a host; here each worker stands for one."""
        workers = self._workers()
        if not workers:
            raise SetUpFault(
                f"the Dask scheduler at {self._hosts} has no worker: on each host type "
                f"scripts/dask worker {self._hosts} --nthreads 1"
            )
        if self._local is not None:
            return tuple(Agent(f"local-{n}", address) for n, address in enumerate(sorted(workers), 1))
        by_host: dict[str, str] = {}
        for address in sorted(workers):
            by_host.setdefault(str(workers[address]["host"]), address)
        return tuple(Agent(_named(host), address) for host, address in sorted(by_host.items()))

    def _workers(self) -> dict[str, Json]:
        # Not scheduler_info(): what the client keeps of it is renewed in the background, and then without its workers.
        return dict(self._client.sync(self._client.scheduler.identity, n_workers=-1)["workers"])

    def ask(self, function: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
        """Call a function on every agent's worker, with the host's name first; the answers by host.

        Raises:
            SetUpFault: one did not answer.
        """
        futures = {agent: self._submit(agent, function, agent.host, *arguments) for agent in self.agents}
        found = {}
        for agent, future in futures.items():
            try:
                found[agent.host] = future.result(timeout=_LOOK_SECONDS)
            except ModuleNotFoundError as error:
                raise SetUpFault(
                    f"host {agent.host}: {error.name} is not installed where its Dask worker runs: start it there with "
                    f"scripts/dask worker {self._hosts} --nthreads 1"
                ) from None
            except Exception as error:  # whatever happens over there, it is one line here
                raise SetUpFault(f"host {agent.host}: its agent does not answer: {_one_line(error)}") from None
        return found

    def check_versions(self, ours: str) -> None:
        """Whether every host has this tool in this version.

        Raises:
            SetUpFault: one has another.
        """
        for host, told in self.ask(_about).items():
            if told["version"] != ours:
                raise SetUpFault(
                    f"host {host} has pgflow-stress {told['version']}, and this is {ours}: install the same everywhere"
                )

    def check_clocks(self, conninfo: str, server: str, *, allow_remote: bool) -> None:
        """Whether every host reaches this very database, and its clock can be related to it.

        Raises:
            SetUpFault: one does not.
        """
        for host, told in self.ask(look, conninfo, allow_remote).items():
            if "code" in told:
                why = str(told["why"]).strip().splitlines()
                raise SetUpFault(f"host {host}: {why[-1].removeprefix('pgflow-stress: ') if why else told['code']}")
            if told["server"] != server:
                raise SetUpFault(
                    f"host {host} reaches another database by the same words: give --dsn a name or an address that "
                    "means one server on every host"
                )

    def _submit(self, agent: Agent, function: Callable[..., Any], *arguments: Any) -> Any:
        return self._client.submit(
            function, *arguments, workers=[agent.address], allow_other_workers=False, pure=False, retries=0
        )

    def lead(self, topic: str, orders: Sequence[AgentOrder]) -> Led:
        """Start one repetition on the hosts; `orders` are of these agents, in their order."""
        futures = {
            agent: self._submit(agent, run_agent, order) for agent, order in zip(self.agents, orders, strict=True)
        }
        return Led(self._client, topic, futures, self._workers)

    def be_deaf_to_the_terminal(self) -> None:
        """Workers that were started here are ended by us, and not by a Ctrl-C that was meant for us."""
        if self._local is not None:
            self._client.run(be_deaf)


class Led:
    """One repetition as the hosts run it."""

    def __init__(
        self, client: Any, topic: str, futures: dict[Agent, Any], workers: Callable[[], dict[str, Json]]
    ) -> None:
        """The agents have been asked to begin."""
        self._queue, self._start, self._stop = lines(distributed(), topic, client)
        self._futures = futures
        self._workers = workers
        self._seen_at = 0.0
        self._stopped = False
        self.reports: dict[str, AgentReport] = {}
        self.lost: dict[str, str] = {}  # by host, why

    @property
    def left(self) -> list[Agent]:
        """Those that have neither ended nor died."""
        return [agent for agent in self._futures if agent.host not in self.reports and agent.host not in self.lost]

    def until_ready(self) -> Iterator[None]:
        """Goes on until all hosts are ready, or one cannot be; each step returns soon.

        Raises:
            RunFailed: a host died before it started.
        """
        ready: set[str] = set()
        while len(ready) < len(self._futures):
            with contextlib.suppress(TimeoutError):
                ready.add(str(self._queue.get(timeout=_TICK_SECONDS)["host"]))
            self._look()
            if self.reports:
                return
            if self.lost:
                host, why = next(iter(self.lost.items()))
                raise RunFailed(f"host {host} died before it started: {why}")
            yield

    def begin(self, start_at_ns: int, delays_ns: Sequence[int]) -> None:
        """Tell all hosts when to start, by the database's clock."""
        self._start.set({"start_at_ns": start_at_ns, "delays_ns": list(delays_ns)})

    def until_ended(self) -> Iterator[None]:
        """Goes on until every host has ended or died."""
        while self.left:
            self._look()
            yield
            time.sleep(_TICK_SECONDS)

    def stop(self) -> None:
        """Ask all that are left to end, as an interrupt does."""
        if not self._stopped:
            self._stopped = True
            with contextlib.suppress(Exception):  # the scheduler may be gone: then its agents end by themselves
                self._stop.set()

    def close(self) -> None:
        """Forget them."""
        for future in self._futures.values():
            with contextlib.suppress(Exception):  # the scheduler may be gone
                future.release()
        with contextlib.suppress(Exception):
            self._start.delete()
            self._stop.clear()

    def _look(self) -> None:
        for agent in self.left:
            future = self._futures[agent]
            if future.done():
                self._take(agent, future)
        if time.monotonic() - self._seen_at < _SEEN_EVERY_SECONDS or not self.left:
            return
        self._seen_at = time.monotonic()
        try:
            there = self._workers()
        except Exception as error:  # as below
            raise _without_scheduler(error) from None
        for agent in self.left:
            if agent.address not in there:
                self.lost[agent.host] = "its Dask worker is gone"

    def _take(self, agent: Agent, future: Any) -> None:
        try:
            self.reports[agent.host] = future.result()
        except (Exception, asyncio.CancelledError) as error:  # of any kind that Dask has for a worker that is gone
            if str(getattr(error, "reason", "")).startswith("scheduler"):  # then nobody knows what the agents do
                raise _without_scheduler(error) from None
            self.lost[agent.host] = _one_line(error)


def _about(_host: str) -> dict[str, str]:
    return about()


def _without_scheduler(error: BaseException) -> RunFailed:
    return RunFailed(f"the Dask scheduler is gone, and the agents end by themselves: {_one_line(error)}")


def _named(host: str) -> str:
    return host.replace(":", "-").strip("[]")


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text[:200] or type(error).__name__
