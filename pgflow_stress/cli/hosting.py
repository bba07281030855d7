"""`run --hosts`: one coordinator, an agent a host; each repetition is led, its parts are merged into one result."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pgflow_stress import __version__
from pgflow_stress.cli.assemble import gate_endings, gate_json, outcome, target_parameters, tool
from pgflow_stress.cli.host_options import local_hosts
from pgflow_stress.cli.host_shares import arguments, check_shares, delays_ns, shares
from pgflow_stress.cli.output import Destination
from pgflow_stress.cli.progress import QuietWatch, make_watch
from pgflow_stress.cli.request import RunRequest
from pgflow_stress.cli.running import Session, carried_out, place_of
from pgflow_stress.core.errors import Interrupted, RunFailed, SetUpFault, StressError
from pgflow_stress.core.exit_codes import ExitCode
from pgflow_stress.core.host_clock import ClockReading
from pgflow_stress.core.ids import new_nonce
from pgflow_stress.core.result import Json, Result
from pgflow_stress.core.units import NS_PER_SECOND
from pgflow_stress.engine.measurement import Ending
from pgflow_stress.scenario.plan import Plan

if TYPE_CHECKING:
    from pgflow_stress.engine.hosts.agent import AgentReport
    from pgflow_stress.engine.hosts.cluster import Cluster, Led
    from pgflow_stress.report.host_merge import Group
    from pgflow_stress.target.base import Database, Target

_START_NS = 3 * NS_PER_SECOND // 2  # from all being ready to the start: what is told must have arrived by then
_RESULT = "result.json"


def execute_over_hosts(request: RunRequest) -> ExitCode:
    """Do what was asked, tell what went wrong; the worst code of all of it.

    Raises:
        UsageFault: results could not be written to where they are to go; nothing was touched.
    """
    destination = Destination(request.output, request.json, [plan.scenario for plan in request.plans])
    return carried_out(HostsSession(request, destination), destination)


@dataclass(frozen=True, slots=True)
class _Scene:
    """What every repetition of the load shares."""

    plan: Plan
    shares: tuple[Plan, ...]
    cluster: Cluster
    target: Target
    watch: QuietWatch
    folder: Path  # of what agents hand back, until it is merged


@dataclass(slots=True)
class _Repetitions:
    """What came of the repetitions so far."""

    groups: list[Group] = field(default_factory=list)
    readings: list[ClockReading] = field(default_factory=list)  # of our clock, one a group
    reasons: list[tuple[ExitCode, str]] = field(default_factory=list)

    @property
    def has_lost(self) -> bool:
        """Whether a host died, so that rows of its may be left."""
        return any(group.lost for group in self.groups) or ExitCode.RUN_FAILED in {code for code, _ in self.reasons}


class HostsSession(Session):
    """One load over several hosts."""

    _isolation = ""

    def measure(self) -> None:
        """Lead the hosts through every repetition; faults become endings."""
        request = self._request
        watch = make_watch(request.quiet, request.progress_seconds)
        led = _Repetitions()
        with tempfile.TemporaryDirectory(prefix="pgflow-stress-hosts-") as folder:
            try:
                with self._with_password(), watch, contextlib.ExitStack() as stack:
                    self._measure(watch, Path(folder), led, stack)
            except (StressError, KeyboardInterrupt) as fault:
                code = fault.exit_code if isinstance(fault, StressError) else ExitCode.INTERRUPTED
                led.reasons.append((code, str(fault) or "interrupted"))
            if led.has_lost:
                self._sweep()
            self._conclude(led)

    def _measure(self, watch: QuietWatch, folder: Path, led: _Repetitions, stack: contextlib.ExitStack) -> None:
        from pgflow_stress.engine.hosts.cluster import Cluster  # noqa: PLC0415  --help is quick
        from pgflow_stress.target.choice import choose_target  # noqa: PLC0415
        from pgflow_stress.target.opening import open_target  # noqa: PLC0415

        request, plan, hosts = self._request, self._request.plans[0], self._request.hosts or ""
        check_shares(plan, local_hosts(hosts) or 1, workers_given=request.workers_given)  # before anything is started
        embedded = choose_target(request.target, os.environ).embedded
        if embedded and local_hosts(hosts) is None:
            raise SetUpFault(
                "the embedded server is reached from this machine alone: give --dsn a database that all hosts reach"
            )
        # The embedded server is started while this process has no threads yet; a given one is left alone until
        # everybody is known to reach it.
        target = stack.enter_context(open_target(request.target, watch.note)) if embedded else None
        cluster = stack.enter_context(Cluster(hosts, local_hosts(hosts)))
        names = [agent.host for agent in cluster.agents]
        parts = tuple(shares(plan, names, workers_given=request.workers_given))
        cluster.be_deaf_to_the_terminal()
        cluster.check_versions(__version__)
        if target is None:
            self._check_clocks(cluster)
            target = stack.enter_context(open_target(request.target, watch.note))
        watch.note(f"hosts: {', '.join(names)}")
        self._isolation = str(target.isolation)
        scene = _Scene(plan, parts, cluster, target, watch, folder)
        watch.place(*place_of(request.plans, 0))
        for index in range(plan.repetitions):
            self._repetition(scene, index, led)
            if led.reasons:
                break

    def _repetition(self, scene: _Scene, index: int, repetitions: _Repetitions) -> None:
        """One repetition on a database of its own; what came of it is added to the others."""
        scene.watch.phase("set-up", scene.plan.scenario, index)
        database = scene.target.acquire(new_nonce())
        try:
            with _clock_of(database) as read:
                reading = read()
                led = self._begin(scene, database)
                try:
                    self._lead(scene, led, index, read, repetitions.reasons)
                    group = self._take(scene, led, index, repetitions.reasons)
                finally:
                    led.close()
            if group is not None:
                repetitions.groups.append(group)
                repetitions.readings.append(reading)
        finally:
            left = scene.target.release(database)
            if left.leftovers:
                repetitions.reasons.append((ExitCode.CHECK_FAILED, f"left behind: {'; '.join(left.leftovers)}"))

    def _begin(self, scene: _Scene, database: Database) -> Led:
        from pgflow_stress.engine.hosts.agent import AgentOrder  # noqa: PLC0415

        conninfo = _without_password(database.conninfo)
        more = ["--dsn", conninfo, "--isolation", "prefix"]
        more += ["--allow-remote"] if self._request.target.allow_remote else []
        topic = f"pgflow-stress-{secrets.token_hex(8)}"
        orders = [
            AgentOrder(agent.host, (*arguments(share), *more), place, topic)
            for place, (agent, share) in enumerate(zip(scene.cluster.agents, scene.shares, strict=True))
        ]
        return scene.cluster.lead(topic, orders)

    def _lead(
        self, scene: _Scene, led: Led, index: int, read: Callable[[], ClockReading], reasons: list[tuple[ExitCode, str]]
    ) -> None:
        """Start them together, wait for all; a signal stops them, a second one leaves them to it."""
        scene.watch.phase("prime", scene.plan.scenario, index)
        try:
            for _ in led.until_ready():
                pass
            if not led.reports:
                reading = read()
                start_ns = time.monotonic_ns() + reading.offset_ns + _START_NS
                led.begin(start_ns, delays_ns(scene.plan, len(scene.shares)))
                scene.watch.phase("process", scene.plan.scenario, index)
            else:
                led.stop()
            for _ in led.until_ended():
                pass
        except Interrupted:
            reasons.append((ExitCode.INTERRUPTED, f"{scene.plan.scenario}, repetition {index}: interrupted"))
            led.stop()
            for _ in led.until_ended():
                pass
        except RunFailed:
            led.stop()
            with contextlib.suppress(RunFailed):
                for _ in led.until_ended():
                    pass
            raise

    def _take(self, scene: _Scene, led: Led, index: int, reasons: list[tuple[ExitCode, str]]) -> Group | None:
        """The parts that there are; None where nothing was measured."""
        from pgflow_stress.analysis.hosts.merging import LostHost  # noqa: PLC0415
        from pgflow_stress.report.host_merge import Group, read_host, renumbered  # noqa: PLC0415
        from pgflow_stress.report.result_file import read_located  # noqa: PLC0415

        members, lost, failures = [], [], []
        for agent, share in zip(scene.cluster.agents, scene.shares, strict=True):
            report = led.reports.get(agent.host)
            folder = scene.folder / f"{index:02d}" / agent.host
            if report is None or _RESULT not in report.files:
                why = led.lost.get(agent.host) or _why(report)
                code = ExitCode.RUN_FAILED if report is None or report.code < 0 else ExitCode(report.code)
                failures.append((code, f"{scene.plan.scenario}, repetition {index}: host {agent.host}: {why}"))
                lost.append(LostHost(agent.host, why, share.expected_tasks))
                continue
            _unpack(report, folder)
            ((_, result),) = read_located(folder)
            host = read_host(result, folder)
            members.append((host, renumbered(result.repetitions[0], warmup=index < scene.plan.options.warmup)))
            reasons += _endings(report, result)
        # Hosts that were stopped because another one could not start say that they were interrupted.
        telling = [one for one in failures if one[0] is not ExitCode.INTERRUPTED]
        reasons += telling or failures
        return Group(tuple(members), tuple(lost)) if members else None

    def _conclude(self, led: _Repetitions) -> None:
        """Merge what there is into one result, and write it."""
        groups, reasons = led.groups, led.reasons
        if not groups:
            self._untold += [Ending(code, text) for code, text in reasons]
            return
        from pgflow_stress.report.host_merge import merge_groups, together  # noqa: PLC0415

        request, plan = self._request, self._request.plans[0]
        directory = self._destination.directory(plan.scenario)
        parameters: Json = {
            **together([host for host, _ in groups[-1].members]),
            **target_parameters(request.target),
            "isolation": self._isolation,
            **{"repetitions": plan.options.repetitions, "warmup": plan.options.warmup, "hosts": request.hosts},
            "limits": _limits(request),
        }
        try:
            result = merge_groups(groups, directory, parameters, (), led.readings, request.limits)
            result, endings = _gated(replace(result, tool=tool()), request, plan, reasons)
            self._results.append(result)
            self._directories.append(directory)
            self._told += endings
            if directory is not None:
                directory.finish(result)
        except StressError as fault:
            self._untold += [Ending(fault.exit_code, str(fault)), *(Ending(code, text) for code, text in reasons)]

    def _check_clocks(self, cluster: Cluster) -> None:
        """Of a given database, before anything is made in it."""
        from pgflow_stress.engine.hosts.relating import server_of  # noqa: PLC0415
        from pgflow_stress.target.choice import choose_target  # noqa: PLC0415
        from pgflow_stress.target.given import complete_conninfo, reading  # noqa: PLC0415

        request = self._request
        choice = choose_target(request.target, os.environ)
        with reading(request.target, choice) as (connection, _):
            conninfo, server = complete_conninfo(connection), server_of(connection)
        cluster.check_clocks(_without_password(conninfo), server, allow_remote=request.target.allow_remote)

    @contextlib.contextmanager
    def _with_password(self) -> Iterator[None]:
        """Agents on this machine inherit the password in their environment: it is in no task and on no command line."""
        from pgflow_stress.target.choice import choose_target  # noqa: PLC0415

        choice, before = choose_target(self._request.target, os.environ), os.environ.get("PGPASSWORD")
        if not choice.embedded and local_hosts(self._request.hosts or "") is not None:
            password = _password_of(choice.conninfo, choice.wants_tls, choice.origin)
            if password:
                os.environ["PGPASSWORD"] = password
        try:
            yield
        finally:
            if before is None:
                os.environ.pop("PGPASSWORD", None)
            else:
                os.environ["PGPASSWORD"] = before

    def _sweep(self) -> None:
        """Of a host that died its rows are left: whoever opens the target next removes them, so we do."""
        from pgflow_stress.target.opening import open_target  # noqa: PLC0415

        with contextlib.suppress(StressError), open_target(self._request.target, lambda _line: None):
            pass


def _gated(
    result: Result, request: RunRequest, plan: Plan, reasons: list[tuple[ExitCode, str]]
) -> tuple[Result, tuple[Ending, ...]]:
    """With thresholds and strictness, which are of all hosts together, and everything that it ended with."""
    from pgflow_stress.analysis.threshold import caution, decide  # noqa: PLC0415

    decided = [decide(threshold, result.summary, request.strict) for threshold in request.thresholds]
    told = [
        gate_json(gate, caution(one, plan.load_model)) for gate, one in zip(decided, request.thresholds, strict=True)
    ]
    endings = [Ending(code, text) for code, text in reasons]
    for one in result.repetitions:
        bad = next((check for check in one.audit.checks if not check.ok), None)
        if bad is not None and not any(ending.code is ExitCode.CHECK_FAILED for ending in endings):
            text = f"{plan.scenario}, repetition {one.index}: audit failed: {bad.name}"
            endings.append(Ending(ExitCode.CHECK_FAILED, f"{text}: expected {bad.expected}, found {bad.found}"))
    endings += gate_endings(decided, result.verdict, request.strict)
    return replace(result, outcome={**outcome(endings), "gates": told}), tuple(endings)


def _endings(report: AgentReport, result: Result) -> list[tuple[ExitCode, str]]:
    codes = [ExitCode(code) for code in result.outcome.get("codes", ())]
    return [
        (code, f"{report.host}: {text}") for code, text in zip(codes, result.outcome.get("reasons", ()), strict=False)
    ]


def _why(report: AgentReport | None) -> str:
    lines = report.said.strip().splitlines() if report is not None else []
    if lines:
        return lines[-1].removeprefix("pgflow-stress: ")
    return "it ended without a word" if report is None else f"its process ended with {report.code}"


def _unpack(report: AgentReport, folder: Path) -> None:
    for name, data in report.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _limits(request: RunRequest) -> Json:
    return asdict(request.limits)


@contextlib.contextmanager
def _clock_of(database: Database) -> Iterator[Callable[[], ClockReading]]:
    """Reads how our clock stands to the database's."""
    from pgflow_stress.engine.hosts.relating import read_clock  # noqa: PLC0415
    from pgflow_stress.target.connect import connected  # noqa: PLC0415

    with connected(database.conninfo, f"database {database.name}") as connection:
        yield lambda: read_clock(connection)


def _without_password(conninfo: str) -> str:
    from pgflow_stress.target.connect import compose, parse  # noqa: PLC0415

    parameters = parse(conninfo, "the database")
    return compose(**{name: value for name, value in parameters.items() if not name.endswith("password")})


def _password_of(conninfo: str, wants_tls: bool, origin: str) -> str:
    from pgflow_stress.core.libpq import choose  # noqa: PLC0415
    from pgflow_stress.target.connect import parse  # noqa: PLC0415

    choose(embedded=False, wants_tls=wants_tls)
    return parse(conninfo, origin).get("password", "")
