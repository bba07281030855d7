"""Results of several hosts into one: read, held against each other, merged, written as a directory of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pgflow_stress.analysis.evidence import DEFAULT_LIMITS, Limits
from pgflow_stress.analysis.hosts.merging import LostHost, clock_error_ns, merge_repetition, zero_ns
from pgflow_stress.analysis.hosts.part import SHARED, NotTogether, Part, check_together, host_of, part_of
from pgflow_stress.analysis.hosts.telling import hosts_of, with_clocks
from pgflow_stress.analysis.summary import summarise
from pgflow_stress.analysis.verdict import judge
from pgflow_stress.core.errors import UsageFault
from pgflow_stress.core.exit_codes import ExitCode, worst
from pgflow_stress.core.host_clock import ClockReading
from pgflow_stress.core.result import Json, Repetition, Result
from pgflow_stress.core.units import NS_PER_SECOND
from pgflow_stress.report.counts_file import Histograms, read_counts
from pgflow_stress.report.directory import ResultDirectory
from pgflow_stress.report.histograms import Interval, SparseHistogram
from pgflow_stress.report.host_rows import from_rows, move_rows
from pgflow_stress.report.layout import COUNTS_FILE, HISTOGRAMS, HOSTS, TIMINGS
from pgflow_stress.report.result_file import write_result
from pgflow_stress.report.saved import load

_OF_ALL = (ExitCode.INVALID, ExitCode.GATE_FAILED)
_SUMS = ("workers", "runs", "flows", "in_flight", "starters")


@dataclass(frozen=True, slots=True)
class HostResult:
    """One host's result with its exact histograms and its rows."""

    result: Result
    histograms: Histograms
    timings: tuple[Path, ...]

    @property
    def host(self) -> str:
        """Its name."""
        return host_of(self.result)


@dataclass(frozen=True, slots=True)
class Group:
    """One repetition: of each host that ended its result and which of its repetitions; hosts that died."""

    members: tuple[tuple[HostResult, Repetition], ...]
    lost: tuple[LostHost, ...] = ()


def read_hosts(paths: Sequence[Path]) -> list[HostResult]:
    """Read the directories of hosts.

    Raises:
        UsageFault: one cannot be read, or is none of a host among several.
    """
    found = []
    for saved in load(paths):
        try:
            host_of(saved.result)
        except NotTogether as fault:
            raise UsageFault(f"{saved.folder}: {fault}") from None
        found.append(read_host(saved.result, saved.folder))
    return found


def read_host(result: Result, folder: Path) -> HostResult:
    """What lies beside one host's result.

    Raises:
        UsageFault: its histograms are not there.
    """
    timings = tuple(sorted((folder / TIMINGS).glob("*.parquet")))
    return HostResult(result, read_counts(folder / HISTOGRAMS / COUNTS_FILE), timings)


def by_repetition(hosts: Sequence[HostResult]) -> list[Group]:
    """The repetitions of hosts that were run by hand, each with every host's.

    Raises:
        UsageFault: they do not belong together.
    """
    try:
        check_together([host.result for host in hosts])
    except NotTogether as fault:
        raise UsageFault(f"not one load: {fault}") from None
    return [
        Group(tuple((host, host.result.repetitions[place]) for host in hosts))
        for place in range(len(hosts[0].result.repetitions))
    ]


def check_groups(groups: Sequence[Group]) -> None:
    """Whether they can be merged, before anything is made.

    Raises:
        UsageFault: they do not belong together.
    """
    try:
        for index, group in enumerate(groups):
            merge_repetition(_parts(group), index, None, group.lost)
    except NotTogether as fault:
        raise UsageFault(f"not one load: {fault}") from None


def merge_groups(
    groups: Sequence[Group],
    directory: ResultDirectory | None,
    parameters: Json,
    reasons: Sequence[tuple[ExitCode, str]] = (),
    reference: Sequence[ClockReading] = (),
    limits: Limits = DEFAULT_LIMITS,
) -> Result:
    """One result of all of them; its rows and histograms go into the directory, which is to be finished with it.

    Args:
        groups: the repetitions, at least one.
        directory: None: nothing is written.
        parameters: over all hosts.
        reasons: endings beside those of the hosts.
        reference: the coordinator's clock, a reading a group; else the first host's.
        limits: of the validity rules.
    Raises:
        UsageFault: they do not belong together.
        RunFailed: something could not be written.
    """
    try:
        merged = [_merged(group, index, directory) for index, group in enumerate(groups)]
    except NotTogether as fault:
        raise UsageFault(f"not one load: {fault}") from None
    if directory is not None:
        _keep_results(groups, directory.subfolder(HOSTS))
    first = groups[0].members[0][0].result
    repetitions = tuple(one for one, _ in merged)
    verdict = judge(parameters, repetitions, first.environment, limits)
    endings = [*_endings(groups), *reasons]
    codes = sorted({code for code, _ in endings})
    return Result(
        tool=first.tool,
        scenario={"name": first.scenario["name"], "parameters": parameters},
        load_model=first.load_model,
        environment=first.environment,
        hosts=hosts_of([parts for _, parts in merged], _environments(groups), reference),
        repetitions=repetitions,
        summary=summarise(repetitions),
        verdict=with_clocks(verdict, repetitions),
        outcome={
            "exit_code": int(worst(codes)),
            "codes": [int(code) for code in codes],
            "reasons": [text for _, text in endings],
            "gates": [],
        },
    )


def together(hosts: Sequence[HostResult]) -> Json:
    """The parameters over all hosts: sums of what each has a share of, and the first's else."""
    each = [host.result.scenario["parameters"] for host in hosts]
    merged: Json = {name: value for name, value in each[0].items() if name != "host_id"}
    for name in _SUMS:
        values = [one.get(name) for one in each]
        if name in SHARED and all(isinstance(value, int) for value in values):
            merged[name] = sum(values)
    merged["stages"] = _stages([one.get("stages") or [] for one in each])
    return {**merged, "over_hosts": [host.host for host in hosts]}


def _stages(each: Sequence[Sequence[str]]) -> list[str]:
    """An open load's stages with the rates of all hosts, SECONDSs:RATE of each; the first host's where they differ."""
    split = [[stage.partition(":") for stage in stages] for stages in each]
    if len({tuple(seconds for seconds, _, _ in stages) for stages in split}) > 1:
        return list(each[0])
    return [f"{stages[0][0]}:{sum(float(rate) for _, _, rate in stages):g}" for stages in zip(*split, strict=True)]


def _merged(group: Group, index: int, directory: ResultDirectory | None) -> tuple[Repetition, list[Part]]:
    parts = _parts(group)
    alone = merge_repetition(parts, index, None, group.lost)
    seen, zero = None, zero_ns(parts)
    timings = directory.subfolder(TIMINGS) if directory else None
    for part, (host, repetition) in zip(parts, group.members, strict=True):
        stem = f"repetition-{repetition.index:02d}-"
        files = [file for file in host.timings if file.name.startswith(stem)]
        seen = move_rows(part, files, zero, index, timings, seen)
    if directory is not None:
        directory.keep(index, alone.warmup, _intervals(parts, alone))
    if seen is None or not seen.rows:
        return alone, parts
    rows = from_rows(seen, parts, alone.phases["process"])
    return merge_repetition(parts, index, rows, group.lost), parts


def _parts(group: Group) -> list[Part]:
    return [
        part_of(host.host, repetition, host.histograms.get(repetition.index, {})) for host, repetition in group.members
    ]


def _intervals(parts: Sequence[Part], repetition: Repetition) -> list[Interval]:
    """Of each host an interval an operation: whoever adds them up has the merged histogram."""
    return [
        Interval(operation, part.server_ns(0), repetition.window["seconds"], SparseHistogram.of(histogram))
        for part in parts
        for operation, histogram in part.histograms.items()
        if histogram.count
    ]


def _environments(groups: Sequence[Group]) -> dict[str, Json]:
    return {host.host: host.result.environment for group in groups for host, _ in group.members}


def _endings(groups: Sequence[Group]) -> list[tuple[ExitCode, str]]:
    """Why each host did not end with 0, its thresholds and strictness apart: those are for all of them."""
    found: dict[tuple[str, str], ExitCode] = {}
    for host in _hosts(groups):
        outcome = host.result.outcome
        codes = [ExitCode(code) for code in outcome.get("codes", ()) if code not in _OF_ALL]
        for text in outcome.get("reasons", ()) if codes else ():
            found[host.host, str(text)] = worst(codes)
    return [(code, f"{host}: {text}") for (host, text), code in found.items()]


def _hosts(groups: Sequence[Group]) -> list[HostResult]:
    return list({id(host): host for group in groups for host, _ in group.members}.values())


def _keep_results(groups: Sequence[Group], folder: Path) -> None:
    """Each host's own result beside the merged one: what cannot be merged is in there."""
    kept: set[int] = set()
    for index, group in enumerate(groups):
        for host, _ in group.members:
            if id(host) not in kept:
                kept.add(id(host))
                write_result(folder / f"{index:02d}-{host.host}.json", host.result)


def clock_words(groups: Sequence[Group]) -> str:
    """How the hosts' clocks are related, in a line."""
    errors = [clock_error_ns(_parts(group)) for group in groups]
    return f"clocks related within {max(errors) / NS_PER_SECOND * 1e3:.3f} ms"


def renumbered(repetition: Repetition, *, warmup: bool) -> Repetition:
    """A repetition that its host took for the only one."""
    return replace(repetition, warmup=warmup)
