"""The result's shape, `pgflow-stress/result/1`: frozen dataclasses, JSON in and out.

Times are integers in nanoseconds (`_ns`), but for `seconds`; sizes are bytes; rates are per second.
Unknown keys are accepted on reading and dropped.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

SCHEMA = "pgflow-stress/result/1"
INDEX_SCHEMA = "pgflow-stress/index/1"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Latency:
    """Latencies of one phase; a percentile with fewer than 10 samples beyond it is None.

    `count` is what the phase counts, `samples` the distinct statements that timed them.
    """

    count: int = 0
    samples: int = 0
    mean: float | None = None
    p50: int | None = None
    p90: int | None = None
    p95: int | None = None
    p99: int | None = None
    p999: int | None = None
    p9999: int | None = None
    max: int | None = None


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase: from_ns and to_ns count from the repetition's origin; None where it did not happen."""

    from_ns: int | None = None
    to_ns: int | None = None
    seconds: float = 0.0
    count: int = 0
    per_second: float | None = None
    per_second_common: float | None = None
    latency_ns: Latency = field(default_factory=Latency)


@dataclass(frozen=True, slots=True)
class Tasks:
    """What became of every task that the plan says should exist: the other six add up to `expected`."""

    expected: int
    completed: int = 0
    failed: int = 0
    timed_out: int = 0
    unfinished: int = 0
    abandoned: int = 0
    indeterminate: int = 0


@dataclass(frozen=True, slots=True)
class Check:
    """One invariant: `expected` and `found` are JSON values; `ids` names offenders, all of them."""

    name: str
    ok: bool
    expected: Any
    found: Any
    ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Audit:
    """Every check of a repetition; ok when all are."""

    ok: bool
    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True)
class Incident:
    """What a reader must know: a worker lost and replaced, tasks adopted, retries. at_ns from the origin."""

    kind: str
    at_ns: int
    subject: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Repetition:
    """One repetition; `window` is {seconds}, the common window of its phases."""

    index: int
    warmup: bool
    interrupted: bool
    window: Json
    phases: dict[str, Phase]
    tasks: Tasks
    events: Json
    audit: Audit
    incidents: tuple[Incident, ...]
    client: Json
    server: Json
    lost_worker: bool = False  # lost unplanned: kept, but left out of the summary
    failures: Json = field(default_factory=dict)  # {error, its first line: tasks that failed of it}
    telemetry: Json = field(default_factory=dict)  # {} where there was no sampler
    faults: tuple[Json, ...] = ()  # injected: each with its proof and its recovery
    interference: Json = field(default_factory=dict)  # what went on besides, and the bystander; {} where nothing did
    soak: Json = field(default_factory=dict)  # of --soak: the course of the load, window by window
    work: Json = field(default_factory=dict)  # where faults were injected: what was read, claimed, completed again

    @property
    def counted(self) -> bool:
        """Whether the summary includes it."""
        return not (self.warmup or self.interrupted or self.lost_worker or self.baseline or self.probe)

    @property
    def probe(self) -> str:
        """What --probe-client changed in it, to see what that does to the rate; "" where nothing was."""
        return str((self.client.get("probe") or {}).get("kind") or "")

    @property
    def without(self) -> str:
        """What it ran without, where it is a baseline; else ""."""
        if self.telemetry.get("cost_baseline"):
            return "telemetry"
        return "the observer" if self.events.get("cost_baseline") else ""

    @property
    def baseline(self) -> bool:
        """Whether it ran without the observer, or without telemetry, so that the others' cost of it is known."""
        return bool(self.without)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric over the counted repetitions; n 0 and Nones where none is counted."""

    mean: float | None
    stdev: float | None
    ci95: tuple[float, float] | None
    n: int
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class MetricVerdict:
    """Whether one metric can be relied on, and why not."""

    valid: bool
    reasons: tuple[str, ...] = ()
    comparable: bool = False  # though not valid: what speaks against it is only too short, or what a test weighs


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the measurement is valid for its purpose, over all and by metric; notes invalidate nothing."""

    valid: bool
    reasons: tuple[str, ...]
    metrics: dict[str, MetricVerdict]
    notes: tuple[str, ...] = ()
    quick_look: bool = False  # not valid because it was too short


@dataclass(frozen=True, slots=True)
class Result:
    """One scenario's measurement."""

    tool: Json
    scenario: Json
    load_model: str
    environment: Json
    hosts: tuple[Json, ...]
    repetitions: tuple[Repetition, ...]
    summary: dict[str, Metric]
    verdict: Verdict
    outcome: Json = field(default_factory=dict)  # {exit_code, codes: [...], reasons: [...]}
    profile: Json = field(default_factory=dict)  # of `profile` alone: analysis.profile
    schema: str = SCHEMA


def to_json(result: Result) -> Json:
    """The result as plain JSON values."""
    plain: Json = _plain(asdict(result))
    if not plain["profile"]:
        del plain["profile"]  # nobody asked for one
    return {"schema": result.schema, **{k: v for k, v in plain.items() if k != "schema"}}


def repetition_to_json(repetition: Repetition) -> Json:
    """One repetition as plain JSON values, as it stands in a result."""
    plain: Json = _plain(asdict(repetition))
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def from_json(document: Json) -> Result:
    """Read a result; unknown keys are dropped.

    Raises:
        ValueError: not of this schema, or a required key is absent; the message says which.
    """
    if document.get("schema") != SCHEMA:
        raise ValueError(f"not a {SCHEMA} document (schema is {document.get('schema')!r})")
    try:
        return Result(
            tool=document["tool"],
            scenario=document["scenario"],
            load_model=document["load_model"],
            environment=document["environment"],
            hosts=tuple(document["hosts"]),
            repetitions=tuple(repetition_from_json(r) for r in document["repetitions"]),
            summary={
                name: Metric(m["mean"], m["stdev"], tuple(m["ci95"]) if m["ci95"] else None, m["n"], tuple(m["values"]))
                for name, m in document["summary"].items()
            },
            verdict=Verdict(
                document["verdict"]["valid"],
                tuple(document["verdict"]["reasons"]),
                {
                    name: MetricVerdict(m["valid"], tuple(m["reasons"]), m.get("comparable", False))
                    for name, m in document["verdict"]["metrics"].items()
                },
                tuple(document["verdict"].get("notes", ())),
                document["verdict"].get("quick_look", False),
            ),
            outcome=document.get("outcome", {}),
            profile=document.get("profile") or {},
        )
    except KeyError as error:
        raise ValueError(f"result lacks {error.args[0]!r}") from None


def repetition_from_json(document: Json) -> Repetition:
    """Read one repetition; unknown keys are dropped.

    Raises:
        KeyError: a required key is absent.
    """
    return Repetition(
        index=document["index"],
        warmup=document["warmup"],
        interrupted=document["interrupted"],
        window=document["window"],
        phases={name: _phase(p) for name, p in document["phases"].items()},
        tasks=Tasks(**_known(Tasks, document["tasks"])),
        events=document["events"],
        audit=Audit(
            document["audit"]["ok"],
            tuple(
                Check(c["name"], c["ok"], c["expected"], c["found"], tuple(c.get("ids", ())))
                for c in document["audit"]["checks"]
            ),
        ),
        incidents=tuple(Incident(**_known(Incident, i)) for i in document["incidents"]),
        client=document["client"],
        server=document["server"],
        lost_worker=document.get("lost_worker", False),
        failures=document.get("failures", {}),
        telemetry=document.get("telemetry", {}),
        faults=tuple(document.get("faults", ())),
        interference=document.get("interference", {}),
        soak=document.get("soak", {}),
        work=document.get("work", {}),
    )


def _phase(document: Json) -> Phase:
    values = _known(Phase, document)
    return Phase(**{**values, "latency_ns": Latency(**_known(Latency, document["latency_ns"]))})


def _known(kind: Any, document: Json) -> Json:
    return {key: document[key] for key in kind.__dataclass_fields__ if key in document}
