# A pool of connections on which statements go unprepared, in two round trips each, as postgres.js sends them with
# `prepare: false`: Parse and Describe; then, with what the server says of its parameters, Bind and Execute.
from libc.stdint cimport int32_t, int64_t

from pgflow_stress_hot cimport libpq
from pgflow_stress_hot.connection cimport Link, WaitStatus

cdef enum:
    MOST_LANES = 40
    MOST_VALUES = 5

cdef enum LaneStage:
    LANE_IDLE = 0
    LANE_PARSING = 1
    LANE_EXECUTING = 2

cdef struct Lane:
    Link *link
    LaneStage stage
    int operation
    int64_t slot  # of the task whose end it sends
    int64_t sent_ns
    int count
    const char *values[5]
    char run_id[37]
    char index[21]

cdef struct Lanes:
    Lane lanes[40]
    Link *busy[40]  # filled anew for each wait
    int count
    int idle[40]  # a ring: the one that has been idle longest is taken first
    int64_t idle_head
    int64_t idle_tail
    int64_t emptied_ns  # the last answer, where nothing is in flight and something waits to be sent; else 0
    int64_t waited_for_ns

cdef void lanes_begin(Lanes *all) noexcept nogil
cdef inline int64_t lanes_idle(const Lanes *all) noexcept nogil:
    return all.idle_tail - all.idle_head
cdef inline int64_t lanes_in_flight(const Lanes *all) noexcept nogil:
    return all.count - lanes_idle(all)
cdef Lane *lane_take(Lanes *all) noexcept nogil  # an idle one; there must be one
# Send a statement on it: lane.values and lane.count are its parameters, in text. sent_ns is stamped before.
cdef WaitStatus lane_send(Lanes *all, Lane *lane, const char *sql, const libpq.Oid *types,
                          int64_t stamp_ns) noexcept nogil
# What came for it: its next message is sent, or its answer taken (*out, else NULL) and the lane idle again.
cdef WaitStatus lane_go_on(Lanes *all, Lane *lane, libpq.PGresult **out, int64_t *done_ns) noexcept nogil
# Until one of those in flight has something to read, or until then.
cdef WaitStatus lanes_wait(Lanes *all, const int64_t *stop, int64_t until_ns) noexcept nogil
