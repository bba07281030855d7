"""The worker's cycle at its fastest: poll a queue, claim the tasks, complete them; without the GIL, without allocation.

Prepared statements that the connection must have (engine.statements makes them):
    read          (queue text, vt int4, quantity int4) -> message ids int8[], NULL where there are none
                  or, where the poll waits in the server, with (…, seconds int4, interval in ms int4)
    start_tasks   (flow text, message ids int8[], worker uuid) -> run ids uuid[], step slugs text[], task indexes
                  int4[], message ids int8[], inputs jsonb[]; NULLs where nothing was started
    complete      one: (run uuid, step text, index int4, output jsonb) -> status text
                  many: (uuid[], text[], int4[], jsonb[]) -> completed int8, their places int8[] (from 1; NULL: all)
    fail          one: (run uuid, step text, index int4, message text) -> status text
                  many: (uuid[], text[], int4[], message text) -> calls int8, places that failed for good int8[]

Every answer is one row, whatever the batch: libpq's cost of a row would otherwise be most of the client's.

Each statement is a transaction of its own. pgflow stamps with now(), so a transaction older than the message, or than
the task's start, would break its CHECKs. Completions go by run, so that two workers lock runs in one order.
"""

from libc.stdint cimport int32_t
from libc.stdlib cimport free, malloc

from posix.time cimport nanosleep, timespec

from pgflow_stress_hot cimport libpq
from pgflow_stress_hot.account cimport Books
from pgflow_stress_hot.claiming cimport (
    book_claim, fill_tasks, next_own_queue, pick_queue, refused, send_read, send_start, take_read,
)
from pgflow_stress_hot.clock cimport now_ns
from pgflow_stress_hot.completing cimport (
    book_failures, book_task, completed_of, count_attempts, leave_alone, send_completion,
)
from pgflow_stress_hot.connection cimport (
    BorrowedConnection, Link, WAIT_READY, WAIT_REFUSED, WaitStatus, link_flush, link_take,
)
from pgflow_stress_hot.flight cimport (
    END_DONE, END_LOST, END_STOPPED, FLIGHT_ROOM, Flight, LoopEnd, end_of, flights_count, flights_flush, flights_head,
    flights_pop, flights_push, flights_stamp,
)
from pgflow_stress_hot.histogram cimport histogram_record
from pgflow_stress_hot.kit cimport IDLE_SLEEP, messages_free, messages_make
from pgflow_stress_hot.layout cimport (
    H_STARTS_DONE, H_STOP, OP_COMPLETE, OP_FAIL, OP_READ, OP_START_TASKS, OP_TASK, STOP_RUN, ST_OK, W_CLAIMED,
    W_IDLE_NS, W_LONGEST_CYCLE_NS, W_NOT_OURS, W_PROCESS_TO_NS, W_RESIDENCE_NS, W_STATEMENTS,
)
from pgflow_stress_hot.recorder cimport observe, publish, record_statement
from pgflow_stress_hot.usage cimport Schedstat, spend, usage_begin, usage_end

cdef enum:
    SLICE_NS = 100_000_000


cdef class Cycle:
    """The cycle of one worker on one connection.

    Args:
        toolkit: what it works with.
        window: most completing statements in flight, 1 to 512; above 1 only on a piped connection.
        read_ahead: send the next poll with the last completions of a batch; only on a piped connection.
    """

    def __cinit__(self, Toolkit toolkit not None, int64_t window, bint read_ahead):
        if not 1 <= window <= 512:
            raise ValueError("window")
        self.toolkit = toolkit
        self.kit = &toolkit.kit
        self.schedstat = Schedstat()
        self.tasks = <Task *>malloc(self.kit.poll_size * sizeof(Task))
        if self.tasks == NULL:
            raise MemoryError("no room for the cycle")
        messages_make(&self.polled[0], self.kit.poll_size)
        messages_make(&self.polled[1], self.kit.poll_size)
        self.window = window
        self.read_ahead = read_ahead

    def __dealloc__(self):
        free(self.tasks)
        messages_free(&self.polled[0])
        messages_free(&self.polled[1])

    def run(self, BorrowedConnection connection not None):
        """Work until every started run's tasks are completed and no more will start, or the stop word ends it.

        Returns:
            A LoopEnd: 0 done, 1 stopped, 2 connection lost, 3 refused (the error is in the arena).
        """
        cdef LoopEnd end
        if (self.window > 1 or self.read_ahead) and not connection.link.piped:
            raise ValueError("more than one statement in flight needs a piped connection")
        with nogil:
            end = work(self, &connection.link)
        return end


cdef LoopEnd claim(Cycle c, Link *link, Messages *polled) noexcept nogil:
    # start_tasks for what was polled, as often as an error that passes refuses it; fills tasks, sorted by run.
    cdef libpq.PGresult *result
    cdef int64_t done_ns
    cdef int32_t attempts = 0
    cdef Flight *flight
    cdef WaitStatus status
    cdef LoopEnd end
    while True:
        if send_start(c.kit, link, polled) != 0:
            return END_LOST
        flights_push(&c.flights, OP_START_TASKS, 0, polled.count)
        status = flights_flush(&c.flights, link)
        if status != WAIT_READY:
            return end_of(status)
        flight = flights_head(&c.flights)
        status = link_take(link, &result)
        done_ns = now_ns()
        if status == WAIT_REFUSED:
            flights_pop(&c.flights, done_ns)
            attempts += 1
            end = refused(c.kit, link, OP_START_TASKS, flight.sent_ns, done_ns, polled.flow, polled.batch, attempts)
            if end != END_DONE:
                return end
            continue
        if status != WAIT_READY:
            return end_of(status)
        flights_pop(&c.flights, done_ns)
        break
    c.task_count = fill_tasks(c.kit, result, c.tasks)
    libpq.PQclear(result)
    book_claim(c.kit, flight.sent_ns, polled, c.task_count, done_ns)
    return END_DONE


cdef LoopEnd take_completion(Cycle c, Link *link, Messages *polled, Flight *again) noexcept nogil:
    # The oldest statement in flight, a completion. again.operation >= 0 where it is to be sent once more.
    cdef Books *books = c.kit.books
    cdef int64_t *words = books.recorder.words
    cdef Flight flight = flights_head(&c.flights)[0]
    cdef Task *tasks = &c.tasks[flight.first]
    cdef int64_t count = flight.last - flight.first
    cdef libpq.PGresult *result
    cdef int64_t done_ns, i, completed
    cdef WaitStatus status = link_take(link, &result)
    done_ns = now_ns()
    again.operation = -1
    if status == WAIT_REFUSED:
        flights_pop(&c.flights, done_ns)
        again[0] = flight
        again.attempts += 1
        return refused(c.kit, link, flight.operation, flight.sent_ns, done_ns, polled.flow, polled.batch,
                       again.attempts)
    if status != WAIT_READY:
        return end_of(status)
    flights_pop(&c.flights, done_ns)
    if flight.operation == OP_FAIL:
        book_failures(c.kit, tasks, count, result, done_ns)
        completed = count  # answered, and none of them in our hands
    else:
        completed = completed_of(c.kit, result, count)
        for i in range(completed):
            book_task(c.kit, polled.flow, polled.batch, polled.sent_ns,
                      &tasks[i if completed == count else c.kit.places[i]], done_ns)
    libpq.PQclear(result)
    publish(&words[W_STATEMENTS], words[W_STATEMENTS] + 1)
    publish(&words[W_CLAIMED], words[W_CLAIMED] - count)
    if completed < count:
        publish(&words[W_NOT_OURS], words[W_NOT_OURS] + count - completed)
    words[W_RESIDENCE_NS] += (done_ns - polled.done_ns) * count
    if done_ns - polled.sent_ns > words[W_LONGEST_CYCLE_NS]:
        words[W_LONGEST_CYCLE_NS] = done_ns - polled.sent_ns
    publish(&words[W_PROCESS_TO_NS], done_ns)
    record_statement(books.recorder, flight.operation, ST_OK, flight.sent_ns, done_ns, completed,
                     <int32_t>polled.flow, polled.batch)
    if completed > 0 and flight.operation == OP_COMPLETE:
        histogram_record(&books.recorder.histograms[OP_TASK], done_ns - polled.sent_ns, completed)
    return END_DONE


cdef void stamp_causes(Cycle c, int64_t first) noexcept nogil:
    # When the completion of each task is sent, before it is: an observer may receive its event before the answer comes.
    cdef Books *books = c.kit.books
    cdef Flight *flight
    cdef int64_t place
    if books.caused == NULL:
        return
    while first < c.flights.flushed:
        flight = &c.flights.ring[first & (FLIGHT_ROOM - 1)]
        if flight.operation == OP_COMPLETE:
            for place in range(flight.first, flight.last):
                publish(&books.caused[c.tasks[place].place], flight.sent_ns)
        first += 1


cdef LoopEnd complete(Cycle c, Link *link, Messages *polled, Messages *ahead, bint *read_sent) noexcept nogil:
    # Complete all claimed tasks, a bounded number of statements in flight; the next poll goes with the last of them.
    cdef Books *books = c.kit.books
    cdef int64_t next_task = 0, last, flow
    cdef int64_t again_count = 0
    cdef Flight again[512]
    cdef Flight retry
    cdef Flight *pushed
    cdef LoopEnd end
    cdef WaitStatus status
    read_sent[0] = False
    while True:
        while flights_count(&c.flights) < c.window:
            if next_task < c.task_count:
                if c.tasks[next_task].place < 0:
                    next_task += 1  # a task of a run or step that is not ours: left alone, counted
                    leave_alone(c.kit)
                    continue
                last = next_task + 1
                while (last < c.task_count and last - next_task < c.kit.per_completion and c.tasks[last].place >= 0
                       and c.tasks[last].fails == c.tasks[next_task].fails):
                    last += 1
                if c.tasks[next_task].fails:
                    count_attempts(c.kit, &c.tasks[next_task], last - next_task)
                if send_completion(c.kit, link, &c.tasks[next_task], last - next_task) != 0:
                    return END_LOST
                flights_push(&c.flights, OP_FAIL if c.tasks[next_task].fails else OP_COMPLETE, next_task, last)
                next_task = last
            elif again_count > 0:
                again_count -= 1
                if send_completion(c.kit, link, &c.tasks[again[again_count].first],
                                   again[again_count].last - again[again_count].first) != 0:
                    return END_LOST
                pushed = flights_push(&c.flights, again[again_count].operation, again[again_count].first,
                                      again[again_count].last)
                pushed.attempts = again[again_count].attempts
            else:
                break
        if (c.read_ahead and not read_sent[0] and next_task == c.task_count and again_count == 0
                and observe(&books.header[H_STOP]) == STOP_RUN):
            flow = pick_queue(c.kit, c.task_count, polled.flow)
            if flow >= 0:
                if send_read(c.kit, link, ahead, flow, c.kit.poll_size) != 0:
                    return END_LOST
                flights_push(&c.flights, OP_READ, 0, 0)
                read_sent[0] = True
        if flights_count(&c.flights) == 0:
            return END_DONE
        stamp_causes(c, flights_stamp(&c.flights))
        status = link_flush(link)
        if status != WAIT_READY:
            return end_of(status)
        while flights_count(&c.flights) > 0:
            if flights_head(&c.flights).operation == OP_READ:
                if next_task == c.task_count and again_count == 0 and flights_count(&c.flights) == 1:
                    return END_DONE  # all completed: the caller waits for the poll
                end = take_read(c.kit, &c.flights, link, ahead)
                if end != END_DONE:
                    return end
                continue
            end = take_completion(c, link, polled, &retry)
            if end != END_DONE:
                return end
            if retry.operation >= 0:
                again[again_count] = retry
                again_count += 1
            if (next_task < c.task_count or again_count > 0) and flights_count(&c.flights) <= c.window // 2:
                break
            if c.read_ahead and not read_sent[0] and next_task == c.task_count:
                break


cdef void idle(Cycle c) noexcept nogil:
    cdef Books *books = c.kit.books
    cdef int64_t *words = books.recorder.words
    cdef int64_t left = c.kit.idle_ns
    cdef timespec nap
    if c.kit.idle_kind != IDLE_SLEEP:
        return
    while left > 0 and observe(&books.header[H_STOP]) == STOP_RUN:
        nap.tv_sec = 0
        nap.tv_nsec = min(left, SLICE_NS)
        nanosleep(&nap, NULL)
        left -= SLICE_NS
    words[W_IDLE_NS] += c.kit.idle_ns


cdef LoopEnd work(Cycle c, Link *link) noexcept nogil:
    cdef Books *books = c.kit.books
    cdef int64_t *words = books.recorder.words
    cdef int current = 0
    cdef bint read_sent = False
    cdef int64_t flow, starts_done, empty_in_turn = 0
    cdef Messages *polled
    cdef LoopEnd end = END_DONE
    cdef WaitStatus status
    cdef int64_t queued_from_ns = usage_begin(words, c.schedstat.file)
    c.flights.head = c.flights.tail = c.flights.flushed = c.flights.emptied_ns = c.flights.waited_for_ns = 0
    while True:
        polled = &c.polled[current]
        if not read_sent:
            if observe(&books.header[H_STOP]) != STOP_RUN:
                end = END_STOPPED
                break
            # Read before the queues: a run that is started in between is then seen in them.
            starts_done = observe(&books.header[H_STARTS_DONE])
            flow = pick_queue(c.kit, 0, -1)
            if flow < 0:
                if starts_done:
                    break
                flow = next_own_queue(c.kit)
            if send_read(c.kit, link, polled, flow, c.kit.poll_size) != 0:
                end = END_LOST
                break
            flights_push(&c.flights, OP_READ, 0, 0)
            status = flights_flush(&c.flights, link)
            if status != WAIT_READY:
                end = end_of(status)
                break
        read_sent = False
        if not polled.answered:  # else between completions that were sent again
            end = take_read(c.kit, &c.flights, link, polled)
            if end != END_DONE:
                break
        if polled.count == 0:
            empty_in_turn += 1
            if empty_in_turn >= c.kit.queue_count or c.kit.queue_count == 1:
                empty_in_turn = 0
                idle(c)
            continue
        empty_in_turn = 0
        end = claim(c, link, polled)
        spend(c.kit.delay_ns * c.task_count, &books.header[H_STOP])
        if end == END_DONE and c.task_count > 0:
            end = complete(c, link, polled, &c.polled[1 - current], &read_sent)
        if end != END_DONE:
            break
        if read_sent:
            current = 1 - current
    usage_end(words, c.schedstat.file, queued_from_ns, c.flights.waited_for_ns)
    return end
