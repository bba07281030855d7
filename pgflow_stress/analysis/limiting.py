"""Which side held the rate: the one place where it is decided that it was the client, or cores that both sides share.

The two never contradict each other. Workers that the server waited for, or that kept a core each busy, are the limit
whatever the cores do. Workers that waited for a core are it only where cores are not exhausted: else both sides waited.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from pgflow_stress.analysis.client_probe import probe_client
from pgflow_stress.analysis.evidence import Evidence
from pgflow_stress.core.probes import MORE_CLIENT_COST
from pgflow_stress.core.result import Repetition

CLIENT_BOUND = "client-bound"
CORES_EXHAUSTED = "cores exhausted"


@dataclass(frozen=True, slots=True)
class Sign:
    """One piece of evidence that the client held the rate: words, and the repetitions that show it."""

    text: str
    shares: dict[int, float]  # by repetition


def client_signs(evidence: Evidence) -> list[Sign]:
    """All that say that the client was the limit; empty where it was not.

    Reads client["server_waited_share"] and ["run_queue_share"] of the workers' process phases (engine.accounts has
    them), client["utilization"], server["wait_events"]["worker"]["Client:ClientRead"] where it was sampled, and what
    --probe-client showed.
    """
    limits, is_exhausted = evidence.limits, exhausted_share(evidence) is not None
    ways: list[tuple[str, Callable[[Repetition], float | None], float]] = [
        ("the server waited for the workers {share} of their time", _client("server_waited_share"),
         limits.max_server_waited_share),
        ("workers were on CPU {share} of their time", _client("utilization"), limits.max_client_cpu_share),
    ]  # fmt: skip
    if evidence.parameters.get("worker_model") != "edge-worker":  # most of a pool's connections idle by design
        ways.append(
            ("workers' backends were seen waiting for the client {share} of the time, beyond its idling",
             partial(_client_read_share, is_exhausted=is_exhausted), limits.max_client_read_share)
        )  # fmt: skip
    if not is_exhausted:
        ways.append(
            ("workers were runnable and not run {share} of their time", _client("run_queue_share"),
             limits.max_run_queue_share)
        )  # fmt: skip
    signs = [sign for words, share_of, most in ways for sign in _sign(evidence, words, share_of, most)]
    return [*signs, *_probed(evidence)]


def _sign(
    evidence: Evidence, words: str, share_of: Callable[[Repetition], float | None], most: float
) -> Iterator[Sign]:
    over = {r.index: share for r in evidence.counted if (share := share_of(r)) is not None and share > most}
    if over:
        yield Sign(f"{words.format(share=f'{max(over.values()):.0%}')}, over {most:.0%}", over)


def _probed(evidence: Evidence) -> Iterator[Sign]:
    probe = probe_client(evidence.repetitions)
    if probe is not None and probe.cost.is_lower and probe.client_share > evidence.limits.max_server_waited_share:
        text = f"{MORE_CLIENT_COST:.0%} more client cost lowered the rate by {1 - (probe.cost.ratio or 1):.1%}"
        yield Sign(text, dict.fromkeys((r.index for r in evidence.counted), probe.client_share))


def exhausted_share(evidence: Evidence) -> float | None:
    """How busy the cores that client and server share were, where that is exhausted: mean of the counted ones."""
    shares = [share for r in evidence.counted if (share := host_share(r, "busy_share")) is not None]
    busy = sum(shares) / len(shares) if shares else 0.0
    return busy if evidence.co_located and shares and busy >= evidence.limits.exhausted_share else None


def host_share(repetition: Repetition, name: str) -> float | None:
    """A share of the host's CPU time in the window; None where it was not read, or is no number."""
    return _number((repetition.client.get("host") or {}).get(name))


def _client(name: str) -> Callable[[Repetition], float | None]:
    return lambda repetition: _number(repetition.client.get(name))


def _client_read_share(repetition: Repetition, *, is_exhausted: bool) -> float | None:
    """A backend is seen so, too, while its worker sleeps, and while it waits for a core that both sides want."""
    events = repetition.server.get("wait_events")
    of_workers = events.get("worker") if isinstance(events, dict) else None
    share = _number(of_workers.get("Client:ClientRead")) if isinstance(of_workers, dict) else None
    process = repetition.phases.get("process")
    if share is None or process is None or not process.seconds:
        return None
    workers = len((repetition.client.get("by_worker") or {}).get("cpu_share") or ()) or 1
    idle = (_number(repetition.client.get("idle_seconds")) or 0.0) / (process.seconds * workers)
    waited = (_number(repetition.client.get("run_queue_share")) or 0.0) if is_exhausted else 0.0
    return share - idle - waited


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
