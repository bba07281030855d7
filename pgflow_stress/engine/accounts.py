"""Reads the arena of a finished repetition: phases, outcomes, client cost, errors. Columns, never row by row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pgflow_stress.core.arena import Arena, LedgerBit, RunWord, Stat, Word
from pgflow_stress.core.hdr import bucket_count
from pgflow_stress.core.latency import empty_histogram, histogram_of, latency_of, merge
from pgflow_stress.core.operations import DELIVERIES, OPERATION_NAMES, Operation
from pgflow_stress.core.phase import nothing, phase
from pgflow_stress.core.recording import Histogram
from pgflow_stress.core.result import Json, Latency, Phase
from pgflow_stress.core.telemetry import Vital
from pgflow_stress.core.units import NS_PER_SECOND
from pgflow_stress.engine.sizing import starter_regions


@dataclass(frozen=True, slots=True)
class Refusal:
    """Statements that the server refused, by SQLSTATE and operation."""

    sqlstate: str
    operation: str
    count: int
    retried: int
    first_ns: int  # CLOCK_MONOTONIC
    text: str


@dataclass(frozen=True, slots=True)
class Accounts:
    """What the arena says of one repetition; stamps are CLOCK_MONOTONIC ns."""

    phases: dict[str, Phase]
    window_seconds: float
    window_from_ns: int
    window_to_ns: int
    runs_started: int
    runs_failed: int  # as workers were told
    tasks_started: int  # of the runs started
    tasks_completed: int
    tasks_claimed_open: int  # claimed and not known to be completed
    histograms: dict[str, Histogram]


def histograms(arena: Arena) -> dict[str, Histogram]:
    """Each operation's histogram over all processes, and "execute": a completed run's response time."""
    found = {OPERATION_NAMES[operation]: recorded(arena, operation) for operation in Operation}
    found["execute"], found["execute_service"] = _execute(arena)
    return found


def recorded(arena: Arena, operation: Operation) -> Histogram:
    """One operation's histogram over all processes, so far; rows of processes that recorded none are not touched."""
    stats = arena.stats[:, operation]
    used = np.flatnonzero(stats[:, Stat.SAMPLES])
    if not len(used):
        return empty_histogram()
    longest_ns = int(stats[used, Stat.MAX_NS].max())
    counts = arena.counts[used, operation, : bucket_count(longest_ns)].sum(axis=0)
    return Histogram(
        counts=counts,
        count=int(counts.sum()),
        samples=int(stats[used, Stat.SAMPLES].sum()),
        total_ns=int(stats[used, Stat.TOTAL_NS].sum()),
        max_ns=longest_ns,
    )


def _execute(arena: Arena) -> tuple[Histogram, Histogram]:
    """Completed runs' time to their last answer: from when they were due, and from when they were sent."""
    runs, tasks = arena.runs, arena.tasks_of_runs
    # A run without a task is over with its start: it has no answer of its own.
    whole = runs[(runs[:, RunWord.COMPLETED] >= tasks) & (runs[:, RunWord.FAILED_NS] == 0) & (tasks > 0)]
    if not len(whole):
        return empty_histogram(), empty_histogram()
    intended, sent, done = (whole[:, word] for word in (RunWord.INTENDED_NS, RunWord.SENT_NS, RunWord.LAST_DONE_NS))
    scheduled = whole[intended > 0]
    service = histogram_of(scheduled[:, RunWord.LAST_DONE_NS] - scheduled[:, RunWord.SENT_NS])
    return histogram_of(done - np.where(intended > 0, intended, sent)), service


def schedule_kept(arena: Arena, taken: Accounts) -> Json:
    """How an open or closed load was offered: counts, and what a start waited for; latencies in ns."""
    words, started = arena.words, arena.runs[arena.runs[:, RunWord.STARTED_NS] > 0]
    not_begun = (arena.runs[:, [RunWord.STARTED_NS, RunWord.SKIPPED]] == 0).all(axis=1)
    intended = started[started[:, RunWord.INTENDED_NS] > 0, RunWord.INTENDED_NS]
    sent = started[:, RunWord.SENT_NS]
    span_ns = int(sent.max() - sent.min()) if len(sent) > 1 else 0
    offered_ns = int(intended.max() - intended.min()) if len(intended) > 1 else 0
    return {
        "started": len(started),
        "skipped": int(words[:, Word.RUNS_SKIPPED].sum()),
        # Nobody came to them before the schedule ended: every starter was busy.
        "not_started": int(np.count_nonzero(not_begun & (arena.runs[:, RunWord.INTENDED_NS] > 0))),
        "offered_per_second": (len(intended) - 1) / offered_ns * NS_PER_SECOND if offered_ns else None,
        "started_per_second": (len(started) - 1) / span_ns * NS_PER_SECOND if span_ns else None,
        "lag_busy_ns": _json(latency_of(taken.histograms["lag_busy"])),
        "lag_late_ns": _json(latency_of(taken.histograms["lag_late"])),
        "start_service_ns": _json(latency_of(taken.histograms["start_service"])),
        "service_ns": _json(latency_of(taken.histograms["execute_service"])),
    }


def take_accounts(arena: Arena, origin_ns: int) -> Accounts:
    """Phases on one common window, and the counts of the ledger."""
    words = arena.words
    found = histograms(arena)
    completed = int(np.count_nonzero(arena.ledger & LedgerBit.COMPLETED))
    open_claims = int(np.count_nonzero((arena.ledger & (LedgerBit.CLAIMED | LedgerBit.COMPLETED)) == LedgerBit.CLAIMED))
    started = arena.runs[:, RunWord.STARTED_NS] > 0
    run_words = arena.runs[started]
    last_done = int(run_words[:, RunWord.LAST_DONE_NS].max(initial=0))
    create = _span(words, Word.CREATE_FROM_NS, Word.CREATE_TO_NS)
    start = _span(words, Word.START_FROM_NS, Word.START_TO_NS)
    process = _span(words, Word.PROCESS_FROM_NS, Word.PROCESS_TO_NS)
    first = min((span[0] for span in (create, start) if span), default=0)
    last = max([span[1] for span in (create, start) if span] + [last_done])
    seconds = (last - first) / NS_PER_SECOND

    def of(span: tuple[int, int] | None, count: int, latency: Latency) -> Phase:
        if span is None or not count or span[1] <= span[0]:
            return nothing()
        return phase(span[0] - origin_ns, span[1] - origin_ns, count, seconds, latency)

    execute = latency_of(found["execute"])
    done = (start[0], last_done) if start and completed else None
    phases = {
        "create": of(
            create,
            int(words[:, Word.STEPS_CREATED].sum()),
            latency_of(merge([found["create_flow"], found["add_step"]])),
        ),
        "start": of(start, int(words[:, Word.RUNS_STARTED].sum()), latency_of(found["start_flow"])),
        "process": of((process[0], last_done) if process and completed else None, completed, latency_of(found["task"])),
        "execute": of(done, completed, execute),
        "deliver": of(
            (start[0], int(words[:, Word.LAST_RECEIVED_NS].max())) if start else None,
            int(words[:, Word.RECEIVED].sum()),
            latency_of(merge(found[OPERATION_NAMES[operation]] for operation in DELIVERIES)),
        ),
        "end_to_end": of((first, last) if completed else None, completed, execute),
    }
    return Accounts(
        phases,
        seconds,
        first,
        last,
        len(run_words),
        int(np.count_nonzero(run_words[:, RunWord.FAILED_NS])),
        int(arena.tasks_of_runs[started].sum()),
        completed,
        open_claims,
        found,
    )


def _span(words: npt.NDArray[np.int64], begin: Word, end: Word) -> tuple[int, int] | None:
    begins = words[:, begin][words[:, begin] > 0]
    ends = words[:, end][words[:, end] > 0]
    return (int(begins.min()), int(ends.max())) if len(begins) and len(ends) else None


def refusals(arena: Arena) -> list[Refusal]:
    """Every refused statement, merged over the processes."""
    merged: dict[tuple[str, str, str], list[Any]] = {}
    for slot in arena.errors[arena.errors["count"] > 0]:
        state = slot["sqlstate"].decode(errors="replace")
        name = OPERATION_NAMES[int(slot["operation"])]
        text = slot["text"].decode(errors="replace")
        entry = merged.setdefault((state, name, text), [0, 0, int(slot["first_ns"])])
        entry[0] += int(slot["count"])
        entry[1] += int(slot["retried"])
        entry[2] = min(entry[2], int(slot["first_ns"]))
    return [
        Refusal(state, name, count, retried, first_ns, text)
        for (state, name, text), (count, retried, first_ns) in merged.items()
    ]


def client_cost(arena: Arena, workers: int, taken: Accounts) -> Json:
    """What the workers used, polled and sent."""
    words = arena.words[: starter_regions(arena.size).start]
    cpu = words[:, Word.CPU_TO_NS] - words[:, Word.CPU_FROM_NS]
    cpu_ns = int(cpu[words[:, Word.CPU_TO_NS] > 0].sum())
    process = taken.phases["process"]
    polls = int(words[:, Word.POLLS].sum())
    empty = int(words[:, Word.EMPTY_POLLS].sum())
    messages = int(words[:, Word.MESSAGES_READ].sum())
    statements = int(words[:, Word.STATEMENTS].sum())
    peaks = words[:, Word.RSS_PEAK_BYTES]
    return {
        "cpu_ns_per_task": cpu_ns / taken.tasks_completed if taken.tasks_completed else None,
        "utilization": cpu_ns / (process.seconds * NS_PER_SECOND * workers) if process.seconds else None,
        **waits_by_worker(arena),
        "rss_peak_bytes": int(peaks.max()),
        "rss_peak_total_bytes": int(peaks.sum()),
        "rss_peak_since": "window" if _peaks_are_the_windows(arena) else "process start",
        "work_ns_per_task": _work_ns_per_task(arena, taken),
        "statements": statements,
        # An idle worker's are a matter of time, not of work.
        "statements_per_task": (statements - empty) / taken.tasks_completed if taken.tasks_completed else None,
        "idle_seconds": float(words[:, Word.IDLE_NS].sum() / NS_PER_SECOND),
        "longest_cycle_ns": int(words[:, Word.LONGEST_CYCLE_NS].max()),
        "polls": {
            "count": polls,
            "empty": empty,
            "messages": messages,
            "tasks_per_poll": messages / (polls - empty) if polls > empty else None,
            "unclaimed": int(words[:, Word.UNCLAIMED].sum()),
            "latency_ns": _json(latency_of(taken.histograms["read"])),
        },
        "start_tasks": {"latency_ns": _json(latency_of(taken.histograms["start_tasks"]))},
        "fail": {"latency_ns": _json(latency_of(taken.histograms["fail"]))},
        "complete": {"latency_ns": _json(latency_of(taken.histograms["complete"]))},
        "round_trip_ns": _json(latency_of(taken.histograms["round_trip"])),
        "round_trip_ns_by_connection": [
            int(stat[Stat.TOTAL_NS] // stat[Stat.SAMPLES])
            for stat in arena.stats[:, Operation.ROUND_TRIP]
            if stat[Stat.SAMPLES]
        ],
        "notices": int(words[:, Word.NOTICES].sum()),
        "rows_left_out": int(words[:, Word.ROWS_LEFT_OUT].sum()),
        "errors": [
            {"sqlstate": r.sqlstate, "operation": r.operation, "count": r.count, "retried": r.retried, "text": r.text}
            for r in refusals(arena)
        ],
    }


def waits_by_worker(arena: Arena) -> Json:
    """What held the workers of a finished repetition up on our side, as shares of their own process phases.

    server_waited_share: work was in hand and nothing in flight, so that the server waited for the client. Exact, from
    the cycle's stamps: an answer taken to the next flush. run_queue_share: runnable and not run (schedstat), wherever
    in the cycle; None where the kernel does not tell. Each over all workers, and in `by_worker` of each, in the order
    of their regions, with cpu_share beside them: on a core.
    """
    words = arena.words[: starter_regions(arena.size).start]
    ended = words[(words[:, Word.CPU_TO_NS] > 0) & (words[:, Word.PROCESS_TO_NS] > words[:, Word.PROCESS_FROM_NS])]
    phase_ns = ended[:, Word.PROCESS_TO_NS] - ended[:, Word.PROCESS_FROM_NS]
    columns = {
        "cpu_share": ended[:, Word.CPU_TO_NS] - ended[:, Word.CPU_FROM_NS],
        "server_waited_share": ended[:, Word.WAITED_FOR_NS],
        "run_queue_share": ended[:, Word.RUN_QUEUE_NS],
    }
    if (columns["run_queue_share"] < 0).any():
        del columns["run_queue_share"]
    total_ns = int(phase_ns.sum())
    waits = [name for name in columns if name != "cpu_share"]  # which is `utilization`, over all
    shares: Json = {name: float(columns[name].sum() / total_ns) if total_ns else None for name in waits}
    by_worker = {name: (of / phase_ns).tolist() for name, of in columns.items()}
    return {"run_queue_share": None, **shares, "by_worker": by_worker}


def _peaks_are_the_windows(arena: Arena) -> bool:
    ours = slice(0, starter_regions(arena.size).start)
    return bool((arena.vitals[ours][arena.words[ours, Word.PID] > 0, Vital.PEAK_RESET] == 1).all())


def _json(latency: Latency) -> Json:
    return {name: getattr(latency, name) for name in Latency.__dataclass_fields__}


def rows_of(arena: Arena, titles: dict[int, str]) -> Callable[[], Iterator[tuple[str, npt.NDArray[np.void]]]]:
    """The event rows, process by process in parts, for whoever writes files."""

    def read() -> Iterator[tuple[str, npt.NDArray[np.void]]]:
        for region, title in titles.items():
            for part in arena.read_rows(region):
                yield title, part

    return read


def _work_ns_per_task(arena: Arena, taken: Accounts) -> float | None:
    """What the simulated work of a completed task took, its failed attempts' too; None where none was simulated."""
    work_ns = int(arena.vitals[: starter_regions(arena.size).start, Vital.WORK_NS].sum())
    return work_ns / taken.tasks_completed if work_ns and taken.tasks_completed else None
