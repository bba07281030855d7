# What this process and thread have used so far.
from libc.stdint cimport int64_t

cdef class Schedstat:
    cdef int file  # -1 where the kernel has none

# The process phase of a worker begins and ends: CPU time, and what it waited for a CPU, into its words.
cdef int64_t usage_begin(int64_t *words, int schedstat) noexcept nogil  # what usage_end wants of it
cdef void usage_end(int64_t *words, int schedstat, int64_t queued_from_ns, int64_t waited_for_ns) noexcept nogil
cdef void spend(int64_t delay_ns, int64_t *stop) noexcept nogil  # CPU time, on purpose
