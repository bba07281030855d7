"""A bystander: small updates of a table of ours that is no part of pgflow, at even times, before, during and after.

Two times of each: from when it was due, which counts what kept this process from sending it, and from when it was
sent, which is the server's.
"""

from __future__ import annotations

import random
import threading
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from pgflow_stress.core.latency import empty_histogram, histogram_of, latency_of, merge
from pgflow_stress.core.recording import Histogram
from pgflow_stress.core.result import Json
from pgflow_stress.core.units import NS_PER_SECOND
from pgflow_stress.engine.interference.base import PROOF_SECONDS, Act, Interference, Means, NotHeld, until, value
from pgflow_stress_hot.clock import monotonic_ns

if TYPE_CHECKING:  # see base
    import psycopg

NAME = "bystander"
PER_SECOND = 100
ROWS = 10_000
RECOVERED_RATIO = 1.25  # of the median before: half a second with no more is one that is recovered
_TOGETHER = PER_SECOND // 2  # updates that recovery is told by
_ORDERLY_SECONDS = 0.5
_FOLDED = 4_096  # latencies kept before they are counted into a histogram
_BEHIND_NS = NS_PER_SECOND  # later than that it does not catch up: it would be a burst

_MAKE = """
create schema "{name}";
create table "{name}".bystander (id int primary key, value bigint not null, filler text not null);
insert into "{name}".bystander select id, 0, repeat('x', 80) from generate_series(1, {rows}) as id
"""
_UPDATE = 'update "{name}".bystander set value = value + 1 where id = %s'
_SIZE = "select pg_total_relation_size(%s::regclass)::bigint"


@dataclass(slots=True)
class Span:
    """Updates of one part of the time."""

    from_ns: int
    to_ns: int = 0
    failed: int = 0
    skipped: int = 0  # due while another took longer than a second
    response: Histogram = field(default_factory=empty_histogram)
    service: Histogram = field(default_factory=empty_histogram)
    kept: list[tuple[int, int]] = field(default_factory=list)  # (response, service) ns, not counted yet
    recovered_ns: int = 0  # when it was as fast again as before; 0: not so far

    def fold(self) -> None:
        """Count what is kept."""
        if self.kept:
            response, service = zip(*self.kept, strict=True)
            self.response = merge([self.response, histogram_of(response)])
            self.service = merge([self.service, histogram_of(service)])
            self.kept = []

    def as_json(self, origin_ns: int) -> Json:
        """As the result has it, from the repetition's origin."""
        self.fold()
        end_ns = self.to_ns or monotonic_ns()
        return {
            "from_ns": self.from_ns - origin_ns,
            "seconds": round((end_ns - self.from_ns) / NS_PER_SECOND, 3),
            "updates": self.service.samples,
            "failed": self.failed,
            "skipped": self.skipped,
            "response_ns": asdict(latency_of(self.response)),
            "service_ns": asdict(latency_of(self.service)),
        }


class Bystander(Act):
    """The workload; `span` says which part of the time begins."""

    def __init__(self, means: Means) -> None:
        """Nothing is made yet."""
        self._means = means
        self._name = means.order.own_name
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._spans: dict[str, Span] = {}
        self._now = Span(monotonic_ns())  # of no name: before the first one begins
        self._done = 0
        self._recent: list[int] = []
        self._usual_ns = 0
        self._why = ""

    def hold(self) -> Json:
        """Make the table, and see the first updates answered."""
        looking, updating = self._means.connect(), self._means.connect()
        for statement in _MAKE.format(name=self._name, rows=ROWS).split(";"):
            looking.execute(statement.encode())
        self._looking = looking
        self._size_before = self._size()
        self._thread = threading.Thread(target=self._work, args=(updating,), daemon=True)
        self._thread.start()
        if until(lambda: self._done > 1 or bool(self._why), PROOF_SECONDS) is None or self._why:
            raise NotHeld(self._why or "no update was answered")
        return {"table": f"{self._name}.bystander", "rows": ROWS, "updates_per_second": PER_SECOND}

    def span(self, name: str) -> Json:
        """Another part of the time begins now; one without a name is not told."""
        now_ns = monotonic_ns()
        self._now.to_ns = now_ns
        if name == "after" and (before := self._spans.get("before")) is not None:
            before.fold()
            self._usual_ns = latency_of(before.service).p50 or 0
        self._recent = []
        self._now = self._spans.setdefault(name, Span(now_ns)) if name else Span(now_ns)
        return {}

    def recovered(self) -> Json:
        """Whether it is as fast again as before."""
        after = self._spans.get("after")
        if after is None or not after.recovered_ns:
            return {"recovered_seconds": None}
        return {"recovered_seconds": (after.recovered_ns - after.from_ns) / NS_PER_SECOND}

    def tell(self, origin_ns: int) -> Json:
        """The spans, from the repetition's origin."""
        return {
            "updates_per_second": PER_SECOND,
            "rows": ROWS,
            "spans": {name: span.as_json(origin_ns) for name, span in self._spans.items()},
            "recovered_ratio": RECOVERED_RATIO,
            **self.recovered(),
        }

    def still(self) -> Json:
        """Updates answered, and what the table grew by."""
        if self._why:
            raise NotHeld(self._why)
        return {"updates": self._done, "grown_bytes": self._size() - self._size_before}

    def release(self) -> Json:
        """It goes on until it is closed: what comes after is what it is there for."""
        return {}

    def close(self) -> None:
        """The table goes with all that is the repetition's."""
        self._over.set()
        if self._thread is not None:
            self._thread.join(_ORDERLY_SECONDS)
            if self._thread.is_alive():  # its session is in use: the process's end closes it
                return
        self._means.close()

    def _size(self) -> int:
        return int(value(self._looking, _SIZE, (f'"{self._name}".bystander',)))

    def _work(self, connection: psycopg.Connection[Any]) -> None:
        import psycopg  # noqa: PLC0415  see base

        update, drawn = _UPDATE.format(name=self._name).encode(), random.Random(self._means.order.seed)
        period_ns = NS_PER_SECOND // PER_SECOND
        due_ns = monotonic_ns()
        while not self._over.is_set():
            due_ns += period_ns
            time.sleep(max(0.0, (due_ns - monotonic_ns()) / NS_PER_SECOND))
            sent_ns = monotonic_ns()
            try:
                connection.execute(update, (drawn.randint(1, ROWS),))
            except psycopg.Error as error:
                self._now.failed += 1
                if connection.closed or connection.broken:
                    self._why = f"its session was lost: {str(error).strip().splitlines()[0]}"
                    return
                continue
            self._answered(due_ns, sent_ns, monotonic_ns())
            if monotonic_ns() - due_ns > _BEHIND_NS:
                missed = (monotonic_ns() - due_ns) // period_ns
                self._now.skipped += missed
                due_ns += missed * period_ns

    def _answered(self, due_ns: int, sent_ns: int, done_ns: int) -> None:
        span = self._now
        span.kept.append((done_ns - due_ns, done_ns - sent_ns))
        self._done += 1
        if len(span.kept) >= _FOLDED:
            span.fold()
        if self._usual_ns and not span.recovered_ns:
            self._recent = [*self._recent[1 - _TOGETHER :], done_ns - sent_ns]
            if len(self._recent) == _TOGETHER and _median(self._recent) <= RECOVERED_RATIO * self._usual_ns:
                span.recovered_ns = done_ns


def _median(values: list[int]) -> int:
    return sorted(values)[len(values) // 2]


BYSTANDER = Interference(
    NAME, "nothing else: only the updates of a table of ours that every interference is seen by", Bystander,
    timed=False,
)  # fmt: skip
