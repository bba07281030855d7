"""A starter's loop: start runs by one schedule over all starters, or keep a number of them in flight.

A run is claimed in the order of the schedule by whichever starter is free, so that one that is claimed late was held up
by every starter being busy in the server; one that was claimed in time and sent late was held up by this process.

Prepared statement that the connection must have: start_flow (flow text, run uuid, input jsonb).
"""

from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport free, malloc

from posix.time cimport nanosleep, timespec

from pgflow_stress_hot cimport libpq
from pgflow_stress_hot.account cimport Account, Books, put_run_id, tasks_of
from pgflow_stress_hot.clock cimport now_ns
from pgflow_stress_hot.connection cimport (
    BorrowedConnection, Link, WAIT_READY, WAIT_REFUSED, WaitStatus, link_flush, link_is_there, link_send,
    link_take,
)
from pgflow_stress_hot.flight cimport END_DONE, END_LOST, END_STOPPED, LoopEnd, end_of
from pgflow_stress_hot.histogram cimport histogram_record
from pgflow_stress_hot.layout cimport (
    H_IN_FLIGHT, H_IN_FLIGHT_LIMIT, H_LATE_SKIP_NS, H_NEXT_RUN, H_STARTS_CLOSED, H_STOP, OP_LAG_BUSY, OP_LAG_LATE,
    OP_START_FLOW, OP_START_SERVICE, R_CLAIMED_NS, R_COUNT, R_INTENDED_NS, R_SENT_NS, R_SKIPPED, R_STARTED_NS,
    STOP_RUN, ST_FAILED, ST_OK, W_ROWS, W_RUNS_SKIPPED, W_RUNS_STARTED, W_START_FROM_NS, W_START_TO_NS, W_STATEMENTS,
)
from pgflow_stress_hot.recorder cimport add_shared, observe, publish, record_error, record_row
from pgflow_stress_hot.slugs cimport SlugTable, slug_at, slug_length

cdef enum:
    SLICE_NS = 100_000_000  # longest sleep before the stop word is looked at again
    SPIN_NS = 60_000  # a sleep ends this much late on an idle core; the rest is waited out
    PERMIT_NAP_NS = 50_000  # between two looks at how many runs are in flight
    NAPS_PER_LOOK = 100  # at the connection: a server that crashed may have lost the runs that are waited for

cdef enum Permit:
    PERMIT_HAD
    PERMIT_REFUSED  # no more runs are to be started
    PERMIT_LOST  # the connection is gone


cdef void pause(int64_t delay_ns) noexcept nogil:
    cdef timespec nap
    nap.tv_sec = delay_ns // 1_000_000_000
    nap.tv_nsec = delay_ns % 1_000_000_000
    nanosleep(&nap, NULL)


cdef bint is_closed(const Books *b) noexcept nogil:
    return observe(&b.header[H_STOP]) != STOP_RUN or observe(&b.header[H_STARTS_CLOSED]) != 0


cdef bint wait_until(const Books *b, int64_t due_ns) noexcept nogil:
    # False where no more runs are to be started meanwhile.
    cdef int64_t left
    while True:
        left = due_ns - now_ns()
        if left <= 0:
            return True
        if is_closed(b):
            return False
        if left > SPIN_NS:
            pause(min(left - SPIN_NS, SLICE_NS))


cdef Permit take_permit(const Books *b, Link *link) noexcept nogil:
    # One more run in flight, once there is room.
    cdef int64_t limit = observe(&b.header[H_IN_FLIGHT_LIMIT])
    cdef int64_t naps = 0
    while limit > 0:
        if is_closed(b):
            return PERMIT_REFUSED
        if observe(&b.header[H_IN_FLIGHT]) < limit:
            if add_shared(&b.header[H_IN_FLIGHT], 1) < limit:
                return PERMIT_HAD
            add_shared(&b.header[H_IN_FLIGHT], -1)
        pause(PERMIT_NAP_NS)
        naps += 1
        if naps % NAPS_PER_LOOK == 0 and not link_is_there(link):
            return PERMIT_LOST
    return PERMIT_REFUSED if is_closed(b) else PERMIT_HAD


cdef class Starter:
    """Starts runs on one connection, one at a time.

    Args:
        account: the books to write; its header says the schedule's rules, its runs when each is intended.
        inputs: for each flow, what its runs are given: jsonb in binary (version byte 1, then the text).
    """

    cdef Account account
    cdef SlugTable inputs
    cdef int64_t *input_of  # [flows]: index into inputs
    cdef int64_t in_doubt  # the run whose start was sent and not answered; -1: none

    def __cinit__(self, Account account not None, list inputs not None):
        cdef int64_t i
        if len(inputs) != account.books.flows:
            raise ValueError("an input for each flow")
        self.account = account
        self.in_doubt = -1
        self.inputs = SlugTable(sorted(set(inputs)))
        self.input_of = <int64_t *>malloc(len(inputs) * sizeof(int64_t))
        if self.input_of == NULL:
            raise MemoryError("no room for the inputs")
        for i in range(<int64_t>len(inputs)):
            self.input_of[i] = self.inputs.find(inputs[i])

    def __dealloc__(self):
        free(self.input_of)

    def take_doubt(self):
        """The run whose start was sent and not answered, once: whoever asks sees to it. -1: none."""
        run, self.in_doubt = self.in_doubt, -1
        return run

    def run(self, BorrowedConnection connection not None):
        """Start runs until the schedule ends, or the stop word or the header says that no more are started.

        Returns:
            A LoopEnd: 0 done, 1 stopped, 2 connection lost, 3 refused (the error is in the arena).
        """
        cdef LoopEnd end
        with nogil:
            end = start_by_schedule(self, &connection.link)
        return end


cdef int send_start(Starter s, Link *link, int64_t run) noexcept nogil:
    cdef Books *books = &s.account.books
    cdef int64_t flow = books.run_flow[run]
    cdef const char *values[3]
    cdef int lengths[3]
    cdef uint8_t run_id[16]
    values[0] = slug_at(books.flow_slugs, flow)
    lengths[0] = slug_length(books.flow_slugs, flow)
    put_run_id(books, run, run_id)
    values[1] = <char *>run_id
    lengths[1] = 16
    values[2] = slug_at(&s.inputs.slugs, s.input_of[flow])
    lengths[2] = slug_length(&s.inputs.slugs, s.input_of[flow])
    return link_send(link, b"start_flow", 3, values, lengths)


cdef void book_start(Starter s, int64_t run, int64_t intended_ns, int64_t claimed_ns, int64_t sent_ns,
                     int64_t done_ns) noexcept nogil:
    cdef Books *books = &s.account.books
    cdef int64_t *words = books.recorder.words
    cdef int64_t flow = books.run_flow[run]
    cdef int64_t *mine = &books.started[books.me * books.flows + flow]
    cdef int64_t due_ns = intended_ns if intended_ns > 0 else sent_ns
    cdef int64_t row = words[W_ROWS]
    cdef int64_t ready_ns = max(claimed_ns, intended_ns)
    histogram_record(&books.recorder.histograms[OP_START_FLOW], done_ns - due_ns, 1)
    histogram_record(&books.recorder.histograms[OP_START_SERVICE], done_ns - sent_ns, 1)
    if intended_ns > 0:
        histogram_record(&books.recorder.histograms[OP_LAG_BUSY], max(0, claimed_ns - intended_ns), 1)
        histogram_record(&books.recorder.histograms[OP_LAG_LATE], max(0, sent_ns - ready_ns), 1)
    record_row(books.recorder, sent_ns, done_ns, -1, <int>run, -1, -1, -1, OP_START_FLOW, ST_OK, 1, <int>flow)
    if words[W_ROWS] > row:
        books.recorder.rows[row].intended_ns = intended_ns
    publish(&words[W_STATEMENTS], words[W_STATEMENTS] + 1)
    publish(mine, mine[0] + tasks_of(books, run))
    if tasks_of(books, run) == 0:  # over with its start
        add_shared(&books.header[H_IN_FLIGHT], -1)
    publish(&books.runs[run * R_COUNT + R_STARTED_NS], done_ns)
    publish(&words[W_RUNS_STARTED], words[W_RUNS_STARTED] + 1)
    if words[W_START_FROM_NS] == 0:
        words[W_START_FROM_NS] = sent_ns
    publish(&words[W_START_TO_NS], done_ns)


cdef LoopEnd start_by_schedule(Starter s, Link *link) noexcept nogil:
    cdef Books *books = &s.account.books
    cdef int64_t *words = books.recorder.words
    cdef int64_t *run_words
    cdef int64_t skip_ns = observe(&books.header[H_LATE_SKIP_NS])
    cdef int64_t run, intended_ns, claimed_ns, sent_ns, done_ns
    cdef libpq.PGresult *result
    cdef WaitStatus status
    cdef Permit permit
    while True:
        permit = take_permit(books, link)
        if permit == PERMIT_LOST:
            return END_LOST
        if permit == PERMIT_REFUSED:
            break
        run = add_shared(&books.header[H_NEXT_RUN], 1)
        if run >= books.run_count:
            return END_DONE
        claimed_ns = now_ns()
        run_words = &books.runs[run * R_COUNT]
        intended_ns = run_words[R_INTENDED_NS]
        run_words[R_CLAIMED_NS] = claimed_ns
        if intended_ns > 0:
            if skip_ns > 0 and claimed_ns - intended_ns > skip_ns:
                run_words[R_SKIPPED] = 1
                publish(&words[W_RUNS_SKIPPED], words[W_RUNS_SKIPPED] + 1)
                continue
            if not wait_until(books, intended_ns):
                break
        sent_ns = now_ns()
        publish(&run_words[R_SENT_NS], sent_ns)
        s.in_doubt = run
        if send_start(s, link, run) != 0:
            return END_LOST
        status = link_flush(link)
        if status != WAIT_READY:
            return end_of(status)
        status = link_take(link, &result)
        done_ns = now_ns()
        if status != WAIT_READY:
            if status == WAIT_REFUSED:
                record_error(books.recorder, OP_START_FLOW, False, done_ns, link.sqlstate, link.text)
                record_row(books.recorder, sent_ns, done_ns, -1, <int>run, -1, -1, -1, OP_START_FLOW, ST_FAILED, 0,
                           <int>books.run_flow[run])
            return end_of(status)
        libpq.PQclear(result)
        s.in_doubt = -1
        book_start(s, run, intended_ns, claimed_ns, sent_ns, done_ns)
    return END_STOPPED if observe(&books.header[H_STOP]) != STOP_RUN else END_DONE
