from libc.stdint cimport int64_t

from pgflow_stress_hot.flight cimport Flights
from pgflow_stress_hot.kit cimport Kit, Messages, Task, Toolkit
from pgflow_stress_hot.usage cimport Schedstat

cdef class Cycle:
    cdef Toolkit toolkit
    cdef Kit *kit
    cdef Schedstat schedstat
    cdef Flights flights
    cdef Messages polled[2]  # the batch being worked on, and the one read ahead
    cdef Task *tasks  # [poll_size] of the batch being worked on, by run
    cdef int64_t task_count
    cdef int64_t window  # most completions in flight
    cdef bint read_ahead  # the next poll goes with the last completions
