"""The worker's cycle: poll a queue, claim the tasks, complete them; without the GIL, without allocation.

Prepared statements that the connection must have (engine.statements makes them):
    read          (queue text, vt int4, quantity int4) -> message ids int8[], NULL where there are none
                  or, where the poll waits in the server, with (…, seconds int4, interval in ms int4)
    start_tasks   (flow text, message ids int8[], worker uuid) -> run ids uuid[], step slugs text[], task indexes
                  int4[], message ids int8[], inputs jsonb[]; NULLs where nothing was started
    complete      one: (run uuid, step text, index int4, output jsonb) -> status text
                  many: (uuid[], text[], int4[], jsonb[]) -> completed int8, their places int8[] (from 1; NULL: all)

Every answer is one row, whatever the batch: libpq's cost of a row would otherwise be most of the client's.

Each statement is a transaction of its own. pgflow stamps with now(), so a transaction older than the message, or than
the task's start, would break its CHECKs. Completions go by run, so that two workers lock runs in one order.
"""

from libc.stdlib cimport free, malloc, qsort
from libc.string cimport memcmp, memcpy

from posix.fcntl cimport O_CLOEXEC, O_RDONLY, open
from posix.resource cimport RUSAGE_SELF, getrusage, rusage
from posix.time cimport CLOCK_THREAD_CPUTIME_ID, clock_gettime, nanosleep, timespec
from posix.unistd cimport close, pread

from pgflow_stress_hot cimport libpq
from pgflow_stress_hot.account cimport Books, book_completion, ledger_place, run_index_of, tasks_left
from pgflow_stress_hot.clock cimport now_ns
from pgflow_stress_hot.connection cimport (
    BorrowedConnection, WAIT_READY, WAIT_REFUSED, WaitStatus, link_flush, link_send, link_take,
)
from pgflow_stress_hot.flight cimport (
    END_DONE, END_LOST, END_REFUSED, END_STOPPED, Flight, LoopEnd, end_of, flights_count,
    FLIGHT_ROOM, flights_flush, flights_head, flights_pop, flights_push, flights_stamp,
)
from pgflow_stress_hot.histogram cimport histogram_record
from pgflow_stress_hot.layout cimport (
    H_STARTS_DONE, H_STOP, H_VT_SECONDS, L_CLAIMED, L_COMPLETED, OP_COMPLETE, OP_READ, OP_START_TASKS,
    OP_TASK, STOP_NOW, STOP_RUN, ST_FAILED, ST_OK, ST_RETRIED, W_CLAIMED, W_CPU_FROM_NS, W_CPU_TO_NS,
    W_CYCLES, W_EMPTY_POLLS, W_FIRST_IDLE_NS, W_IDLE_NS, W_LONGEST_CYCLE_NS, W_MESSAGES_READ, W_NOT_OURS, W_POLLS,
    W_PROCESS_FROM_NS, W_PROCESS_TO_NS, W_RESIDENCE_NS, W_RUN_QUEUE_NS, W_STATEMENTS, W_TASKS_CLAIMED, W_UNCLAIMED,
    W_WAITED_FOR_NS,
)
from pgflow_stress_hot.recorder cimport (
    observe, or_shared, publish, record_error, record_row, record_statement,
)
from pgflow_stress_hot.slugs cimport slug_at, slug_length, slugs_find
from pgflow_stress_hot.wire cimport (
    ArrayReader, OID_INT4, OID_JSONB, OID_TEXT, OID_UUID, array_begin, array_next, array_put, array_put_int4,
    array_read, buffer_free, buffer_make, get_int4, get_int8, put_int4,
)

cdef enum:
    ARRAY_HEAD = 20  # bytes before the first element of an array
    ID_BYTES = 12  # of an int8 in an array, with its length
    MOST_ATTEMPTS = 100  # of a statement refused with an error that passes: deadlock, serialisation, timestamps
    SLICE_NS = 100_000_000


cdef int64_t cpu_ns() noexcept nogil:
    cdef rusage used
    getrusage(RUSAGE_SELF, &used)
    return (<int64_t>(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1_000_000_000
            + <int64_t>(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1000)


cdef int64_t run_queue_ns(int schedstat) noexcept nogil:
    # How long this process was runnable and not run so far: the second number of /proc/self/schedstat. -1: not told.
    cdef char text[96]
    cdef ssize_t length = pread(schedstat, text, sizeof(text), 0) if schedstat >= 0 else -1
    cdef ssize_t i = 0
    cdef int64_t value = 0
    while i < length and text[i] != c' ':
        i += 1
    if i >= length:
        return -1
    i += 1
    while i < length and c'0' <= text[i] <= c'9':
        value = 10 * value + text[i] - c'0'
        i += 1
    return value


cdef int64_t thread_cpu_ns() noexcept nogil:
    cdef timespec stamp
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &stamp)
    return <int64_t>stamp.tv_sec * 1_000_000_000 + stamp.tv_nsec


cdef bint passes(const char *sqlstate) noexcept nogil:
    # 40P01 deadlock, 40001 serialisation, 23514 a CHECK of pgflow's on now() (pgflow stamps the transaction's start)
    return (memcmp(sqlstate, b"40P01", 5) == 0 or memcmp(sqlstate, b"40001", 5) == 0
            or memcmp(sqlstate, b"23514", 5) == 0)


cdef int by_run(const void *left, const void *right) noexcept nogil:
    return memcmp((<const Task *>left).run_id, (<const Task *>right).run_id, 16)


cdef class Cycle:
    """The cycle of one worker on one connection.

    Args:
        account: the books to write.
        worker_id: 16 bytes, registered in pgflow.workers.
        queues: flow indexes to poll, those of its own first.
        own_queues: how many of them are its own; the others are polled once its own are done.
        poll_size: most messages a poll, 1 to 10,000.
        per_completion: most tasks a completing statement; 1 unless batched.
        window: most completing statements in flight, 1 to 512; above 1 only on a piped connection.
        batched: one statement completes many.
        read_ahead: send the next poll with the last completions of a batch; only on a piped connection.
        output: jsonb in binary (version byte 1, then the text), given by every task.
        idle_kind: 0 spin, 1 sleep idle_ns, 2 the poll waits in the server.
        delay_ns: CPU time that each task costs beyond what it must, between its claim and its completion; 0 for none.
    """

    def __cinit__(self, Account account not None, bytes worker_id not None, int64_t[::1] queues not None,
                  int64_t own_queues, int64_t poll_size, int64_t per_completion, int64_t window, bint batched,
                  bint read_ahead, bytes output not None, int idle_kind, int64_t idle_ns, int64_t max_poll_seconds,
                  int64_t poll_interval_ms, int64_t delay_ns=0):
        cdef int64_t i, longest = account.books.step_slugs.longest
        self.schedstat = -1
        if len(worker_id) != 16 or len(queues) < 1 or not 0 <= own_queues <= len(queues):
            raise ValueError("worker_id or queues")
        if not 1 <= poll_size <= 10_000 or per_completion < 1 or not 1 <= window <= 512:
            raise ValueError("poll_size, per_completion or window")
        self.account = account
        self.delay_ns = delay_ns
        self.schedstat = open(b"/proc/self/schedstat", O_RDONLY | O_CLOEXEC)
        memcpy(self.worker_id, <const char *>worker_id, 16)
        self.queues = <int64_t *>malloc(len(queues) * sizeof(int64_t))
        self.tasks = <Task *>malloc(poll_size * sizeof(Task))
        self.polled[0].ids = <uint8_t *>malloc(ARRAY_HEAD + poll_size * ID_BYTES)
        self.polled[1].ids = <uint8_t *>malloc(ARRAY_HEAD + poll_size * ID_BYTES)
        if self.queues == NULL or self.tasks == NULL or self.polled[0].ids == NULL or self.polled[1].ids == NULL:
            raise MemoryError("no room for the cycle")
        for i in range(len(queues)):
            if not 0 <= queues[i] < account.books.flows:
                raise ValueError(f"no flow {queues[i]}")
            self.queues[i] = queues[i]
        self.queue_count = len(queues)
        self.own_queues = own_queues
        self.next_own = 0
        self.next_other = 0
        self.poll_size = poll_size
        self.per_completion = min(per_completion, poll_size) if batched else 1
        self.window = window
        self.batched = batched
        self.read_ahead = read_ahead
        self.idle_kind = idle_kind
        self.idle_ns = idle_ns
        self.max_poll_seconds = max_poll_seconds
        self.poll_interval_ms = poll_interval_ms
        self._output = output
        self.output_bytes = <const uint8_t *><char *>output
        self.output_length = len(output)
        buffer_make(&self.runs, 20 + self.per_completion * 20)
        buffer_make(&self.steps, 20 + self.per_completion * (4 + longest))
        buffer_make(&self.indexes, 20 + self.per_completion * 8)
        if batched:
            # Every task gives the same output: filled once, and cut to the batch by its count.
            buffer_make(&self.outputs, 20 + self.per_completion * (4 + self.output_length))
            array_begin(&self.outputs, OID_JSONB, self.per_completion)
            for _ in range(self.per_completion):
                array_put(&self.outputs, self.output_bytes, self.output_length)

    def __dealloc__(self):
        if self.schedstat >= 0:
            close(self.schedstat)
        free(self.queues)
        free(self.tasks)
        free(self.polled[0].ids)
        free(self.polled[1].ids)
        buffer_free(&self.runs)
        buffer_free(&self.steps)
        buffer_free(&self.indexes)
        buffer_free(&self.outputs)

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


cdef int64_t pick_queue(Cycle c, int64_t in_hand, int64_t in_hand_of) noexcept nogil:
    # The next queue in turn with tasks that are neither completed nor in our own hands: own ones first. -1: none.
    cdef Books *books = &c.account.books
    cdef int64_t others = c.queue_count - c.own_queues
    cdef int64_t i, place, flow, left
    for i in range(c.own_queues):
        place = (c.next_own + i) % c.own_queues
        flow = c.queues[place]
        left = tasks_left(books, flow) - (in_hand if flow == in_hand_of else 0)
        if left > 0:
            c.next_own = place + 1
            return flow
    for i in range(others):
        place = (c.next_other + i) % others
        flow = c.queues[c.own_queues + place]
        left = tasks_left(books, flow) - (in_hand if flow == in_hand_of else 0)
        if left > 0:
            c.next_other = place + 1
            return flow
    return -1


cdef int send_read(Cycle c, Link *link, Messages *into, int64_t flow) noexcept nogil:
    cdef Books *books = &c.account.books
    cdef uint8_t vt[4]
    cdef uint8_t quantity[4]
    cdef uint8_t seconds[4]
    cdef uint8_t interval[4]
    cdef const char *values[5]
    cdef int lengths[5]
    put_int4(vt, <int32_t>observe(&books.header[H_VT_SECONDS]))
    put_int4(quantity, <int32_t>c.poll_size)
    values[0] = slug_at(books.flow_slugs, flow)
    lengths[0] = slug_length(books.flow_slugs, flow)
    values[1] = <char *>vt
    values[2] = <char *>quantity
    lengths[1] = lengths[2] = lengths[3] = lengths[4] = 4
    if c.idle_kind == IDLE_SERVER:
        put_int4(seconds, <int32_t>c.max_poll_seconds)
        put_int4(interval, <int32_t>c.poll_interval_ms)
        values[3] = <char *>seconds
        values[4] = <char *>interval
    into.flow = flow
    into.count = 0
    into.answered = False
    into.batch = <int32_t>books.recorder.words[W_CYCLES]
    publish(&books.recorder.words[W_CYCLES], books.recorder.words[W_CYCLES] + 1)
    return link_send(link, b"read", 5 if c.idle_kind == IDLE_SERVER else 3, values, lengths)


cdef LoopEnd refused(Cycle c, Link *link, int operation, int64_t sent_ns, int64_t done_ns, int64_t flow,
                     int32_t batch, int32_t attempts) noexcept nogil:
    # END_DONE: the statement may be sent again.
    cdef Books *books = &c.account.books
    cdef bint again = passes(link.sqlstate) and attempts < MOST_ATTEMPTS
    record_error(books.recorder, operation, again, done_ns, link.sqlstate, link.text)
    record_statement(books.recorder, operation, ST_RETRIED if again else ST_FAILED, sent_ns, done_ns, 0,
                     <int32_t>flow, batch)
    return END_DONE if again else END_REFUSED


cdef LoopEnd take_read(Cycle c, Link *link, Messages *into) noexcept nogil:
    # The answer of the poll that is the oldest statement in flight.
    cdef Books *books = &c.account.books
    cdef int64_t *words = books.recorder.words
    cdef Flight *flight = flights_head(&c.flights)
    cdef libpq.PGresult *result
    cdef WaitStatus status = link_take(link, &result)
    into.done_ns = now_ns()
    into.sent_ns = flight.sent_ns
    into.answered = True
    if status == WAIT_REFUSED:
        flights_pop(&c.flights, into.done_ns)
        return refused(c, link, OP_READ, flight.sent_ns, into.done_ns, into.flow, into.batch, 0)
    if status != WAIT_READY:
        return end_of(status)
    flights_pop(&c.flights, into.done_ns)
    into.ids_length = libpq.PQgetlength(result, 0, 0) if libpq.PQntuples(result) == 1 else 0
    into.count = (into.ids_length - ARRAY_HEAD) // ID_BYTES if into.ids_length > ARRAY_HEAD else 0
    if into.count > c.poll_size:
        into.count = 0  # not what was asked for: left for the next visibility
    if into.count > 0:
        memcpy(into.ids, libpq.PQgetvalue(result, 0, 0), into.ids_length)
    libpq.PQclear(result)
    if words[W_PROCESS_FROM_NS] == 0:
        words[W_PROCESS_FROM_NS] = flight.sent_ns
    publish(&words[W_STATEMENTS], words[W_STATEMENTS] + 1)
    publish(&words[W_POLLS], words[W_POLLS] + 1)
    if into.count == 0:
        c.flights.emptied_ns = 0  # nothing in hand: the server waits for work, not for us
        publish(&words[W_EMPTY_POLLS], words[W_EMPTY_POLLS] + 1)
        if words[W_FIRST_IDLE_NS] == 0:
            words[W_FIRST_IDLE_NS] = into.done_ns
        # No row: a spinning worker would fill its region with them.
        histogram_record(&books.recorder.histograms[OP_READ], into.done_ns - into.sent_ns, 1)
        return END_DONE
    publish(&words[W_MESSAGES_READ], words[W_MESSAGES_READ] + into.count)
    publish(&words[W_CLAIMED], words[W_CLAIMED] + into.count)
    record_statement(books.recorder, OP_READ, ST_OK, into.sent_ns, into.done_ns, into.count, <int32_t>into.flow,
                     into.batch)
    return END_DONE


cdef void fill_tasks(Cycle c, const libpq.PGresult *result) noexcept nogil:
    # The tasks that start_tasks answered with, in the order of their runs.
    cdef Books *books = &c.account.books
    cdef ArrayReader runs, steps, indexes, ids
    cdef const char *run
    cdef const char *step
    cdef const char *index
    cdef const char *msg_id
    cdef int length, step_length
    cdef bint in_order = True
    cdef Task *task
    c.task_count = 0
    if libpq.PQntuples(result) != 1 or libpq.PQgetisnull(result, 0, 0):
        return
    runs = array_read(libpq.PQgetvalue(result, 0, 0), libpq.PQgetlength(result, 0, 0))
    steps = array_read(libpq.PQgetvalue(result, 0, 1), libpq.PQgetlength(result, 0, 1))
    indexes = array_read(libpq.PQgetvalue(result, 0, 2), libpq.PQgetlength(result, 0, 2))
    ids = array_read(libpq.PQgetvalue(result, 0, 3), libpq.PQgetlength(result, 0, 3))
    while c.task_count < c.poll_size:
        run = array_next(&runs, &length)
        step = array_next(&steps, &step_length)
        index = array_next(&indexes, &length)
        msg_id = array_next(&ids, &length)
        if run == NULL or step == NULL or index == NULL or msg_id == NULL:
            break
        task = &c.tasks[c.task_count]
        memcpy(task.run_id, run, 16)
        task.run = run_index_of(books, run)
        task.step = slugs_find(books.step_slugs, step, step_length)
        task.index = get_int4(index)
        task.msg_id = get_int8(msg_id)
        task.place = ledger_place(books, task.run, task.step, task.index)
        if task.place >= 0:
            or_shared(&books.ledger[task.place], L_CLAIMED)
        if c.task_count > 0 and by_run(&c.tasks[c.task_count - 1], task) > 0:
            in_order = False
        c.task_count += 1
    if not in_order:
        qsort(c.tasks, c.task_count, sizeof(Task), by_run)


cdef LoopEnd claim(Cycle c, Link *link, Messages *polled) noexcept nogil:
    # start_tasks for what was polled, as often as an error that passes refuses it; fills tasks, sorted by run.
    cdef Books *books = &c.account.books
    cdef int64_t *words = books.recorder.words
    cdef libpq.PGresult *result
    cdef const char *values[3]
    cdef int lengths[3]
    cdef int64_t done_ns
    cdef int32_t attempts = 0
    cdef Flight *flight
    cdef WaitStatus status
    cdef LoopEnd end
    values[0] = slug_at(books.flow_slugs, polled.flow)
    lengths[0] = slug_length(books.flow_slugs, polled.flow)
    values[1] = <char *>polled.ids
    lengths[1] = polled.ids_length
    values[2] = <char *>c.worker_id
    lengths[2] = 16
    while True:
        if link_send(link, b"start_tasks", 3, values, lengths) != 0:
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
            end = refused(c, link, OP_START_TASKS, flight.sent_ns, done_ns, polled.flow, polled.batch, attempts)
            if end != END_DONE:
                return end
            continue
        if status != WAIT_READY:
            return end_of(status)
        flights_pop(&c.flights, done_ns)
        break
    fill_tasks(c, result)
    libpq.PQclear(result)
    publish(&words[W_STATEMENTS], words[W_STATEMENTS] + 1)
    publish(&words[W_TASKS_CLAIMED], words[W_TASKS_CLAIMED] + c.task_count)
    if c.task_count < polled.count:
        # Not ours to start: the tasks were started before, and come round each vt until they are completed.
        publish(&words[W_UNCLAIMED], words[W_UNCLAIMED] + polled.count - c.task_count)
        publish(&words[W_CLAIMED], words[W_CLAIMED] - (polled.count - c.task_count))
    record_statement(books.recorder, OP_START_TASKS, ST_OK, flight.sent_ns, done_ns, c.task_count,
                     <int32_t>polled.flow, polled.batch)
    return END_DONE


cdef int send_completion(Cycle c, Link *link, int64_t first, int64_t last) noexcept nogil:
    cdef Books *books = &c.account.books
    cdef const char *values[4]
    cdef int lengths[4]
    cdef uint8_t index[4]
    cdef int64_t i
    cdef Task *task
    if not c.batched:
        task = &c.tasks[first]
        put_int4(index, task.index)
        values[0] = <char *>task.run_id
        lengths[0] = 16
        values[1] = slug_at(books.step_slugs, task.step)
        lengths[1] = slug_length(books.step_slugs, task.step)
        values[2] = <char *>index
        lengths[2] = 4
        values[3] = <const char *>c.output_bytes
        lengths[3] = <int>c.output_length
        return link_send(link, b"complete", 4, values, lengths)
    array_begin(&c.runs, OID_UUID, <int>(last - first))
    array_begin(&c.steps, OID_TEXT, <int>(last - first))
    array_begin(&c.indexes, OID_INT4, <int>(last - first))
    for i in range(first, last):
        task = &c.tasks[i]
        array_put(&c.runs, task.run_id, 16)
        array_put(&c.steps, slug_at(books.step_slugs, task.step), slug_length(books.step_slugs, task.step))
        array_put_int4(&c.indexes, task.index)
    put_int4(c.outputs.bytes + 12, <int32_t>(last - first))
    values[0] = <char *>c.runs.bytes
    lengths[0] = c.runs.length
    values[1] = <char *>c.steps.bytes
    lengths[1] = c.steps.length
    values[2] = <char *>c.indexes.bytes
    lengths[2] = c.indexes.length
    values[3] = <char *>c.outputs.bytes
    lengths[3] = <int>(20 + (last - first) * (4 + c.output_length))
    return link_send(link, b"complete", 4, values, lengths)


cdef void book_task(Cycle c, Messages *polled, Task *task, int64_t done_ns, bint completed) noexcept nogil:
    cdef Books *books = &c.account.books
    if completed:
        book_completion(books, task.run, polled.flow, task.place, done_ns, L_COMPLETED)
    record_row(books.recorder, polled.sent_ns, done_ns, task.msg_id, <int32_t>task.run, task.step, task.index,
               polled.batch, OP_TASK, ST_OK if completed else ST_FAILED, 1, <int32_t>polled.flow)


cdef bint says_completed(const libpq.PGresult *result, int row, int column) noexcept nogil:
    return (libpq.PQgetlength(result, row, column) == 9
            and memcmp(libpq.PQgetvalue(result, row, column), b"completed", 9) == 0)


cdef int64_t book_places(Cycle c, Messages *polled, const Flight *flight, const libpq.PGresult *result,
                         int64_t done_ns) noexcept nogil:
    # Not all of a batch were completed: those whose places the answer's int8[] holds. How many were.
    cdef ArrayReader places = array_read(libpq.PQgetvalue(result, 0, 1), libpq.PQgetlength(result, 0, 1))
    cdef const char *element
    cdef int length
    cdef int64_t place, booked = 0
    while places.left > 0:
        element = array_next(&places, &length)
        if element == NULL:
            break
        place = get_int8(element) - 1
        if 0 <= place < flight.last - flight.first:
            book_task(c, polled, &c.tasks[flight.first + place], done_ns, True)
            booked += 1
    return booked


cdef LoopEnd take_completion(Cycle c, Link *link, Messages *polled, Flight *again) noexcept nogil:
    # The oldest statement in flight, a completion. again.operation >= 0 where it is to be sent once more.
    cdef Books *books = &c.account.books
    cdef int64_t *words = books.recorder.words
    cdef Flight flight = flights_head(&c.flights)[0]
    cdef int64_t count = flight.last - flight.first
    cdef libpq.PGresult *result
    cdef int64_t done_ns, place, completed = 0
    cdef WaitStatus status = link_take(link, &result)
    done_ns = now_ns()
    again.operation = -1
    if status == WAIT_REFUSED:
        flights_pop(&c.flights, done_ns)
        again[0] = flight
        again.attempts += 1
        return refused(c, link, OP_COMPLETE, flight.sent_ns, done_ns, polled.flow, polled.batch, again.attempts)
    if status != WAIT_READY:
        return end_of(status)
    flights_pop(&c.flights, done_ns)
    if c.batched and libpq.PQntuples(result) == 1:
        completed = get_int8(libpq.PQgetvalue(result, 0, 0))
        if completed == count:
            for place in range(count):
                book_task(c, polled, &c.tasks[flight.first + place], done_ns, True)
        else:
            completed = book_places(c, polled, &flight, result, done_ns)
    elif libpq.PQntuples(result) == 1 and says_completed(result, 0, 0):
        book_task(c, polled, &c.tasks[flight.first], done_ns, True)
        completed = 1
    libpq.PQclear(result)
    publish(&words[W_STATEMENTS], words[W_STATEMENTS] + 1)
    publish(&words[W_CLAIMED], words[W_CLAIMED] - count)
    if completed < count:
        publish(&words[W_NOT_OURS], words[W_NOT_OURS] + count - completed)
    words[W_RESIDENCE_NS] += (done_ns - polled.done_ns) * count
    if done_ns - polled.sent_ns > words[W_LONGEST_CYCLE_NS]:
        words[W_LONGEST_CYCLE_NS] = done_ns - polled.sent_ns
    publish(&words[W_PROCESS_TO_NS], done_ns)
    record_statement(books.recorder, OP_COMPLETE, ST_OK, flight.sent_ns, done_ns, completed, <int32_t>polled.flow,
                     polled.batch)
    if completed > 0:
        histogram_record(&books.recorder.histograms[OP_TASK], done_ns - polled.sent_ns, completed)
    return END_DONE


cdef void stamp_causes(Cycle c, int64_t first) noexcept nogil:
    # When the completion of each task is sent, before it is: an observer may receive its event before the answer comes.
    cdef Books *books = &c.account.books
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
    cdef Books *books = &c.account.books
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
                    publish(&books.recorder.words[W_NOT_OURS], books.recorder.words[W_NOT_OURS] + 1)
                    publish(&books.recorder.words[W_CLAIMED], books.recorder.words[W_CLAIMED] - 1)
                    continue
                last = next_task + 1
                while last < c.task_count and last - next_task < c.per_completion and c.tasks[last].place >= 0:
                    last += 1
                if send_completion(c, link, next_task, last) != 0:
                    return END_LOST
                flights_push(&c.flights, OP_COMPLETE, next_task, last)
                next_task = last
            elif again_count > 0:
                again_count -= 1
                if send_completion(c, link, again[again_count].first, again[again_count].last) != 0:
                    return END_LOST
                pushed = flights_push(&c.flights, OP_COMPLETE, again[again_count].first, again[again_count].last)
                pushed.attempts = again[again_count].attempts
            else:
                break
        if (c.read_ahead and not read_sent[0] and next_task == c.task_count and again_count == 0
                and observe(&books.header[H_STOP]) == STOP_RUN):
            flow = pick_queue(c, c.task_count, polled.flow)
            if flow >= 0:
                if send_read(c, link, ahead, flow) != 0:
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
                end = take_read(c, link, ahead)
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


cdef void delay(Cycle c) noexcept nogil:
    # What the claimed tasks cost the client more, where that was asked for; nothing is in flight meanwhile.
    cdef int64_t until
    if c.delay_ns == 0:
        return
    until = thread_cpu_ns() + c.delay_ns * c.task_count
    while thread_cpu_ns() < until and observe(&c.account.books.header[H_STOP]) != STOP_NOW:
        pass


cdef void idle(Cycle c) noexcept nogil:
    cdef Books *books = &c.account.books
    cdef int64_t *words = books.recorder.words
    cdef int64_t left = c.idle_ns
    cdef timespec nap
    if c.idle_kind != IDLE_SLEEP:
        return
    while left > 0 and observe(&books.header[H_STOP]) == STOP_RUN:
        nap.tv_sec = 0
        nap.tv_nsec = min(left, SLICE_NS)
        nanosleep(&nap, NULL)
        left -= SLICE_NS
    words[W_IDLE_NS] += c.idle_ns


cdef LoopEnd work(Cycle c, Link *link) noexcept nogil:
    cdef Books *books = &c.account.books
    cdef int64_t *words = books.recorder.words
    cdef int current = 0
    cdef bint read_sent = False
    cdef int64_t flow, starts_done, empty_in_turn = 0
    cdef Messages *polled
    cdef LoopEnd end = END_DONE
    cdef WaitStatus status
    cdef int64_t queued_from_ns = run_queue_ns(c.schedstat)
    c.flights.head = c.flights.tail = c.flights.flushed = c.flights.emptied_ns = c.flights.waited_for_ns = 0
    words[W_CPU_FROM_NS] = cpu_ns()
    while True:
        polled = &c.polled[current]
        if not read_sent:
            if observe(&books.header[H_STOP]) != STOP_RUN:
                end = END_STOPPED
                break
            # Read before the queues: a run that is started in between is then seen in them.
            starts_done = observe(&books.header[H_STARTS_DONE])
            flow = pick_queue(c, 0, -1)
            if flow < 0:
                if starts_done:
                    break
                # As a worker that cannot know when the next run comes: its own queues in turn.
                flow = c.queues[c.next_own % c.own_queues] if c.own_queues else c.queues[0]
                c.next_own += 1
            if send_read(c, link, polled, flow) != 0:
                end = END_LOST
                break
            flights_push(&c.flights, OP_READ, 0, 0)
            status = flights_flush(&c.flights, link)
            if status != WAIT_READY:
                end = end_of(status)
                break
        read_sent = False
        if not polled.answered:  # else between completions that were sent again
            end = take_read(c, link, polled)
            if end != END_DONE:
                break
        if polled.count == 0:
            empty_in_turn += 1
            if empty_in_turn >= c.queue_count or c.queue_count == 1:
                empty_in_turn = 0
                idle(c)
            continue
        empty_in_turn = 0
        end = claim(c, link, polled)
        delay(c)
        if end == END_DONE and c.task_count > 0:
            end = complete(c, link, polled, &c.polled[1 - current], &read_sent)
        if end != END_DONE:
            break
        if read_sent:
            current = 1 - current
    words[W_WAITED_FOR_NS] = c.flights.waited_for_ns
    words[W_RUN_QUEUE_NS] = run_queue_ns(c.schedstat) - queued_from_ns if queued_from_ns >= 0 else -1
    publish(&words[W_CPU_TO_NS], cpu_ns())
    return end
