"""What telemetry says, in lines and in tables: of the terminal, of Markdown, of the HTML report."""

from __future__ import annotations

from pgflow_stress.analysis import formats
from pgflow_stress.analysis.metrics import describe
from pgflow_stress.analysis.telemetry import (
    cores_of,
    incomplete,
    peaks_of,
    sampled,
    serialisation_of,
    server_host_of,
    unseen,
    upkeep,
    waits_of,
)
from pgflow_stress.core.result import Json, Result

_CORES = (("postgres", "server"), ("worker", "workers"), ("starter", "starters"), ("observer", "observer"))
_MOST_WAITS = 4
_LEAST_SHARE = 0.01
_OF_THIS_HOST = "host: "  # what a kernel does not tell is in the report
_COLUMNS = ("cpu_ns", "run_queue_ns", "rss_peak_bytes", "uss_bytes", "faults_major", "switches_involuntary")


def telemetry_lines(result: Result) -> list[str]:
    """CPU and memory, then waits, then what is not complete; [] where nothing was sampled."""
    if not sampled(result):
        return [f"incomplete: {why}" for _, why in incomplete(result)[:1]]
    lines = [_used(result)]
    if waits := waits_of(result, "worker"):
        shown = [(event, share) for event, share in waits[:_MOST_WAITS] if share >= _LEAST_SHARE]
        lines.append(f"workers' backends: {', '.join(f'{event} {formats.share(share)}' for event, share in shown)}")
    if elsewhere := server_host_words(result):
        lines.append(elsewhere)
    lines += [f"not seen: {line}" for line in unseen(result) if not line.startswith(_OF_THIS_HOST)]
    lines += [f"incomplete in repetition {index}: {why}" for index, why in incomplete(result)[:1]]
    return lines


def _used(result: Result) -> str:
    cores, peaks = cores_of(result), peaks_of(result)
    cpu = ", ".join(f"{name} {formats.significant(cores[role], 2)}" for role, name in _CORES if role in cores)
    memory = ", ".join(
        f"{peaks[role][1]} {formats.size(peaks[role][0])}" for role in ("postgres", "worker") if role in peaks
    )
    since = "" if all(since == "window" for _, _, since in peaks.values()) else " (since process start)"
    parts = [f"cores: {cpu}" if cpu else "", f"peak memory: {memory}{since}" if memory else ""]
    return "; ".join(part for part in parts if part)


def server_host_words(result: Result) -> str:
    """What the host of a server elsewhere did; "" where it is ours, or was not seen."""
    found = server_host_of(result)
    if found is None:
        return ""
    stolen = f", {formats.share(found.steal_share)} stolen" if found.steal_share >= _LEAST_SHARE else ""
    held_up = [f"{name} {formats.share(share)}" for name, share in found.pressure.items() if share >= _LEAST_SHARE]
    pressure = f"; some process held up for want of {', '.join(held_up)} of the time" if held_up else ""
    return (
        f"the server's host: {found.cores} cores busy {formats.share(found.busy_share)}{stolen}, waiting for disks "
        f"{formats.share(found.iowait_share)}{pressure}"
    )


def serialisation_words(result: Result) -> str:
    """What one run's row allows, beside what was measured; "" where it was not seen."""
    found = serialisation_of(result)
    rate = result.summary.get("process.per_second")
    if found is None or rate is None or rate.mean is None:
        return ""
    most, runs = found.most_per_second_of_one_run, result.scenario["parameters"]["runs"]
    beside = f"{formats.share(rate.mean / most)} of that" if runs == 1 else f"over {runs:,} runs"
    return (
        f"workers waited for it {formats.share(found.wait_share)} of the time; a task holds it "
        f"{formats.duration_ns(found.hold_ns_per_task)}, so one run reaches at most "
        f"{formats.significant(most)} tasks/s, however many workers there are; {formats.significant(rate.mean)} "
        f"measured, {beside}"
    )


def why_one_run_does_not_scale(result: Result) -> str:
    """The same with its cause; "" where it was not seen."""
    words = serialisation_words(result)
    return f"complete_task locks its row in pgflow.runs until it commits: {words}" if words else ""


def telemetry_view(result: Result) -> Json | None:
    """What the template shows; None where nothing was sampled."""
    chosen = sampled(result)
    if not chosen:
        return None
    return {
        "waits": [
            (role, [(event, formats.share(share)) for event, share in waits_of(result, role)])
            for role in ("worker", "starter", "observer", "other")
            if waits_of(result, role)
        ],
        "columns": [(name, describe(f"client.{name}").description) for name in _COLUMNS],
        "processes": [
            {
                "repetition": one.index,
                "role": role,
                "cells": [_cell(name, cost.get(name)) for name in _COLUMNS],
                "since": cost.get("rss_peak_since", ""),
            }
            for one in chosen
            for role, cost in (one.telemetry.get("processes") or {}).items()
        ],
        "serialisation": serialisation_words(result),
        "elsewhere": server_host_words(result),
        "upkeep": upkeep(result),
        "unseen": unseen(result),
        "incomplete": incomplete(result),
        "own": [
            f"repetition {one.index}: {one.telemetry['ticks']:,} ticks, {one.telemetry['missed']:,} missed, "
            f"sampler's CPU {formats.duration_ns(one.telemetry['own_cpu_ns'])}"
            for one in chosen
        ],
    }


def _cell(name: str, value: object) -> str:
    return describe(f"client.{name}").format(float(value)) if isinstance(value, int | float) else formats.ABSENT
