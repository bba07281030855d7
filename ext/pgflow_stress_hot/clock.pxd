from libc.stdint cimport int64_t

cdef extern from "<time.h>" nogil:
    cdef struct timespec:
        long tv_sec
        long tv_nsec
    int clock_gettime(int clock_id, timespec *out) noexcept
    int clock_getres(int clock_id, timespec *out) noexcept
    int CLOCK_MONOTONIC

cdef inline int64_t now_ns() noexcept nogil:
    cdef timespec stamp
    clock_gettime(CLOCK_MONOTONIC, &stamp)
    return <int64_t>stamp.tv_sec * 1000000000 + stamp.tv_nsec
