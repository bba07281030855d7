"""Puts a repetition's part of the result together: from the arena, the audit, and how the window went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg

from pgflow_stress.core.arena import Arena, RunWord, Word
from pgflow_stress.core.exit_codes import ExitCode
from pgflow_stress.core.probes import Probe
from pgflow_stress.core.result import Audit, Check, Incident, Json, Repetition, Tasks
from pgflow_stress.core.units import NS_PER_SECOND, NS_PER_US
from pgflow_stress.engine import littles_law
from pgflow_stress.engine.accounts import Accounts, client_cost, refusals, schedule_kept
from pgflow_stress.engine.audit import AuditInput, Found, audit, skipped, snapshot
from pgflow_stress.engine.backlog_series import backlog_of
from pgflow_stress.engine.breakdown import breakdown
from pgflow_stress.engine.carried import CARRIED
from pgflow_stress.engine.completion_series import completion_series
from pgflow_stress.engine.control import Control
from pgflow_stress.engine.crew import Crew
from pgflow_stress.engine.event_accounts import CUT, DOUBLED, EventFindings, account_for_events
from pgflow_stress.engine.event_rows import Cut, EventInput
from pgflow_stress.engine.event_words import describe_events
from pgflow_stress.engine.faults.account import NO_AFTERMATH, Aftermath
from pgflow_stress.engine.measurement import Ending
from pgflow_stress.engine.observation import Observation
from pgflow_stress.engine.realtime_answers import counted
from pgflow_stress.engine.server_readings import Readings, server_account
from pgflow_stress.engine.soak.pruned import audit_after_pruning
from pgflow_stress.engine.telemetry_accounts import Sampled
from pgflow_stress.engine.window import Stopped, Watched
from pgflow_stress.scenario.options import Orphans
from pgflow_stress.scenario.plan import Plan

WARNING_CLASS = "01"  # of SQLSTATE
DEADLOCK = "deadlock of pgflow's own locks"
_DEADLOCK_STATE = "40P01"
_WHY_DEADLOCK = (
    "pgflow 0.8's fail_task locks a step before its run, complete_task the run before the step; "
    "a batch locks its runs in the order of its tasks"
)
_MANY_TASKS = 1_000  # from which on a join that the planner knows nothing of is felt: of fewer any plan is quick
_FIRST_IDS = 3  # of a failed check, in the message; the result has them all


@dataclass(frozen=True, slots=True)
class Subject:
    """The repetition that is concluded."""

    plan: Plan
    index: int
    warmup: bool
    nonce: int
    slug_prefix: str
    own_database: bool  # whether nothing else is in it
    vt_seconds: int
    cut_short: bool  # by a second signal: nothing more is asked of the database
    notes: tuple[str, ...] = ()  # what could not be settled before the window
    cuts: tuple[Cut, ...] = ()  # of the observer's connection, by faults


@dataclass(frozen=True, slots=True)
class Examined:
    """What the database says: the audit, the events' accounts with it, and the events as the result has them."""

    found: Found
    events: Json


@dataclass(frozen=True, slots=True)
class Grounds:
    """What a repetition's database is held against; no `events` where nobody observed them."""

    audit: AuditInput
    events: EventInput | None


@dataclass(frozen=True, slots=True)
class Besides:
    """What went on besides, and what is told of the course, as the result has them; empty where nothing was asked."""

    interference: Json = field(default_factory=dict)
    soak: Json = field(default_factory=dict)
    incidents: tuple[Incident, ...] = ()


NOTHING_BESIDES = Besides()


def grounds(
    subject: Subject, arena: Arena, watched: Watched, observation: Observation | None, *, replaced: bool
) -> Grounds:
    """Of a repetition whose window is over; `replaced`: whether a worker was lost."""
    plan = subject.plan
    orderly = watched.stopped is None and watched.failure is None
    given = AuditInput(
        slug_prefix=subject.slug_prefix,
        nonce=subject.nonce,
        work=plan.work,
        started=arena.runs[:, RunWord.STARTED_NS] > 0,
        ledger=arena.ledger,
        whole=orderly and plan.options.orphans is not Orphans.LEAVE,
        payload_bytes=plan.options.payload_bytes,
        by_design=not replaced,
    )
    return Grounds(given, _event_input(subject, arena, observation) if observation else None)


def look(
    connection: psycopg.Connection[Any], held: Grounds, failed_ns: Any = None
) -> tuple[Found, EventFindings | None]:
    """The audit with the events' checks, within the caller's snapshot.

    Args:
        failed_ns: int64[runs], above 0 where a run failed; given where a job of retention removed finished runs.
    Raises:
        psycopg.Error: the database cannot be read.
    """
    found = (
        audit(connection, held.audit) if failed_ns is None else audit_after_pruning(connection, held.audit, failed_ns)
    )
    if held.events is None:
        return found, None
    findings = account_for_events(connection, held.events)
    checks = (*found.audit.checks, *findings.checks)
    return replace(found, audit=Audit(all(check.ok for check in checks), checks)), findings


def examine(
    subject: Subject,
    arena: Arena,
    control: Control,
    taken: Accounts,
    watched: Watched,
    observation: Observation | None,
    *,
    replaced: bool,
) -> Examined:
    """The audit and the events' accounts, or why there are none; `replaced`: whether a worker was lost."""
    findings = None
    if subject.cut_short:
        found = skipped("interrupted twice: not audited")
    else:
        held = grounds(subject, arena, watched, observation, replaced=replaced)
        try:
            if subject.own_database and subject.plan.expected_tasks >= _MANY_TASKS:
                control.analyze()
            with snapshot(control.connection) as connection:
                pruned = arena.runs[:, RunWord.FAILED_NS] if subject.plan.options.prunes else None
                found, findings = look(connection, held, pruned)
        except psycopg.OperationalError:
            found = skipped("the database is unreachable: not audited")
    if observation is None:
        alone = subject.plan.options.observer_cost and subject.plan.is_baseline(subject.index)
        return Examined(found, {"transport": "none", **({"cost_baseline": True} if alone else {})})
    return Examined(found, describe_events(arena, observation, findings, taken.histograms, watched.origin_ns))


def _event_input(subject: Subject, arena: Arena, observation: Observation) -> EventInput:
    warnings = [one for one in refusals(arena) if one.sqlstate.startswith(WARNING_CLASS)]
    return EventInput(
        arena=arena,
        nonce=subject.nonce,
        slug_prefix=subject.slug_prefix,
        work=subject.plan.work,
        transport=observation.transport,
        warnings=sum(one.count for one in warnings),
        warning=warnings[0].text if warnings else "",
        arrived=observation.arrived(),
        lost=observation.lost,
        cuts=subject.cuts,
        answers=counted(arena) if observation.transport == "realtime" else {},
        allow_rate_limit=subject.plan.options.allow_rate_limit,
    )


def conclude(
    subject: Subject,
    arena: Arena,
    crew: Crew,
    taken: Accounts,
    watched: Watched,
    examined: Examined,
    readings: Readings,
    observed: Sequence[Incident] = (),
    sampled: Sampled | None = None,
    after: Aftermath = NO_AFTERMATH,
    besides: Besides = NOTHING_BESIDES,
) -> Repetition:
    """The repetition as the result has it; `observed` are the observer's incidents."""
    found = examined.found if after.losses is None else _with_check(examined.found, after.losses)
    client = client_cost(arena, subject.plan.options.workers, taken)
    if subject.plan.concurrent:
        backlog = backlog_of(arena)
        client["schedule"] = {**schedule_kept(arena, taken), "backlog": backlog}
    residence_ns = int(arena.words[:, Word.RESIDENCE_NS].sum())
    client["littles_law"] = littles_law.check(watched.gauge, residence_ns, taken.phases["process"].seconds)
    drains = subject.plan.load_model == "backlog-drain"
    client["series"] = completion_series(arena, taken.phases["process"], watched.origin_ns, drains=drains)
    client["breakdown"] = breakdown(arena, subject.plan.work, subject.plan.options.seed)
    client["host"] = readings.host
    if subject.plan.probe is not Probe.AS_IS:
        options = subject.plan.options
        client["probe"] = {
            "kind": str(subject.plan.probe),
            "workers": options.workers,
            "client_delay_us": options.client_delay_ns / NS_PER_US,
        }
    return Repetition(
        index=subject.index,
        warmup=subject.warmup,
        interrupted=watched.stopped is Stopped.INTERRUPTED or watched.failure is not None,
        window={"seconds": taken.window_seconds},
        phases=taken.phases,
        tasks=_tasks(taken, watched, found),
        events=examined.events,
        audit=found.audit,
        incidents=_incidents(
            subject,
            arena,
            (
                *crew.incidents,
                *observed,
                *after.incidents,
                *besides.incidents,
                *doubled_by_pgflow(examined.events),
                *(
                    Incident("unknown status", 0, status, f"{rows} rows, whose runs were not judged")
                    for status, rows in found.unknown_statuses.items()
                ),
            ),
            watched,
            client,
        ),
        client=client,
        server=server_account(readings, taken) | (sampled.server if sampled else {}),
        lost_worker=crew.unplanned,
        failures=found.failures,
        telemetry=sampled.telemetry if sampled else _no_telemetry(subject),
        faults=after.faults,
        work=after.work,
        interference=besides.interference,
        soak=besides.soak,
    )


def _with_check(found: Found, check: Check) -> Found:
    checks = (*found.audit.checks, check)
    return replace(found, audit=Audit(found.audit.ok and check.ok, checks))


def _tasks(taken: Accounts, watched: Watched, found: Found) -> Tasks:
    expected = taken.tasks_started
    left = max(0, expected - taken.tasks_completed)
    failed = min(found.failed, left)
    abandoned = min(found.abandoned, left - failed)
    left -= failed + abandoned
    in_doubt = 0 if found.reached else min(left, taken.tasks_claimed_open)
    left -= in_doubt
    late = watched.stopped in (Stopped.TIMED_OUT, Stopped.STALLED)
    return Tasks(
        expected=expected,
        completed=taken.tasks_completed,
        failed=failed,
        timed_out=left if late else 0,
        unfinished=0 if late else left,
        abandoned=abandoned,
        indeterminate=in_doubt,
    )


def doubled_by_pgflow(events: Json) -> tuple[Incident, ...]:
    """Events that pgflow itself sends twice, or that a fault kept from being received: explained, and to be known."""
    return tuple(
        Incident(
            str(one["name"]),
            0,
            "events",
            f"{one['count']}: {', '.join(one['ids'][:_FIRST_IDS])}{', …' if one['count'] > _FIRST_IDS else ''}",
        )
        for one in events.get("differences", ())
        if one["name"] in (DOUBLED, CUT, CARRIED)
    )


def _incidents(
    subject: Subject, arena: Arena, noted: Sequence[Incident], watched: Watched, client: Json
) -> tuple[Incident, ...]:
    found = [*noted, *(Incident("not settled", 0, "database", note) for note in subject.notes)]
    found += [
        Incident(
            "warned" if refusal.sqlstate.startswith(WARNING_CLASS) else "refused",
            max(0, refusal.first_ns - watched.origin_ns),
            refusal.operation,
            f"{refusal.sqlstate} x {refusal.count} ({refusal.retried} retried): {refusal.text}",
        )
        for refusal in refusals(arena)
    ]
    deadlocks = [refusal for refusal in refusals(arena) if refusal.sqlstate == _DEADLOCK_STATE]
    found += [
        Incident(
            DEADLOCK,
            max(0, refusal.first_ns - watched.origin_ns),
            refusal.operation,
            f"{refusal.count} times, {refusal.retried} of them sent again: {_WHY_DEADLOCK}",
        )
        for refusal in deadlocks
    ]
    longest_seconds = client["longest_cycle_ns"] / NS_PER_SECOND
    # Where faults strike, a cycle is as long as what struck it.
    if longest_seconds > subject.vt_seconds and not subject.plan.options.faults:
        found.append(
            Incident(
                "vt exceeded",
                0,
                "cycle",
                f"the longest cycle took {longest_seconds:.1f} s, and messages became visible again after "
                f"{subject.vt_seconds} s: give a larger --vt or a smaller --poll-size",
            )
        )
    if watched.stopped is not None:
        found.append(Incident(str(watched.stopped), watched.stopped_at_ns - watched.origin_ns, "repetition"))
    return tuple(sorted(found, key=lambda incident: incident.at_ns))


def _no_telemetry(subject: Subject) -> Json:
    options = subject.plan.options
    if not options.telemetry_cost:
        return {}
    return {"level": "off", "cost_baseline": subject.plan.is_baseline(subject.index)}


def endings(subject: Subject, repetition: Repetition, watched: Watched) -> tuple[Ending, ...]:
    """Every reason why the run does not end with 0."""
    which = f"{subject.plan.scenario}, repetition {subject.index}"
    found = []
    if watched.failure is not None:
        found.append(Ending(ExitCode.RUN_FAILED, f"{which}: {watched.failure}"))
    if watched.stopped is Stopped.INTERRUPTED:
        found.append(Ending(ExitCode.INTERRUPTED, f"{which}: interrupted, {repetition.tasks.unfinished:,} tasks left"))
    elif watched.stopped is not None:
        left = repetition.tasks.timed_out
        found.append(Ending(ExitCode.TIMED_OUT, f"{which}: {watched.stopped}, {left:,} tasks left"))
    if not repetition.audit.ok and watched.failure is None and not subject.cut_short:
        bad = next(check for check in repetition.audit.checks if not check.ok)
        first = ", ".join(bad.ids[:_FIRST_IDS]) + (", …" if len(bad.ids) > _FIRST_IDS else "")
        found.append(
            Ending(
                ExitCode.CHECK_FAILED,
                f"{which}: audit failed: {bad.name}: expected {bad.expected}, found {bad.found}"
                + (f" ({first})" if first else ""),
            )
        )
    return tuple(found)
