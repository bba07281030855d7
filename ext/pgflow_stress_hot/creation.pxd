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
    cdef int64_t *deps_of  # [steps]: index into deps
    cdef int64_t *kind_of  # [steps]: index into kinds
    cdef SlugTable inputs
    cdef int64_t *input_of  # [flows]: index into inputs
    cdef int64_t flow_count  # of these are created
    cdef int64_t *flows
    cdef int64_t *first_pair  # [flow_count + 1]: where a flow's pairs begin
    cdef int64_t *pair_flow  # of each pair of a flow and one of its steps: the flow
    cdef int64_t *pair_step  # and the step
    cdef object _owners
    cdef bint batched
    cdef int64_t window  # most statements in flight
    cdef int64_t kept  # in flight, at most, when more are sent
    cdef int64_t flows_per_statement
    cdef int64_t steps_per_statement
    cdef int64_t runs_per_statement
