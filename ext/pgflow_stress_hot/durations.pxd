# How long the work of each task takes: drawn from its place in the ledger, its attempt and a seed, by whoever has it.
from libc.stdint cimport int32_t, int64_t, uint64_t

cdef enum:  # kinds, scenario.durations
    DURATION_CONSTANT = 0
    DURATION_EXPONENTIAL = 1
    DURATION_LOGNORMAL = 2

cdef class Durations:
    cdef const int64_t *kinds  # [steps]
    cdef const double *scale_ns  # [steps]: the constant, the mean, the median
    cdef const double *sigma  # [steps]: of the logarithm
    cdef int64_t steps
    cdef uint64_t seed
    cdef object _owners

cdef int64_t duration_ns(Durations d, int32_t step, int64_t place, int64_t attempt) noexcept nogil
