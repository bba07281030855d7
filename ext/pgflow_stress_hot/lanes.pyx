"""A pool of connections, a statement at a time on each: unprepared, in text, in two round trips.

libpq sends one message more than postgres.js, a Describe of the portal before Execute; what the server plans and
executes is the same.
"""

from pgflow_stress_hot cimport libpq
from pgflow_stress_hot.clock cimport now_ns
from pgflow_stress_hot.connection cimport (
    WAIT_LOST, WAIT_READY, WAIT_REFUSED, link_flush, link_has_answer, link_sync, link_take, link_take_answer,
    links_wait,
)


cdef void lanes_begin(Lanes *all) noexcept nogil:
    cdef int i
    all.idle_head = 0
    all.idle_tail = all.count
    all.emptied_ns = all.waited_for_ns = 0
    for i in range(all.count):
        all.idle[i] = i
        all.lanes[i].stage = LANE_IDLE


cdef Lane *lane_take(Lanes *all) noexcept nogil:
    cdef Lane *lane = &all.lanes[all.idle[all.idle_head % MOST_LANES]]
    all.idle_head += 1
    lane.count = 0
    lane.slot = -1
    return lane


cdef void give_back(Lanes *all, Lane *lane, int64_t stamp_ns) noexcept nogil:
    lane.stage = LANE_IDLE
    all.idle[all.idle_tail % MOST_LANES] = <int>(lane - &all.lanes[0])
    all.idle_tail += 1
    if lanes_in_flight(all) == 0:
        all.emptied_ns = stamp_ns


cdef WaitStatus lane_send(Lanes *all, Lane *lane, const char *sql, const libpq.Oid *types,
                          int64_t stamp_ns) noexcept nogil:
    cdef libpq.PGconn *conn = lane.link.conn
    if all.emptied_ns != 0:
        all.waited_for_ns += stamp_ns - all.emptied_ns
        all.emptied_ns = 0
    lane.sent_ns = stamp_ns
    lane.stage = LANE_PARSING
    lane.link.statements += 1
    if (libpq.PQsendPrepare(conn, b"", sql, lane.count, types) == 0 or libpq.PQsendDescribePrepared(conn, b"") == 0
            or libpq.PQsendFlushRequest(conn) == 0):
        return WAIT_LOST
    return link_flush(lane.link)


cdef WaitStatus execute(Lane *lane) noexcept nogil:
    # The two answers of Parse and Describe come together; then Bind, Execute and Sync.
    cdef libpq.PGresult *result
    cdef WaitStatus status
    cdef int _
    for _ in range(2):
        status = link_take_answer(lane.link, &result)
        if status != WAIT_READY:
            return status
        libpq.PQclear(result)
    lane.stage = LANE_EXECUTING
    if libpq.PQsendQueryPrepared(lane.link.conn, b"", lane.count, lane.values, NULL, NULL, 0) == 0:
        return WAIT_LOST
    if link_sync(lane.link) != 0:
        return WAIT_LOST
    return link_flush(lane.link)


cdef WaitStatus lane_go_on(Lanes *all, Lane *lane, libpq.PGresult **out, int64_t *done_ns) noexcept nogil:
    cdef WaitStatus status
    out[0] = NULL
    if lane.stage == LANE_PARSING:
        status = execute(lane)
        done_ns[0] = now_ns()
        return status
    status = link_take(lane.link, out)
    done_ns[0] = now_ns()
    if status == WAIT_READY or status == WAIT_REFUSED:
        give_back(all, lane, done_ns[0])
    return status


cdef WaitStatus lanes_wait(Lanes *all, const int64_t *stop, int64_t until_ns) noexcept nogil:
    cdef int i, busy = 0
    for i in range(all.count):
        if all.lanes[i].stage == LANE_IDLE:
            continue
        if link_has_answer(all.lanes[i].link):
            return WAIT_READY
        all.busy[busy] = all.lanes[i].link
        busy += 1
    return links_wait(all.busy, busy, stop, until_ns)
