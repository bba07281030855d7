"""CLOCK_MONOTONIC in nanoseconds, and what reading it costs."""

from libc.stdint cimport int64_t


def monotonic_ns():
    """CLOCK_MONOTONIC now, ns: the clock of every stamp that the hot path takes."""
    return now_ns()


def resolution_ns():
    """What the kernel says the clock's resolution is, ns."""
    cdef timespec stamp
    clock_getres(CLOCK_MONOTONIC, &stamp)
    return <int64_t>stamp.tv_sec * 1000000000 + stamp.tv_nsec


def read_cost_ns(int64_t reads):
    """Mean cost of one reading, ns, over `reads` of them (> 0), without the GIL."""
    cdef int64_t _, first, last
    if reads < 1:
        raise ValueError("need at least one read")
    with nogil:
        first = now_ns()
        last = first
        for _ in range(reads):
            last = now_ns()
    return (last - first) / <double>reads


def smallest_step_ns(int64_t reads):
    """Smallest difference above zero between two readings in a row, ns: the clock's real granularity."""
    cdef int64_t _, previous, stamp
    cdef int64_t smallest = 1 << 62
    with nogil:
        previous = now_ns()
        for _ in range(reads):
            stamp = now_ns()
            if stamp > previous and stamp - previous < smallest:
                smallest = stamp - previous
            previous = stamp
    return smallest
