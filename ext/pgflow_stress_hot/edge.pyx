"""pgflow's own worker, reproduced: what its edge-worker and the SQL client of @pgflow/core do, statement by statement.

A heartbeat where one is due; a poll that waits in the server; start_tasks for what came; then each task's handler, at
most `concurrency` at once, and a statement of its own for each end, over a pool of connections; and only when the whole
batch has been answered the next poll. Statements are unprepared and in text; engine.statements has them.

What differs: a completion that is refused with an error that passes (a deadlock) is sent again, where pgflow's worker
would fail the attempt; a worker that has several flows serves those with tasks left in turn, where pgflow's has one.
"""

from libc.stdlib cimport free, malloc
from libc.string cimport memcmp

from pgflow_stress_hot cimport libpq
from pgflow_stress_hot.account cimport Books, book_failed_run, run_index_of
from pgflow_stress_hot.claiming cimport book_claim, book_read, know_task, next_own_queue, pick_queue, refused
from pgflow_stress_hot.clock cimport now_ns
from pgflow_stress_hot.completing cimport FAILURE, count_attempts, leave_alone
from pgflow_stress_hot.connection cimport BorrowedConnection, WAIT_READY, WAIT_REFUSED, WaitStatus, link_has_answer
from pgflow_stress_hot.due cimport due_first_ns, due_free, due_make, due_put, due_take
from pgflow_stress_hot.flight cimport END_DONE, END_REFUSED, END_STOPPED, LoopEnd, end_of
from pgflow_stress_hot.held cimport (
    Held, hand_completed, hand_count, hand_free, hand_hold, hand_make, hand_release, time_cycles,
)
from pgflow_stress_hot.lanes cimport (
    LANE_IDLE, LANE_PARSING, Lane, MOST_LANES, lane_go_on, lane_send, lane_take, lanes_begin, lanes_idle,
    lanes_in_flight, lanes_wait,
)
from pgflow_stress_hot.layout cimport (
    H_STARTS_DONE, H_STOP, H_VT_SECONDS, OP_COMPLETE, OP_FAIL, OP_READ, OP_START_TASKS, STOP_NOW, STOP_RUN, ST_OK,
    W_CYCLES, W_IDLE_NS, W_NOT_OURS, W_PROCESS_TO_NS, W_STATEMENTS,
)
from pgflow_stress_hot.recorder cimport observe, publish, record_error, record_statement
from pgflow_stress_hot.slugs cimport slug_at, slug_length, slugs_find
from pgflow_stress_hot.texts cimport (
    INT_TEXT, Strings, composite_field, get_int_text, get_uuid_text, put_int_text, put_uuid_text,
)
from pgflow_stress_hot.usage cimport Schedstat, spend, usage_begin, usage_end
from pgflow_stress_hot.wire cimport OID_JSONB

cdef enum:
    NEVER_NS = 0x7FFFFFFFFFFFFFFF
    LATER_NS = 100_000_000  # as long as is slept at once

# The server infers what a parameter is from where it stands, but for the output: postgres.js says that it is jsonb.
cdef libpq.Oid INFERRED[5]
cdef libpq.Oid WITH_OUTPUT[4]
INFERRED[:] = [0, 0, 0, 0, 0]
WITH_OUTPUT[:] = [0, 0, 0, OID_JSONB]


cdef class EdgeCycle:
    """The cycle of one worker on a pool of connections.

    Args:
        toolkit: what it works with; poll_size is its batchSize.
        durations: how long each task's handler takes.
        concurrency: most handlers at once (maxConcurrent).
        heartbeat_ns: between two heartbeats, at least.
        statements: SQL of read, start_tasks, complete, fail, heartbeat.
        outputs: for each step, what its tasks give, as JSON text.
        status_field: the number from 0 of `status` in a row of pgflow.step_tasks.
    """

    def __cinit__(self, Toolkit toolkit not None, Durations durations not None, int64_t concurrency,
                  int64_t heartbeat_ns, list statements not None, list outputs not None, int status_field):
        cdef Books *books = &toolkit.account.books
        cdef int64_t i
        if concurrency < 1 or heartbeat_ns < 0 or len(statements) != 5 or status_field < 0:
            raise ValueError("concurrency, heartbeat_ns, statements or status_field")
        if durations.steps != books.step_slugs.count or len(outputs) != books.step_slugs.count:
            raise ValueError("a duration and an output for each step")
        self.toolkit = toolkit
        self.kit = &toolkit.kit
        self.durations = durations
        self.schedstat = Schedstat()
        self.concurrency = concurrency
        self.heartbeat_ns = heartbeat_ns
        self.status_field = status_field
        self._texts = [bytes(text) for text in statements]
        self.sql.read, self.sql.start_tasks, self.sql.complete = self._texts[0], self._texts[1], self._texts[2]
        self.sql.fail, self.sql.heartbeat = self._texts[3], self._texts[4]
        self.flows = Strings([slug_at(books.flow_slugs, i)[:slug_length(books.flow_slugs, i)]
                              for i in range(books.flow_slugs.count)])
        self.steps = Strings([slug_at(books.step_slugs, i)[:slug_length(books.step_slugs, i)]
                              for i in range(books.step_slugs.count)])
        self.outputs = Strings(outputs)
        put_int_text(self.quantity, self.kit.poll_size)
        put_int_text(self.seconds, self.kit.max_poll_seconds)
        put_int_text(self.interval, self.kit.poll_interval_ms)
        put_uuid_text(self.worker_id, self.kit.worker_id)
        self.ready_room = self.kit.poll_size
        self.order = <int64_t *>malloc(self.kit.poll_size * sizeof(int64_t))
        self.ready = <int64_t *>malloc(self.ready_room * sizeof(int64_t))
        self.ids = <char *>malloc(self.kit.poll_size * INT_TEXT + 3)
        if self.order == NULL or self.ready == NULL or self.ids == NULL:
            raise MemoryError("no room for the cycle")
        due_make(&self.due, self.kit.poll_size)
        hand_make(&self.hand, self.kit.poll_size, books.flows)
        self.kit.in_hand = self.hand.of_flow

    def __dealloc__(self):
        free(self.order)
        free(self.ready)
        free(self.ids)
        due_free(&self.due)
        hand_free(&self.hand)

    @property
    def work_ns(self):
        """What the work of all tasks that it took in hand takes, added up."""
        return self.hand.work_ns

    def run(self, list connections not None):
        """Work until every started run's tasks are completed and no more will start, or the stop word ends it.

        Args:
            connections: BorrowedConnection each, piped, 1 to 40.
        Returns:
            A LoopEnd: 0 done, 1 stopped, 2 connection lost, 3 refused (the error is in the arena).
        """
        cdef LoopEnd end
        cdef BorrowedConnection connection
        cdef int i
        if not 1 <= len(connections) <= MOST_LANES:
            raise ValueError(f"1 to {MOST_LANES} connections")
        for i, connection in enumerate(connections):
            if not connection.link.piped:
                raise ValueError("connections are piped")
            self.lanes.lanes[i].link = &connection.link
        self.lanes.count = <int>len(connections)
        with nogil:
            end = work(self)
        return end


cdef LoopEnd send(EdgeCycle c, Lane *lane, int operation, const char *sql, const libpq.Oid *types,
                  int64_t stamp_ns) noexcept nogil:
    lane.operation = operation
    return end_of(lane_send(&c.lanes, lane, sql, types, stamp_ns))


cdef LoopEnd begin_batch(EdgeCycle c, int64_t stamp_ns, bint *over) noexcept nogil:
    # A heartbeat where one is due, else the next poll; `over` where nothing will be there to be polled.
    cdef Books *books = c.kit.books
    cdef int64_t flow, starts_done
    cdef Lane *lane
    over[0] = observe(&books.header[H_STOP]) != STOP_RUN
    if over[0]:
        return END_STOPPED
    # Read before the queues: a run that is started in between is then seen in them.
    starts_done = observe(&books.header[H_STARTS_DONE])
    flow = pick_queue(c.kit, 0, -1)
    over[0] = flow < 0 and starts_done
    if over[0]:
        return END_DONE
    lane = lane_take(&c.lanes)
    c.stage = EDGE_AWAITING
    if stamp_ns - c.last_heartbeat_ns >= c.heartbeat_ns:
        c.last_heartbeat_ns = stamp_ns
        lane.values[0] = c.worker_id
        lane.count = 1
        return send(c, lane, OP_HEARTBEAT, c.sql.heartbeat, INFERRED, stamp_ns)
    if flow < 0:
        flow = next_own_queue(c.kit)
    put_int_text(c.vt, observe(&books.header[H_VT_SECONDS]))
    lane.values[0] = c.flows.at[flow]
    lane.values[1] = c.vt
    lane.values[2] = c.quantity
    lane.values[3] = c.seconds
    lane.values[4] = c.interval
    lane.count = 5
    c.polled.flow = flow
    c.polled.count = 0
    c.polled.batch = <int32_t>books.recorder.words[W_CYCLES]
    publish(&books.recorder.words[W_CYCLES], books.recorder.words[W_CYCLES] + 1)
    return send(c, lane, OP_READ, c.sql.read, INFERRED, stamp_ns)


cdef LoopEnd send_claim(EdgeCycle c, int64_t stamp_ns) noexcept nogil:
    cdef Lane *lane = lane_take(&c.lanes)
    lane.values[0] = c.flows.at[c.polled.flow]
    lane.values[1] = c.ids
    lane.values[2] = c.worker_id
    lane.count = 3
    c.stage = EDGE_AWAITING
    return send(c, lane, OP_START_TASKS, c.sql.start_tasks, INFERRED, stamp_ns)


cdef LoopEnd send_end(EdgeCycle c, int64_t slot, int64_t stamp_ns) noexcept nogil:
    cdef Books *books = c.kit.books
    cdef Held *held = &c.hand.slots[slot]
    cdef Task *task = &held.task
    cdef Lane *lane = lane_take(&c.lanes)
    put_uuid_text(lane.run_id, task.run_id)
    put_int_text(lane.index, task.index)
    lane.slot = slot
    lane.values[0] = lane.run_id
    lane.values[1] = c.steps.at[task.step]
    lane.values[2] = lane.index
    lane.values[3] = FAILURE if task.fails else c.outputs.at[task.step]
    lane.count = 4
    if task.fails:
        if held.attempts == 0:
            count_attempts(c.kit, task, 1)
        return send(c, lane, OP_FAIL, c.sql.fail, INFERRED, stamp_ns)
    if books.caused != NULL:
        publish(&books.caused[task.place], stamp_ns)
    return send(c, lane, OP_COMPLETE, c.sql.complete, WITH_OUTPUT, stamp_ns)


cdef LoopEnd go_on(EdgeCycle c, int64_t stamp_ns) noexcept nogil:
    # Handlers begin and end, and ends are sent as far as there are connections for them.
    cdef int64_t slot
    cdef LoopEnd end
    while c.next_begun < c.batch_count and c.active < c.concurrency:
        slot = c.order[c.next_begun]
        spend(c.kit.delay_ns, &c.kit.books.header[H_STOP])
        due_put(&c.due, stamp_ns + c.hand.slots[slot].work_ns, slot)
        c.next_begun += 1
        c.active += 1
    while due_first_ns(&c.due, NEVER_NS) <= stamp_ns:
        c.ready[c.ready_tail % c.ready_room] = due_take(&c.due)
        c.ready_tail += 1
    while c.ready_head < c.ready_tail and lanes_idle(&c.lanes) > 0:
        slot = c.ready[c.ready_head % c.ready_room]
        c.ready_head += 1
        end = send_end(c, slot, stamp_ns)
        if end != END_DONE:
            return end
    if hand_count(&c.hand) == 0:
        c.stage = EDGE_BETWEEN
    return END_DONE


cdef void take_read(EdgeCycle c, const libpq.PGresult *result, const Lane *lane, int64_t done_ns) noexcept nogil:
    cdef int column = libpq.PQfnumber(result, b"msg_id")
    cdef int rows = libpq.PQntuples(result)
    cdef int row, at = 0
    c.polled.sent_ns = lane.sent_ns
    c.polled.done_ns = done_ns
    c.polled.count = rows if column >= 0 and rows <= c.kit.poll_size else 0
    for row in range(<int>c.polled.count):
        c.ids[at] = c'{' if row == 0 else c','
        at += 1 + put_int_text(&c.ids[at + 1], get_int_text(libpq.PQgetvalue(result, row, column),
                                                            libpq.PQgetlength(result, row, column)))
    c.ids[at] = c'}'
    c.ids[at + 1] = 0
    if c.polled.count == 0:
        c.lanes.emptied_ns = 0  # nothing in hand: the server waits for work, not for us
    book_read(c.kit, &c.polled)
    c.claim_attempts = 0
    c.stage = EDGE_POLLED if c.polled.count > 0 else EDGE_BETWEEN


cdef bint read_task(EdgeCycle c, const libpq.PGresult *result, int row, const int *columns, Task *task) noexcept nogil:
    cdef const char *run_id = libpq.PQgetvalue(result, row, columns[0])
    if not get_uuid_text(task.run_id, run_id, libpq.PQgetlength(result, row, columns[0])):
        return False
    task.run = run_index_of(c.kit.books, <const char *>task.run_id)
    task.step = slugs_find(c.kit.books.step_slugs, libpq.PQgetvalue(result, row, columns[1]),
                           libpq.PQgetlength(result, row, columns[1]))
    task.index = <int32_t>get_int_text(libpq.PQgetvalue(result, row, columns[2]),
                                       libpq.PQgetlength(result, row, columns[2]))
    task.msg_id = get_int_text(libpq.PQgetvalue(result, row, columns[3]), libpq.PQgetlength(result, row, columns[3]))
    know_task(c.kit, task)
    return task.place >= 0


cdef void take_claim(EdgeCycle c, const libpq.PGresult *result, const Lane *lane, int64_t done_ns) noexcept nogil:
    cdef int columns[4]
    cdef int row, rows = libpq.PQntuples(result)
    cdef int64_t slot
    cdef Task task
    columns[0] = libpq.PQfnumber(result, b"run_id")
    columns[1] = libpq.PQfnumber(result, b"step_slug")
    columns[2] = libpq.PQfnumber(result, b"task_index")
    columns[3] = libpq.PQfnumber(result, b"msg_id")
    rows = min(rows, <int>c.polled.count)
    book_claim(c.kit, lane.sent_ns, &c.polled, rows, done_ns)
    c.batch_count = c.next_begun = c.active = 0
    for row in range(rows):
        if not read_task(c, result, row, columns, &task):
            leave_alone(c.kit)
            continue
        slot = hand_hold(&c.hand, c.kit, c.durations, &task, &c.polled)
        c.order[c.batch_count] = slot
        c.batch_count += 1
    c.stage = EDGE_WORKING


cdef void take_end(EdgeCycle c, const libpq.PGresult *result, const Lane *lane, int64_t done_ns) noexcept nogil:
    cdef int64_t *words = c.kit.books.recorder.words
    cdef Held *held = &c.hand.slots[lane.slot]
    cdef int length = 0
    cdef const char *status = NULL
    cdef bint completed = lane.operation == OP_FAIL  # answered, and no more in our hands
    if libpq.PQntuples(result) == 1:
        status = composite_field(libpq.PQgetvalue(result, 0, 0), libpq.PQgetlength(result, 0, 0), c.status_field,
                                 &length)
    if status != NULL and lane.operation == OP_FAIL and length == 6 and memcmp(status, b"failed", 6) == 0:
        book_failed_run(c.kit.books, held.task.run, c.kit.books.run_flow[held.task.run], done_ns)
    elif status != NULL and lane.operation == OP_COMPLETE and length == 9 and memcmp(status, b"completed", 9) == 0:
        hand_completed(&c.hand, c.kit, &held.task, done_ns)
        time_cycles(c.kit, held.read_ns, done_ns, 1)
        completed = True
    if not completed:
        publish(&words[W_NOT_OURS], words[W_NOT_OURS] + 1)
    publish(&words[W_STATEMENTS], words[W_STATEMENTS] + 1)
    publish(&words[W_PROCESS_TO_NS], done_ns)
    record_statement(c.kit.books.recorder, lane.operation, ST_OK, lane.sent_ns, done_ns, completed,
                     <int32_t>held.flow, held.batch)
    hand_release(&c.hand, c.kit, lane.slot, done_ns)
    c.active -= 1


cdef LoopEnd take_refusal(EdgeCycle c, Lane *lane, bint executed, int64_t done_ns) noexcept nogil:
    cdef Held *held
    cdef LoopEnd end
    cdef int operation = OP_READ if lane.operation == OP_HEARTBEAT else lane.operation
    if lane.operation == OP_HEARTBEAT or not executed:
        record_error(c.kit.books.recorder, operation, False, done_ns, lane.link.sqlstate, lane.link.text)
        return END_REFUSED
    if lane.operation == OP_READ:
        c.stage = EDGE_BETWEEN
        return refused(c.kit, lane.link, OP_READ, lane.sent_ns, done_ns, c.polled.flow, c.polled.batch, 0)
    if lane.operation == OP_START_TASKS:
        c.claim_attempts += 1
        c.stage = EDGE_POLLED
        return refused(c.kit, lane.link, OP_START_TASKS, lane.sent_ns, done_ns, c.polled.flow, c.polled.batch,
                       c.claim_attempts)
    held = &c.hand.slots[lane.slot]
    held.attempts += 1
    end = refused(c.kit, lane.link, lane.operation, lane.sent_ns, done_ns, held.flow, held.batch, held.attempts)
    if end == END_DONE:
        c.ready[c.ready_tail % c.ready_room] = lane.slot
        c.ready_tail += 1
    return end


cdef LoopEnd take_answer(EdgeCycle c, Lane *lane) noexcept nogil:
    cdef int64_t *words = c.kit.books.recorder.words
    cdef libpq.PGresult *result
    cdef int64_t done_ns
    cdef bint executed = lane.stage != LANE_PARSING
    cdef WaitStatus status = lane_go_on(&c.lanes, lane, &result, &done_ns)
    if status == WAIT_REFUSED:
        return take_refusal(c, lane, executed, done_ns)
    if status != WAIT_READY or not executed:
        return end_of(status)
    if lane.operation == OP_HEARTBEAT:
        publish(&words[W_STATEMENTS], words[W_STATEMENTS] + 1)
        c.stage = EDGE_BETWEEN
    elif lane.operation == OP_READ:
        take_read(c, result, lane, done_ns)
    elif lane.operation == OP_START_TASKS:
        take_claim(c, result, lane, done_ns)
    else:
        take_end(c, result, lane, done_ns)
    libpq.PQclear(result)
    return END_DONE


cdef LoopEnd take_answers(EdgeCycle c) noexcept nogil:
    cdef int i
    cdef Lane *lane
    cdef LoopEnd end = END_DONE
    for i in range(c.lanes.count):
        lane = &c.lanes.lanes[i]
        while end == END_DONE and lane.stage != LANE_IDLE and link_has_answer(lane.link):
            end = take_answer(c, lane)
    return end


cdef LoopEnd wait(EdgeCycle c, int64_t stamp_ns) noexcept nogil:
    # For an answer, or for the next handler's end. With nothing in flight the worker is idle until then.
    cdef bint is_idle = lanes_in_flight(&c.lanes) == 0
    cdef int64_t due_ns = due_first_ns(&c.due, NEVER_NS)
    cdef int64_t woken_ns
    cdef WaitStatus status = lanes_wait(&c.lanes, &c.kit.books.header[H_STOP], min(due_ns, stamp_ns + LATER_NS))
    if is_idle:
        woken_ns = now_ns()
        c.kit.books.recorder.words[W_IDLE_NS] += woken_ns - stamp_ns
        c.lanes.emptied_ns = max(due_ns, stamp_ns) if due_ns <= woken_ns else 0
    return end_of(status)


cdef LoopEnd work(EdgeCycle c) noexcept nogil:
    cdef Books *books = c.kit.books
    cdef int64_t *words = books.recorder.words
    cdef int64_t stamp_ns
    cdef bint over = False
    cdef LoopEnd end = END_DONE
    cdef int64_t queued_from_ns = usage_begin(words, c.schedstat.file)
    lanes_begin(&c.lanes)
    c.stage = EDGE_BETWEEN
    c.ready_head = c.ready_tail = c.batch_count = c.next_begun = c.active = 0
    c.last_heartbeat_ns = now_ns() - c.heartbeat_ns  # the first is due at once
    while True:
        stamp_ns = now_ns()
        if c.stage == EDGE_WORKING:
            end = go_on(c, stamp_ns)
        if end == END_DONE and c.stage == EDGE_BETWEEN:
            end = begin_batch(c, stamp_ns, &over)
        elif end == END_DONE and c.stage == EDGE_POLLED:
            end = send_claim(c, stamp_ns)
        if end != END_DONE or over:
            break
        end = wait(c, stamp_ns)
        if end == END_DONE and observe(&books.header[H_STOP]) == STOP_NOW:
            end = END_STOPPED
        if end == END_DONE:
            end = take_answers(c)
        if end != END_DONE:
            break
    usage_end(words, c.schedstat.file, queued_from_ns, c.lanes.waited_for_ns)
    return end
