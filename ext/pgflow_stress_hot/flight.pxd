# What is in flight on one connection, in the order sent, and how a loop over it ends.
from libc.stdint cimport int32_t, int64_t

from pgflow_stress_hot.connection cimport Link, WaitStatus

cdef enum LoopEnd:
    END_DONE = 0
    END_STOPPED = 1  # the stop word: what was in flight has been answered, unless it said STOP_NOW
    END_LOST = 2  # the connection is gone
    END_REFUSED = 3  # the server refused a statement for good; the error is in the arena

cdef enum:
    FLIGHT_ROOM = 1024

cdef struct Flight:
    int operation
    int64_t first  # what it carries: [first, last)
    int64_t last
    int64_t sent_ns
    int32_t attempts

cdef struct Flights:  # a ring
    Flight ring[1024]
    int64_t head  # next to be answered
    int64_t tail  # next free place
    int64_t flushed  # those before it have their sent_ns
    int64_t emptied_ns  # the last answer, where nothing is in flight and work is in hand; else 0
    int64_t waited_for_ns  # how long that was so, added up: the server waited for us

cdef inline int64_t flights_count(Flights *f) noexcept nogil:
    return f.tail - f.head

cdef inline Flight *flights_push(Flights *f, int operation, int64_t first, int64_t last) noexcept nogil:
    cdef Flight *flight = &f.ring[f.tail & (FLIGHT_ROOM - 1)]
    flight.operation = operation
    flight.first = first
    flight.last = last
    flight.sent_ns = 0
    flight.attempts = 0
    f.tail += 1
    return flight

cdef inline Flight *flights_head(Flights *f) noexcept nogil:
    return &f.ring[f.head & (FLIGHT_ROOM - 1)]

cdef inline void flights_pop(Flights *f, int64_t done_ns) noexcept nogil:
    # The oldest was answered.
    f.head += 1
    if f.head == f.tail:
        f.emptied_ns = done_ns

# Stamp what the next flush will carry, as its begin; where the first of these has its place in the ring.
cdef int64_t flights_stamp(Flights *f) noexcept nogil
# Stamp and flush.
cdef WaitStatus flights_flush(Flights *f, Link *link) noexcept nogil

cdef LoopEnd end_of(WaitStatus status) noexcept nogil
