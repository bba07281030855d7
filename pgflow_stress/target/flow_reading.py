"""Reads flows' definitions: runs as a short process of its own, `python -m`, told by JSON and answering in JSON.

So neither libpq nor psycopg enters the process that forks the workers. A file is executed in a fresh clone of ours, in
a transaction that is rolled back; the clone is dropped. Of a given database only pgflow's definitions are read.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import signal
import sys
from typing import TYPE_CHECKING, Any, LiteralString

from pgflow_stress.core.errors import StressError, UsageFault
from pgflow_stress.core.ids import new_nonce
from pgflow_stress.core.redact import redact
from pgflow_stress.scenario.flow import FlowOptions, StepOptions
from pgflow_stress.scenario.own import OwnFlow, OwnStep, nearest
from pgflow_stress.target import connect
from pgflow_stress.target.base import Isolation, TargetOptions
from pgflow_stress.target.choice import Choice, choose_target
from pgflow_stress.target.embedded import open_embedded
from pgflow_stress.target.flow_file import Statement, calls_of, place
from pgflow_stress.target.given import choose_isolation, reach, reading
from pgflow_stress.target.inspection import inspect, require_pgflow

if TYPE_CHECKING:
    import psycopg

    from pgflow_stress.target.connect import Connection

STATEMENT_TIMEOUT = "10s"  # of a file's statement: a definition takes milliseconds
_MISSING = re.compile(r"\(flow_slug, (?:dep_slug|step_slug)\)=\((?P<flow>.*), (?P<step>.*)\) is not present")

_FLOWS: LiteralString = """
    SELECT flow_slug, opt_max_attempts, opt_base_delay, opt_timeout FROM pgflow.flows ORDER BY created_at, flow_slug
"""
_STEPS: LiteralString = """
    SELECT s.step_slug, s.step_type, s.opt_max_attempts, s.opt_base_delay, s.opt_timeout, s.opt_start_delay,
           to_jsonb(s) -> 'required_input_pattern', to_jsonb(s) -> 'forbidden_input_pattern',
           to_jsonb(s) ->> 'when_unmet', to_jsonb(s) ->> 'when_exhausted', s.deps_count,
           array(SELECT p.step_slug FROM pgflow.deps d JOIN pgflow.steps p
                 ON p.flow_slug = d.flow_slug AND p.step_slug = d.dep_slug
                 WHERE d.flow_slug = s.flow_slug AND d.step_slug = s.step_slug ORDER BY p.step_index)
    FROM pgflow.steps s WHERE s.flow_slug = %s ORDER BY s.step_index
"""


def read_files(options: TargetOptions, files: list[dict[str, str]], quiet: bool) -> list[OwnFlow]:
    """Every flow that these files define, file by file.

    Args:
        options: of the measurement: its flows are read by the pgflow that will run them.
        files: each `name`, as it is told, and `text`.
    Raises:
        UsageFault: a file that defines no flow; with line and column.
        SetUpFault: there is no server to read it with.
    """
    calls = [calls_of(file["name"], file["text"]) for file in files]  # before anything is started
    with open_embedded(_ours(options), _silent if quiet else _say) as target:
        database = target.acquire(new_nonce())
        try:
            with connect.connected(database.conninfo, "the database that flows are read in") as connection:
                found = [_read(connection, file, made) for file, made in zip(files, calls, strict=True)]
        finally:
            target.release(database)
    return [flow for flows in found for flow in flows]


def _ours(options: TargetOptions) -> TargetOptions:
    """The embedded server with the pgflow that the flows will run on."""
    own = dataclasses.replace(options, dsn=None, isolation=None, events="none", aged=False)
    choice = choose_target(options, os.environ)
    if choice.embedded:
        return own
    own = dataclasses.replace(own, pg_settings=())
    if options.isolation in (Isolation.CLONE, Isolation.FRESH):
        return own
    with reading(options, choice) as (connection, _):
        version = inspect(connection).version
    return own if version is None else dataclasses.replace(own, pgflow=version)


def _read(connection: Connection, file: dict[str, str], calls: list[Statement]) -> list[OwnFlow]:
    import psycopg  # noqa: PLC0415

    class _Undo(Exception):
        """Nothing of the file stays."""

    found: list[OwnFlow] = []
    try:
        with connection.transaction():
            connection.execute(f"SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT}'".encode())
            for call in calls:
                try:
                    _execute(connection, call)
                except psycopg.Error as error:
                    at = call.offset + int(error.diag.statement_position or 1) - 1
                    raise UsageFault(f"{file['name']}:{place(file['text'], at)}: {_said(error)}") from None
                except UsageFault as fault:
                    raise UsageFault(f"{file['name']}:{place(file['text'], call.offset)}: {fault}") from None
            sha256 = hashlib.sha256(file["text"].encode()).hexdigest()
            found = [dataclasses.replace(flow, sha256=sha256) for flow in _defined(connection, file["name"])]
            raise _Undo
    except _Undo:
        return found


def _execute(connection: Connection, call: Statement) -> None:
    """One call, held against what it should have added: pgflow takes a second one of a name for the first.

    Raises:
        UsageFault: it added nothing, or a dependency twice.
        psycopg.Error: the server refused it.
    """
    before = _counts(connection)
    row = connection.execute(call.text.encode()).fetchone()
    flows, steps, doubled = _counts(connection)
    if call.call == "create_flow" and flows == before[0]:
        raise UsageFault(f"flow {_slug(row, 0)!r} is created twice")
    if call.call == "add_step" and steps == before[1]:
        raise UsageFault(f"step {_slug(row, 1)!r} is there twice")
    if doubled > before[2]:
        raise UsageFault(f"step {_slug(row, 1)!r} names a dependency twice: pgflow would wait for it for ever")


def _counts(connection: Connection) -> tuple[int, int, int]:
    """Flows, steps, and steps that count more dependencies than they have."""
    return connect.rows(
        connection,
        """
        SELECT (SELECT count(*) FROM pgflow.flows), count(*), count(*) FILTER (WHERE deps_count <> (
            SELECT count(*) FROM pgflow.deps d WHERE d.flow_slug = s.flow_slug AND d.step_slug = s.step_slug))
        FROM pgflow.steps s
        """,
    )[0]


def _slug(row: Any, column: int) -> str:
    """Of the row that a call gives back, as text `(flow,step,…)`, or as columns."""
    if row is None:
        return ""
    values = str(row[0]).strip("()").split(",") if len(row) == 1 else [str(value) for value in row]
    return values[column] if column < len(values) else str(row[0])


def _said(error: psycopg.Error) -> str:
    """What the server said, in the words of who wrote the file."""
    import psycopg  # noqa: PLC0415

    detail = error.diag.message_detail or ""
    missing = _MISSING.search(detail)
    if error.diag.constraint_name and missing and error.diag.table_name == "deps":
        return (
            f"a step of flow {missing['flow']!r} depends on {missing['step']!r}, which is not defined before it: "
            "no cycle can be run"
        )
    if error.diag.table_name == "steps" and "is not present" in detail:
        return f"a step of a flow that is not created before it ({detail.rstrip('.')})"
    if isinstance(error, psycopg.errors.UndefinedFunction):
        return f"{error.diag.message_primary}: the pgflow that it is read with has none such (--pgflow names another)"
    return redact(f"{connect.first_line(error)}{f' ({detail})' if detail else ''}").rstrip(".")


def read_deployed(options: TargetOptions, slug: str) -> list[OwnFlow]:
    """A flow of the given database.

    Raises:
        UsageFault: there is none of that name, or no database was given.
        SetUpFault: the database cannot be used.
    """
    choice = choose_target(options, os.environ)
    if choice.embedded:
        raise UsageFault("--flow-slug names a flow in a database: give --dsn, or --flow FILE.sql")
    if options.isolation not in (None, Isolation.PREFIX):
        raise UsageFault(
            f"--flow-slug drives a flow where it is: leave --isolation {options.isolation} out, or give --flow FILE.sql"
        )
    return [_deployed(options, choice, slug)]


def _deployed(options: TargetOptions, choice: Choice, slug: str) -> OwnFlow:
    reached = reach(options, choice)
    require_pgflow(reached.found, reached.what)
    choose_isolation(options, reached)
    with connect.connected(reached.conninfo, reached.what) as connection:
        flows = {str(name): options for name, *options in connect.rows(connection, _FLOWS)}
        if slug not in flows:
            raise UsageFault(f"{reached.what} has no flow {slug!r}{nearest(slug, list(flows))}")
        steps = _steps(connection, slug)
    return OwnFlow(slug, FlowOptions(*map(int, flows[slug])), steps, reached.what, deployed=True)


def _defined(connection: Connection, name: str) -> list[OwnFlow]:
    return [
        OwnFlow(str(slug), FlowOptions(*map(int, options)), _steps(connection, slug), name)
        for slug, *options in connect.rows(connection, _FLOWS)
    ]


def _steps(connection: Connection, slug: str) -> tuple[OwnStep, ...]:
    steps = []
    for name, kind, attempts, delay, timeout, start, required, forbidden, unmet, exhausted, count, deps in connect.rows(
        connection, _STEPS, slug
    ):
        if count != len(deps):
            raise UsageFault(
                f"flow {slug!r}: step {name!r} names a dependency twice: pgflow would wait for it for ever"
            )
        patterns = [None if pattern is None else json.dumps(pattern) for pattern in (required, forbidden)]
        options = StepOptions(attempts, delay, timeout, start, patterns[0], patterns[1], unmet, exhausted)
        steps.append(OwnStep(name, tuple(deps), kind, options))
    return tuple(steps)


def _silent(_line: str) -> None: ...


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    """Read one order from standard input, answer on standard output; 130 where it was told to end."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        json.dump(_answer(json.load(sys.stdin)), sys.stdout)
    except KeyboardInterrupt:
        return 130
    return 0


def _answer(order: dict[str, Any]) -> dict[str, Any]:
    fields = order["options"]
    for name in ("yes_on", "pg_settings"):
        fields[name] = tuple(tuple(one) if isinstance(one, list) else one for one in fields[name])
    fields["isolation"] = Isolation(fields["isolation"]) if fields["isolation"] else None
    options = TargetOptions(**fields)
    try:
        if order["slug"] is not None:
            flows = read_deployed(options, order["slug"])
        else:
            flows = read_files(options, order["files"], order["quiet"])
    except StressError as fault:
        return {"fault": type(fault).__name__, "text": str(fault)}
    return {"flows": [dataclasses.asdict(flow) for flow in flows]}


if __name__ == "__main__":
    sys.exit(main())
