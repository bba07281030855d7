"""Create flows and start runs: a statement each, or one for many; one at a time or pipelined.

Prepared statements that the connection must have (engine.statements makes them):
    create_flow  one: (flow text)                              many: (flows text[])
    add_step     one: (flow text, step text, deps text, kind text)   many: the same as text[]
    start_flow   one: (flow text, run uuid, input jsonb)       many: (flows text[], runs uuid[], one input jsonb)
where deps is the text of a text[] ("{a,b}").
"""

from libc.stdlib cimport free, malloc

from pgflow_stress_hot cimport libpq
from pgflow_stress_hot.account cimport Books, put_run_id, tasks_of
from pgflow_stress_hot.clock cimport now_ns
from pgflow_stress_hot.connection cimport (
    BorrowedConnection, WAIT_READY, WAIT_REFUSED, WaitStatus, link_flush, link_send, link_take,
)
from pgflow_stress_hot.flight cimport (
    END_DONE, END_LOST, END_STOPPED, Flight, LoopEnd, end_of, flights_count, flights_flush, flights_head, flights_push,
    flights_stamp,
)
from pgflow_stress_hot.layout cimport (
    OP_ADD_STEP, OP_CREATE_FLOW, OP_START_FLOW, R_COUNT, R_SENT_NS, R_STARTED_NS, STOP_RUN, ST_FAILED, ST_OK,
    W_CREATE_FROM_NS, W_CREATE_TO_NS, W_FLOWS_CREATED, W_RUNS_STARTED, W_START_FROM_NS, W_START_TO_NS, W_STATEMENTS,
    W_STEPS_CREATED, H_STOP,
)
from pgflow_stress_hot.recorder cimport observe, publish, record_error, record_statement
from pgflow_stress_hot.slugs cimport Slugs, slug_at, slug_length
from pgflow_stress_hot.wire cimport OID_TEXT, OID_UUID, array_begin, array_put, buffer_free, buffer_make

cdef int64_t NO_FLOW = -1


cdef class Creator:
    """Creates flows and starts runs on one connection.

    Args:
        account: the books to write.
        flows: int64[], indexes of the flows that `create` makes.
        deps: for each step, the text of its dependencies as a text[] ("{}", "{a,b}").
        kinds: for each step, b"single" or b"map".
        inputs: for each flow, what its runs are given: jsonb in binary (version byte 1, then the text).
        batched: one statement for many.
        window: most statements in flight, 1 to 512; above 1 only on a piped connection.
        flows_per_statement, steps_per_statement, runs_per_statement: sizes of a batched statement, >= 1.
        drains: take every answer before more is sent, so that a pooler can give the backend to another client.
    """

    def __cinit__(self, Account account not None, int64_t[::1] flows not None, list deps not None,
                  list kinds not None, list inputs not None, bint batched, int64_t window,
                  int64_t flows_per_statement, int64_t steps_per_statement, int64_t runs_per_statement,
                  bint drains=False):
        cdef int64_t steps = account.books.step_slugs.count
        cdef int64_t pairs, i
        cdef int64_t longest_flow = account.books.flow_slugs.longest
        if len(deps) != steps or len(kinds) != steps or len(inputs) != account.books.flows:
            raise ValueError("a dependency text and a kind for each step, an input for each flow")
        for i in range(flows.shape[0]):
            if not 0 <= flows[i] < account.books.flows:
                raise ValueError(f"no flow {flows[i]}")
        if not 1 <= window <= 512 or min(flows_per_statement, steps_per_statement, runs_per_statement) < 1:
            raise ValueError("window or statement sizes")
        self.account = account
        self.deps = SlugTable(sorted(set(deps)))
        self.kinds = SlugTable(sorted(set(kinds)))
        self.deps_of = <int64_t *>malloc(steps * sizeof(int64_t))
        self.kind_of = <int64_t *>malloc(steps * sizeof(int64_t))
        if self.deps_of == NULL or self.kind_of == NULL:
            raise MemoryError("no room for the steps")
        for i in range(steps):
            self.deps_of[i] = self.deps.find(deps[i])
            self.kind_of[i] = self.kinds.find(kinds[i])
        self.inputs = SlugTable(sorted(set(inputs)))
        self.input_of = <int64_t *>malloc(len(inputs) * sizeof(int64_t))
        if self.input_of == NULL:
            raise MemoryError("no room for the inputs")
        for i in range(<int64_t>len(inputs)):
            self.input_of[i] = self.inputs.find(inputs[i])
        self._lay_out(flows)
        self.batched = batched
        self.window = window
        self.kept = 0 if drains else window // 2
        self.flows_per_statement = flows_per_statement
        self.steps_per_statement = steps_per_statement
        self.runs_per_statement = runs_per_statement
        pairs = max(flows_per_statement, steps_per_statement, runs_per_statement)
        buffer_make(&self.first, 32 + pairs * (4 + longest_flow))
        buffer_make(&self.second, 32 + pairs * (4 + max(16, account.books.step_slugs.longest)))
        buffer_make(&self.third, 32 + pairs * (4 + self.deps.slugs.longest))
        buffer_make(&self.fourth, 32 + pairs * (4 + self.kinds.slugs.longest))

    def __dealloc__(self):
        buffer_free(&self.first)
        buffer_free(&self.second)
        buffer_free(&self.third)
        buffer_free(&self.fourth)
        free(self.deps_of)
        free(self.kind_of)
        free(self.input_of)

    def _lay_out(self, flows):
        # Pairs of a flow and one of its steps, flow by flow in the order of their definition.
        import numpy
        cdef int64_t[::1] first, pair_flow, pair_step, of = numpy.array(flows, dtype=numpy.int64)
        cdef int64_t i, j, at = 0
        cdef const Books *books = &self.account.books
        counts = [books.flow_steps[2 * of[i] + 1] for i in range(of.shape[0])]
        first = numpy.cumsum([0, *counts], dtype=numpy.int64)
        pair_flow = numpy.empty(first[of.shape[0]], dtype=numpy.int64)
        pair_step = numpy.empty(first[of.shape[0]], dtype=numpy.int64)
        for i in range(of.shape[0]):
            for j in range(books.flow_steps[2 * of[i] + 1]):
                pair_flow[at] = of[i]
                pair_step[at] = books.flow_steps[2 * of[i]] + j
                at += 1
        self._owners = (of, first, pair_flow, pair_step)
        self.flow_count = of.shape[0]
        self.flows = &of[0]
        self.first_pair = &first[0]
        self.pair_flow = &pair_flow[0]
        self.pair_step = &pair_step[0]

    def create(self, BorrowedConnection connection not None):
        """Create its flows and their steps, each from where the books say that it stands.

        Returns:
            A LoopEnd: 0 done, 1 stopped, 2 connection lost, 3 refused (the error is in the arena).
        """
        cdef LoopEnd end
        if self.flow_count == 0:
            return END_DONE
        with nogil:
            end = create_flows(self, &connection.link)
        return end

    def start(self, BorrowedConnection connection not None, int64_t[::1] runs not None):
        """Start these runs (indexes); those that the books say are started are passed over. Returns a LoopEnd."""
        cdef LoopEnd end
        cdef int64_t i
        for i in range(runs.shape[0]):
            if not 0 <= runs[i] < self.account.books.run_count:
                raise ValueError(f"no run {runs[i]}")
        if runs.shape[0] == 0:
            return END_DONE
        with nogil:
            end = start_runs(self, &connection.link, &runs[0], runs.shape[0])
        return end


cdef int send_create_flow(Creator c, Link *link, const int64_t *flows, int64_t count) noexcept nogil:
    cdef const Slugs *slugs = c.account.books.flow_slugs
    cdef const char *values[1]
    cdef int lengths[1]
    cdef int64_t i
    if c.batched:
        array_begin(&c.first, OID_TEXT, count)
        for i in range(count):
            array_put(&c.first, slug_at(slugs, flows[i]), slug_length(slugs, flows[i]))
        values[0] = <char *>c.first.bytes
        lengths[0] = c.first.length
    else:
        values[0] = slug_at(slugs, flows[0])
        lengths[0] = slug_length(slugs, flows[0])
    return link_send(link, b"create_flow", 1, values, lengths)


cdef int send_add_step(Creator c, Link *link, int64_t first, int64_t last) noexcept nogil:
    # Pairs first..last of (flow, step), flow by flow.
    cdef const Slugs *flow_slugs = c.account.books.flow_slugs
    cdef const Slugs *step_slugs = c.account.books.step_slugs
    cdef int64_t pair, step, flow
    cdef const char *values[4]
    cdef int lengths[4]
    if c.batched:
        array_begin(&c.first, OID_TEXT, last - first)
        array_begin(&c.second, OID_TEXT, last - first)
        array_begin(&c.third, OID_TEXT, last - first)
        array_begin(&c.fourth, OID_TEXT, last - first)
        for pair in range(first, last):
            flow = c.pair_flow[pair]
            step = c.pair_step[pair]
            array_put(&c.first, slug_at(flow_slugs, flow), slug_length(flow_slugs, flow))
            array_put(&c.second, slug_at(step_slugs, step), slug_length(step_slugs, step))
            array_put(&c.third, slug_at(&c.deps.slugs, c.deps_of[step]), slug_length(&c.deps.slugs, c.deps_of[step]))
            array_put(&c.fourth, slug_at(&c.kinds.slugs, c.kind_of[step]),
                      slug_length(&c.kinds.slugs, c.kind_of[step]))
        values[0] = <char *>c.first.bytes
        values[1] = <char *>c.second.bytes
        values[2] = <char *>c.third.bytes
        values[3] = <char *>c.fourth.bytes
        lengths[0] = c.first.length
        lengths[1] = c.second.length
        lengths[2] = c.third.length
        lengths[3] = c.fourth.length
    else:
        flow = c.pair_flow[first]
        step = c.pair_step[first]
        values[0] = slug_at(flow_slugs, flow)
        lengths[0] = slug_length(flow_slugs, flow)
        values[1] = slug_at(step_slugs, step)
        lengths[1] = slug_length(step_slugs, step)
        values[2] = slug_at(&c.deps.slugs, c.deps_of[step])
        lengths[2] = slug_length(&c.deps.slugs, c.deps_of[step])
        values[3] = slug_at(&c.kinds.slugs, c.kind_of[step])
        lengths[3] = slug_length(&c.kinds.slugs, c.kind_of[step])
    return link_send(link, b"add_step", 4, values, lengths)


cdef int send_start_flow(Creator c, Link *link, const int64_t *runs, int64_t count) noexcept nogil:
    cdef Books *books = &c.account.books
    cdef const Slugs *slugs = books.flow_slugs
    cdef const char *values[3]
    cdef int lengths[3]
    cdef uint8_t run_id[16]
    cdef int64_t i, flow, given = c.input_of[books.run_flow[runs[0]]]
    if c.batched:
        array_begin(&c.first, OID_TEXT, count)
        array_begin(&c.second, OID_UUID, count)
        for i in range(count):
            flow = books.run_flow[runs[i]]
            array_put(&c.first, slug_at(slugs, flow), slug_length(slugs, flow))
            put_run_id(books, runs[i], run_id)
            array_put(&c.second, run_id, 16)
        values[0] = <char *>c.first.bytes
        lengths[0] = c.first.length
        values[1] = <char *>c.second.bytes
        lengths[1] = c.second.length
    else:
        flow = books.run_flow[runs[0]]
        values[0] = slug_at(slugs, flow)
        lengths[0] = slug_length(slugs, flow)
        put_run_id(books, runs[0], run_id)
        values[1] = <char *>run_id
        lengths[1] = 16
    values[2] = slug_at(&c.inputs.slugs, given)
    lengths[2] = slug_length(&c.inputs.slugs, given)
    return link_send(link, b"start_flow", 3, values, lengths)


cdef LoopEnd take_created(Creator c, Link *link) noexcept nogil:
    # The answer of the oldest statement in flight, booked.
    cdef Books *books = &c.account.books
    cdef int64_t *words = books.recorder.words
    cdef Flight *flight = flights_head(&c.flights)
    cdef libpq.PGresult *result
    cdef int64_t done_ns, pair, flow
    cdef WaitStatus status = link_take(link, &result)
    done_ns = now_ns()
    if status != WAIT_READY:
        if status == WAIT_REFUSED:
            record_error(books.recorder, flight.operation, False, done_ns, link.sqlstate, link.text)
            record_statement(books.recorder, flight.operation, ST_FAILED, flight.sent_ns, done_ns, 0, -1, -1)
        return end_of(status)
    libpq.PQclear(result)
    c.flights.head += 1
    record_statement(books.recorder, flight.operation, ST_OK, flight.sent_ns, done_ns, flight.last - flight.first,
                     -1, -1)
    publish(&words[W_STATEMENTS], words[W_STATEMENTS] + 1)
    if flight.operation == OP_CREATE_FLOW:
        for pair in range(flight.first, flight.last):
            publish(&books.steps_created[c.flows[pair]], 0)
        publish(&words[W_FLOWS_CREATED], words[W_FLOWS_CREATED] + flight.last - flight.first)
    else:
        for pair in range(flight.first, flight.last):
            flow = c.pair_flow[pair]
            publish(&books.steps_created[flow], c.pair_step[pair] - books.flow_steps[2 * flow] + 1)
        publish(&words[W_STEPS_CREATED], words[W_STEPS_CREATED] + flight.last - flight.first)
    if words[W_CREATE_FROM_NS] == 0 or flight.sent_ns < words[W_CREATE_FROM_NS]:
        words[W_CREATE_FROM_NS] = flight.sent_ns
    publish(&words[W_CREATE_TO_NS], done_ns)
    return END_DONE


cdef inline bint is_created(Creator c, int64_t pair) noexcept nogil:
    cdef int64_t flow = c.pair_flow[pair]
    return c.account.books.steps_created[flow] > c.pair_step[pair] - c.account.books.flow_steps[2 * flow]


cdef LoopEnd create_flows(Creator c, Link *link) noexcept nogil:
    # Flows go group by group: the group's queues, then its steps in the order of their definition.
    cdef Books *books = &c.account.books
    cdef int64_t count = c.flow_count
    cdef int64_t group = c.flows_per_statement if c.batched else 1
    cdef int64_t most = c.steps_per_statement if c.batched else 1
    cdef int64_t begin = 0, end = 0  # the group, as places in flows
    cdef int64_t pair = 0  # next (flow, step) of it
    cdef int64_t last
    cdef LoopEnd ended
    cdef WaitStatus status
    c.flights.head = c.flights.tail = c.flights.flushed = 0
    while True:
        while flights_count(&c.flights) < c.window and observe(&books.header[H_STOP]) == STOP_RUN:
            if pair == c.first_pair[end]:
                begin = end
                if begin == count:
                    break
                end = min(begin + group, count)
                pair = c.first_pair[begin]
                if books.steps_created[c.flows[begin]] == NO_FLOW:
                    if send_create_flow(c, link, &c.flows[begin], end - begin) != 0:
                        return END_LOST
                    flights_push(&c.flights, OP_CREATE_FLOW, begin, end)
                    continue
            last = min(pair + most, c.first_pair[end])
            while pair < last and is_created(c, pair):
                pair += 1  # by a worker that was lost
            if pair == last:
                continue
            if send_add_step(c, link, pair, last) != 0:
                return END_LOST
            flights_push(&c.flights, OP_ADD_STEP, pair, last)
            pair = last
        if flights_count(&c.flights) == 0:
            return END_STOPPED if observe(&books.header[H_STOP]) != STOP_RUN else END_DONE
        status = flights_flush(&c.flights, link)
        if status != WAIT_READY:
            return end_of(status)
        while flights_count(&c.flights) > c.kept:
            ended = take_created(c, link)
            if ended != END_DONE:
                return ended
        if begin == count or observe(&books.header[H_STOP]) != STOP_RUN:
            while flights_count(&c.flights) > 0:
                ended = take_created(c, link)
                if ended != END_DONE:
                    return ended


cdef LoopEnd take_started(Creator c, Link *link, const int64_t *runs) noexcept nogil:
    cdef Books *books = &c.account.books
    cdef int64_t *words = books.recorder.words
    cdef Flight *flight = flights_head(&c.flights)
    cdef libpq.PGresult *result
    cdef int64_t done_ns, i, flow
    cdef int64_t *mine
    cdef WaitStatus status = link_take(link, &result)
    done_ns = now_ns()
    if status != WAIT_READY:
        if status == WAIT_REFUSED:
            record_error(books.recorder, OP_START_FLOW, False, done_ns, link.sqlstate, link.text)
            record_statement(books.recorder, OP_START_FLOW, ST_FAILED, flight.sent_ns, done_ns, 0, -1, -1)
        return end_of(status)
    libpq.PQclear(result)
    c.flights.head += 1
    record_statement(books.recorder, OP_START_FLOW, ST_OK, flight.sent_ns, done_ns, flight.last - flight.first,
                     books.run_flow[runs[flight.first]], -1)
    publish(&words[W_STATEMENTS], words[W_STATEMENTS] + 1)
    for i in range(flight.first, flight.last):
        flow = books.run_flow[runs[i]]
        mine = &books.started[books.me * books.flows + flow]
        publish(mine, mine[0] + tasks_of(books, runs[i]))
        publish(&books.runs[runs[i] * R_COUNT + R_STARTED_NS], done_ns)
    publish(&words[W_RUNS_STARTED], words[W_RUNS_STARTED] + flight.last - flight.first)
    if words[W_START_FROM_NS] == 0 or flight.sent_ns < words[W_START_FROM_NS]:
        words[W_START_FROM_NS] = flight.sent_ns
    publish(&words[W_START_TO_NS], done_ns)
    return END_DONE


cdef LoopEnd start_runs(Creator c, Link *link, const int64_t *runs, int64_t count) noexcept nogil:
    cdef Books *books = &c.account.books
    cdef int64_t most = c.runs_per_statement if c.batched else 1
    cdef int64_t next_run = 0, last, i, stamped, given
    cdef LoopEnd ended
    cdef WaitStatus status
    c.flights.head = c.flights.tail = c.flights.flushed = 0
    while True:
        while (next_run < count and flights_count(&c.flights) < c.window
               and observe(&books.header[H_STOP]) == STOP_RUN):
            if books.runs[runs[next_run] * R_COUNT + R_STARTED_NS]:
                next_run += 1
                continue
            last = next_run + 1
            given = c.input_of[books.run_flow[runs[next_run]]]
            while (last < count and last - next_run < most and not books.runs[runs[last] * R_COUNT + R_STARTED_NS]
                   and c.input_of[books.run_flow[runs[last]]] == given):
                last += 1
            if send_start_flow(c, link, &runs[next_run], last - next_run) != 0:
                return END_LOST
            flights_push(&c.flights, OP_START_FLOW, next_run, last)
            next_run = last
        if flights_count(&c.flights) == 0:
            return END_STOPPED if observe(&books.header[H_STOP]) != STOP_RUN else END_DONE
        stamped = flights_stamp(&c.flights)
        while stamped < c.flights.flushed:  # before the flush: an observer may receive the first event during it
            for i in range(c.flights.ring[stamped & 1023].first, c.flights.ring[stamped & 1023].last):
                publish(&books.runs[runs[i] * R_COUNT + R_SENT_NS], c.flights.ring[stamped & 1023].sent_ns)
            stamped += 1
        status = link_flush(link)
        if status != WAIT_READY:
            return end_of(status)
        while flights_count(&c.flights) > c.kept:
            ended = take_started(c, link, runs)
            if ended != END_DONE:
                return ended
        if next_run == count or observe(&books.header[H_STOP]) != STOP_RUN:
            while flights_count(&c.flights) > 0:
                ended = take_started(c, link, runs)
                if ended != END_DONE:
                    return ended
