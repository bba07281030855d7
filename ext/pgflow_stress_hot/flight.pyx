"""Statements in flight: `sent` is the flush that carried the statement."""

from pgflow_stress_hot.clock cimport now_ns
from pgflow_stress_hot.connection cimport WAIT_LOST, WAIT_READY, WAIT_STOPPED, link_flush


cdef int64_t flights_stamp(Flights *f) noexcept nogil:
    cdef int64_t stamp = now_ns()
    cdef int64_t first = f.flushed
    if f.emptied_ns != 0:
        f.waited_for_ns += stamp - f.emptied_ns
        f.emptied_ns = 0
    while f.flushed < f.tail:
        f.ring[f.flushed & (FLIGHT_ROOM - 1)].sent_ns = stamp
        f.flushed += 1
    return first


cdef WaitStatus flights_flush(Flights *f, Link *link) noexcept nogil:
    flights_stamp(f)
    return link_flush(link)


cdef LoopEnd end_of(WaitStatus status) noexcept nogil:
    if status == WAIT_READY:
        return END_DONE
    if status == WAIT_STOPPED:
        return END_STOPPED
    return END_LOST if status == WAIT_LOST else END_REFUSED
