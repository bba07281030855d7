"""The hot path against the server: what it sends, what it books, and what it does when it is refused or cut off."""

from __future__ import annotations

import psycopg
import pytest

from pgflow_stress.core.arena import Header, LedgerBit, Stop, Word
from pgflow_stress.engine.driver import END_DONE, END_LOST, END_REFUSED, END_STOPPED
from pgflow_stress.engine.statements import INT4S, INT8S, JSONBS, TEXTS, UUIDS
from pgflow_stress.scenario.options import Mode, RunOptions
from pgflow_stress.target.base import Target
from pgflow_stress_hot.connection import BorrowedConnection, exchange, libpq_version
from pgflow_stress_hot.wire import encode_array
from tests.integration.engine.driving import bench

SMALL = RunOptions(workers=1, steps=6, runs=3)


@pytest.mark.parametrize(
    ("array_type", "element_oid", "elements", "text"),
    [
        (TEXTS, 25, [b"a", b"", b"x,y"], '{a,"","x,y"}'),
        (INT4S, 23, [1, -2, 2**31 - 1], "{1,-2,2147483647}"),
        (INT8S, 20, [-(2**63), 0], "{-9223372036854775808,0}"),
        (UUIDS, 2950, [bytes(range(16))], "{00010203-0405-0607-0809-0a0b0c0d0e0f}"),
        (TEXTS, 25, [], "{}"),
    ],
)
def test_the_server_reads_the_arrays_that_we_write(
    target: Target, array_type: int, element_oid: int, elements: list[bytes] | list[int], text: str
) -> None:
    with bench(target, "single-flow", SMALL) as made:
        result = made.connection.pgconn.exec_params(
            b"select $1::text", [encode_array(element_oid, elements)], [array_type], [1], 0
        )

    assert result.get_value(0, 0) == text.encode()


def test_the_connection_is_given_back_as_it_was(target: Target) -> None:
    with bench(target, "single-flow", SMALL) as made:
        heard: list[str] = []
        made.connection.add_notice_handler(lambda diagnostic: heard.append(diagnostic.message_primary or ""))
        with BorrowedConnection(made.connection, made.books.header, piped=True) as borrowed:
            exchange(borrowed, b"ping", 10, 5)
            assert borrowed.statements == 10

        assert made.connection.pgconn.pipeline_status == psycopg.pq.PipelineStatus.OFF
        assert not made.connection.pgconn.nonblocking
        made.connection.execute("do $$ begin raise notice 'hello'; end $$")
        assert heard == ["hello"]
        assert libpq_version() == psycopg.pq.version()


@pytest.mark.parametrize(("piped", "per_flush", "sync_each"), [(False, 1, True), (True, 100, True), (True, 100, False)])
def test_statements_are_exchanged_one_by_one_or_many_to_a_sync(
    target: Target, piped: bool, per_flush: int, sync_each: bool
) -> None:
    with (
        bench(target, "single-flow", SMALL) as made,
        BorrowedConnection(made.connection, made.books.header, piped) as borrowed,
    ):
        assert exchange(borrowed, b"ping", 250, per_flush, sync_each) > 0


def test_a_statement_refused_for_good_ends_the_loop_and_is_kept_with_its_sqlstate(target: Target) -> None:
    with bench(target, "single-flow", SMALL) as made:
        made.connection.execute("deallocate complete")
        types = (UUIDS, TEXTS, INT4S, JSONBS)
        query = b"select 1 / (0 * cardinality($3))::int8, null from (select $1, $2, $4) as t"
        made.connection.pgconn.prepare(b"complete", query, types)

        ends = [made.driver.create(), made.driver.start(), made.driver.process()]

        assert ends == [END_DONE, END_DONE, END_REFUSED]
        kept = made.books.private.errors[made.books.private.errors["count"] > 0]
        assert kept["sqlstate"].tolist() == [b"22012"]
        assert made.books.private.words[Word.TASKS_COMPLETED] == 0


def test_an_error_that_passes_is_sent_again_and_counted(target: Target) -> None:
    with bench(target, "single-flow", SMALL) as made:
        made.connection.execute("create sequence tries")
        made.connection.execute(
            "create function pgflow.now_and_then() returns trigger language plpgsql as $$ begin "
            "if nextval('public.tries') <= 3 then raise exception 'planted' using errcode = '40P01'; end if; "
            "return new; end $$"
        )
        made.connection.execute(
            "create trigger planted before update on pgflow.step_tasks for each statement "
            "when (pg_trigger_depth() = 0) execute function pgflow.now_and_then()"
        )

        ends = [made.driver.create(), made.driver.start(), made.driver.process()]

        assert ends == [END_DONE] * 3
        assert made.books.private.words[Word.ERRORS_RETRIED] == 3
        assert made.books.private.words[Word.TASKS_COMPLETED] == 18


def test_a_backend_that_ends_is_a_lost_connection(target: Target) -> None:
    with bench(target, "single-flow", SMALL) as made:
        with psycopg.connect(made.order.conninfo, autocommit=True) as other:
            other.execute("select pg_terminate_backend(%s)", (made.connection.info.backend_pid,))

        assert made.driver.create() == END_LOST


@pytest.mark.parametrize("mode", list(Mode))
def test_the_stop_word_ends_the_work_with_nothing_claimed_left(target: Target, mode: Mode) -> None:
    options = RunOptions(workers=1, steps=6, runs=3, completion=mode, creation=mode)
    with bench(target, "single-flow", options) as made:
        assert [made.driver.create(), made.driver.start()] == [END_DONE] * 2
        made.books.header[Header.STOP] = Stop.DRAIN

        assert made.driver.process() == END_STOPPED
        assert not (made.books.ledger & LedgerBit.CLAIMED).any()


def test_what_was_created_and_started_before_is_passed_over(target: Target) -> None:
    with bench(target, "concurrent-flows", RunOptions(workers=1, steps=2, flows=3, runs=4)) as made:
        assert [made.driver.create(), made.driver.start()] == [END_DONE] * 2
        assert [made.driver.create(), made.driver.start()] == [END_DONE] * 2

        assert made.books.private.words[Word.STEPS_CREATED] == 6
        assert made.books.private.words[Word.RUNS_STARTED] == 4
