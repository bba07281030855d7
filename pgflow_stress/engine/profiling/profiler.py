"""One repetition's profile: the views read at both ends of the window, call graphs in it, plans after it."""

from __future__ import annotations

import psycopg

from pgflow_stress.core.arena import Arena, Word
from pgflow_stress.core.result import Json
from pgflow_stress.engine.control import Control
from pgflow_stress.engine.plans import PlanWatch
from pgflow_stress.engine.profiling.call_graphs import CallGraphs
from pgflow_stress.engine.profiling.plan_sample import nested_plans
from pgflow_stress.engine.profiling.views import Views, describe_views, read_views
from pgflow_stress.engine.server_processes import find_postmaster
from pgflow_stress.engine.sizing import starter_regions


class Profiler:
    """`begin` before the window and `end` after it, while the workers' sessions are there and idle."""

    def __init__(self, control: Control, arena: Arena, slug_prefix: str, *, call_graphs: bool) -> None:
        """Nothing is read yet."""
        self._control = control
        self._arena = arena
        self._slug_prefix = slug_prefix
        self._before: Views | None = None
        self._told: Json = {}
        self._graphs = CallGraphs() if call_graphs else None
        self.speedscope: Json | None = None  # the document, where call graphs were sampled

    def begin(self) -> None:
        """Read the views, sample call graphs from here on."""
        self._before = self._read()
        if self._graphs is not None:
            self._graphs.begin(self._processes())

    def end(self) -> None:
        """Read the views again."""
        if self._graphs is not None:
            self._graphs.end()
        after = self._read()
        if self._before is None or after is None:
            self._told = {"not_seen": ["statements and functions: the server did not answer"]}
        else:
            told = describe_views(self._before, after)
            self._told = {**told, "worker_process_ns": worker_process_ns(self._arena)}

    def conclude(self, plan_watch: PlanWatch | None) -> Json:
        """What takes its time, after the window: as the result's server["profile"].

        Args:
            plan_watch: shows the plans; None where the window did not end by itself: then nobody waits for anything.
        """
        if plan_watch is None:
            return self._told
        told = {**self._told, "plans": nested_plans(plan_watch.explain(), self._slug_prefix)}
        if plan_watch.why:
            told["not_seen"] = [*told["not_seen"], f"plans of nested statements: {plan_watch.why}"]
        if self._graphs is not None:
            told["call_graphs"], self.speedscope = self._graphs.read()
        return told

    def close(self) -> None:
        """Leave nothing behind."""
        if self._graphs is not None:
            self._graphs.close()

    def _read(self) -> Views | None:
        try:
            return read_views(self._control.connection, self._slug_prefix)
        except psycopg.Error:
            return None

    def _processes(self) -> dict[int, str]:
        """Workers, and their backends where they are on this host."""
        words = self._arena.words[: starter_regions(self._arena.size).start]
        found = {int(pid): "workers" for pid in words[:, Word.PID] if pid}
        for backend in words[:, Word.BACKEND_PID].tolist():
            if backend and find_postmaster(backend) is not None:
                found[backend] = "backends"
        return found


def worker_process_ns(arena: Arena) -> int:
    """From its first poll to its last answer, of each worker, added up."""
    words = arena.words[: starter_regions(arena.size).start]
    worked = words[words[:, Word.PROCESS_TO_NS] > words[:, Word.PROCESS_FROM_NS]]
    return int((worked[:, Word.PROCESS_TO_NS] - worked[:, Word.PROCESS_FROM_NS]).sum())
