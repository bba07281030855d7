"""The observer process of --events realtime: as `observer`, with Supabase's own client for a connection."""

from __future__ import annotations

import asyncio
import gc
import resource
import threading
import time
import uuid

import numpy as np

from pgflow_stress.core.arena import MOST_GAPS, Arena, Header, Stop, Word
from pgflow_stress.core.errors import StressError
from pgflow_stress.core.ids import run_id, split_run_id
from pgflow_stress.core.operations import Operation
from pgflow_stress.engine.driver import make_account
from pgflow_stress.engine.observer_samples import Sampler
from pgflow_stress.engine.orders import ChildExit, ObserverOrder, State, flow_slugs
from pgflow_stress.engine.process import rss_peak_bytes
from pgflow_stress.engine.realtime_answers import ANSWERS, kind_of
from pgflow_stress.engine.sizing import observer_regions
from pgflow_stress.engine.vitals import begin_window
from pgflow_stress_hot.clock import monotonic_ns
from pgflow_stress_hot.events import EventBook
from pgflow_stress_hot.recorder import Region

ANSWER_STATE = b"RT000"  # in place of an SQLSTATE: of Realtime, none of the server's
_BARRIER_SLEEP_SECONDS = 0.002


class RealtimeObserver:
    """One life."""

    def __init__(self, arena: Arena, order: ObserverOrder, region: Region) -> None:
        """Nothing is connected to yet."""
        self._arena, self._order, self._region = arena, order, region
        self._words, self._vitals = arena.words[order.region], arena.vitals[order.region]
        slugs = flow_slugs(order.slug_prefix, order.work)
        account = make_account(arena, region, order.region, order.first_run_id, slugs, order.work)
        deps = [list(step.deps) for step in order.work.steps]
        self._book = EventBook(account, arena.received, arena.strays.view(np.uint8), deps)

    def live(self) -> ChildExit:
        """Join, listen until the end, stay until the coordinator has read what it left."""
        begin_window(self._vitals)  # what the service answers to the first joins is counted as well
        done = asyncio.run(self._listen())
        used = resource.getrusage(resource.RUSAGE_SELF)
        self._words[Word.OBSERVER_CPU_NS] = round((used.ru_utime + used.ru_stime) * 1e9)
        self._words[Word.RSS_PEAK_BYTES] = rss_peak_bytes()
        if done:
            self._words[Word.MARKER] = self._arena.header[Header.MARKER]
        self._words[Word.STATE] = State.PROCESSED
        while self._arena.header[Header.PHASE] < State.ENDED and self._arena.header[Header.STOP] < Stop.NOW:
            time.sleep(_BARRIER_SLEEP_SECONDS)
        self._words[Word.STATE] = State.ENDED
        return ChildExit.DONE

    async def _listen(self) -> bool:
        # It brings pydantic and websockets, which no other process is to have.
        from pgflow_stress.engine.realtime_following import Channels  # noqa: PLC0415

        if self._order.realtime is None:
            raise StressError("--events realtime without --realtime-url")
        channels = Channels(
            self._order.realtime, self._runs(), self._order.channel, self._receive, self._answer, self._note_gap
        )
        stop = threading.Event()
        header = self._arena.header
        try:
            began_ns = monotonic_ns()
            await channels.open()
            self._words[Word.SUBSCRIBE_NS] = monotonic_ns() - began_ns
            if self._order.replaces_region is not None:
                self._note_gap(
                    int(self._arena.words[self._order.replaces_region, Word.LAST_RECEIVED_NS]), monotonic_ns()
                )
            gc.collect()
            gc.freeze()  # not disabled: messages are Python's objects here, with cycles among them
            threading.Thread(target=Sampler(self._arena, self._order, stop).run, daemon=True).start()
            self._words[Word.STATE] = State.PRIMED
            return await channels.follow(lambda: int(header[Header.MARKER]), lambda: header[Header.STOP] >= Stop.NOW)
        finally:
            stop.set()
            await channels.close()

    def _runs(self) -> list[uuid.UUID]:
        split = split_run_id(uuid.UUID(bytes=self._order.first_run_id))
        assert split is not None
        return [run_id(split[0], index) for index in range(self._order.work.runs)]

    def _receive(self, topic: bytes, name: bytes, received_ns: int) -> None:
        self._words[Word.RECEIVED_BYTES] += len(topic) + len(name)
        self._book.receive(topic, name, received_ns)

    def _answer(self, state: str, reason: str) -> None:
        kind = kind_of(state, reason)
        self._vitals[ANSWERS[kind]] += 1
        self._region.error(Operation.ROUND_TRIP, True, ANSWER_STATE, f"{kind}: {reason}".encode())

    def _note_gap(self, from_ns: int, to_ns: int) -> None:
        gaps = int(self._arena.words[list(observer_regions(self._order.size)), Word.GAPS].sum())
        if gaps < MOST_GAPS:
            self._arena.gaps[gaps] = from_ns, to_ns
        else:  # the last place holds all that come after
            self._arena.gaps[-1, 1] = to_ns
        self._words[Word.GAPS] += 1
        self._words[Word.RECONNECTS] += 1
