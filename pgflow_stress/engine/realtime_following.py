"""The channels of a repetition's runs on Supabase Realtime: joined, joined again, every answer booked.

pgflow sends each run's events to a topic of its own, so that there is a channel a run; a connection carries at most a
hundred of them. The client is Supabase's own (PyPI: realtime), whose loop shares this process with nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Callable
from typing import Any

from realtime import AsyncRealtimeChannel, AsyncRealtimeClient

from pgflow_stress.core.errors import StressError
from pgflow_stress.core.units import NS_PER_SECOND
from pgflow_stress.engine.realtime_answers import CHANNEL_ERROR, CLOSED, TIMED_OUT
from pgflow_stress.scenario.options import RealtimeAccess
from pgflow_stress_hot.clock import monotonic_ns

CHANNELS_A_CONNECTION = 100  # Realtime's published limit
JOINS_PER_SECOND = 90  # below the least of its published limits, which is 100
JOIN_SECONDS = 60.0  # for one channel, refusals and all
SETTLE_SECONDS = 1.0
_TIMEOUT_SECONDS = 10  # of one join
_FIRST_TRIED, _CONNECTIONS_TRIED = 3, 20
_FIRST_PAUSE_SECONDS = 0.1
_AGAIN_SECONDS = 0.5
_LOOK_SECONDS = 0.02
_CONFIG: dict[str, Any] = {"broadcast": {"ack": False, "self": False}, "presence": {"key": "", "enabled": False}}

Receive = Callable[[bytes, bytes, int], None]  # topic, event's name, when
Answer = Callable[[str, str], None]  # state, reason
Gap = Callable[[int, int], None]  # from, to: CLOCK_MONOTONIC ns


class Channels:
    """All channels of one repetition, in one event loop."""

    def __init__(
        self, access: RealtimeAccess, runs: list[uuid.UUID], mark_topic: str, receive: Receive, answer: Answer, gap: Gap
    ) -> None:
        """Nothing is connected to yet."""
        # Its own lines would go to standard error; what they say is counted here.
        logging.getLogger("realtime").addHandler(logging.NullHandler())
        logging.getLogger("realtime").propagate = False
        self._access = access
        self._topics = [mark_topic, *(f"pgflow:run:{run}" for run in runs)]
        self._mark_topic = mark_topic
        self._receive, self._answer, self._gap = receive, answer, gap
        self._clients: list[AsyncRealtimeClient] = []
        self._down: set[str] = set()  # topics that were joined and are not
        self._down_since_ns = 0
        self._heard_ns = monotonic_ns()
        self._again: set[asyncio.Task[None]] = set()
        self._closing = False
        self.marked = 0  # the last mark that came

    async def open(self) -> None:
        """Join every channel.

        Raises:
            StressError: the service cannot be reached, or refuses a channel.
        """
        began = monotonic_ns()
        for number, topic in enumerate(self._topics):
            if number % CHANNELS_A_CONNECTION == 0:
                await self._connect()
            await self._join_first(self._clients[-1], topic)
            ahead_ns = (number + 1) * NS_PER_SECOND // JOINS_PER_SECOND - (monotonic_ns() - began)
            if ahead_ns > 0:
                await asyncio.sleep(ahead_ns / NS_PER_SECOND)

    async def _connect(self) -> None:
        client = AsyncRealtimeClient(
            self._access.url, self._access.key, max_retries=_FIRST_TRIED,
            initial_backoff=_FIRST_PAUSE_SECONDS, timeout=_TIMEOUT_SECONDS,
        )  # fmt: skip
        self._clients.append(client)
        await client.set_auth(self._access.jwt or self._access.key)
        try:
            await client.connect()
        except Exception as error:
            raise StressError(f"Realtime at {self._access.place} cannot be reached: {error}") from None
        client.max_retries = _CONNECTIONS_TRIED  # of one that was there

    async def _join_first(self, client: AsyncRealtimeClient, topic: str) -> None:
        deadline = monotonic_ns() + round(JOIN_SECONDS * NS_PER_SECOND)
        pause_seconds = _AGAIN_SECONDS
        while True:
            channel, reasons = self._channel(client, topic)
            if channel.is_joined:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._subscribe(channel, topic, reasons), _TIMEOUT_SECONDS + 1)
            if channel.is_joined:
                return
            reason = reasons[-1] if reasons else "no answer"
            if monotonic_ns() > deadline or "nauthorized" in reason:
                raise StressError(f"Realtime refused channel {topic}: {reason}")
            client.channels.pop(channel.topic, None)
            channel.rejoin_timer.reset()
            channel.join_push.destroy()
            await asyncio.sleep(pause_seconds)
            pause_seconds *= 2

    def _channel(self, client: AsyncRealtimeClient, topic: str) -> tuple[AsyncRealtimeChannel, list[str]]:
        asked: Any = {"config": {**_CONFIG, "private": self._access.private}}
        channel = client.channel(topic, asked)
        if not channel.broadcast_callbacks:
            name = topic.encode()
            take: Callable[[Any], None] = lambda payload: self._take(name, payload)  # noqa: E731
            channel.on_broadcast("*", self._mark if topic == self._mark_topic else take)
        return channel, []

    async def _subscribe(self, channel: AsyncRealtimeChannel, topic: str, reasons: list[str]) -> None:
        await channel.subscribe(lambda state, error: self._on_state(channel, topic, str(state.value), error, reasons))

    def _take(self, topic: bytes, payload: Any) -> None:
        self._heard_ns = monotonic_ns()
        self._receive(topic, str(payload["event"]).encode(), self._heard_ns)

    def _mark(self, payload: Any) -> None:
        # One that comes again, as the coordinator repeats it, is no news: there would never be a moment's silence.
        with contextlib.suppress(KeyError, TypeError, ValueError):
            self.marked = max(self.marked, int(payload["payload"]["number"]))

    def _on_state(
        self, channel: AsyncRealtimeChannel, topic: str, state: str, error: Exception | None, reasons: list[str]
    ) -> None:
        if state not in (CHANNEL_ERROR, TIMED_OUT, CLOSED):
            self._up(topic)
            return
        if self._closing:
            return
        reasons.append(str(error or state))
        self._answer(state, reasons[-1])
        if not self._down:
            self._down_since_ns = self._heard_ns
        self._down.add(topic)
        if state == CLOSED:  # by the server: the client gives such a channel up
            task = asyncio.get_running_loop().create_task(self._join_again(channel.socket, topic))
            self._again.add(task)
            task.add_done_callback(self._again.discard)

    def _up(self, topic: str) -> None:
        if topic in self._down:
            self._down.discard(topic)
            if not self._down:
                self._gap(self._down_since_ns, monotonic_ns())

    async def _join_again(self, client: AsyncRealtimeClient, topic: str) -> None:
        pause_seconds = _AGAIN_SECONDS
        while not self._closing:
            await asyncio.sleep(pause_seconds)
            channel, reasons = self._channel(client, topic)
            if not channel._joined_once:  # the client has no other word for it
                await self._subscribe(channel, topic, reasons)
            if channel.is_joined or channel.is_errored:  # an errored one is joined again by the client
                return
            pause_seconds = min(2 * pause_seconds, JOIN_SECONDS)

    async def follow(self, wanted: Callable[[], int], stopped: Callable[[], bool]) -> bool:
        """Listen until the wanted mark has come and nothing after it for a moment; False where it was stopped.

        Realtime keeps the order of a topic alone: what was sent before the mark may come after it on another channel.
        """
        while not stopped():
            mark = wanted()
            if 0 < mark <= self.marked and monotonic_ns() - self._heard_ns > SETTLE_SECONDS * NS_PER_SECOND:
                return True
            await asyncio.sleep(_LOOK_SECONDS)
        return False

    async def close(self) -> None:
        """Leave; a gap that is open ends here."""
        self._closing = True
        if self._down:
            self._gap(self._down_since_ns, monotonic_ns())
        for task in self._again:
            task.cancel()
        for client in self._clients:
            client.auto_reconnect = False
            for channel in client.get_channels():
                channel.rejoin_timer.reset()
                channel.join_push.destroy()
            with contextlib.suppress(Exception):
                await asyncio.wait_for(client.close(), _TIMEOUT_SECONDS)
