"""The plans of pgflow's hot statements at either end of a window, seen in a session that takes no part in it.

Its functions plan each inner statement in each session and keep the plan until something that it reads is analysed,
altered or vacuumed. A twin of the workers' sessions, primed as they are on a flow of its own, idle in the window, keeps
and loses its plans as theirs do; auto_explain, loaded into it alone, tells them. What it cannot see: a plan that
changed and changed back, and those of statements on the measured flows' own queues, which pgmq plans at each call.

Plans that are kept can be outgrown: made while tables were nearly empty, they stay as these fill. A session that begins
after the window has those that the server would make by then.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import uuid
from collections import defaultdict
from typing import Any

import psycopg
from psycopg.errors import Diagnostic

from pgflow_stress.core.ids import run_id
from pgflow_stress.core.result import Json
from pgflow_stress.engine.priming import nonce_before
from pgflow_stress.engine.work import hand_over

Plans = dict[str, str]  # of a statement, named by its function and its first words: a hash of its plans' shapes

_PRIMING_RUNS = 7  # a statement is planned anew five times, then its generic plan is weighed against those
_TEXT_CHARACTERS = 60
_OWN_QUEUE = "QUEUE"  # of the session itself, planned at each call: nothing is kept
_HASH_CHARACTERS = 12
_SHAPE = ("Node Type", "Operation", "Strategy", "Join Type", "Relation Name", "Index Name", "Scan Direction",
          "Parent Relationship", "Subplan Name")  # fmt: skip
_FUNCTION = re.compile(r"function \"?([\w.]+)")
_LOAD = (
    "load 'auto_explain'",
    "set auto_explain.log_nested_statements = on",
    "set auto_explain.log_format = json",
    "set auto_explain.log_level = notice",  # to the client alone: the server's log keeps warnings and worse
    "set client_min_messages = notice",
)
_ANALYZE = ("set auto_explain.log_analyze = on", "set auto_explain.log_triggers = on")


class PlanWatch:
    """One session; `look` before and after."""

    def __init__(self, conninfo: str, slug_prefix: str, first_run_id: bytes, name: str = "plans") -> None:
        """Nothing is sent before the first look; `name` is of its flow."""
        self.why = ""  # nothing can be seen
        self._conninfo = conninfo
        self._slug_prefix, self._first_run_id = slug_prefix, first_run_id
        self._flow = f"{slug_prefix}{name}"
        self._worker = uuid.uuid4()
        self._nonce = nonce_before(first_run_id)
        self._runs = 0
        self._heard: list[tuple[str, str]] = []
        self._connection: psycopg.Connection[Any] | None = None

    def _open(self) -> None:
        """Connect, load auto_explain, prime."""
        self._connection = psycopg.connect(
            self._conninfo, autocommit=True, application_name="pgflow-stress: plans", connect_timeout=5
        )
        for statement in _LOAD:
            self._execute(statement)
        self._connection.add_notice_handler(self._hear)
        self._prime()

    def _execute(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        assert self._connection is not None
        cursor = self._connection.execute(query.encode(), parameters or None)
        return cursor.fetchall() if cursor.description else []

    def _prime(self) -> None:
        self._execute(
            "insert into pgflow.workers (worker_id, queue_name, function_name) values (%s, %s, 'pgflow-stress')",
            self._worker, self._flow,
        )  # fmt: skip
        self._execute("select from pgflow.create_flow(flow_slug => %s)", self._flow)
        self._execute("select from pgflow.add_step(flow_slug => %s, step_slug => 'a')", self._flow)
        self._execute(
            "select from pgflow.add_step(flow_slug => %s, step_slug => 'b', deps_slugs => array['a'])", self._flow
        )
        for _ in range(_PRIMING_RUNS):
            self._drive()

    def _drive(self) -> None:
        """One run of two steps, from its start to its end."""
        self._execute(
            "select from pgflow.start_flow(flow_slug => %s, input => '{}', run_id => %s)",
            self._flow, run_id(self._nonce, self._runs),
        )  # fmt: skip
        self._runs += 1
        while ids := [row[0] for row in self._execute("select msg_id from pgmq.read(%s, 60, 10)", self._flow)]:
            claimed = self._execute(
                "select run_id, step_slug, task_index from pgflow.start_tasks(flow_slug => %s, "
                "msg_ids => %s::bigint[], worker_id => %s)",
                self._flow, ids, self._worker,
            )  # fmt: skip
            for run, step, index in claimed:
                self._execute(
                    "select from pgflow.complete_task(run_id => %s, step_slug => %s, task_index => %s, output => '{}')",
                    run, step, index,
                )  # fmt: skip

    def look(self) -> Plans:
        """The plans that one more run is driven by, by statement; none where they cannot be seen, as `why` says."""
        if self.why:
            return {}
        try:
            if self._connection is None:
                self._open()
            self._heard.clear()
            self._execute("set auto_explain.log_min_duration = 0")
            self._drive()
            self._execute("set auto_explain.log_min_duration = -1")
            if self._connection is not None:
                hand_over(self._connection)  # or its counters would reach the views some time in the window
        except psycopg.Error as error:
            self.why = str(error).strip().splitlines()[0]
            return {}
        return plans_of(self._heard, self._flow)

    def look_anew(self) -> Plans:
        """The plans of a session that begins now; none where they cannot be seen."""
        if self.why:
            return {}
        with contextlib.closing(PlanWatch(self._conninfo, self._slug_prefix, self._first_run_id, "anew")) as begun:
            return begun.look()

    def explain(self) -> list[tuple[str, str]]:
        """One more run with what each node of each plan did and took: (text, context) of each statement's.

        [] where it cannot be seen, as `why` says.
        """
        if self.why or self._connection is None:
            return []
        try:
            for setting in _ANALYZE:
                self._execute(setting)
        except psycopg.Error as error:
            self.why = str(error).strip().splitlines()[0]
            return []
        self.look()
        return [(text.replace(self._flow, "*"), context.replace(self._flow, "*")) for text, context in self._heard]

    def _hear(self, notice: Diagnostic) -> None:
        self._heard.append((notice.message_primary or "", notice.context or ""))  # gone when this returns

    def close(self) -> None:
        """End the session."""
        if self._connection is not None:
            with contextlib.suppress(psycopg.Error):
                self._connection.close()


def plans_of(notices: list[tuple[str, str]], flow: str) -> Plans:
    """What auto_explain said: (text, context) of each notice; the flow's slug is left out of the statements' names."""
    shapes: defaultdict[str, set[str]] = defaultdict(set)
    for text, context in notices:
        if not text.startswith("duration:"):
            continue
        told = json.loads(text[text.index("{") :])
        function = _FUNCTION.search(context)
        words = " ".join(str(told.get("Query Text", "")).replace(flow, _OWN_QUEUE).split())[:_TEXT_CHARACTERS]
        shapes[f"{function[1] if function else 'statement'}: {words}"].add(json.dumps(_shape(told["Plan"])))
    return {
        name: hashlib.sha256("\n".join(sorted(found)).encode()).hexdigest()[:_HASH_CHARACTERS]
        for name, found in shapes.items()
    }


def _shape(plan: Json) -> list[Any]:
    """What a plan does and in which order, without what it is thought to cost."""
    return [[plan.get(key) for key in _SHAPE], [_shape(part) for part in plan.get("Plans", ())]]


def compared(before: Plans, after: Plans, anew: Plans) -> Json:
    """As `server["plans"]` in the result: those that were seen at both ends.

    Args:
        anew: of a session that began after the window.
    """
    return {
        name: {
            "before": was,
            "after": after[name],
            "changed": was != after[name],
            "outgrown": None if name not in anew or _OWN_QUEUE in name else anew[name] != after[name],
        }
        for name, was in before.items()
        if name in after
    }
