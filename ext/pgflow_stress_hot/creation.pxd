from libc.stdint cimport int64_t, uint8_t

from pgflow_stress_hot.account cimport Account, Books
from pgflow_stress_hot.connection cimport Link
from pgflow_stress_hot.flight cimport Flights
from pgflow_stress_hot.slugs cimport SlugTable
from pgflow_stress_hot.wire cimport Buffer

cdef class Creator:
    cdef Account account
    cdef Flights flights
    cdef Buffer first  # of each statement's parameters, in their order
    cdef Buffer second
    cdef Buffer third
    cdef Buffer fourth
    cdef SlugTable deps
    cdef SlugTable kinds
    cdef object _deps_index
    cdef object _kinds_index
    cdef int64_t *deps_of  # [steps]: index into deps
    cdef int64_t *kind_of  # [steps]: index into kinds
    cdef object _input
    cdef const uint8_t *input_bytes
    cdef int64_t input_length
    cdef bint batched
    cdef int64_t window  # most statements in flight
    cdef int64_t flows_per_statement
    cdef int64_t steps_per_statement
    cdef int64_t runs_per_statement
