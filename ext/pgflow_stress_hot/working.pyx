"""The worker's cycle with work in hand: so many tasks at once, each completed when its simulated work is over.

The client does nothing meanwhile: it waits for the next answer or for the next task that is due, whichever comes first.
A poll asks for as many messages as there is room for. Statements and what else is as in the cycle without work.
"""

from libc.stdlib cimport free, malloc, qsort

from pgflow_stress_hot cimport libpq
from pgflow_stress_hot.account cimport Books
from pgflow_stress_hot.claiming cimport (
    book_claim, by_outcome_and_run, fill_tasks, next_own_queue, pick_queue, refused, send_read, send_start, take_read,
)
from pgflow_stress_hot.clock cimport now_ns
from pgflow_stress_hot.completing cimport (
    book_failures, completed_of, count_attempts, leave_alone, send_completion,
)
from pgflow_stress_hot.connection cimport (
    BorrowedConnection, Link, WAIT_READY, WAIT_REFUSED, WaitStatus, link_flush, link_has_answer, link_take, links_wait,
)
from pgflow_stress_hot.due cimport due_first_ns, due_free, due_make, due_put, due_take
from pgflow_stress_hot.flight cimport (
    END_DONE, END_LOST, END_STOPPED, FLIGHT_ROOM, Flight, LoopEnd, end_of, flights_count, flights_head,
    flights_pop, flights_push, flights_stamp,
)
from pgflow_stress_hot.held cimport (
    Held, hand_completed, hand_count, hand_free, hand_hold, hand_make, hand_release, time_cycles,
)
from pgflow_stress_hot.kit cimport IDLE_SLEEP, IDLE_SERVER, messages_free, messages_make
from pgflow_stress_hot.layout cimport (
    H_STARTS_DONE, H_STOP, OP_COMPLETE, OP_FAIL, OP_READ, OP_START_TASKS, STOP_NOW, STOP_RUN, ST_OK, ST_RETRIED,
    W_IDLE_NS, W_NOT_OURS, W_PROCESS_TO_NS, W_STATEMENTS,
)
from pgflow_stress_hot.recorder cimport observe, publish, record_row, record_statement
from pgflow_stress_hot.usage cimport Schedstat, spend, usage_begin, usage_end

cdef enum:
    NEVER_NS = 0x7FFFFFFFFFFFFFFF
    LATER_NS = 100_000_000  # as long as is slept at once


cdef class WorkingCycle:
    """The cycle of one worker on one connection, with up to `concurrency` tasks in hand.

    Args:
        toolkit: what it works with; its polls must not wait in the server, which would hold completions up.
        durations: how long each task's work takes.
        concurrency: most tasks in hand, 1 to 100,000.
        window: most completing statements in flight, 1 to 512; above 1 only on a piped connection.
    """

    def __cinit__(self, Toolkit toolkit not None, Durations durations not None, int64_t concurrency, int64_t window):
        if not 1 <= concurrency <= 100_000 or not 1 <= window <= 512:
            raise ValueError("concurrency or window")
        if durations.steps != toolkit.account.books.step_slugs.count:
            raise ValueError("a duration for each step")
        if toolkit.kit.idle_kind == IDLE_SERVER:
            raise ValueError("a poll that waits in the server holds completions up")
        self.toolkit = toolkit
        self.kit = &toolkit.kit
        self.durations = durations
        self.schedstat = Schedstat()
        self.window = window
        self.going_room = 3 * concurrency
        self.claimed = <Task *>malloc(self.kit.poll_size * sizeof(Task))
        self.going = <Task *>malloc(self.going_room * sizeof(Task))
        if self.claimed == NULL or self.going == NULL:
            raise MemoryError("no room for the cycle")
        messages_make(&self.polled, self.kit.poll_size)
        due_make(&self.due[0], concurrency)
        due_make(&self.due[1], concurrency)
        hand_make(&self.hand, concurrency, toolkit.account.books.flows)
        self.kit.in_hand = self.hand.of_flow

    def __dealloc__(self):
        free(self.claimed)
        free(self.going)
        messages_free(&self.polled)
        due_free(&self.due[0])
        due_free(&self.due[1])
        hand_free(&self.hand)

    @property
    def work_ns(self):
        """What the work of all tasks that it took in hand takes, added up."""
        return self.hand.work_ns

    def run(self, BorrowedConnection connection not None):
        """Work until every started run's tasks are completed and no more will start, or the stop word ends it.

        Returns:
            A LoopEnd: 0 done, 1 stopped, 2 connection lost, 3 refused (the error is in the arena).
        """
        cdef LoopEnd end
        if self.window > 1 and not connection.link.piped:
            raise ValueError("more than one statement in flight needs a piped connection")
        with nogil:
            end = work(self, &connection.link)
        return end


cdef bint may_send(WorkingCycle c, Link *link) noexcept nogil:
    return link.piped or flights_count(&c.flights) == 0


cdef int64_t first_due_ns(WorkingCycle c, int64_t otherwise_ns) noexcept nogil:
    return min(due_first_ns(&c.due[0], otherwise_ns), due_first_ns(&c.due[1], otherwise_ns))


cdef int64_t gather(WorkingCycle c, int fails, int64_t stamp_ns) noexcept nogil:
    # Tasks of one statement, side by side and by run; where they begin. All in flight are of the last `concurrency`
    # gathered, so that with three times the room what begins anew at 0 meets none of them.
    cdef int64_t first, count = 0
    cdef int64_t most = min(c.kit.per_completion, c.due[fails].count)
    if c.going_next + most > c.going_room:
        c.going_next = 0
    first = c.going_next
    while count < most and due_first_ns(&c.due[fails], stamp_ns + 1) <= stamp_ns:
        c.going[first + count] = c.hand.slots[due_take(&c.due[fails])].task
        count += 1
    c.going_next = first + count
    qsort(&c.going[first], count, sizeof(Task), by_outcome_and_run)
    return first


cdef LoopEnd send_due(WorkingCycle c, Link *link, int64_t stamp_ns) noexcept nogil:
    # What fails by design first: it comes round again.
    cdef int fails = 1
    cdef int64_t first, i
    while fails >= 0:
        if c.completions >= c.window or not may_send(c, link):
            return END_DONE
        if due_first_ns(&c.due[fails], stamp_ns + 1) > stamp_ns:
            fails -= 1
            continue
        first = gather(c, fails, stamp_ns)
        if fails:
            for i in range(first, c.going_next):
                if c.hand.slots[c.going[i].slot].attempts == 0:
                    count_attempts(c.kit, &c.going[i], 1)
        spend(c.kit.delay_ns * (c.going_next - first), &c.kit.books.header[H_STOP])
        if send_completion(c.kit, link, &c.going[first], c.going_next - first) != 0:
            return END_LOST
        flights_push(&c.flights, OP_FAIL if fails else OP_COMPLETE, first, c.going_next)
        c.completions += 1
    return END_DONE


cdef LoopEnd send_poll(WorkingCycle c, Link *link, int64_t stamp_ns, bint *over) noexcept nogil:
    # The next statement of polling and claiming, where there is room; `over` where nothing will be there to be polled.
    cdef Books *books = c.kit.books
    cdef int64_t flow, starts_done
    over[0] = False
    if c.polling == POLL_ANSWERED and may_send(c, link):
        if send_start(c.kit, link, &c.polled) != 0:
            return END_LOST
        flights_push(&c.flights, OP_START_TASKS, 0, c.polled.count)
        c.polling = POLL_CLAIMING
    if c.polling != POLL_NONE:
        return END_DONE
    if observe(&books.header[H_STOP]) != STOP_RUN:
        over[0] = True
        return END_DONE
    # Read before the queues: a run that is started in between is then seen in them.
    starts_done = observe(&books.header[H_STARTS_DONE])
    flow = pick_queue(c.kit, 0, -1)
    over[0] = flow < 0 and starts_done
    if over[0] or stamp_ns < c.poll_from_ns or c.hand.free_count == 0 or not may_send(c, link):
        return END_DONE
    if flow < 0:
        flow = next_own_queue(c.kit)
    if send_read(c.kit, link, &c.polled, flow, min(c.kit.poll_size, c.hand.free_count)) != 0:
        return END_LOST
    flights_push(&c.flights, OP_READ, 0, 0)
    c.polling = POLL_SENT
    return END_DONE


cdef LoopEnd take_poll(WorkingCycle c, Link *link) noexcept nogil:
    cdef LoopEnd end = take_read(c.kit, &c.flights, link, &c.polled)
    c.polling = POLL_ANSWERED if c.polled.count > 0 else POLL_NONE
    c.claim_attempts = 0
    if c.polled.count > 0:
        c.empty_in_turn = 0
        return end
    c.empty_in_turn += 1
    if c.empty_in_turn >= c.kit.queue_count:
        c.empty_in_turn = 0
        if c.kit.idle_kind == IDLE_SLEEP:
            c.poll_from_ns = c.polled.done_ns + c.kit.idle_ns
    return end


cdef LoopEnd take_claim(WorkingCycle c, Link *link) noexcept nogil:
    cdef Flight flight = flights_head(&c.flights)[0]
    cdef libpq.PGresult *result
    cdef WaitStatus status = link_take(link, &result)
    cdef int64_t i, slot, count, done_ns = now_ns()
    cdef Task *task
    if status == WAIT_REFUSED:
        flights_pop(&c.flights, done_ns)
        c.claim_attempts += 1
        c.polling = POLL_ANSWERED
        return refused(c.kit, link, OP_START_TASKS, flight.sent_ns, done_ns, c.polled.flow, c.polled.batch,
                       c.claim_attempts)
    if status != WAIT_READY:
        return end_of(status)
    flights_pop(&c.flights, done_ns)
    count = fill_tasks(c.kit, result, c.claimed)
    libpq.PQclear(result)
    book_claim(c.kit, flight.sent_ns, &c.polled, count, done_ns)
    for i in range(count):
        task = &c.claimed[i]
        if task.place < 0:
            leave_alone(c.kit)
            continue
        slot = hand_hold(&c.hand, c.kit, c.durations, task, &c.polled)
        due_put(&c.due[task.fails], done_ns + c.hand.slots[slot].work_ns, slot)
    c.polling = POLL_NONE
    return END_DONE


cdef LoopEnd send_again(WorkingCycle c, Link *link, const Flight *flight, int64_t done_ns) noexcept nogil:
    # Refused: each of its tasks is due at once, where the error passes. A row a poll that they are of.
    cdef Held *first = &c.hand.slots[c.going[flight.first].slot]
    cdef Held *held
    cdef int64_t i
    cdef int32_t attempts = 0
    cdef LoopEnd end
    for i in range(flight.first, flight.last):
        held = &c.hand.slots[c.going[i].slot]
        held.attempts += 1
        attempts = max(attempts, held.attempts)
    end = refused(c.kit, link, flight.operation, flight.sent_ns, done_ns, first.flow, first.batch, attempts)
    if end != END_DONE:
        return end
    for i in range(flight.first, flight.last):
        held = &c.hand.slots[c.going[i].slot]
        due_put(&c.due[held.task.fails], done_ns, held.task.slot)
        if held.batch != first.batch:
            record_row(c.kit.books.recorder, flight.sent_ns, done_ns, -1, -1, -1, -1, held.batch, flight.operation,
                       ST_RETRIED, 0, <int32_t>held.flow)
    return END_DONE


cdef void book_completed(WorkingCycle c, const Task *tasks, int64_t count, int64_t completed,
                         int64_t done_ns) noexcept nogil:
    # Tasks of one poll have one cycle time: side by side they are one sample, as in the cycle without work.
    cdef const Task *task
    cdef int64_t i, read_ns = 0, alike = 0
    for i in range(completed):
        task = &tasks[i if completed == count else c.kit.places[i]]
        hand_completed(&c.hand, c.kit, task, done_ns)
        if c.hand.slots[task.slot].read_ns != read_ns:
            time_cycles(c.kit, read_ns, done_ns, alike)
            read_ns = c.hand.slots[task.slot].read_ns
            alike = 0
        alike += 1
    time_cycles(c.kit, read_ns, done_ns, alike)


cdef LoopEnd take_completion(WorkingCycle c, Link *link) noexcept nogil:
    cdef int64_t *words = c.kit.books.recorder.words
    cdef Flight flight = flights_head(&c.flights)[0]
    cdef const Task *tasks = &c.going[flight.first]
    cdef Held *first = &c.hand.slots[tasks[0].slot]
    cdef int64_t count = flight.last - flight.first
    cdef int64_t i, completed = count  # of what failed by design: answered, and none of them in our hands
    cdef libpq.PGresult *result
    cdef WaitStatus status = link_take(link, &result)
    cdef int64_t done_ns = now_ns()
    cdef int64_t flow = first.flow
    cdef int32_t batch = first.batch
    if status != WAIT_READY and status != WAIT_REFUSED:
        return end_of(status)
    flights_pop(&c.flights, done_ns)
    c.completions -= 1
    if status == WAIT_REFUSED:
        return send_again(c, link, &flight, done_ns)
    if flight.operation == OP_FAIL:
        book_failures(c.kit, tasks, count, result, done_ns)
    else:
        completed = completed_of(c.kit, result, count)
        book_completed(c, tasks, count, completed, done_ns)
    libpq.PQclear(result)
    for i in range(count):
        if c.hand.slots[tasks[i].slot].flow != flow:
            flow = -1
        if c.hand.slots[tasks[i].slot].batch != batch:
            batch = -1
        hand_release(&c.hand, c.kit, tasks[i].slot, done_ns)
    publish(&words[W_STATEMENTS], words[W_STATEMENTS] + 1)
    if completed < count:
        publish(&words[W_NOT_OURS], words[W_NOT_OURS] + count - completed)
    publish(&words[W_PROCESS_TO_NS], done_ns)
    record_statement(c.kit.books.recorder, flight.operation, ST_OK, flight.sent_ns, done_ns, completed, <int32_t>flow,
                     batch)
    return END_DONE


cdef LoopEnd take_answers(WorkingCycle c, Link *link) noexcept nogil:
    # All that have come.
    cdef int operation
    cdef LoopEnd end = END_DONE
    while end == END_DONE and flights_count(&c.flights) > 0 and link_has_answer(link):
        operation = flights_head(&c.flights).operation
        if operation == OP_READ:
            end = take_poll(c, link)
        elif operation == OP_START_TASKS:
            end = take_claim(c, link)
        else:
            end = take_completion(c, link)
    return end


cdef void stamp_causes(WorkingCycle c, int64_t first) noexcept nogil:
    # When the completion of each task is sent, before it is: an observer may receive its event before the answer comes.
    cdef Books *books = c.kit.books
    cdef Flight *flight
    cdef int64_t i
    if books.caused == NULL:
        return
    while first < c.flights.flushed:
        flight = &c.flights.ring[first & (FLIGHT_ROOM - 1)]
        if flight.operation == OP_COMPLETE:
            for i in range(flight.first, flight.last):
                publish(&books.caused[c.going[i].place], flight.sent_ns)
        first += 1


cdef WaitStatus wait(WorkingCycle c, Link *link, int64_t stamp_ns) noexcept nogil:
    # For an answer, or for what is due next. With nothing in flight the worker is idle, and the server does not wait
    # for us but for the work; from when that was over it does.
    cdef bint is_idle = flights_count(&c.flights) == 0
    cdef int64_t due_ns = first_due_ns(c, NEVER_NS)
    cdef int64_t until_ns = min(due_ns, stamp_ns + LATER_NS)
    cdef int64_t woken_ns
    cdef WaitStatus status
    if c.completions >= c.window or not may_send(c, link):
        until_ns = stamp_ns + LATER_NS  # what is due could not be sent
    elif c.polling == POLL_NONE and c.hand.free_count > 0 and c.poll_from_ns > stamp_ns:
        until_ns = min(until_ns, c.poll_from_ns)
    if not is_idle and link_has_answer(link):
        return WAIT_READY
    status = links_wait(&link, 0 if is_idle else 1, link.stop, until_ns)
    if is_idle:
        woken_ns = now_ns()
        c.kit.books.recorder.words[W_IDLE_NS] += woken_ns - stamp_ns
        c.flights.emptied_ns = max(due_ns, stamp_ns) if due_ns <= woken_ns else 0
    return status


cdef LoopEnd work(WorkingCycle c, Link *link) noexcept nogil:
    cdef Books *books = c.kit.books
    cdef int64_t *words = books.recorder.words
    cdef int64_t stamp_ns
    cdef bint over = False
    cdef LoopEnd end = END_DONE
    cdef int64_t queued_from_ns = usage_begin(words, c.schedstat.file)
    c.flights.head = c.flights.tail = c.flights.flushed = c.flights.emptied_ns = c.flights.waited_for_ns = 0
    c.polling = POLL_NONE
    while True:
        stamp_ns = now_ns()
        end = send_due(c, link, stamp_ns)
        if end == END_DONE:
            end = send_poll(c, link, stamp_ns, &over)
        if end != END_DONE:
            break
        if over and hand_count(&c.hand) == 0 and flights_count(&c.flights) == 0:
            end = END_STOPPED if observe(&books.header[H_STOP]) != STOP_RUN else END_DONE
            break
        if c.flights.flushed < c.flights.tail:
            stamp_causes(c, flights_stamp(&c.flights))
            end = end_of(link_flush(link))
            if end != END_DONE:
                break
        end = end_of(wait(c, link, stamp_ns))
        if end == END_DONE and observe(&books.header[H_STOP]) == STOP_NOW:
            end = END_STOPPED
        if end == END_DONE:
            end = take_answers(c, link)
        if end != END_DONE:
            break
    usage_end(words, c.schedstat.file, queued_from_ns, c.flights.waited_for_ns)
    return end
