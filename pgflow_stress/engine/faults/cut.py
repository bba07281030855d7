"""A worker's connection cut within a message, or stalled: by the proxy that its connection goes through."""

from __future__ import annotations

from pgflow_stress.core.arena import Word
from pgflow_stress.core.units import NS_PER_SECOND
from pgflow_stress.engine.faults.base import Blow, Fault, Ground, Missed
from pgflow_stress.engine.faults.kill_backend import see_reconnects
from pgflow_stress.engine.faults.proxy import ask
from pgflow_stress_hot.clock import monotonic_ns

_STALL_SECONDS = 2.0
_PATIENCE_SECONDS = 5.0  # that something comes which can be cut


def _cut(ground: Ground, blow: Blow) -> None:
    region = ground.a_worker()
    slot, pid, backend = ground.slot_of(region), ground.word(region, Word.PID), ground.word(region, Word.BACKEND_PID)
    ground.plan(blow, {backend})
    blow.struck(f"connection of worker {slot}", slot)
    armed = ask(ground.proxy, do="cut", pid=pid, direction=ground.random.choice(("request", "answer")))
    done = {}
    if armed:
        ground.until(lambda: bool(ask(ground.proxy, do="cut?", pid=pid, **armed)), _PATIENCE_SECONDS)
        done = ask(ground.proxy, do="let", pid=pid, **armed)
    if not done:
        raise Missed("nothing went over the connection that could be cut")
    blow.held(**done, backends_gone=[backend])
    see_reconnects(ground, blow, [region])


def _stall(ground: Ground, blow: Blow) -> None:
    region = ground.a_worker()
    slot, pid = ground.slot_of(region), ground.word(region, Word.PID)
    seconds = blow.strike.spec.lasts_seconds or _STALL_SECONDS
    blow.struck(f"connection of worker {slot}", slot)
    began_ns = monotonic_ns()
    stalled = ask(ground.proxy, do="stall", pid=pid)
    if stalled:
        ground.hold(seconds)
    done = ask(ground.proxy, do="flow", pid=pid, **stalled) if stalled else {}
    if not done.get("bytes_kept"):
        raise Missed("nothing was to go over the connection meanwhile")
    blow.held(seconds=round((monotonic_ns() - began_ns) / NS_PER_SECOND, 3), **done)


CUT = Fault("cut", "a worker's connection cut within a message, by a proxy; it connects again", _cut,
            proxied=True)  # fmt: skip
STALL = Fault("stall", "nothing goes over a worker's connection, 2 s by default, by a proxy", _stall,
              lasts_seconds=_STALL_SECONDS, proxied=True)  # fmt: skip
