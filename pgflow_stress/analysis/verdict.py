"""Is the measurement valid for its purpose: rules with numbers, each a small named function.

A finding invalidates the metrics that it names, says so in one line, and counts against the whole measurement where it
touches a headline metric. A note only labels. What a rule reads beside the contract's keys is in its docstring. Those
about observers are in observer_rules, about a window's course in window_rules, about what else went on in
disturbance_rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pgflow_stress.analysis.breakdown_rules import breakdown_adds_up
from pgflow_stress.analysis.client_rules import client_is_not_the_limit
from pgflow_stress.analysis.disturbance_rules import (
    cores_are_not_exhausted,
    no_autoanalyze_inside,
    no_autovacuum_inside,
    no_checkpoint_inside,
    no_cpu_was_stolen,
    window_has_checkpoints,
)
from pgflow_stress.analysis.evidence import DEFAULT_LIMITS, TIMED, Evidence, Finding, Limits, Rule
from pgflow_stress.analysis.fault_rules import faults_are_told
from pgflow_stress.analysis.interference_rules import interference_is_told
from pgflow_stress.analysis.metrics import describe
from pgflow_stress.analysis.observer_rules import (
    observer_kept_up,
    observer_was_left_alone,
    observer_was_there,
    observing_changed_nothing,
)
from pgflow_stress.analysis.plan_rules import plans_fit, plans_stayed
from pgflow_stress.analysis.precision import precision_is_told
from pgflow_stress.analysis.schedule_rules import every_run_was_started, schedule_was_kept
from pgflow_stress.analysis.summary import summarise
from pgflow_stress.analysis.window_rules import priming_was_enough, rate_is_stationary, tail_is_short
from pgflow_stress.core.result import Json, MetricVerdict, Repetition, Verdict

HEADLINE = ("execute.per_second", "process.per_second", "end_to_end.per_second", "process.latency_ns.p50")

HEADLINE_OF_DEFINITION = ("create.per_second",)


def headline_of(evidence: Evidence) -> tuple[str, ...]:
    """The metrics that the verdict stands on: of a scenario that starts no run, creation's."""
    return HEADLINE if runs_tasks(evidence) else HEADLINE_OF_DEFINITION


def runs_tasks(evidence: Evidence) -> bool:
    """Whether there was anything to be processed, or nothing is known of it."""
    return not evidence.counted or any(repetition.tasks.expected for repetition in evidence.counted)


def something_is_counted(evidence: Evidence) -> Iterator[Finding]:
    """Without a counted repetition there is nothing to rely on."""
    if not evidence.counted:
        text = "no repetition counts: all were warm-up, interrupted or lost a worker"
        yield Finding(text, frozenset(evidence.summary))


def audit_holds(evidence: Evidence) -> Iterator[Finding]:
    """A failed audit, of a warm-up too, leaves no number to trust."""
    failed = [str(repetition.index) for repetition in evidence.repetitions if not repetition.audit.ok]
    if failed:
        yield Finding(f"the audit failed in repetition {', '.join(failed)}", frozenset(evidence.summary))


def phases_last_long_enough(evidence: Evidence) -> Iterator[Finding]:
    """A phase shorter than the limit shows start-up and scheduling; each phase's own metrics are touched."""
    least = evidence.limits.min_phase_seconds
    short: dict[str, float] = {}
    for name in dict.fromkeys(name for repetition in evidence.counted for name in repetition.phases):
        seconds = [r.phases[name].seconds for r in evidence.counted if name in r.phases and r.phases[name].count]
        if seconds and min(seconds) < least:
            short[name] = min(seconds)
    main = [name for name in short if f"{name}.per_second" in headline_of(evidence)]
    for group in (main, *([name] for name in short if name not in main)):
        if group:
            lasted = ", ".join(f"{name} {short[name]:.2g} s" for name in group)
            touched = evidence.timed_metrics(*group)
            yield Finding(f"too short, under {least:g} s: {lasted}", touched, too_short=True, comparable=True)


def workers_cycle_often_enough(evidence: Evidence) -> Iterator[Finding]:
    """Cycles are statements that timed tasks: `process` latency samples a worker."""
    workers = max(1, int(evidence.parameters.get("workers", 1)))
    cycles = [r.phases["process"].latency_ns.samples // workers for r in evidence.counted if "process" in r.phases]
    least = evidence.limits.min_cycles_per_worker
    if cycles and min(cycles) < least and runs_tasks(evidence):
        touched = evidence.timed_metrics("process", "execute", "end_to_end")
        text = f"{min(cycles):,} cycles a worker, under {least}"
        yield Finding(text, touched, too_short=True, comparable=True)


def littles_law_holds(evidence: Evidence) -> Iterator[Finding]:
    """Claimed tasks = throughput x time claimed.

    Reads client["littles_law"]: {"ratio": float | None, "samples": int}.
    """
    tolerance, least = evidence.limits.littles_law_tolerance, evidence.limits.min_littles_law_samples
    found = [r.client.get("littles_law") or {} for r in evidence.counted]
    ratios = [law.get("ratio") for law in found if law.get("samples", 0) >= least]
    off = [ratio for ratio in ratios if ratio is not None and abs(ratio - 1) > tolerance]
    if off:
        worst = max(off, key=lambda ratio: abs(ratio - 1))
        yield Finding(
            f"Little's law is off by {abs(worst - 1):.0%} (ratio {worst:.2f}), over {tolerance:.0%}",
            evidence.timed_metrics("process", "execute"),
        )


def repetitions_agree(evidence: Evidence) -> Iterator[Finding]:
    """The standard deviation against the mean, metric by metric."""
    most = evidence.limits.max_stdev_of_mean
    for name, metric in evidence.summary.items():
        if describe(name).kind not in TIMED | {"cost"} or metric.stdev is None or not metric.mean:
            continue
        share = metric.stdev / abs(metric.mean)
        if share > most:
            text = f"{name} varies: stdev is {share:.0%} of its mean, over {most:.0%}"
            yield Finding(text, frozenset({name}), comparable=True)


def every_repetition_has_a_value(evidence: Evidence) -> Iterator[Finding]:
    """A percentile that some repetitions have too few samples for is not missing at random."""
    for name, metric in evidence.summary.items():
        expected = metric.n > 0 or runs_tasks(evidence)
        if expected and metric.n < len(metric.values):
            yield Finding(f"{name} has a value in {metric.n} of {len(metric.values)} repetitions", frozenset({name}))


def enough_repetitions(evidence: Evidence) -> Iterator[Finding]:
    """A note: an interval of two values is too wide to say anything."""
    n, least = len(evidence.counted), evidence.limits.min_repetitions
    if 0 < n < least:
        many = "s" if n > 1 else ""
        yield Finding(f"{n} counted repetition{many}: an interval worth the name takes {least}")


def rows_were_kept(evidence: Evidence) -> Iterator[Finding]:
    """A note. Reads client["rows_left_out"]: rows of timings that found no room; histograms have them."""
    left_out = sum(int(r.client.get("rows_left_out") or 0) for r in evidence.repetitions)
    if left_out:
        one_in = max((int(r.soak.get("one_second_in", 1)) for r in evidence.repetitions), default=1)
        why = f"were passed by: one second in {one_in} is kept row by row" if one_in > 1 else "found no room"
        yield Finding(f"{left_out:,} rows of timings {why}; percentiles and counts include them")


def cores_are_apart(evidence: Evidence) -> Iterator[Finding]:
    """A note: client and server on shared cores."""
    if evidence.co_located:
        yield Finding("co-located: client and server share cores")


RULES: tuple[Rule, ...] = (  # in the order in which a reader should meet their lines
    audit_holds,
    something_is_counted,
    schedule_was_kept,
    observer_kept_up,
    observer_was_there,
    phases_last_long_enough,
    workers_cycle_often_enough,
    no_checkpoint_inside,
    window_has_checkpoints,
    no_autovacuum_inside,
    no_autoanalyze_inside,
    plans_stayed,
    plans_fit,
    no_cpu_was_stolen,
    client_is_not_the_limit,
    priming_was_enough,
    rate_is_stationary,
    littles_law_holds,
    breakdown_adds_up,
    repetitions_agree,
    every_repetition_has_a_value,
    enough_repetitions,
    precision_is_told,
    every_run_was_started,
    rows_were_kept,
    tail_is_short,
    observer_was_left_alone,
    observing_changed_nothing,
    cores_are_not_exhausted,
    cores_are_apart,
    faults_are_told,
    interference_is_told,
)


def judge(
    parameters: Json,
    repetitions: Sequence[Repetition],
    environment: Json,
    limits: Limits = DEFAULT_LIMITS,
    rules: Sequence[Rule] = RULES,
) -> Verdict:
    """The verdict, over all and by metric; valid where no finding touches a headline metric.

    Args:
        parameters: every effective parameter of the scenario (`workers`, `pin`).
        repetitions: all of them, warm-up included.
        environment: the fingerprint.
    """
    evidence = Evidence(parameters, repetitions, environment, summarise(repetitions), limits)
    findings = [finding for rule in rules for finding in rule(evidence)]
    against_all = [finding for finding in findings if finding.metrics.intersection(headline_of(evidence))]
    metrics = {}
    for name in evidence.summary:
        against = [finding for finding in findings if name in finding.metrics]
        metrics[name] = MetricVerdict(
            valid=not against,
            reasons=tuple(finding.text for finding in against),
            comparable=all(finding.comparable for finding in against),
        )
    notes = tuple(finding.text for finding in findings if not finding.metrics)
    return Verdict(
        valid=not against_all,
        reasons=tuple(finding.text for finding in against_all),
        metrics=metrics,
        notes=notes,
        quick_look=any(finding.too_short for finding in against_all),
    )
