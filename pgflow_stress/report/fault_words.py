"""Injected faults in words and as a table: did each take hold, how long was it felt, what was done twice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pgflow_stress.analysis import formats
from pgflow_stress.core.result import Json, Repetition, Result

HEADER = (
    "repetition", "fault", "struck", "at", "took hold", "first task", "its own", "rate before", "rate back",
)  # fmt: skip


def fault_lines(result: Result) -> list[str]:
    """A line a fault, then one of the work that was done for nothing; none where none was asked for."""
    lines = []
    for repetition in result.repetitions:
        if repetition.faults:
            lines += [f"repetition {repetition.index}: {_line(fault)}" for fault in repetition.faults]
            lines.append(f"repetition {repetition.index}: {work_words(repetition.work)}")
    return lines


def _line(fault: Mapping[str, Any]) -> str:
    on = f" on {fault['subject']}" if fault["subject"] else ""
    if not fault["took_hold"]:
        return f"{fault['spec']}{on} did NOT take hold: {fault['why']}"
    felt = fault["recovery"] or {}
    own = felt.get("first_task_of_subject_seconds")
    return (
        f"{fault['spec']}{on}: first task after {_seconds(felt.get('first_task_seconds'))}"
        + (f", its own after {_seconds(own)}" if own is not None else "")
        + (f", rate back after {_seconds(felt['rate_back_seconds'])}" if felt.get("rate_back_seconds") else "")
    )


def work_words(work: Mapping[str, Any]) -> str:
    """What was done again or for nothing, and goodput beside throughput."""
    if "messages_read_again" not in work:
        return "what was read again is not known: the database could not be asked"
    return (
        f"{work['messages_read_again']:,} messages read again ({work['reads_again']:,} times), "
        f"{work['attempts_for_nothing']:,} attempts for nothing, {work['completed_again']:,} completed again; "
        f"goodput {_rate(work['goodput_per_second'])} of {_rate(work['throughput_per_second'])} tasks/s"
    )


def fault_rows(repetition: Repetition) -> list[tuple[str, ...]]:
    """A row a fault, under `HEADER`."""
    return [
        (
            str(repetition.index),
            f"{fault['number']} {fault['spec']}",
            fault["subject"] or "-",
            formats.duration_ns(fault["at_ns"]) if fault["at_ns"] else "-",
            "yes" if fault["took_hold"] else f"NO: {fault['why']}",
            *(
                _seconds((fault["recovery"] or {}).get(name))
                for name in ("first_task_seconds", "first_task_of_subject_seconds")
            ),
            _rate((fault["recovery"] or {}).get("rate_before_per_second")),
            _seconds((fault["recovery"] or {}).get("rate_back_seconds")),
        )
        for fault in repetition.faults
    ]


def proof_rows(repetition: Repetition) -> list[tuple[str, str]]:
    """What shows that each took hold, by its number."""
    return [(f"{fault['number']} {fault['spec']}", proof_words(fault["proof"])) for fault in repetition.faults]


def proof_words(proof: Json) -> str:
    """A proof in one line."""
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in proof.items()) or "none"


def _seconds(value: float | None) -> str:
    return formats.ABSENT if value is None else formats.with_unit(value, "s")


def _rate(value: float | None) -> str:
    return formats.ABSENT if value is None else formats.significant(value, 3)
