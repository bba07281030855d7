"""Checkpoints on request, a second after one another: what a small max_wal_size does to a server."""

from __future__ import annotations

import threading
import time

from pgflow_stress.core.result import Json
from pgflow_stress.engine.interference.base import Act, Interference, Means, NotHeld, value

_PAUSE_SECONDS = 1.0
_CHECKPOINTER_VERSION = 170000
_REQUESTED = "select num_requested from pg_stat_checkpointer"
_WRITTEN = "select buffers_written from pg_stat_checkpointer"
_REQUESTED_BEFORE_17 = "select checkpoints_req from pg_stat_bgwriter"
_WRITTEN_BEFORE_17 = "select buffers_checkpoint from pg_stat_bgwriter"


class _Checkpoints(Act):
    def __init__(self, means: Means) -> None:
        self._means = means
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._seconds: list[float] = []
        self._why = ""

    def hold(self) -> Json:
        """The first one is done, and the server counted it."""
        self._looking, self._asking = self._means.connect(), self._means.connect()
        is_new = self._looking.info.server_version >= _CHECKPOINTER_VERSION
        self._requested = _REQUESTED if is_new else _REQUESTED_BEFORE_17
        self._written = _WRITTEN if is_new else _WRITTEN_BEFORE_17
        self._before = self._counts()
        self._checkpoint()
        self._thread = threading.Thread(target=self._go_on, daemon=True)
        self._thread.start()
        return {"first_seconds": round(self._seconds[0], 4)}

    def still(self) -> Json:
        """As many as were asked for are in the server's count."""
        if self._why:
            raise NotHeld(self._why)
        done = len(self._seconds)
        requested, written = (after - before for after, before in zip(self._counts(), self._before, strict=True))
        if requested < done:
            raise NotHeld(f"{done} were asked for, {requested} are in the server's count")
        return {
            "checkpoints": done,
            "requested_by_the_servers_count": requested,
            "buffers_written": written,
            "longest_seconds": round(max(self._seconds[:done]), 4),
        }

    def release(self) -> Json:
        """The last one has ended."""
        began = time.monotonic()
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        return {"last_ended_seconds": round(time.monotonic() - began, 4)}

    def close(self) -> None:
        """No more of them."""
        self._over.set()
        if self._thread is not None and self._thread.is_alive():  # its session is in use: the process's end closes it
            return
        self._means.close()

    def _counts(self) -> tuple[int, int]:
        self._looking.execute("select pg_stat_clear_snapshot()")
        return int(value(self._looking, self._requested)), int(value(self._looking, self._written))

    def _checkpoint(self) -> None:
        began = time.monotonic()
        self._asking.execute("checkpoint")
        self._seconds.append(time.monotonic() - began)

    def _go_on(self) -> None:
        import psycopg  # noqa: PLC0415  see base

        try:
            while not self._over.wait(_PAUSE_SECONDS):
                self._checkpoint()
        except psycopg.Error as error:
            self._why = f"a checkpoint failed: {str(error).strip().splitlines()[0]}"


CHECKPOINTS = Interference("checkpoints", "CHECKPOINT again and again, a second after the last one ended", _Checkpoints)
