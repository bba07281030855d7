"""Poll a queue, claim the tasks: the statements `read` and `start_tasks` (engine.statements has their texts)."""

from libc.stdint cimport uint8_t
from libc.stdlib cimport qsort
from libc.string cimport memcmp, memcpy

from pgflow_stress_hot cimport libpq
from pgflow_stress_hot.account cimport Books, fails, ledger_place, run_index_of, tasks_left
from pgflow_stress_hot.clock cimport now_ns
from pgflow_stress_hot.connection cimport WAIT_READY, WAIT_REFUSED, WaitStatus, link_send, link_take
from pgflow_stress_hot.flight cimport END_DONE, END_REFUSED, Flight, end_of, flights_head, flights_pop
from pgflow_stress_hot.histogram cimport histogram_record
from pgflow_stress_hot.kit cimport ARRAY_HEAD, ID_BYTES, IDLE_SERVER, MOST_ATTEMPTS
from pgflow_stress_hot.layout cimport (
    H_VT_SECONDS, L_CLAIMED, OP_READ, OP_START_TASKS, ST_FAILED, ST_OK, ST_RETRIED, W_CLAIMED, W_CYCLES,
    W_EMPTY_POLLS, W_FIRST_IDLE_NS, W_MESSAGES_READ, W_POLLS, W_PROCESS_FROM_NS, W_STATEMENTS, W_TASKS_CLAIMED,
    W_UNCLAIMED,
)
from pgflow_stress_hot.recorder cimport observe, or_shared, publish, record_error, record_statement
from pgflow_stress_hot.slugs cimport slug_at, slug_length, slugs_find
from pgflow_stress_hot.wire cimport ArrayReader, array_next, array_read, get_int4, get_int8, put_int4


cdef bint passes(const char *sqlstate) noexcept nogil:
    # 40P01 deadlock, 40001 serialisation, 23514 a CHECK of pgflow's on now() (pgflow stamps the transaction's start)
    return (memcmp(sqlstate, b"40P01", 5) == 0 or memcmp(sqlstate, b"40001", 5) == 0
            or memcmp(sqlstate, b"23514", 5) == 0)


cdef int by_outcome_and_run(const void *left, const void *right) noexcept nogil:
    cdef int outcomes = <int>(<const Task *>left).fails - <int>(<const Task *>right).fails
    if outcomes != 0:
        return outcomes
    return memcmp((<const Task *>left).run_id, (<const Task *>right).run_id, 16)


cdef int64_t left_of(const Kit *kit, int64_t flow, int64_t in_hand, int64_t in_hand_of) noexcept nogil:
    cdef int64_t ours = in_hand if flow == in_hand_of else 0
    if kit.in_hand != NULL:
        ours += kit.in_hand[flow]
    return tasks_left(kit.books, flow) - ours


cdef int64_t pick_queue(Kit *kit, int64_t in_hand, int64_t in_hand_of) noexcept nogil:
    cdef int64_t others = kit.queue_count - kit.own_queues
    cdef int64_t i, place, flow
    for i in range(kit.own_queues):
        place = (kit.next_own + i) % kit.own_queues
        flow = kit.queues[place]
        if left_of(kit, flow, in_hand, in_hand_of) > 0:
            kit.next_own = place + 1
            return flow
    for i in range(others):
        place = (kit.next_other + i) % others
        flow = kit.queues[kit.own_queues + place]
        if left_of(kit, flow, in_hand, in_hand_of) > 0:
            kit.next_other = place + 1
            return flow
    return -1


cdef int64_t next_own_queue(Kit *kit) noexcept nogil:
    cdef int64_t flow = kit.queues[kit.next_own % kit.own_queues] if kit.own_queues else kit.queues[0]
    kit.next_own += 1
    return flow


cdef int send_read(Kit *kit, Link *link, Messages *into, int64_t flow, int64_t quantity) noexcept nogil:
    cdef Books *books = kit.books
    cdef uint8_t vt[4]
    cdef uint8_t most[4]
    cdef uint8_t seconds[4]
    cdef uint8_t interval[4]
    cdef const char *values[5]
    cdef int lengths[5]
    put_int4(vt, <int32_t>observe(&books.header[H_VT_SECONDS]))
    put_int4(most, <int32_t>quantity)
    values[0] = slug_at(books.flow_slugs, flow)
    lengths[0] = slug_length(books.flow_slugs, flow)
    values[1] = <char *>vt
    values[2] = <char *>most
    lengths[1] = lengths[2] = lengths[3] = lengths[4] = 4
    if kit.idle_kind == IDLE_SERVER:
        put_int4(seconds, <int32_t>kit.max_poll_seconds)
        put_int4(interval, <int32_t>kit.poll_interval_ms)
        values[3] = <char *>seconds
        values[4] = <char *>interval
    into.flow = flow
    into.count = 0
    into.answered = False
    into.batch = <int32_t>books.recorder.words[W_CYCLES]
    publish(&books.recorder.words[W_CYCLES], books.recorder.words[W_CYCLES] + 1)
    return link_send(link, b"read", 5 if kit.idle_kind == IDLE_SERVER else 3, values, lengths)


cdef LoopEnd refused(Kit *kit, Link *link, int operation, int64_t sent_ns, int64_t done_ns, int64_t flow,
                     int32_t batch, int32_t attempts) noexcept nogil:
    cdef Books *books = kit.books
    cdef bint again = passes(link.sqlstate) and attempts < MOST_ATTEMPTS
    record_error(books.recorder, operation, again, done_ns, link.sqlstate, link.text)
    record_statement(books.recorder, operation, ST_RETRIED if again else ST_FAILED, sent_ns, done_ns, 0,
                     <int32_t>flow, batch)
    return END_DONE if again else END_REFUSED


cdef LoopEnd take_read(Kit *kit, Flights *flights, Link *link, Messages *into) noexcept nogil:
    cdef Flight *flight = flights_head(flights)
    cdef libpq.PGresult *result
    cdef WaitStatus status = link_take(link, &result)
    into.done_ns = now_ns()
    into.sent_ns = flight.sent_ns
    into.answered = True
    if status == WAIT_REFUSED:
        flights_pop(flights, into.done_ns)
        return refused(kit, link, OP_READ, flight.sent_ns, into.done_ns, into.flow, into.batch, 0)
    if status != WAIT_READY:
        return end_of(status)
    flights_pop(flights, into.done_ns)
    into.ids_length = libpq.PQgetlength(result, 0, 0) if libpq.PQntuples(result) == 1 else 0
    into.count = (into.ids_length - ARRAY_HEAD) // ID_BYTES if into.ids_length > ARRAY_HEAD else 0
    if into.count > kit.poll_size:
        into.count = 0  # not what was asked for: left for the next visibility
    if into.count > 0:
        memcpy(into.ids, libpq.PQgetvalue(result, 0, 0), into.ids_length)
    libpq.PQclear(result)
    if into.count == 0:
        flights.emptied_ns = 0  # nothing in hand: the server waits for work, not for us
    book_read(kit, into)
    return END_DONE


cdef void book_read(Kit *kit, const Messages *read) noexcept nogil:
    cdef Books *books = kit.books
    cdef int64_t *words = books.recorder.words
    if words[W_PROCESS_FROM_NS] == 0:
        words[W_PROCESS_FROM_NS] = read.sent_ns
    publish(&words[W_STATEMENTS], words[W_STATEMENTS] + 1)
    publish(&words[W_POLLS], words[W_POLLS] + 1)
    if read.count == 0:
        publish(&words[W_EMPTY_POLLS], words[W_EMPTY_POLLS] + 1)
        if words[W_FIRST_IDLE_NS] == 0:
            words[W_FIRST_IDLE_NS] = read.done_ns
        # No row: a spinning worker would fill its region with them.
        histogram_record(&books.recorder.histograms[OP_READ], read.done_ns - read.sent_ns, 1)
        return
    publish(&words[W_MESSAGES_READ], words[W_MESSAGES_READ] + read.count)
    publish(&words[W_CLAIMED], words[W_CLAIMED] + read.count)
    record_statement(books.recorder, OP_READ, ST_OK, read.sent_ns, read.done_ns, read.count, <int32_t>read.flow,
                     read.batch)


cdef int send_start(Kit *kit, Link *link, Messages *polled) noexcept nogil:
    cdef const char *values[3]
    cdef int lengths[3]
    values[0] = slug_at(kit.books.flow_slugs, polled.flow)
    lengths[0] = slug_length(kit.books.flow_slugs, polled.flow)
    values[1] = <char *>polled.ids
    lengths[1] = polled.ids_length
    values[2] = <char *>kit.worker_id
    lengths[2] = 16
    return link_send(link, b"start_tasks", 3, values, lengths)


cdef void know_task(Kit *kit, Task *task) noexcept nogil:
    cdef Books *books = kit.books
    task.place = ledger_place(books, task.run, task.step, task.index)
    if task.place >= 0:
        or_shared(&books.ledger[task.place], L_CLAIMED)
    task.fails = fails(books, task.run, task.step, task.place)


cdef int64_t fill_tasks(Kit *kit, const libpq.PGresult *result, Task *tasks) noexcept nogil:
    cdef Books *books = kit.books
    cdef ArrayReader runs, steps, indexes, ids
    cdef const char *run
    cdef const char *step
    cdef const char *index
    cdef const char *msg_id
    cdef int length, step_length
    cdef bint in_order = True
    cdef int64_t count = 0
    cdef Task *task
    if libpq.PQntuples(result) != 1 or libpq.PQgetisnull(result, 0, 0):
        return 0
    runs = array_read(libpq.PQgetvalue(result, 0, 0), libpq.PQgetlength(result, 0, 0))
    steps = array_read(libpq.PQgetvalue(result, 0, 1), libpq.PQgetlength(result, 0, 1))
    indexes = array_read(libpq.PQgetvalue(result, 0, 2), libpq.PQgetlength(result, 0, 2))
    ids = array_read(libpq.PQgetvalue(result, 0, 3), libpq.PQgetlength(result, 0, 3))
    while count < kit.poll_size:
        run = array_next(&runs, &length)
        step = array_next(&steps, &step_length)
        index = array_next(&indexes, &length)
        msg_id = array_next(&ids, &length)
        if run == NULL or step == NULL or index == NULL or msg_id == NULL:
            break
        task = &tasks[count]
        memcpy(task.run_id, run, 16)
        task.run = run_index_of(books, run)
        task.step = slugs_find(books.step_slugs, step, step_length)
        task.index = get_int4(index)
        task.msg_id = get_int8(msg_id)
        know_task(kit, task)
        if count > 0 and by_outcome_and_run(&tasks[count - 1], task) > 0:
            in_order = False
        count += 1
    if not in_order:
        qsort(tasks, count, sizeof(Task), by_outcome_and_run)
    return count


cdef void book_claim(Kit *kit, int64_t sent_ns, const Messages *polled, int64_t claimed,
                     int64_t done_ns) noexcept nogil:
    cdef int64_t *words = kit.books.recorder.words
    publish(&words[W_STATEMENTS], words[W_STATEMENTS] + 1)
    publish(&words[W_TASKS_CLAIMED], words[W_TASKS_CLAIMED] + claimed)
    if claimed < polled.count:
        # Not ours to start: the tasks were started before, and come round each vt until they are completed.
        publish(&words[W_UNCLAIMED], words[W_UNCLAIMED] + polled.count - claimed)
        publish(&words[W_CLAIMED], words[W_CLAIMED] - (polled.count - claimed))
    record_statement(kit.books.recorder, OP_START_TASKS, ST_OK, sent_ns, done_ns, claimed,
                     <int32_t>polled.flow, polled.batch)
